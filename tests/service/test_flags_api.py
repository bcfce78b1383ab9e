"""A flag is edited over HTTP only as the version that was read."""

from __future__ import annotations


def test_a_flag_is_edited_by_who_read_it_last(server):
    first = server.http.get("/api/v1/flags").json()[0]["key"]
    read = server.http.get(f"/api/v1/flags/{first}")
    edit = {"enabled": False, "why": "it is slow"}
    path = f"/api/v1/flags/{first}"
    assert server.http.patch(path, json=edit).status_code == 428
    match = {"if-match": read.headers["etag"]}
    done = server.http.patch(path, json=edit, headers=match)
    assert (done.status_code, done.json()["enabled"]) == (200, False), done.text
    again = server.http.patch(path, json=edit, headers=match)
    assert (again.status_code, again.json()) == (200, done.json())
    assert again.headers["etag"] == done.headers["etag"] != read.headers["etag"]
    for other in ({"enabled": True}, {"why": "another reason"}):
        assert server.http.patch(path, json=edit | other, headers=match).status_code == 412
    history = server.http.get(f"{path}/history").json()
    assert history[-1]["why"] == "it is slow" or history[0]["why"] == "it is slow"


def test_the_installation_tells_what_it_is_set_to_and_speaks(server):
    names = {one["name"]: one for one in server.http.get("/api/v1/config").json()}
    assert names["home"]["value"] == str(server.home)
    assert {one["capability"] for one in server.http.get("/api/v1/contracts").json()} >= {"plan"}
    assert server.http.get("/api/v1/agents").status_code == 200
    assert b"http_server_request_duration_seconds" in server.http.get("/metrics").content
    assert server.http.get("/health/detailed").json()["checks"]

"""A run from its submission over HTTP to its files; how runs are listed, and how they are stopped."""

from __future__ import annotations

import hashlib

import pytest
from serving import PATCH, settled


def test_a_change_is_handed_in_followed_and_read(server, change):
    patch = server.http.post(
        "/api/v1/uploads?name=two.patch",
        content=PATCH,
        headers={"content-type": "text/x-diff"},
    )
    assert patch.status_code == 201, patch.text
    digest = hashlib.sha256(PATCH.encode()).hexdigest()
    assert patch.json() == {"sha256": digest, "size": len(PATCH), "media_type": "text/x-diff"}

    new = server.http.post("/api/v1/runs", json=change(patch={"upload": digest}))
    assert new.status_code == 201, new.text
    run = new.json()["id"]
    assert new.headers["location"] == f"/api/v1/runs/{run}"

    detail = settled(server.http, run)
    assert [stage["status"] for stage in detail["stages"]] == ["passed", "passed"]
    history = server.http.get(f"/api/v1/runs/{run}/history").json()
    assert [event["seq"] for event in history] == list(range(1, len(history) + 1))
    rest = server.http.get(f"/api/v1/runs/{run}/history?after=3&limit=2").json()
    assert [event["seq"] for event in rest] == [4, 5]
    assert "+two" in server.http.get(f"/api/v1/runs/{run}/diff").text
    assert server.http.get(f"/api/v1/runs/{run}/logs?stage=implement").status_code == 200
    names = {one["sha256"] for one in server.http.get(f"/api/v1/runs/{run}/artifacts").json()}
    assert digest in names
    file = server.http.get(f"/api/v1/runs/{run}/artifacts/{digest}")
    assert file.text == PATCH
    assert file.headers["content-disposition"].startswith("attachment")


def test_a_run_is_cancelled_with_a_reason_and_only_once(server, change):
    run = server.http.post("/api/v1/runs", json=change(command=["sleep", "60"])).json()["id"]
    done = server.http.post(f"/api/v1/runs/{run}/cancel", json={"reason": "a mistake"})
    assert done.status_code == 200, done.text
    detail = settled(server.http, run, "cancelled")
    assert "a mistake" in detail["stop"]["message"]
    again = server.http.post(f"/api/v1/runs/{run}/cancel")
    assert (again.status_code, again.json()["code"]) == (409, "CONFLICT")


def test_lists_are_paged_filtered_and_sorted_over_all_rows(server, change):
    titles = ["pear", "Apple", "fig", "plum", "apple pie"]
    for title in titles:
        body = change(title=title, command=["sleep", "60"])
        run = server.http.post("/api/v1/runs", json=body).json()["id"]
        assert server.http.post(f"/api/v1/runs/{run}/cancel").status_code == 200
    where = {"text": "p", "state": "cancelled", "sort": "oldest", "limit": "2"}
    seen, cursor = [], None
    while True:
        page = server.http.get(
            "/api/v1/runs", params=where | ({"cursor": cursor} if cursor else {})
        ).json()
        seen += [run["title"] for run in page["items"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert [title for title in seen if title in titles] == ["pear", "Apple", "plum", "apple pie"]
    newest = server.http.get("/api/v1/runs?limit=1").json()["items"][0]
    assert newest["title"] == "apple pie"


@pytest.mark.parametrize(
    ("query", "pointer"),
    [
        ("limit=0", "/query/limit"),
        ("limit=1e2", "/query/limit"),
        ("state=lost", "/query/state/0"),
        ("nonsense=1", "/query/nonsense"),
        ("sort=secret", "/query/sort"),
    ],
)
def test_a_question_that_makes_no_sense_is_refused_by_field(server, query, pointer):
    answer = server.http.get(f"/api/v1/runs?{query}")
    assert answer.status_code == 422
    assert [fault["pointer"] for fault in answer.json()["errors"]] == [pointer]


def test_a_cursor_cannot_be_made_up_changed_or_used_for_another_question(server, change):
    for _ in range(2):
        run = server.http.post("/api/v1/runs", json=change(command=["sleep", "9"])).json()["id"]
        server.http.post(f"/api/v1/runs/{run}/cancel")
    cursor = server.http.get("/api/v1/runs?limit=1").json()["next_cursor"]
    assert server.http.get("/api/v1/runs", params={"cursor": cursor}).status_code == 200
    swapped = cursor[:-1] + ("A" if cursor[-1] != "A" else "B")
    for query in ({"cursor": swapped}, {"cursor": "AAAA"}, {"cursor": cursor, "sort": "oldest"}):
        answer = server.http.get("/api/v1/runs", params=query)
        assert (answer.status_code, answer.json()["code"]) == (400, "CURSOR")


def test_who_takes_over_is_named_with_the_change(server, change):
    """The second of two commands finishes; one source that names two agents is refused."""
    body = change(command=["false"], fallbacks=[{"command": ["sh", "-c", "echo two > a.txt"]}])
    run = settled(server.http, server.http.post("/api/v1/runs", json=body).json()["id"])
    assert run["summary"]["status"] == "succeeded"
    agents = [one["agent"] for one in run["stages"][-1]["attempts"]]
    assert agents == ["command:false", "command:sh -c echo two > a.txt"]
    for wrong in ([{}], [{"model": "a", "acp": ["b"]}]):
        assert server.http.post("/api/v1/runs", json=body | {"fallbacks": wrong}).status_code == 400

"""A request under a key: sent again it has the same answer and no second effect, whatever happened."""

from __future__ import annotations

import threading
from pathlib import Path
from uuid import uuid4

from serving import serving, settled


def test_the_same_request_has_the_same_answer_and_starts_one_run(server, change):
    key = {"idempotency-key": uuid4().hex}
    body = change(title=key["idempotency-key"], command=["sleep", "60"])
    first = server.http.post("/api/v1/runs", json=body, headers=key)
    again = server.http.post("/api/v1/runs", json=body, headers=key)
    assert (first.status_code, again.status_code) == (201, 201)
    assert "idempotent-replayed" not in first.headers
    assert again.headers["idempotent-replayed"] == "true"
    assert again.content == first.content
    assert again.headers["location"] == first.headers["location"]
    found = server.http.get("/api/v1/runs", params={"text": body["title"]}).json()["items"]
    assert len(found) == 1

    other = server.http.post("/api/v1/runs", json=body | {"claim": "chore"}, headers=key)
    assert (other.status_code, other.json()["code"]) == (422, "KEY_REUSED")
    run = first.json()["id"]
    stop = {"idempotency-key": uuid4().hex}
    done = [server.http.post(f"/api/v1/runs/{run}/cancel", headers=stop) for _ in range(2)]
    assert [one.status_code for one in done] == [200, 200]
    assert done[0].content == done[1].content
    without = server.http.post(f"/api/v1/runs/{run}/cancel")
    assert without.status_code == 409


def test_a_key_says_nothing_about_another_route_and_has_a_shape(server, change):
    key = {"idempotency-key": uuid4().hex}
    run = server.http.post("/api/v1/runs", json=change(command=["sleep", "60"]), headers=key)
    assert run.status_code == 201
    done = server.http.post(f"/api/v1/runs/{run.json()['id']}/cancel", headers=key)
    assert done.status_code == 200
    for wrong in ("", "a b", "k" * 201):
        answer = server.http.post("/api/v1/runs", json={}, headers={"idempotency-key": wrong})
        assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (
            400,
            "/header/idempotency-key",
        )
    failed = server.http.post("/api/v1/runs", json={}, headers=key)
    assert failed.status_code == 422


def test_many_at_once_at_two_servers_start_one_run(tmp_path: Path, change):
    home = tmp_path / "home"
    key = {"idempotency-key": "one"}
    body = change(command=["sleep", "60"])
    answers = []
    with serving(home) as one, serving(home) as two:

        def send(number: int) -> None:
            at = (one, two)[number % 2]
            answers.append(at.http.post("/api/v1/runs", json=body, headers=key))

        threads = [threading.Thread(target=send, args=(number,)) for number in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert {answer.status_code for answer in answers} <= {201, 409}
        made = {answer.json()["id"] for answer in answers if answer.status_code == 201}
        assert len(made) == 1
        busy = [answer for answer in answers if answer.status_code == 409]
        assert all(answer.json()["code"] == "IN_PROGRESS" for answer in busy)
        assert len(two.http.get("/api/v1/runs").json()["items"]) == 1
        last = two.http.post("/api/v1/runs", json=body, headers=key)
        assert (last.status_code, last.json()["id"]) == (201, made.pop())


def test_an_answer_outlives_a_server_that_is_killed(tmp_path: Path, change):
    home = tmp_path / "home"
    key = {"idempotency-key": "one"}
    body = change()
    with serving(home, started=True) as served:
        first = served.http.post("/api/v1/runs", json=body, headers=key)
        served.process.kill()
        served.process.wait()
    with serving(home) as served:
        again = served.http.post("/api/v1/runs", json=body, headers=key)
        assert again.content == first.content
        assert again.headers["idempotent-replayed"] == "true"
        settled(served.http, first.json()["id"])

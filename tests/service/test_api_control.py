"""What a person does about runs and releases over HTTP once something went wrong."""

from __future__ import annotations

from serving import PATCH, settled

from demoservice import candidate
from shipway.release.releases import Releases


def test_a_failed_run_is_tried_again_and_goes_back_to_a_stage_with_another_change(server, change):
    http = server.http
    run = http.post("/api/v1/runs", json=change(command=["sh", "-c", "exit 3"])).json()["id"]
    path = f"/api/v1/runs/{run}"
    first = settled(http, run, "failed")
    assert first["stop"]["code"] == "COMMAND"

    key = {"idempotency-key": f"again-{run}"}
    for replayed in (None, "true"):
        again = http.post(f"{path}/retry", json={"reason": "it was the disk"}, headers=key)
        assert (again.status_code, again.headers.get("idempotent-replayed")) == (200, replayed)
    tries = {one["id"]: one["attempts"] for one in settled(http, run, "failed")["stages"]}
    assert [len(tries[stage]) for stage in ("plan", "implement")] == [1, 2]

    new = {"stage": "implement", "reason": "by hand", "patch": {"text": PATCH}}
    assert http.post(f"{path}/rewind", json=new).status_code == 200
    settled(http, run)
    assert "+two" in http.get(f"{path}/diff").text
    told = [one["data"].get("reason") for one in http.get(f"{path}/history").json()]
    assert {"it was the disk", "by hand"} <= set(told)

    for how, body in (
        ("retry", {}),
        ("rewind", {"stage": "nothing"}),
        ("repair", {"reason": "see"}),
        ("discard", {"reason": "see"}),
    ):
        refused = http.post(f"{path}/{how}", json=body)
        assert (how, refused.status_code, refused.json()["code"]) == (how, 409, "CONFLICT")


def test_dead_letters_are_settled_each_on_its_own(server):
    for how in ("replay", "discard"):
        body = {"numbers": [900_001, 900_002], "reason": "tidy"}
        done = server.http.post(f"/api/v1/dead-letters/{how}", json=body)
        assert [(one["number"], one["ok"], one["error"]["code"]) for one in done.json()] == [
            (900_001, False, "NOT_FOUND"),
            (900_002, False, "NOT_FOUND"),
        ]
        silent = server.http.post(f"/api/v1/dead-letters/{how}", json={"numbers": [1]})
        assert silent.json()["errors"][0]["pointer"] == "/body/reason"


def test_a_release_is_rolled_back_and_everything_is_stopped_only_when_that_is_said(server):
    http, kept = server.http, Releases(server.home)
    old, new = kept.deploy(candidate("one")), kept.deploy(candidate("two"))
    try:
        assert [one["status"] for one in http.get("/api/v1/releases").json()["items"]] == [
            "live",
            "standby",
        ]
        for asked, found in (
            ({"state": ["standby", "failed"]}, [old.id]),
            ({"service": "demo", "run": new.run, "state": "live"}, [new.id]),
            ({"service": "another"}, []),
        ):
            page = http.get("/api/v1/releases", params=asked).json()
            assert [one["id"] for one in page["items"]] == found
            assert page["next_cursor"] is None
        first = http.get("/api/v1/releases?limit=1").json()
        assert [one["id"] for one in first["items"]] == [new.id]
        cursor = first["next_cursor"]
        second = http.get(f"/api/v1/releases?limit=1&cursor={cursor}").json()
        assert ([one["id"] for one in second["items"]], second["next_cursor"]) == ([old.id], None)
        for wrong in (f"service=demo&cursor={cursor}", f"cursor={cursor[:-2]}aa"):
            assert http.get(f"/api/v1/releases?{wrong}").json()["code"] == "CURSOR"
        assert http.get("/api/v1/releases?state=lively").status_code == 422
        assert http.post("/api/v1/releases/demo/rollback").json()["id"] == old.id
        assert http.get(f"/api/v1/releases/{new.id}").json()["status"] == "rolled_back"
        for body in ({}, {"everything": False}):
            assert http.post("/api/v1/releases/stop", json=body).status_code == 422
        assert http.post("/api/v1/releases/all/stop").status_code == 404
        assert http.get(f"/api/v1/releases/{old.id}").json()["status"] == "live"
        stopped = http.post("/api/v1/releases/stop", json={"everything": True}).json()
        assert [(one["id"], one["status"]) for one in stopped] == [(old.id, "stopped")]
    finally:
        kept.stop(all=True)

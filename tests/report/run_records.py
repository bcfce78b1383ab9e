"""Runs as the engine tells them, with their artifacts: what the report's tests are made of."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta
from typing import Any

from shipway.contracts.model import ArtifactRef
from shipway.contracts.views import RunDetail
from shipway.errors import NotFoundError

START = datetime(2026, 3, 4, 9, 30, tzinfo=UTC)
TREE, COMMIT, BASE = "7" * 40, "c0ffee" + "1" * 34, "b" * 40
SHA = "5e" * 32
PLAN_MD = """\
# Library

A lending library: 3 entities, 14 operations.

## Entities

| entity | key | stored as |
|---|---|---|
| Book | uuid | `books` |
| Member | uuid | `members` |
| Loan | uuid | `loans`, refers to Book and Member |

## Open points, and what was chosen

1. **`DELETE /books/{id}` with open loans**: refused with 409, because the document names `Conflict`.
2. **sort order of lists**: by key, because the document says nothing.

## Acceptance

- a created book is read back the same
- a second loan of a lent book is refused
"""
PATCH = """\
diff --git a/app/main.py b/app/main.py
new file mode 100644
index 0000000..b1946ac
--- /dev/null
+++ b/app/main.py
@@ -0,0 +1,6 @@
+from fastapi import FastAPI
+
+from app.routes import books
+
+app = FastAPI(title="Library")
+app.include_router(books.router)
diff --git a/README.md b/README.md
index 1111111..2222222 100644
--- a/README.md
+++ b/README.md
@@ -1,4 +1,5 @@
 # Library
@@BLANK
-Nothing is here yet.
+A lending library.
+See `make run`.
@@BLANK
diff --git a/logo.png b/logo.png
new file mode 100644
index 0000000..3333333
Binary files /dev/null and b/logo.png differ
""".replace("@@BLANK", " ")


def at(seconds: float) -> str:
    moment = START + timedelta(seconds=seconds)
    return moment.isoformat(timespec="microseconds").replace("+00:00", "Z")


class Shelf:
    """Artifacts in memory, read as the store does."""

    def __init__(self) -> None:
        self._kept: dict[str, bytes] = {}

    def put(self, data: str | bytes, name: str, media_type: str = "text/plain") -> dict[str, Any]:
        raw = data.encode() if isinstance(data, str) else data
        digest = hashlib.sha256(raw).hexdigest()
        self._kept[digest] = raw
        return {"name": name, "sha256": digest, "size": len(raw), "media_type": media_type}

    def read(self, ref: ArtifactRef) -> bytes:
        if ref.sha256 not in self._kept:
            raise NotFoundError("there is no such artifact")
        return self._kept[ref.sha256]


def gate(name: str, **changed: Any) -> dict[str, Any]:
    command = changed.pop("command", [name, "check", "--output-format", "json", "."])
    return {
        "gate": name,
        "verdict": "PASS",
        "enforcement": "required",
        "summary": "no findings",
        "examined": 42,
        "command": command,
        "tool": name,
        "tool_version": "1.2.3",
        "exit_code": 0,
        "started_at": at(9.2),
        "ended_at": at(11.7),
        "tree": TREE,
        "fence": {
            "mechanism": "unshare",
            "user": True,
            "pids": True,
            "mounts": True,
            "network": True,
            "landlock": False,
            "seccomp": False,
            "limits": {"seconds": 600, "memory_mb": 4096},
        },
        "counts": {"files": 42},
        "measurements": [],
        "findings": [],
        "inputs": {"lock": SHA},
        "outputs": {},
        "log": {"name": f"{name}.log", "sha256": SHA, "size": 1834, "media_type": "text/plain"},
        "reproduce": None,
        **changed,
    }


def report(*gates: dict[str, Any], also: list[dict[str, Any]] | None = None) -> dict[str, Any]:
    chosen = [
        {"gate": one["gate"], "selected": True, "reason": "always", "enforcement": "required"}
        for one in gates
    ]
    return {"report": {"tree": TREE, "selections": chosen + (also or []), "evidence": list(gates)}}


def attempt(number: int, queued: float, started: float, ended: float | None, **changed: Any):
    return {
        "attempt": number,
        "token": number,
        "status": "passed" if ended is not None else "running",
        "queued_at": at(queued),
        "started_at": at(started),
        "ended_at": None if ended is None else at(ended),
        "error": None,
        **changed,
    }


def stage(name: str, status: str, needs: list[str], attempts: list[Any], **changed: Any):
    capability = changed.pop("capability", name)
    return {
        "id": name,
        "capability": capability,
        "agent": "builtin",
        "status": status,
        "attempt": len(attempts),
        "needs": needs,
        "started_at": attempts[0]["started_at"] if attempts else None,
        "ended_at": attempts[-1]["ended_at"] if attempts else None,
        "seconds": None,
        "attempts": attempts,
        **changed,
    }


def plan_result(shelf: Shelf, **changed: Any) -> dict[str, Any]:
    return {
        "kind": "specification",
        "plan": shelf.put("{}", "plan.json", "application/json"),
        "readable": shelf.put(PLAN_MD, "plan.md", "text/markdown"),
        "digest": SHA,
        "name": "library",
        "title": "Library",
        "claim": "feature",
        "operations": 14,
        "unimplemented": [],
        "unimplemented_count": 0,
        "ambiguities": 2,
        "checks": 11,
        "risk": "low",
        "has_service": True,
        "has_deployment": True,
        **changed,
    }


VALIDATE = (
    gate("lint", summary="ruff found nothing in 42 files"),
    gate("types", examined=42, summary="mypy strict found nothing in 42 files"),
    gate(
        "tests",
        examined=58,
        summary="58 passed, branch coverage 96 %",
        command=["python", "-m", "pytest", "--junitxml", "report.xml"],
        tool="pytest",
        counts={"passed": 58, "failed": 0},
        measurements=[
            {"name": "branch coverage", "value": 96.4, "unit": "%", "threshold": 80.0},
            {"name": "slowest test", "value": 0.82, "unit": "s", "threshold": None},
        ],
    ),
    gate("security", summary="bandit found nothing in 42 files"),
    gate("secrets", summary="no secret in 61 files", examined=61),
)
E2E = (
    gate(
        "api",
        examined=1204,
        summary="1,204 calls over 14 operations, every answer as documented",
        tool="schemathesis",
        started_at=at(9.1),
        ended_at=at(24.3),
    ),
    gate("acceptance", examined=11, summary="11 of 11 flows held"),
)


def candidate(shelf: Shelf, patch: str | bytes = PATCH) -> dict[str, Any]:
    return {
        "base": None,
        "commit": COMMIT,
        "tree": TREE,
        "template": "service",
        "template_version": "1.0.0",
        "files": 3,
        "diff": shelf.put(patch, "change.patch", "text/x-patch"),
    }


def integration() -> dict[str, Any]:
    return {
        "repository": "/srv/repositories/library",
        "target": "main",
        "strategy": "squash",
        "previous": BASE,
        "commit": COMMIT,
        "tree": TREE,
        "already": False,
        **report(gate("tests", summary="58 passed on the merged tree", examined=58)),
    }


def deployment() -> dict[str, Any]:
    return {
        "release": "library-7",
        "service": "library",
        "url": "http://127.0.0.1:43117",
        "port": 43117,
        "commit": COMMIT,
        "tree": TREE,
        "health": {
            "url": "http://127.0.0.1:43117/health",
            "status": 200,
            "body_sha256": SHA,
            "pid": 4242,
            "at": at(36.2),
        },
        "previous": "library-6",
    }


def stages(shelf: Shelf, **results: Any) -> list[dict[str, Any]]:
    """The service pipeline, all of it passed; ``results`` replaces whole stages."""
    found = [
        stage("plan", "passed", [], [attempt(1, 0.05, 0.1, 1.4)], result=plan_result(shelf)),
        stage(
            "scaffold", "passed", ["plan"], [attempt(1, 1.45, 1.6, 8.8)], result=candidate(shelf)
        ),
        stage(
            "validate",
            "passed",
            ["scaffold"],
            [attempt(1, 8.9, 9.1, 21.5)],
            result=report(
                *VALIDATE,
                also=[
                    {
                        "gate": "containers",
                        "selected": False,
                        "reason": "the tree has no Dockerfile",
                        "enforcement": "required",
                    }
                ],
            ),
        ),
        stage("e2e", "passed", ["scaffold"], [attempt(1, 8.9, 9.0, 24.4)], result=report(*E2E)),
        stage(
            "integrate",
            "passed",
            ["validate", "e2e"],
            [attempt(1, 24.5, 24.6, 33.0)],
            result=integration(),
        ),
        stage(
            "deploy", "passed", ["integrate"], [attempt(1, 33.1, 33.2, 36.4)], result=deployment()
        ),
    ]
    return [results.get(one["id"], one) for one in found]


def run(
    shelf: Shelf, found: list[dict[str, Any]], status: str = "succeeded", **changed: Any
) -> RunDetail:
    seconds = changed.pop("seconds", 36.5)
    over = status in {"succeeded", "failed", "cancelled"}
    summary = {
        "id": "01jqv3k8c2r7m4x9t5w6y8z0ab",
        "number": 128,
        "status": status,
        "pipeline": "service",
        "title": "Library: books, members and loans",
        "claim": "feature",
        "repository": "/srv/repositories/library",
        "created_at": at(0),
        "ended_at": at(seconds) if over else None,
        "seconds": seconds,
        "stages": {one["id"]: one["status"] for one in found},
        **changed.pop("summary", {}),
    }
    text = changed.pop("requirement_text", "openapi: 3.1.0\ninfo: {title: Library}\n" * 30)
    data = {
        "summary": summary,
        "pipeline_version": 1,
        "pipeline_digest": "d1" * 32,
        "requirement": shelf.put(text, "library.openapi.yaml", "application/yaml"),
        "requirement_kind": "specification",
        "target": "main",
        "trace": "4bf92f3577b34da6a3ce929d0e0e4736",
        "submission": {"strategy": "squash", "port": 0, "answers": {}},
        "stages": found,
        "asks": [],
        "stop": None,
        "artifacts": [],
        **changed,
    }
    return RunDetail.model_validate(data, strict=False)


def pending(name: str, needs: list[str]) -> dict[str, Any]:
    return stage(
        name, "skipped", needs, [], reason=f"{needs[0]} failed, and {name} needs its success"
    )


def succeeded(shelf: Shelf) -> RunDetail:
    return run(shelf, stages(shelf))


def failing_api() -> dict[str, Any]:
    return gate(
        "api",
        verdict="FAIL",
        examined=310,
        exit_code=1,
        tool="schemathesis",
        summary="2 answers differ from the document",
        findings=[
            {
                "rule": "response_schema_conformance",
                "message": "`due_on` is null, but the schema says string, format date",
                "path": "GET /loans/{id}",
                "line": None,
                "severity": "error",
                "reproduce": "curl -X GET http://127.0.0.1:40021/loans/3f2a -H 'Accept: application/json'",
            },
            {
                "rule": "status_code_conformance",
                "message": "500 is not among the documented answers 200, 404, 422",
                "path": "app/routes/loans.py",
                "line": 88,
                "severity": "warning",
                "reproduce": 'curl -X POST http://127.0.0.1:40021/loans -d \'{"book": "\\u0000"}\'',
            },
        ],
    )


def failed_gate(shelf: Shelf) -> RunDetail:
    """Schemathesis and the types found faults; a first attempt of e2e had been interrupted."""
    error = {
        "code": "GATE",
        "category": "permanent",
        "message": "api FAIL: 2 answers differ from the document",
        "recovery": "fix the input",
        "hint": "mend what the findings name, or the document",
        "step": "schemathesis",
        "reproduce": "shipway run logs 128 --stage e2e",
    }
    e2e = stage(
        "e2e",
        "failed",
        ["scaffold"],
        [
            attempt(1, 8.9, 9.0, 12.0, status="interrupted"),
            attempt(2, 15.2, 15.4, 29.0, status="failed", error=error),
        ],
        result=report(failing_api(), gate("acceptance", verdict="NOT_RUN", examined=0, exit_code=None,
                                fence=None, tool_version=None, summary="the service had stopped")),
        error=error,
        reason="api FAIL: 2 answers differ from the document",
    )  # fmt: skip
    found = stages(
        shelf,
        e2e=e2e,
        integrate=pending("integrate", ["e2e"]),
        deploy=pending("deploy", ["integrate"]),
    )
    return run(
        shelf,
        found,
        "failed",
        seconds=29.1,
        stop={
            "code": "GATE",
            "message": "e2e: api FAIL: 2 answers differ from the document",
            "hint": "mend what the findings name, or the document",
            "next_commands": [
                "curl -X GET http://127.0.0.1:40021/loans/3f2a -H 'Accept: application/json'",
                "shipway run logs 128 --stage e2e",
            ],
        },
    )


def waiting(shelf: Shelf, waited: float = 2 * 86400 + 3 * 3600) -> RunDetail:
    """Three operations answer 501; a person has to say whether that is fine."""
    unimplemented = [
        {"operation": "POST /books/import", "reason": "a file upload is not a create"},
        {"operation": "GET /reports/overdue", "reason": "no entity answers this"},
    ]
    plan = stage(
        "plan", "passed", [], [attempt(1, 0.05, 0.1, 1.4)],
        result=plan_result(shelf, unimplemented=unimplemented, unimplemented_count=2),
    )  # fmt: skip
    found = stages(
        shelf,
        plan=plan,
        integrate=stage(
            "integrate", "waiting", ["validate", "e2e"], [], reason="waits for a person"
        ),
        deploy=stage("deploy", "pending", ["integrate"], []),
    )
    ask = {
        "id": "accept-unimplemented",
        "run": "01jqv3k8c2r7m4x9t5w6y8z0ab",
        "stage": "integrate",
        "kind": "decision",
        "question": "Some operations of the document will answer 501. Deploy the rest?",
        "why": "",
        "options": ["approve", "reject"],
        "default": "reject",
        "deadline": at(7 * 86400),
        "subject": "ab" * 32,
        "asked_at": at(24.5),
        "next_command": "shipway decide 128/accept-unimplemented approve|reject",
    }
    return run(
        shelf,
        found,
        "waiting",
        seconds=24.5 + waited,
        asks=[ask],
        stop={
            "code": "WAITING",
            "message": "it waits for a person: accept-unimplemented",
            "hint": "it costs nothing while it waits",
            "next_commands": [
                "shipway decide 128/accept-unimplemented approve",
                "shipway decide 128/accept-unimplemented reject",
            ],
        },
    )


def conflict(shelf: Shelf) -> RunDetail:
    """A change whose target moved: the same lines were edited on both sides."""
    error = {
        "code": "CONFLICT",
        "category": "permanent",
        "message": "2 files conflict with main: app/routes/loans.py, tests/test_loans.py",
        "recovery": "ask a person",
        "hint": "bring the change up to date with main and submit it again",
        "step": "merge",
        "log_tail": "CONFLICT (content): Merge conflict in app/routes/loans.py\n"
        "CONFLICT (content): Merge conflict in tests/test_loans.py\n"
        "Automatic merge failed; fix conflicts and then commit the result.",
        "reproduce": "git merge-tree --write-tree main c0ffee1",
    }
    implement = {
        "base": BASE,
        "commit": COMMIT,
        "tree": TREE,
        "files": 2,
        "insertions": 8,
        "deletions": 1,
        "diff": shelf.put(PATCH, "change.patch", "text/x-patch"),
    }
    found = [
        stage("plan", "passed", [], [attempt(1, 0.1, 0.2, 0.9)],
              result=plan_result(shelf, kind="change", operations=0, claim="fix")),
        stage("implement", "passed", ["plan"], [attempt(1, 1.0, 1.1, 3.0)], result=implement),
        stage("validate", "passed", ["implement"], [attempt(1, 3.1, 3.2, 14.0)],
              result=report(*VALIDATE)),
        stage("e2e", "skipped", ["implement"], [], reason="its condition does not hold"),
        stage("integrate", "failed", ["validate", "e2e"],
              [attempt(1, 14.1, 14.2, 15.0, status="failed", error=error)],
              error=error, reason=error["message"]),
        pending("deploy", ["integrate"]),
    ]  # fmt: skip
    return run(
        shelf,
        found,
        "failed",
        seconds=15.1,
        summary={"title": "Refuse a second loan of a lent book", "claim": "fix",
                 "pipeline": "change"},
        requirement_kind="change",
        requirement_text="A book that is lent must not be lent again: answer 409.",
        stop={
            "code": "CONFLICT",
            "message": f"integrate: {error['message']}",
            "hint": error["hint"],
            "next_commands": ["git merge-tree --write-tree main c0ffee1",
                              "shipway run logs 128 --stage integrate"],
        },
    )  # fmt: skip


def running(shelf: Shelf) -> RunDetail:
    found = stages(
        shelf,
        e2e=stage("e2e", "running", ["scaffold"], [attempt(1, 8.9, 9.0, None)],
                  doing="calling POST /loans, 310 of about 1,200 calls"),
        integrate=stage("integrate", "pending", ["validate", "e2e"], []),
        deploy=stage("deploy", "pending", ["integrate"], []),
    )  # fmt: skip
    return run(shelf, found, "running", seconds=18.0)

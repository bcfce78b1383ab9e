"""A small note service for the tests of the gates; each line of ``faults.txt`` is a fault to have."""

from __future__ import annotations

import os
import socket
import sqlite3
import uuid
from pathlib import Path
from typing import Annotated, Any

import uvicorn
from fastapi import Depends, FastAPI, Header, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field
from starlette.exceptions import HTTPException

FAULTS = set(Path("faults.txt").read_text().splitlines()) if Path("faults.txt").exists() else set()
DATABASE = Path(os.environ["STATE_DIRECTORY"]) / "notes.db"
MEMORY = sqlite3.connect(":memory:", check_same_thread=False)
UNIQUE = "" if "allows duplicates" in FAULTS else "unique"
METHODS = {"/notes": "GET, POST", "/notes/{id}": "GET, DELETE", "/health": "GET"}

if "never starts" in FAULTS:
    raise SystemExit("the settings are wrong")


def database() -> sqlite3.Connection:
    found = MEMORY if "forgets" in FAULTS else sqlite3.connect(DATABASE)
    found.execute(
        f"create table if not exists note(id text primary key, title text {UNIQUE}, stars int)"
    )
    return found


def whole(value: Any) -> Any:
    """JSON Schema takes 5.0 for an integer."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


class Note(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid")
    title: str = Field(min_length=1, max_length=40, pattern=r"^[a-zA-Z0-9 ]+$")
    stars: Annotated[int, BeforeValidator(whole)] = Field(ge=0, le=5)


class Loose(BaseModel):
    title: str
    stars: int = 0


def problem(status: int, title: str, headers: dict[str, str] | None = None) -> Response:
    body = {"type": "about:blank", "title": title, "status": status}
    return JSONResponse(body, status, headers, "application/problem+json")


async def invalid(_request: Request, _error: Exception) -> Response:
    return problem(422, "the request does not fit")


async def refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    if error.status_code == 400:  # FastAPI's answer to a body that is no JSON
        return problem(422, "the body is not JSON")
    if error.status_code == 405:
        form = "/notes/{id}" if request.url.path.startswith("/notes/") else request.url.path
        return problem(405, "no such method", {"Allow": METHODS.get(form, "GET")})
    return problem(error.status_code, str(error.detail))


async def guard(x_key: Annotated[str | None, Header()] = None) -> None:
    known = os.environ.get("NOTES_KEY", "").split(",")
    if "lets anybody in" not in FAULTS and (not x_key or x_key not in known):
        raise HTTPException(401, "who is there?")


app = FastAPI(
    openapi_url=None, exception_handlers={RequestValidationError: invalid, HTTPException: refused}
)
Body = Loose if "accepts invalid input" in FAULTS else Note


def shown(row: tuple[Any, ...]) -> dict[str, Any]:
    return dict(zip(("id", "title", "stars"), row, strict=True))


@app.get("/health")
async def health() -> dict[str, str]:
    return {"status": "pass"}


@app.post("/notes", dependencies=[Depends(guard)])
async def create(note: Body) -> Response:  # type: ignore[valid-type]
    if "crashes" in FAULTS and note.stars == 5:
        raise RuntimeError("five is too much")
    if "undocumented status" in FAULTS and note.stars == 4:
        return problem(418, "a teapot")
    row = (str(uuid.uuid4()), note.title, note.stars)
    with database() as opened:
        try:
            opened.execute("insert into note values (?, ?, ?)", row)
        except sqlite3.IntegrityError:
            return problem(409, "this title is taken")
    return JSONResponse(shown(row), 201)


@app.get("/notes", dependencies=[Depends(guard)])
async def listed(
    limit: Annotated[int, Query(ge=1, le=100)] = 20,
    offset: Annotated[int, Query(ge=0, le=100_000)] = 0,
    stars: Annotated[int | None, Query(ge=0, le=5)] = None,
) -> list[dict[str, Any]]:
    wanted = None if "ignores filters" in FAULTS else stars
    rows = database().execute(
        "select * from note where ?1 is null or stars = ?1 order by rowid limit ?2 offset ?3",
        (wanted, limit, offset),
    )
    return [shown(row) for row in rows]


@app.get("/notes/{note}", dependencies=[Depends(guard)])
async def read(note: uuid.UUID) -> Response:
    if "dies when read" in FAULTS:
        os._exit(3)
    if "answers with its example" in FAULTS:
        return JSONResponse({"id": str(note), "title": "An example", "stars": 3})
    row = database().execute("select * from note where id = ?", (str(note),)).fetchone()
    return JSONResponse(shown(row)) if row else problem(404, "no such note")


@app.delete("/notes/{note}", dependencies=[Depends(guard)])
async def removed(note: uuid.UUID) -> Response:
    with database() as opened:
        gone = opened.execute("delete from note where id = ?", (str(note),)).rowcount
    return Response(status_code=204) if gone else problem(404, "no such note")


if __name__ == "__main__":
    config = uvicorn.Config(app, log_level="info", access_log=False)
    uvicorn.Server(config).run(sockets=[socket.socket(fileno=3)])

"""The demonstration: a document becomes a deployed service, which is then used over HTTP.

Everything it makes is in ``demo/`` beside this directory. ``KEEP=1`` leaves the service running.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NoReturn

ROOT = Path(__file__).resolve().parent.parent
PLACE = ROOT / "demo"
HOME, REPOSITORY = PLACE / "home", PLACE / "library"
DOCUMENT = ROOT / "examples" / "library.openapi.yaml"
SHIPWAY = Path(sys.executable).parent / "shipway"
KEEP = os.environ.get("KEEP", "") not in {"", "0"}
WIDTH = max(80, shutil.get_terminal_size((160, 24)).columns) - 24
COLOUR = sys.stdout.isatty() and "NO_COLOR" not in os.environ

ENVIRONMENT = os.environ | {
    "SHIPWAY_HOME": str(HOME),
    "SHIPWAY_CACHE": os.environ.get("SHIPWAY_CACHE") or str(ROOT / ".cache" / "shipway"),
}


class BrokenPromiseError(Exception):
    """Something that Shipway promises did not happen."""


# -- what is shown ----------------------------------------------------------------------------


def title(text: str) -> None:
    print(f"\n\033[1m{text}\033[0m" if COLOUR else f"\n{text}", flush=True)


def shown(value: Any) -> str:
    text = "" if value is None else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= WIDTH else f"{text[: WIDTH - 3]}..."


def coloured(status: int) -> str:
    return f"\033[{32 if status < 400 else 33}m{status}\033[0m" if COLOUR else str(status)


def expect(what: str, found: Any, wanted: Any) -> None:
    if found != wanted:
        raise BrokenPromiseError(f"{what}: expected {shown(wanted)}, got {shown(found)}")


# -- the command and the service --------------------------------------------------------------


def shipway(*words: str) -> Any:
    """What a command prints with --json."""
    done = subprocess.run(
        [str(SHIPWAY), *words, "--json"],
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise BrokenPromiseError(f"shipway {' '.join(words)}: {done.stderr.strip()}")
    return json.loads(done.stdout or "null")


def library_key() -> str:
    """The key that deploying made for the staff of the library; it is never printed."""
    (file,) = HOME.glob("services/*/secrets.env")
    name, _, key = file.read_text().strip().splitlines()[-1].partition("=")
    expect("the secret's name", name, "LENDING_LIBRARY_LIBRARY_KEY")
    return key.strip("'\"")


def watched(*words: str) -> int:
    """Run a command before everybody's eyes; when interrupted it may still end in good order."""
    child = subprocess.Popen([str(SHIPWAY), *words], env=ENVIRONMENT)
    before = {
        signal.SIGINT: signal.signal(signal.SIGINT, lambda *_: None),  # the terminal told it too
        signal.SIGTERM: signal.signal(signal.SIGTERM, lambda *_: child.terminate()),
    }
    try:
        return child.wait()
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


class Service:
    """Talks to the deployed service and prints the talk."""

    def __init__(self, url: str) -> None:
        self.url = url.rstrip("/")

    def ask(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any] | None = None,
        *,
        wanted: int,
        why: str = "",
        key: str = "",
        **query: Any,
    ) -> Any:
        """Send a request, show it with its answer, and insist on the status."""
        target = f"{path}?{urllib.parse.urlencode(query)}" if query else path
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(  # noqa: S310 - a service of ours on this machine
            self.url + target, data, {"Content-Type": "application/json"}, method=method
        )
        if key:
            request.add_header("X-Library-Key", key)
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310 - as above
                status, text = answer.status, answer.read()
        except urllib.error.HTTPError as refusal:
            status, text = refusal.code, refusal.read()
        found = json.loads(text) if text else None
        print(f"  {method:6} {target}" + (f"  {shown(body)}" if body else ""))
        print(f"      {coloured(status)}  {shown(found)}" + (f"  <- {why}" if why else ""))
        expect(f"{method} {target}", status, wanted)
        return found


def use(service: Service) -> None:
    """A morning in the library: books, a member, a loan, and everything that must be refused."""
    wizard = {
        "isbn": "9780547773742",
        "title": "A Wizard of Earthsea",
        "author": "Ursula K. Le Guin",
        "genre": "fiction",
        "publishedOn": "1968-11-01",
        "tags": ["fantasy", "islands"],
    }
    book = service.ask("POST", "/books", wizard, wanted=201)
    expect("the stored title", book["title"], wizard["title"])
    expect("the default language", book["language"], "en")
    cosmos = wizard | {"isbn": "9780345539434", "title": "Cosmos", "author": "Carl Sagan"}
    other = service.ask("POST", "/books", cosmos | {"genre": "science"}, wanted=201)
    service.ask("POST", "/books", wizard, wanted=409, why="this ISBN is there already")
    service.ask("POST", "/books", wizard | {"isbn": "123"}, wanted=422, why="no ISBN at all")
    expect("a book read again", service.ask("GET", f"/books/{book['id']}", wanted=200), book)
    page = service.ask("GET", "/books", wanted=200, genre="science")
    expect("books of a genre", [one["title"] for one in page["items"]], ["Cosmos"])
    page = service.ask("GET", "/books", wanted=200, q="earthsea")
    expect("books found by words", [one["id"] for one in page["items"]], [book["id"]])
    page = service.ask("GET", "/books", wanted=200, limit=1, offset=1, sort="title")
    expect("a page of one", (len(page["items"]), page["total"]), (1, 2))
    _lend(service, book["id"])
    gone = f"/books/{other['id']}"
    service.ask("DELETE", gone, wanted=401, why="no library key")
    service.ask("DELETE", gone, key=library_key(), wanted=204, why="with the key")
    service.ask("GET", gone, wanted=404, why="it is gone")
    kept = f"/books/{book['id']}"
    service.ask("DELETE", kept, key=library_key(), wanted=409, why="it has loans")


def _lend(service: Service, book: str) -> None:
    member = service.ask(
        "POST",
        "/members",
        {"name": "Tenar Atuan", "email": "tenar@example.org", "joinedOn": "2024-03-01"},
        wanted=201,
    )
    loans = f"/members/{member['id']}/loans"
    loan = {"bookId": book, "lentOn": "2024-05-02", "dueOn": "2024-05-23"}
    lent = service.ask("POST", loans, loan, wanted=201)
    expect("the borrower", lent["memberId"], member["id"])
    service.ask("POST", loans, loan, wanted=409, why="it is lent already")
    service.ask(
        "PATCH",
        f"/loans/{lent['id']}",
        {"status": "returned", "returnedOn": "2024-05-20"},
        wanted=200,
    )
    service.ask("POST", loans, loan, wanted=201, why="it came back")
    page = service.ask("GET", "/loans", wanted=200, status="returned")
    expect("returned loans", [one["id"] for one in page["items"]], [lent["id"]])
    nowhere = "/members/00000000-0000-4000-8000-000000000000/loans"
    service.ask("POST", nowhere, loan, wanted=404, why="nobody of that name")


# -- the demonstration ------------------------------------------------------------------------


def clear() -> None:
    """Put away what an earlier demonstration left, running or not."""
    if HOME.is_dir():
        shipway("release", "stop", "--all")
    shutil.rmtree(PLACE, ignore_errors=True)
    PLACE.mkdir(mode=0o700)


def carry() -> dict[str, Any]:
    """From the document to the deployed service, watched live; what the run became."""
    title(f"shipway run --spec {DOCUMENT.relative_to(ROOT)} --into {REPOSITORY.relative_to(ROOT)}")
    code = watched("run", "--spec", str(DOCUMENT), "--into", str(REPOSITORY))
    if code in {130, 143}:
        raise KeyboardInterrupt
    if code:
        raise BrokenPromiseError(f"the run ended with exit code {code}")
    run = shipway("run", "view", "@last")
    expect("the state of the run", run["summary"]["status"], "succeeded")
    return dict(run)


def look(run: Mapping[str, Any]) -> str:
    """Check what the run left: a repository, a report, a live release; the address of the service."""
    folder = HOME / "runs" / run["summary"]["id"]
    for made in (folder / "report.html", folder / "evidence.json", REPOSITORY / ".git"):
        if not made.exists():
            raise BrokenPromiseError(f"{made} is missing")
    live = [one for one in shipway("release", "list") if one["status"] == "live"]
    expect("live releases", len(live), 1)
    title("The repository")
    print(f"  {REPOSITORY.relative_to(ROOT)}", flush=True)
    log = ["git", "-C", str(REPOSITORY), "log", "--format=  %h %an: %s", "-5"]
    subprocess.run(log, check=True)
    title("The report")
    print(f"  {(folder / 'report.html').relative_to(ROOT)}")
    print(f"  {(folder / 'evidence.json').relative_to(ROOT)}")
    return str(live[0]["url"])


def stop(url: str) -> None:
    """Stop what was started and see that it is gone."""
    title("shipway release stop --all")
    shipway("release", "stop", "--all")
    address = urllib.parse.urlsplit(url)
    with socket.socket() as trial:
        if trial.connect_ex((address.hostname, address.port)) == 0:
            raise BrokenPromiseError(f"{url} still answers")
    print("  stopped: nothing of the demonstration is running")


def demonstrate() -> None:
    began = time.monotonic()
    clear()
    run = carry()
    carried = time.monotonic() - began
    url = look(run)
    title(f"The service at {url}")
    use(Service(url))
    if KEEP:
        title("KEEP=1: the service is left running")
        print(f"  {url}\n  to stop it: SHIPWAY_HOME=demo/home .venv/bin/shipway release stop --all")
    else:
        stop(url)
    title(f"From requirement to deployed service in {carried:.0f} s; all is as promised.")


def fail(message: str, code: int) -> NoReturn:
    """Say what went wrong, and leave nothing running that was not asked to be kept."""
    print(f"\ndemo: {message}", file=sys.stderr)
    ends = [("run", "cancel", "@last"), ("release", "stop", "--all")]
    for words in ends if HOME.is_dir() and not KEEP else []:
        subprocess.run(
            [str(SHIPWAY), *words], env=ENVIRONMENT, capture_output=True, check=False, timeout=60
        )
    sys.exit(code)


if __name__ == "__main__":
    try:
        demonstrate()
    except BrokenPromiseError as broken:
        fail(str(broken), 1)
    except KeyboardInterrupt:
        fail("interrupted", 130)

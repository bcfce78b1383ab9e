"""Asks one release for its health, and proves which process gave the answer."""

from __future__ import annotations

import hashlib
import http.client
import time
from dataclasses import dataclass

from shipway.release import port, processes
from shipway.release.ledger import now
from shipway.release.record import Health

_OK = range(200, 300)
_BODY_LIMIT = 1 << 20


class UnhealthyError(Exception):
    """The answer, or its absence, is no evidence of health; the message says what was seen."""


@dataclass(frozen=True, slots=True)
class Question:
    """Whom to ask: a slot of a public port, or whoever is live (slot None), below one root process."""

    port: int
    path: str
    root: int
    slot: int | None
    timeout: float


def ask(question: Question) -> Health:
    """One GET; returns the evidence or raises UnhealthyError. Takes about ``timeout`` s at most.

    The connection must be accepted by the release's own process before the request is sent, and
    the answer must be 2xx: anything else, and any doubt, is not health.
    """
    source = None if question.slot is None else (port.probe_address(question.slot), 0)
    deadline = time.monotonic() + question.timeout
    connection = http.client.HTTPConnection(
        port.HOST, question.port, timeout=question.timeout, source_address=source
    )
    try:
        connection.connect()
        pid = _acceptor(connection, question, deadline)
        connection.request("GET", question.path, headers={"Connection": "close"})
        answer = connection.getresponse()
        body = answer.read(_BODY_LIMIT)
    except (OSError, http.client.HTTPException) as error:
        raise UnhealthyError(f"no answer: {str(error) or type(error).__name__}") from error
    finally:
        connection.close()
    if answer.status not in _OK:
        raise UnhealthyError(f"answered {answer.status} on {question.path}")
    url = f"http://{port.HOST}:{question.port}{question.path}"
    return Health(url, answer.status, hashlib.sha256(body).hexdigest(), pid, now())


def _acceptor(connection: http.client.HTTPConnection, question: Question, deadline: float) -> int:
    here = connection.sock.getsockname()
    there = connection.sock.getpeername()
    while True:
        pid = processes.holder(there, here, [question.root])
        pid = pid or processes.holder(there, here, processes.family(question.root))
        if pid is not None:
            return pid
        if processes.start_time(question.root) is None:
            raise UnhealthyError("its process has ended")
        if time.monotonic() > deadline:
            raise UnhealthyError("no process of the release accepts connections")
        time.sleep(0.005)

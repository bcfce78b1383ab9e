"""Requests to the service under judgement, each remembered, each with the curl line that repeats it."""

from __future__ import annotations

import base64
import http.client
import json
import shlex
import urllib.parse
from dataclasses import dataclass, field
from typing import Any

TIMEOUT_S = 20.0
LIMIT = 4 * 1024 * 1024

Json = dict[str, Any]


class Failed(Exception):  # noqa: N818 - what a flow found out, not an error of ours
    """The service did something else than the plan promises."""


class Impossible(Exception):  # noqa: N818 - likewise
    """The flow cannot be walked on this service: the plan lacks what it would need."""


@dataclass(frozen=True)
class Answer:
    """What came back; ``body`` is the parsed JSON, None when there is none."""

    status: int
    headers: dict[str, str]
    body: Any
    raw: bytes
    call: Json


@dataclass
class Credentials:
    """The secrets for one scheme, and the variable that holds them (for people to read)."""

    scheme: Json
    secret: str

    def apply(self, headers: dict[str, str], query: list[tuple[str, str]], *, shown: bool) -> None:
        """Add what proves the client; ``shown`` puts the variable's name in the secret's place."""
        kind, name = self.scheme["kind"], self.scheme["name"]
        value = f"${self.scheme['setting']}" if shown else self.secret
        if kind == "basic":
            coded = base64.b64encode(self.secret.encode()).decode()
            headers["Authorization"] = "Basic " + (value if shown else coded)
        elif kind == "bearer":
            headers["Authorization"] = f"Bearer {value}"
        elif self.scheme["location"] == "query":
            query.append((name, value))
        elif self.scheme["location"] == "cookie":
            headers["Cookie"] = f"{name}={value}"
        else:
            headers[name] = value


@dataclass
class Client:
    """Talks to one origin and keeps the calls of the flow that is being walked."""

    host: str
    port: int
    prefix: str
    credentials: dict[str, Credentials]
    calls: list[Json] = field(default_factory=list)

    def send(
        self,
        operation: Json,
        path: dict[str, Any] | None = None,
        query: dict[str, Any] | None = None,
        body: Any = None,
        *,
        raw: bytes | None = None,
        auth: str = "right",
    ) -> Answer:
        """One request to an operation; ``auth`` is right, wrong or none. Raises Failed on silence."""
        headers = {"Accept": "application/json"}
        data = raw
        if body is not None:
            data = json.dumps(body).encode()
        if data is not None:
            headers["Content-Type"] = operation.get("request_media_type") or "application/json"
        pairs = [(name, _word(value)) for name, value in (query or {}).items()]
        shown, shown_pairs = dict(headers), list(pairs)
        if auth != "none":
            self._prove(operation, headers, pairs, shown, shown_pairs, wrong=auth == "wrong")
        target = self.prefix + _fill(operation["path"], path or {})
        method = operation["method"].upper()
        call = {
            "method": method,
            "path": _with_query(target, shown_pairs),
            "status": None,
            "curl": self._curl(method, _with_query(target, shown_pairs), shown, data),
        }
        self.calls.append(call)
        answer = self.exchange(method, _with_query(target, pairs), headers, data, call)
        call["status"] = answer.status
        return answer

    def exchange(
        self, method: str, target: str, headers: dict[str, str], data: bytes | None, call: Json
    ) -> Answer:
        """The bare exchange, on a connection of its own; raises Failed when there is no answer."""
        connection = http.client.HTTPConnection(self.host, self.port, timeout=TIMEOUT_S)
        try:
            connection.request(method, target, body=data, headers=headers)
            response = connection.getresponse()
            raw = response.read(LIMIT)
        except (OSError, http.client.HTTPException) as error:
            raise Failed(
                f"{method} {target.split('?', maxsplit=1)[0]} got no answer: {type(error).__name__}"
            ) from None
        finally:
            connection.close()
        found = {name.lower(): value for name, value in response.getheaders()}
        return Answer(response.status, found, _parse(raw), raw, call)

    def _prove(
        self, operation: Json, headers: dict[str, str], pairs: list[tuple[str, str]],
        shown: dict[str, str], shown_pairs: list[tuple[str, str]], *, wrong: bool,
    ) -> None:  # fmt: skip
        for scheme in self.needed(operation):
            held = self.credentials[scheme]
            used = Credentials(held.scheme, "wrong:wrong" if wrong else held.secret)
            used.apply(headers, pairs, shown=False)
            (used if wrong else held).apply(shown, shown_pairs, shown=not wrong)

    def needed(self, operation: Json) -> list[str]:
        """The schemes of the first alternative that we can fulfil; none for an open operation."""
        alternatives: list[list[str]] = operation["security"]
        if not alternatives or [] in alternatives:
            return []
        for schemes in alternatives:
            if all(one in self.credentials for one in schemes):
                return schemes
        raise Impossible("no way to sign in that the plan knows")

    def _curl(self, method: str, target: str, headers: dict[str, str], data: bytes | None) -> str:
        words = ["curl", "-i", "-X", method]
        for name, value in headers.items():
            if name != "Accept":
                words += ["-H", f"{name}: {value}"]
        if data is not None:
            words += ["--data-binary", data.decode("utf-8", "replace")]
        words.append(f"http://{self.host}:{self.port}{target}")
        return " ".join(_quoted(word) for word in words)


def _quoted(word: str) -> str:
    """Quoted for a shell, but so that a variable in the place of a secret is still put in."""
    if word.startswith(("X-", "Authorization: ", "Cookie: ")) and "$" in word:
        return f'"{word}"'
    return shlex.quote(word)


def _word(value: Any) -> str:
    """A value as it stands in a path or a query."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def _fill(template: str, values: dict[str, Any]) -> str:
    for name, value in values.items():
        template = template.replace("{" + name + "}", urllib.parse.quote(_word(value), safe=""))
    return template


def _with_query(target: str, pairs: list[tuple[str, str]]) -> str:
    return f"{target}?{urllib.parse.urlencode(pairs, safe='$')}" if pairs else target


def _parse(raw: bytes) -> Any:
    try:
        return json.loads(raw) if raw else None
    except ValueError:
        return None

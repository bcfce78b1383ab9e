"""Every error is a problem with a code, a way on and its ids, and repeats nothing of what was sent."""

from __future__ import annotations

import json
import socket
import stat
from urllib.parse import urlsplit

import httpx
import pytest

CANARY = "hunter2-canary"
JSON = {"content-type": "application/json"}


def is_problem(answer: httpx.Response, status: int) -> dict:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    told = answer.json()
    assert told["status"] == status
    assert {"type", "title", "detail", "code", "category", "hint", "errors"} <= set(told)
    assert told["request_id"] == answer.headers["x-request-id"]
    assert told["trace_id"] in answer.headers["traceresponse"]
    assert CANARY not in answer.text
    return told


@pytest.mark.parametrize(
    ("method", "path", "given", "status"),
    [
        ("GET", f"/api/v1/{CANARY}", {}, 404),
        ("GET", f"/{CANARY}", {}, 404),
        ("GET", f"/api/v1/runs/{CANARY}", {}, 422),
        ("GET", "/api/v1/runs/999999", {}, 404),
        ("GET", "/api/v1/runs/", {}, 404),
        ("DELETE", "/api/v1/runs", {}, 405),
        ("TRACE", "/api/v1/runs", {}, 405),
        ("POST", "/api/v1/runs", {"content": CANARY, "headers": JSON}, 400),
        ("POST", "/api/v1/runs", {"content": f'{{"kind": "{CANARY}"}}', "headers": JSON}, 422),
        ("POST", "/api/v1/runs", {"content": f'{{"{CANARY} ": 1}}', "headers": JSON}, 422),
        ("POST", "/api/v1/runs", {"content": "{}", "headers": {"content-type": "text/xml"}}, 415),
        ("POST", "/api/v1/runs", {"content": b"\xff{}", "headers": JSON}, 400),
        ("POST", "/api/v1/runs", {"content": '"\\ud800"', "headers": JSON}, 400),
        ("POST", "/api/v1/runs", {"content": "[" * 100_000, "headers": JSON}, 400),
        ("POST", "/api/v1/runs", {"content": "[" * 40 + "]" * 40, "headers": JSON}, 400),
        ("POST", "/api/v1/runs", {"content": "NaN", "headers": JSON}, 400),
        ("POST", "/api/v1/runs", {"content": b"{" + b" " * 1_100_000, "headers": JSON}, 413),
        (
            "POST",
            "/api/v1/runs",
            {"content": b"\x1f\x8b", "headers": JSON | {"content-encoding": "gzip"}},
            415,
        ),
        ("GET", "/api/v1/runs", {"headers": {"host": CANARY}}, 421),
        ("GET", "/api/v1/runs", {"headers": {"authorization": f"Bearer {CANARY}"}}, 401),
        ("GET", "/api/v1/runs", {"headers": {f"x-{n}": "1" for n in range(80)}}, 431),
        ("GET", "/api/v1/runs?title=" + "a" * 5000, {}, 414),
    ],
)
def test_what_cannot_be_served_is_a_problem(server, method, path, given, status):
    is_problem(server.http.request(method, path, **given), status)


@pytest.mark.parametrize(
    ("content", "code", "said"),
    [
        ('{"kind":', "NOT_JSON", "not JSON"),
        (b'{"kind": "\xff"}', "NOT_JSON", "UTF-8"),
        ("[" * 40 + "]" * 40, "BAD_REQUEST", "nests deeper"),
    ],
)
def test_what_is_wrong_with_a_body_is_told(server, content, code, said):
    told = is_problem(server.http.post("/api/v1/runs", content=content, headers=JSON), 400)
    assert (told["code"], said in told["detail"]) == (code, True)


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("DELETE", "/api/v1/runs", "GET, POST"),
        ("OPTIONS", "/api/v1/flags/gates.mutants", "GET, PATCH"),
        ("GET", "/api/v1/dead-letters/replay", "POST"),
    ],
)
def test_a_wrong_method_is_told_all_that_would_do(server, method, path, allowed):
    answer = server.http.request(method, path)
    is_problem(answer, 405)
    assert answer.headers["allow"] == allowed


@pytest.mark.parametrize(
    ("name", "kind", "content", "status"),
    [
        ("run.sh", "text/plain", b"#!/bin/sh\n", 422),
        ("api.yaml", "text/html", b"openapi: 3.1.0\n", 415),
        ("api.json", "application/json", b"<html>", 422),
        ("api.yaml", "application/yaml", b"\x00\x01", 422),
        ("api.yaml", "application/yaml", b"\xff\xfe", 422),
        ("fix.patch", "text/x-diff", b"just words\n", 422),
        ("fix.patch", "text/x-diff", b"", 422),
        ("../fix.patch", "text/x-diff", b"diff --git\n", 422),
        ("fix.patch", "text/x-diff", b"diff " * 4_000_000, 413),
    ],
)
def test_an_upload_is_what_its_name_says_or_is_refused(server, name, kind, content, status):
    answer = server.http.post(
        "/api/v1/uploads", params={"name": name}, content=content, headers={"content-type": kind}
    )
    is_problem(answer, status)


def raw(url: str, sent: bytes) -> bytes:
    place = urlsplit(url)
    with socket.create_connection((place.hostname, place.port), timeout=20) as connection:
        connection.sendall(sent)
        parts = []
        while part := connection.recv(65_536):
            parts.append(part)
    return b"".join(parts)


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"nonsense\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nhost: a\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nhost: a\r\nx: " + b"a" * 70_000 + b"\r\n\r\n", 431),
        (b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: -1\r\n\r\n", 400),
    ],
)
def test_what_is_hardly_http_is_answered_in_the_same_words(server, sent, status):
    head, _, body = raw(server.url, sent).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 %d " % status)
    assert b"application/problem+json" in head
    assert b"nosniff" in head
    assert json.loads(body)["status"] == status


def test_ids_of_the_caller_are_kept_and_reach_the_log(server):
    trace = "4bf92f3577b34da6a3ce929d0e0e4736"
    headers = {"x-request-id": "my-request-7", "traceparent": f"00-{trace}-00f067aa0ba902b7-01"}
    answer = server.http.get("/api/v1/runs/999999", headers=headers)
    told = is_problem(answer, 404)
    assert (told["request_id"], told["trace_id"]) == ("my-request-7", trace)
    line = server.line(request="my-request-7", event="request")
    assert (line["trace_id"], line["status"], line["route"]) == (trace, 404, "/api/v1/runs/{ref}")
    hostile = server.http.get("/health", headers={"x-request-id": "a b"})
    assert hostile.headers["x-request-id"] != "a b"


def test_only_who_can_read_the_token_is_let_in(server):
    place = server.home / "token"
    assert stat.S_IMODE(place.stat().st_mode) == 0o600
    with httpx.Client(base_url=server.url, trust_env=False) as stranger:
        told = is_problem(stranger.get("/api/v1/runs"), 401)
        assert "token" in told["hint"]
        assert stranger.get("/health").json() == {"status": "pass"}
        assert stranger.get("/openapi.json").status_code == 200


@pytest.mark.parametrize("host", ["0.0.0.0", "192.168.0.1", "::", "example.com"])  # noqa: S104 - refused
def test_serve_refuses_addresses_that_others_can_reach(shipway, host):
    said = shipway("serve", "--host", host)
    assert said.returncode == 78
    assert "loopback" in said.stderr or "address" in said.stderr


def test_a_token_that_others_can_read_is_not_used(shipway, home):
    (home / "token").write_text("a" * 50)
    (home / "token").chmod(0o644)
    said = shipway("serve", "--port", "0")
    assert said.returncode == 78
    assert "read or changed by others" in said.stderr

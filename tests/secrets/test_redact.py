"""Planted secrets never come through, ordinary lines do, and the cost is bounded."""

from __future__ import annotations

import base64
import json
import random
import string
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shipway.secrets import MASK, Secret, is_secret_name, redact, redact_value

LETTERS = string.ascii_letters + string.digits


def made_up(chance, length, letters=LETTERS):
    return "".join(chance.choices(letters, k=length))


def _jwt(chance):
    header = base64.urlsafe_b64encode(b'{"alg":"HS256","typ":"JWT"}').decode().rstrip("=")
    return f"{header}.{made_up(chance, 60)}.{made_up(chance, 43)}"


def _pem(chance):
    body = "\n".join(made_up(chance, 64) for _ in range(5))
    return f"-----BEGIN RSA PRIVATE KEY-----\n{body}\n-----END RSA PRIVATE KEY-----"


# What is planted looks like the real thing by its shape alone.
BY_SHAPE = {
    "github": lambda c: "gh" + "p_" + made_up(c, 36),
    "github fine": lambda c: "github" + "_pat_" + made_up(c, 22) + "_" + made_up(c, 59),
    "gitlab": lambda c: "glp" + "at-" + made_up(c, 20),
    "aws id": lambda c: "AK" + "IA" + made_up(c, 16, string.ascii_uppercase + string.digits),
    "slack": lambda c: "xo" + "xb-" + made_up(c, 12, string.digits) + "-" + made_up(c, 24),
    "jwt": _jwt,
    "pem": _pem,
    "own key": lambda c: "sw_" + "live_" + made_up(c, 48),
    "model": lambda c: "sk-" + "ant-" + made_up(c, 40),
    "stripe": lambda c: "sk" + "_live_" + made_up(c, 24),
    "google": lambda c: "AI" + "za" + made_up(c, 35),
}
# What is planted can be anything: only the words around it tell.
BY_PLACE = (
    "password={}",
    "db_password: '{}'",
    'clientSecret="{}"',
    "https://ada:{}@example.com/x",
    "postgresql://ada:{}@127.0.0.1:5432/shipway",
    "Authorization: Bearer {}",
    "Authorization: token {}",
    "curl -H 'X-Api-Key: {}' http://127.0.0.1",
    "login --password {} --verbose",
    "GET /items?access_token={}&page=2",
    'ConnectionError: {{"aws_secret_access_key": "{}"}}',
    "export SHIPWAY_SIGNING_KEY={}",
    "Set-Cookie: session={}; HttpOnly",
)
AROUND = (
    "{}",
    "failed to push: {} was refused",
    "[{}]",
    'Traceback (most recent call last):\n  File "a.py", line 3, in f\nValueError: {}',
    "a={};b=2",
)


def planted(count):
    """Lines with one secret each, and the secret."""
    chance = random.Random(7)
    for number in range(count):
        if number % 2:
            secret = chance.choice(list(BY_SHAPE.values()))(chance)
            line = chance.choice(AROUND).format(secret)
        else:
            secret = made_up(chance, chance.randint(8, 40))
            line = chance.choice(BY_PLACE).format(secret)
        yield line, secret


def test_no_planted_secret_comes_through_ten_thousand_lines():
    leaked = [(line, redact(line)) for line, secret in planted(10_000) if secret in redact(line)]
    assert not leaked, leaked[:3]


def test_basic_credentials_are_masked_and_prose_about_them_is_not():
    basic = base64.b64encode(b"ada:hunter2hunter2").decode()
    assert redact(f"sent Basic {basic} to it") == f"sent Basic {MASK} to it"
    prose = "Basic authentication and bearer authentication are both offered."
    assert redact(prose) == prose


CLEAN = """
2026-01-02T03:04:05Z stage validate passed in 12.3 s, 48 tests, 0 failures
run 0f8c2f6e-5d5c-4a7e-9d55-0c8a1f9d7b11 attempt 2 token=7 fenced
commit 06a9b923a1a8819965f775dc4e9cf146572372d9 on main, tree 9c1185a5c5e9fc54612808977ee8f548b2258d31
sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855 plan.json 4096 bytes
traceparent=00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01
SyntaxError: unexpected token (line 3)
max_tokens=4096 tokens used: 1234
git clone https://github.com/ada/shop.git into workspace
ssh://git@example.com/ada/shop.git
listening on http://127.0.0.1:8000/health
gate secrets: PASS, 0 findings in 31 files
secrets: PASS
password: required
missing key 'title' in object
def login(password: str, token: str | None = None) -> bool:
the pass rate was 98 %; keyboard shortcuts: j, k
token = request.headers.get("x-token")
authorization: the operation asks for an OAuth flow, which is an open question
PATCH /books/{id} 200 in 3 ms
sk-learn and risk-based passes
monkeypatch.setattr(module, "key", 3)
sorted(rows, key=lambda row: row.name)
primary_key=True, foreign_key="books.id"
""".strip().splitlines()


@pytest.mark.parametrize("line", CLEAN)
def test_ordinary_lines_stay_as_they_are(line):
    assert redact(line) == line


def test_values_are_masked_by_field_name_and_by_shape_at_any_depth():
    secret = made_up(random.Random(1), 20)
    value = {
        "password": secret,
        "config": {"apiKey": [secret, {"deep": secret}], "note": f"password={secret}"},
        "argv": ["login", "--token", secret, "--verbose"],
        "headers": [["authorization", secret], ["accept", "*/*"]],
        "error": ValueError(f"token: {secret}"),
        "raw": f"password={secret}".encode(),
        "kept": Secret(secret),
    }
    masked = redact_value(value)
    assert secret not in json.dumps(masked)
    assert masked["argv"][0::3] == ["login", "--verbose"]
    assert masked["headers"][1] == ["accept", "*/*"]


def test_numbers_under_fencing_names_and_harmless_words_stay():
    value = {"token": 7, "tokens_used": 12, "secrets": "PASS", "password": None, "has_secret": True}
    assert redact_value(value) == value
    assert redact_value({"pin_code_password": 1234}) == {"pin_code_password": MASK}


def test_nesting_beyond_the_limit_is_replaced_not_let_through():
    value = secret = "hunter2" * 3
    for _ in range(40):
        value = {"inner": value}
    assert secret not in json.dumps(redact_value({"config": value}))
    circle: dict = {}
    circle["again"] = circle
    json.dumps(redact_value(circle))


@given(st.text(max_size=300))
def test_masking_twice_changes_nothing_more_and_never_fails(text):
    once = redact(text)
    assert redact(once) == once


@pytest.mark.parametrize(
    "hostile",
    [
        "a-" * 400_000,
        "password" * 100_000,
        "password=" * 90_000,
        "://" * 250_000,
        "eyJ" * 250_000,
        "-----BEGIN PRIVATE KEY-----" * 30_000,
        "Authorization: " * 50_000,
        "--token " * 100_000,
        "A" * 800_000 + "secret",
    ],
    ids=lambda text: text[:16],
)
def test_cost_is_bounded_for_hostile_texts(hostile):
    began = time.process_time()
    redact(hostile)
    assert time.process_time() - began < 3.0, "800 kB must take well under this"


def test_an_ordinary_line_costs_microseconds():
    lines = CLEAN * 200
    began = time.process_time()
    for line in lines:
        redact(line)
    assert (time.process_time() - began) / len(lines) < 30e-6


def test_a_secret_never_prints():
    secret = Secret("hunter2")
    shown = [repr(secret), str(secret), f"{secret}", f"{secret:>20}", repr([secret])]
    assert not any("hunter2" in text for text in shown)
    with pytest.raises(TypeError):
        json.dumps(secret)
    with pytest.raises(TypeError, match="pickle"):
        __import__("pickle").dumps(secret)
    assert secret.reveal() == "hunter2"
    assert secret == Secret("hunter2")
    assert secret != Secret("hunter3")
    assert bool(secret)
    assert not Secret("")


def test_a_secret_in_a_model_is_read_from_text_and_written_as_the_mask():
    from pydantic import BaseModel

    class Key(BaseModel):
        value: Secret

    key = Key.model_validate({"value": "hunter2"})
    assert key.value.reveal() == "hunter2"
    assert "hunter2" not in key.model_dump_json() + repr(key) + str(key.model_dump())


def test_names_of_secrets():
    names = ["password", "DB_PASSWORD", "apiKey", "x-api-key", "access_token", "client-secret"]
    assert all(map(is_secret_name, names))
    assert not any(
        map(is_secret_name, ["key", "passed", "tokenizer", "keyboard", "author", "name"])
    )

"""Masks secrets in texts and values before they are logged, stored as evidence or shown."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

from shipway.secrets.secret import MASK, Secret

DEEPEST = 12
"""Levels of nesting that are looked into; whatever lies deeper is replaced, never let through."""

_CARD = r"[A-Za-z0-9_-]"

# Each shape begins with a literal and has bounded repeats, so that the cost grows with the length.
_TOKENS = (
    r"gh[opsur]_[A-Za-z0-9]{20,255}",
    r"github_pat_[A-Za-z0-9_]{20,255}",
    rf"glpat-{_CARD}{{16,255}}",
    r"A(?:KIA|SIA|BIA|CCA)[A-Z0-9]{16}(?![A-Z0-9])",
    r"xox[a-z]-[A-Za-z0-9-]{8,255}",
    r"xapp-[A-Za-z0-9-]{8,255}",
    r"hooks\.slack\.com/services/[A-Za-z0-9/_-]{8,255}",
    rf"eyJ{_CARD}{{5,8192}}\.{_CARD}{{2,65536}}(?:\.{_CARD}{{0,8192}}){{1,3}}",
    r"sw_[a-z]{1,16}_[A-Za-z0-9]{32,128}",
    rf"sk-{_CARD}{{16,255}}",
    r"[rs]k_(?:live|test)_[A-Za-z0-9]{10,255}",
    r"whsec_[A-Za-z0-9+/=]{16,255}",
    rf"AIza{_CARD}{{30,60}}",
    r"npm_[A-Za-z0-9]{30,60}",
    r"hf_[A-Za-z0-9]{30,60}",
    rf"pypi-AgE{_CARD}{{40,512}}",
    rf"SG\.{_CARD}{{16,64}}\.{_CARD}{{16,128}}",
)
_TOKEN = re.compile(rf"(?<![A-Za-z0-9])(?:{'|'.join(_TOKENS)})")
_PEM = re.compile(
    r"-----BEGIN (?:[A-Z0-9]{1,20} ){0,4}PRIVATE KEY(?: BLOCK)?-----"
    r"(?s:.*?)(?:-----END (?:[A-Z0-9]{1,20} ){0,4}PRIVATE KEY(?: BLOCK)?-----|\Z)"
)
_URL = re.compile(r"(?<=://)(?:[^\s/?#\"'@:]{0,256}:[^\s/?#\"']{1,512}|[^\s/?#\"'@:]{16,512})(?=@)")
_SCHEME = re.compile(r"\b(bearer|basic|token)(\s{1,4})([A-Za-z0-9._~+/=-]{6,8192})", re.IGNORECASE)
_HEADER = re.compile(
    r"(authorization|cookie)([\"']?\s{0,4}[:=]\s{0,4}(?-i:b(?=[\"']))?[\"']?)([^\r\n\"']{1,8192})",
    re.IGNORECASE,
)
_HEADER_SCHEMES = frozenset(
    "basic bearer token digest negotiate apikey aws4-hmac-sha256 dpop".split()
)
_QUOTED = r"\"[^\"\r\n]{1,4096}\"|'[^'\r\n]{1,4096}'"
_WORDS = (
    r"pass(?:word|wd|phrase|code)|\bpwd\b|secret(?!s\b)|token(?!s|iz|_count|_type)|api[_-]?key"
    r"|access[_-]?key|private[_-]?key|encryption[_-]?key|signing[_-]?key|account[_-]?key|credential(?!s\b)|pepper"
)
_ASSIGNED = re.compile(
    rf"((?:{_WORDS}|amz-signature|[?&]sig)[\w.-]{{0,40}}[\"']?\s{{0,4}}(?:=>|:=|[:=])\s{{0,4}})"
    rf"({_QUOTED}|[^\s\"',;&(){{}}\[\]<>|]{{1,4096}}+(?![(\[]))",
    re.IGNORECASE,
)
_FLAG = re.compile(
    rf"(--?[\w-]{{0,40}}(?:{_WORDS})[\w-]{{0,40}}\s{{1,4}})({_QUOTED}|[^\s\"'-]\S{{0,4095}})",
    re.IGNORECASE,
)
_HARMLESS = frozenset(
    "none null nil true false required optional missing unset empty yes no on off str string bytes"
    " int pass passed fail failed error not_run ok invalid wrong incorrect expired".split()
)
_NUMBERS_ARE_FINE = re.compile(r"token|signature", re.IGNORECASE)
_SECRET_NAME = re.compile(
    r"pass(?:word|wd|phrase|code)|(?:^|[_.-])pwd(?:$|[_.-])|secret|token(?!iz|_count|_type|s_)|api[_-]?key"
    r"|access[_-]?key|private[_-]?key|encryption[_-]?key|signing[_-]?key|account[_-]?key|credential"
    r"|authorization|cookie|pepper|amz-signature",
    re.IGNORECASE,
)


def redact(text: str) -> str:
    """The text with everything that looks like a secret masked; linear in its length."""
    if text in _harmless or _ID_OR_TIME.fullmatch(text):
        return text
    lowered, masked = text.lower(), text
    for hints, mask in _STEPS:
        if any(hint in lowered for hint in hints):
            masked = mask(masked)
    if masked == text and len(text) <= _SHORT:
        _remember(text)
    return masked


#: Names of fields, events and routes come again in every line of a log, and ids and times look like
#: no secret: neither is searched for the hundred words again.
_harmless: set[str] = set()
_SHORT, _REMEMBERED = 64, 4096
_ID_OR_TIME = re.compile(r"[0-9a-f]{8,64}|[0-9TZ:.+-]{1,40}")


def _remember(text: str) -> None:
    """Only what was looked at and is no secret; to begin anew now and then costs little."""
    if len(_harmless) >= _REMEMBERED:
        _harmless.clear()
    _harmless.add(text)


def redact_value(value: Any) -> Any:
    """A JSON-like value with every secret masked, by the name of its field or by its looks.

    Numbers and truth values under a secret name are masked too, except fencing tokens and the
    like; whatever is nested too deeply is replaced. Other objects come back as they are.
    """
    return _redacted(value, DEEPEST)


def _redacted(value: Any, levels: int) -> Any:
    if isinstance(value, str):
        return redact(value)
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, Secret):
        return MASK
    if isinstance(value, Mapping | list | tuple | set | frozenset):
        return _walked(value, lambda inner: _redacted(inner, levels - 1)) if levels else MASK
    if isinstance(value, bytes | bytearray):
        return redact(bytes(value).decode(errors="replace"))
    if isinstance(value, BaseException):
        return redact(f"{type(value).__name__}: {value}")
    return value


def _walked(value: Any, inner: Callable[[Any], Any]) -> Any:
    if isinstance(value, Mapping):
        return {
            redact(key) if isinstance(key, str) else key: (
                _masked(key, item) if isinstance(key, str) and is_secret_name(key) else inner(item)
            )
            for key, item in value.items()
        }
    items = list(value)
    return [
        _masked(before, item) if _announces(before, len(items)) else inner(item)
        for before, item in zip([None, *items], items, strict=False)
    ]


def _announces(before: Any, length: int) -> bool:
    """Whether the next item is a secret: after a flag like --token, or the second of a pair."""
    return (
        isinstance(before, str)
        and (length == 2 or before.startswith("-"))
        and not any(sign in before for sign in " =:")
        and is_secret_name(before)
    )


def _masked(name: str, value: Any) -> Any:
    """What stands under a secret name: masked, keeping only the shape and harmless words."""
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int | float) and _NUMBERS_ARE_FINE.search(name):
        return value
    if isinstance(value, Mapping):
        return {str(key): _masked(name, item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_masked(name, item) for item in value]
    if isinstance(value, str) and (not value or value.lower() in _HARMLESS):
        return value
    return MASK


@lru_cache(maxsize=4096)
def is_secret_name(name: str) -> bool:
    """Whether a field of this name holds a secret."""
    return len(name) > 256 or bool(_SECRET_NAME.search(name))


def _mask_header(match: re.Match[str]) -> str:
    """Masks what follows a header's name, unless it reads like prose about the header."""
    name, gap, value = match.groups()
    first, _, rest = value.partition(" ")
    if name.lower() == "cookie":
        return f"{name}{gap}{MASK}" if "=" in value else match.group()
    if first.lower() in _HEADER_SCHEMES and rest.strip():
        return f"{name}{gap}{first} {MASK}"
    if rest.strip() or value.lower() in _HARMLESS | _HEADER_SCHEMES:
        return match.group()
    return f"{name}{gap}{MASK}"


def _mask_scheme(match: re.Match[str]) -> str:
    scheme, gap, value = match.groups()
    if scheme.lower() == "basic":
        is_secret = _is_user_and_password(value)
    else:
        is_secret = len(value) >= 24 or (len(value) >= 8 and any(map(str.isdigit, value)))
    return f"{scheme}{gap}{MASK}" if is_secret else match.group()


def _is_user_and_password(value: str) -> bool:
    try:
        return b":" in base64.b64decode(value + "=" * (-len(value) % 4), validate=True)
    except (binascii.Error, ValueError):
        return False


def _mask_assigned(match: re.Match[str]) -> str:
    name, value = match.groups()
    bare = value.strip("\"'")
    if not bare or bare == MASK or bare.lower().rstrip(".") in _HARMLESS:
        return match.group()
    if bare.isdigit() and _NUMBERS_ARE_FINE.search(name):
        return match.group()
    return name + (f"{value[0]}{MASK}{value[0]}" if value[0] in "\"'" else MASK)


# A step is taken only if one of its words is there, which a plain search tells far faster.
_STEPS: tuple[tuple[tuple[str, ...], Callable[[str], str]], ...] = (
    (("private key",), lambda text: _PEM.sub(MASK, text)),
    (("://",), lambda text: _URL.sub(MASK, text)),
    (("authorization", "cookie"), lambda text: _HEADER.sub(_mask_header, text)),
    (("bearer", "basic", "token"), lambda text: _SCHEME.sub(_mask_scheme, text)),
    (
        tuple(
            "gho_ ghp_ ghs_ ghu_ ghr_ github_pat_ glpat- akia asia abia acca xox xapp- hooks.slack"
            " eyj sw_ sk- sk_ rk_ whsec_ aiza npm_ hf_ pypi- sg.".split()
        ),
        lambda text: _TOKEN.sub(MASK, text),
    ),
    (
        tuple(
            "password passwd passphrase passcode pwd secret token api_key api-key apikey"
            " access_key access-key accesskey private_key private-key privatekey encryption_key"
            " encryption-key encryptionkey signing_key signing-key signingkey account_key"
            " account-key accountkey credential pepper signature sig=".split()
        ),
        lambda text: _ASSIGNED.sub(_mask_assigned, _FLAG.sub(_mask_assigned, text)),
    ),
)

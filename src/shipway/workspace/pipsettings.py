"""How this machine's pip is told where packages come from, carried into the fence."""

from __future__ import annotations

import configparser
import io
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from urllib.parse import unquote

_PROXIES = ("http_proxy", "https_proxy", "ftp_proxy", "all_proxy", "no_proxy")
_CERTIFICATES = ("SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
# Ours to say: where pip keeps its cache, and what it may not ask or install elsewhere.
_OURS = {"PIP_CONFIG_FILE", "PIP_CACHE_DIR", "PIP_NO_CACHE_DIR", "PIP_TARGET", "PIP_PREFIX"}
_OURS |= {"PIP_USER", "PIP_ROOT", "PIP_REQUIRE_VIRTUALENV", "PIP_PYTHON", "PIP_LOG"}


def reaching() -> dict[str, str]:
    """Proxies and certificates, as they are set for us: what whoever fetches anything needs."""
    return {
        name: value
        for name, value in os.environ.items()
        if name.lower() in _PROXIES or name in _CERTIFICATES
    }


def environment() -> dict[str, str]:
    """pip's own variables, and how the network is reached."""
    own = {
        name: value
        for name, value in os.environ.items()
        if name.startswith("PIP_") and name not in _OURS
    }
    kept = own | reaching()
    return kept | {"PIP_NO_INPUT": "1", "PIP_DISABLE_PIP_VERSION_CHECK": "1"}


def configuration() -> str:
    """The user's configuration files as one, since their places are hidden in the fence.

    The machine's own file, below ``/etc``, is found there as anywhere.
    """
    named = os.environ.get("PIP_CONFIG_FILE")
    if named == os.devnull:
        return ""
    home = Path.home()
    config_home = Path(os.environ.get("XDG_CONFIG_HOME") or home / ".config")
    files = [home / ".pip" / "pip.conf", config_home / "pip" / "pip.conf"]
    merged = configparser.RawConfigParser(strict=False)
    merged.read([*files, named] if named else files, encoding="utf-8")
    text = io.StringIO()
    merged.write(text)
    return text.getvalue()


def value(name: str, variables: Mapping[str, str], configuration: str) -> str:
    """One of pip's settings, by its name in a configuration file: the variable wins, as for pip."""
    said = variables.get("PIP_" + name.upper().replace("-", "_"))
    if said:
        return said
    for one in (_parsed(configuration), _machine()):
        for section in ("install", "global"):
            if one.has_option(section, name):
                return one.get(section, name)
    return ""


def indexes(variables: Mapping[str, str], configuration: str) -> tuple[str, list[str]]:
    """The index that packages come from, "" for the usual one, and others that are reached by HTTP."""
    others = value("extra-index-url", variables, configuration).split()
    return (
        value("index-url", variables, configuration),
        [one for one in others if one.startswith(("http://", "https://"))],
    )


def readable(variables: Mapping[str, str], configuration: str) -> list[Path]:
    """The files and directories that these settings name, such as places with wheels."""
    return sorted({path for path in _named(variables, configuration) if path.exists()})


def _named(variables: Mapping[str, str], configuration: str) -> Iterator[Path]:
    values = list(variables.values())
    for one in (_parsed(configuration), _machine()):
        values += [value for section in one.sections() for _, value in one.items(section)]
    for word in (word for value in values for word in value.split()):
        path = Path(unquote(word[7:]) if word.startswith("file://") else word).expanduser()
        if path.is_absolute() and len(path.parts) > 2:
            yield path


def _parsed(configuration: str) -> configparser.RawConfigParser:
    parser = configparser.RawConfigParser(strict=False)
    parser.read_string(configuration)
    return parser


def _machine() -> configparser.RawConfigParser:
    """The machine's own files, wherever pip looks for them."""
    machine = configparser.RawConfigParser(strict=False)
    machine.read(["/etc/xdg/pip/pip.conf", "/etc/pip.conf"], encoding="utf-8")
    return machine

"""Opens what a command works with: the settings, and the wired system they describe."""

from __future__ import annotations

import getpass
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from shipway.cli.words import plural

if TYPE_CHECKING:
    from shipway.bootstrap.system import System
    from shipway.cli.output import Output
    from shipway.cli.seam import Crew, Definitions, Deployed, Session, Switches
    from shipway.client.client import Client
    from shipway.client.installation import RemoteContracts
    from shipway.config import Settings
    from shipway.contracts.spoken import Spoken
    from shipway.engine.keeper import Keeper
    from shipway.secrets import Secret


def settings(**options: Any) -> Settings:
    """The settings, checked whole; raises ConfigurationError that names every fault.

    ``options`` of the command line are stronger than all else; None means not given.
    """
    from shipway.config import load_settings

    return load_settings(**options)


def server_url() -> str | None:
    """The server that commands talk to; None where they work on this machine."""
    return os.environ.get("SHIPWAY_URL") or None


@contextmanager
def opened(output: Output, *, progress: bool = True) -> Iterator[Session]:
    """What commands work with: the server at SHIPWAY_URL, else the system on this machine."""
    if url := server_url():
        with _server(url) as remote:
            yield remote
    else:
        with opened_here(output, progress=progress) as system:
            yield system


@contextmanager
def _server(url: str) -> Iterator[Session]:
    from shipway.client.remote import Remote

    with connected(url) as (client, found):
        yield Remote(client, found)


@contextmanager
def connected(url: str) -> Iterator[tuple[Client, Settings]]:
    """A client of the server at this address."""
    found = settings()
    from shipway.client.client import Client

    with Client(url, _token(found)) as client:
        yield client, found


def _token(found: Settings) -> Secret:
    """Of SHIPWAY_TOKEN, else of this machine's own server."""
    from shipway.errors import NotSignedInError
    from shipway.secrets import Secret

    given = os.environ.get("SHIPWAY_TOKEN")
    if given:
        return Secret(given)
    try:
        return Secret((found.home / "token").read_text("ascii").strip())
    except (OSError, UnicodeDecodeError):
        raise NotSignedInError(
            "there is no token for the server at SHIPWAY_URL",
            hint="set SHIPWAY_TOKEN, or SHIPWAY_HOME to the directory of that server",
        ) from None


@contextmanager
def opened_here(output: Output, *, progress: bool = True) -> Iterator[System]:
    """The system; ``progress`` also carries on what an earlier process left, and says so."""
    found = settings()  # before the imports: a wrong setting is told at once
    from shipway.bootstrap.system import open_system

    system = open_system(found)
    try:
        if progress:
            for healed in system.releases.heal():
                output.note(healed.message)
            resumed = system.ensure_progress()
            if resumed:
                output.note(f"{plural(resumed, 'interrupted run')} carried on in the background")
        yield system
    finally:
        system.close()


@contextmanager
def stored(output: Output) -> Iterator[Keeper]:
    """The database, for who looks after it; no engine is started and nothing is carried on."""
    if server_url():
        output.note("this is the database here, not that of the server at SHIPWAY_URL")
    from shipway.bootstrap.system import open_keeper

    keeper = open_keeper(settings())
    try:
        yield keeper
    finally:
        keeper.close()


def state_directory() -> Path:
    """Where state lives; found even when the settings are what is broken."""
    from shipway.errors import ConfigurationError

    try:
        return settings().home
    except ConfigurationError:
        return _state_directory_without_settings()


def _state_directory_without_settings() -> Path:
    given = os.environ.get("SHIPWAY_HOME")
    if given:
        return Path(given)
    base = os.environ.get("XDG_STATE_HOME")
    return (Path(base) if base else Path.home() / ".local/state") / "shipway"


def person() -> str:
    """Who is at the keyboard, for the record of a decision."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return f"uid {os.getuid()}"


@contextmanager
def releases(output: Output, *, heal: bool = True) -> Iterator[Deployed]:
    """What is deployed, without an engine; ``heal`` first restores what lost its supervisor here."""
    if url := server_url():
        from shipway.client.installation import RemoteReleases

        with connected(url) as (client, _):
            yield RemoteReleases(client)
        return
    from shipway.release.releases import Releases

    found = Releases(settings().home)
    if heal:
        for healed in found.heal():
            output.note(healed.message)
    yield found


@contextmanager
def opened_flags() -> Iterator[Switches]:
    """The flags, where they are kept, without an engine."""
    if url := server_url():
        from shipway.client.installation import RemoteFlags

        with connected(url) as (client, _):
            yield RemoteFlags(client)
        return
    found = settings()
    from shipway.config import prepare
    from shipway.engine.places import Places
    from shipway.flags.opening import open_flags

    prepare(found)
    with open_flags(found, Places(found.home).database) as board:
        yield board


@contextmanager
def crew(output: Output) -> Iterator[Crew]:
    """Who does the work: a fleet, or this installation on its own."""
    if url := server_url():
        from shipway.client.installation import RemoteCrew

        with connected(url) as (client, _):
            yield RemoteCrew(client)
        return
    with opened_here(output, progress=False) as system:
        yield system.crew


@contextmanager
def pipelines() -> Iterator[Definitions]:
    """The built-in pipelines."""
    if url := server_url():
        from shipway.client.installation import RemotePipelines

        with connected(url) as (client, _):
            yield RemotePipelines(client)
        return
    from shipway.engine.pipelines.builtin import Builtin

    yield Builtin()


@contextmanager
def contracts() -> Iterator[Spoken | RemoteContracts]:
    """The contracts that are spoken."""
    if url := server_url():
        from shipway.client.installation import RemoteContracts

        with connected(url) as (client, _):
            yield RemoteContracts(client)
        return
    from shipway.contracts.spoken import Spoken

    yield Spoken()


def settings_in_force() -> list[dict[str, Any]]:
    """Every setting with its source, secrets masked: of the server, or of this machine."""
    if url := server_url():
        from shipway.client import calls

        with connected(url) as (client, _):
            return client.send(calls.settings())
    from shipway.config import effective, load

    return effective(load())

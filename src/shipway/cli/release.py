"""``shipway release list|view|stop|rollback``: what is deployed on this machine."""

from __future__ import annotations

import difflib
import sys
from typing import TYPE_CHECKING

import click

from shipway.cli.command import Group, speaks
from shipway.cli.completing import release_names, service_names
from shipway.cli.lines import Field, Part
from shipway.cli.output import Output, one_line, write
from shipway.cli.words import ago, now
from shipway.errors import NotFoundError, UsageError

if TYPE_CHECKING:
    from shipway.cli.seam import Deployed
    from shipway.release.record import Release

_STATES = {
    "live": "running",
    "starting": "queued",
    "standby": "pending",
    "failed": "failed",
    "stopped": "skipped",
    "rolled_back": "cancelled",
}


@click.group(
    cls=Group,
    examples=(
        "shipway release list",
        "shipway release stop library",
        "shipway release rollback library",
    ),
)
@speaks
def release(output: Output) -> None:
    """List, view, stop and roll back what is deployed on this machine."""


@release.command("list", examples=("shipway release list", "shipway release list --json"))
@speaks
def list_(output: Output) -> None:
    """List releases, the latest first; "live" takes traffic."""
    from shipway.cli.render import Screen
    from shipway.cli.session import releases

    with releases(output) as found:
        rows = list(found.list())
    if output.json:
        output.emit([one.to_dict() for one in rows])
    elif not rows:
        output.note("nothing is deployed\n  next: shipway run --spec api.yaml")
    else:
        screen = Screen(sys.stdout, output.color)
        screen.table(
            ("release", "service", "state", "url", "commit", "since"),
            [_row(one, unicode=screen.unicode) for one in rows],
            give=3,
        )


def _row(one: Release, *, unicode: bool) -> list[Part]:
    from shipway.cli import runtext

    icon = runtext.mark(_STATES.get(one.status.value, ""), unicode=unicode)
    return [
        Part(one.id, "bold"),
        Part(one.service),
        Part(f"{icon.text} {one.status.value}", icon.style),
        Part(one.url or ""),
        Part(one.commit[:10], "dim"),
        Part(ago(one.live_at or one.created_at, now()), "dim"),
    ]


@release.command("view", examples=("shipway release view r-0123456789ab",))
@click.argument("name", metavar="RELEASE|SERVICE", shell_complete=release_names)
@speaks
def view(output: Output, name: str) -> None:
    """Show one release, with the evidence of its health."""
    from shipway.cli.render import Screen
    from shipway.cli.session import releases

    with releases(output) as found:
        one = found.view(_meant(found, name))
    if output.json:
        output.emit(one.to_dict())
        return
    fields = []
    for key, value in one.to_dict().items():
        if value in (None, "", [], ()):
            continue
        fields.append(Field(key.replace("_", " "), [Part(_shown(value))]))
    Screen(sys.stdout, output.color).fields(fields, indent=0)


def _meant(found: Deployed, name: str) -> str:
    """The id of a release; a service stands for the one that is live, or else its newest."""
    every = found.list()
    of_service = [one for one in every if one.service == name]
    if of_service:
        live = found.live(name)
        return (live or of_service[0]).id
    if any(one.id.startswith(name) or one.id.startswith(f"r-{name}") for one in every):
        return name
    near = difflib.get_close_matches(name, [w for one in every for w in (one.service, one.id)], n=1)
    listed = 'what is deployed is listed by "shipway release list"'
    raise NotFoundError(
        f'no release or service "{one_line(name)}"',
        hint=f"did you mean {near[0]}? {listed}" if near else listed,
    )


def _shown(value: object) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key} {_shown(one)}" for key, one in value.items())
    if isinstance(value, list | tuple):
        return " ".join(str(one) for one in value)
    return one_line(str(value))


@release.command("stop", examples=("shipway release stop library", "shipway release stop --all"))
@click.argument("name", metavar="RELEASE|SERVICE", required=False, shell_complete=release_names)
@click.option("--all", "everything", is_flag=True, help="Stop whatever is deployed.")
@speaks
def stop(output: Output, name: str | None, everything: bool) -> None:
    """Stop what is deployed and leave no process and no socket behind."""
    from shipway.cli.session import releases

    if (name is None) is not everything:
        raise UsageError(
            "say what to stop: a release, a service, or --all",
            hint='what is deployed is listed by "shipway release list"',
        )
    with releases(output, heal=False) as found:
        stopped = found.stop(all=True) if name is None else found.stop(_meant(found, name))
    if output.json:
        output.emit([one.to_dict() for one in stopped])
    elif not stopped:
        output.note("nothing was running")
    for one in [] if output.json else stopped:
        write(sys.stdout, f"{one.service} {one.id} stopped\n")


@release.command("rollback", examples=("shipway release rollback library",))
@click.argument("service", shell_complete=service_names)
@speaks
def rollback(output: Output, service: str) -> None:
    """Return a service to the last good release before the one that is live."""
    from shipway.cli.session import releases

    with releases(output) as found:
        one = found.rollback(service)
    if output.json:
        output.emit(one.to_dict())
    else:
        write(sys.stdout, f"{one.service} is back on {one.id}  {one.url or ''}\n")

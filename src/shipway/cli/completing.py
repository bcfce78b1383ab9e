"""What the shell offers when a person presses Tab: runs, stages, releases, pipelines as they are."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

import click
from click.shell_completion import CompletionItem

if TYPE_CHECKING:
    from shipway.bootstrap.system import System

_MANY = 50

Offer = Callable[[click.Context, click.Parameter, str], list[CompletionItem]]


def _offering(
    find: Callable[[System, click.Context], Iterable[CompletionItem]],
) -> Offer:
    """Tab never fails and never prints: without a state directory there is just nothing to offer."""

    def offer(ctx: click.Context, _param: click.Parameter, begun: str) -> list[CompletionItem]:
        from shipway.cli.session import settings, state_directory

        if not state_directory().is_dir():
            return []
        try:
            from shipway.bootstrap.system import open_system

            system = open_system(settings())
            try:
                found = list(find(system, ctx))
            finally:
                system.close()
        except Exception:  # noqa: BLE001 - a traceback in the middle of a prompt helps nobody
            return []
        return [item for item in found if str(item.value).startswith(begun)]

    return offer


def _runs(system: System, _ctx: click.Context) -> Iterable[CompletionItem]:
    yield CompletionItem("@last", help="the run started last")
    for run in system.queries.runs(limit=_MANY):
        yield CompletionItem(str(run.number), help=f"{run.status.value} {run.title}")


def _asks(system: System, _ctx: click.Context) -> Iterable[CompletionItem]:
    for ask in system.queries.inbox():
        number = system.queries.run(ask.run).summary.number
        yield CompletionItem(f"{number}/{ask.id}", help=ask.question)


def _stages(system: System, ctx: click.Context) -> Iterable[CompletionItem]:
    for stage in system.queries.run(ctx.params.get("ref") or "@last").stages:
        yield CompletionItem(stage.id, help=stage.status.value)


def _releases(system: System, _ctx: click.Context) -> Iterable[CompletionItem]:
    for one in system.releases.list():
        yield CompletionItem(one.id, help=f"{one.status.value} {one.service}")
    yield from _services(system, _ctx)


def _services(system: System, _ctx: click.Context) -> Iterable[CompletionItem]:
    for name in sorted({one.service for one in system.releases.list()}):
        yield CompletionItem(name)


run_references = _offering(_runs)
ask_references = _offering(_asks)
stage_names = _offering(_stages)
release_names = _offering(_releases)
service_names = _offering(_services)

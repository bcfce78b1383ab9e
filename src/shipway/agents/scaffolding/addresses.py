"""Which paths of a document cover each other, and what that asks of the order of routes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from shipway.contracts.service_plan import OperationPlan


def covers(open_path: str, path: str) -> bool:
    """Whether a path with parameters also answers to another path, which says more in some place."""
    theirs, ours = open_path.strip("/").split("/"), path.strip("/").split("/")
    if len(theirs) != len(ours) or open_path == path:
        return False
    said_more = False
    for wide, narrow in zip(theirs, ours, strict=True):
        if "{" in wide:
            said_more = said_more or "{" not in narrow
        elif wide != narrow:
            return False
    return said_more


def in_order(modules: Mapping[str, Sequence[OperationPlan]]) -> list[str]:
    """The modules, those first whose fixed words a parameter of another one would swallow."""
    waiting = list(modules)
    done: list[str] = []
    while waiting:
        free = [one for one in waiting if not _comes_after(one, waiting, modules)]
        done += free[:1] or waiting[:1]
        waiting = [one for one in waiting if one not in done]
    return done


def _comes_after(
    module: str, others: Sequence[str], modules: Mapping[str, Sequence[OperationPlan]]
) -> bool:
    return any(
        covers(mine.path, theirs.path)
        for other in others
        if other != module
        for mine in modules[module]
        for theirs in modules[other]
    )


METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE")


def swallowed(operations: Sequence[OperationPlan]) -> dict[str, list[str]]:
    """The paths of which another one would answer methods that they lack, with their own methods."""
    methods: dict[str, set[str]] = {}
    for one in operations:
        methods.setdefault(one.path, set()).add(one.method)
    found: dict[str, list[str]] = {}
    for path, own in methods.items():
        wide = {name for other, names in methods.items() if covers(other, path) for name in names}
        if wide - own:
            found[path] = [name for name in METHODS if name.lower() in own]
    return found

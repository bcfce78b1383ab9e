"""What a run has done to the world: merged commits and deployed releases, told from its events."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from shipway.contracts.model import timestamp
from shipway.contracts.views import EffectView
from shipway.domain.pipeline import Pipeline
from shipway.engine.codec import decode
from shipway.store.runs import EventRow


def effects(pipeline: Pipeline, history: Sequence[EventRow]) -> list[EffectView]:
    """Every effect of every attempt, also of those that were done again since; each once."""
    capability = {stage.id: stage.capability for stage in pipeline.stages}
    found: dict[tuple[str, str], EffectView] = {}
    for row in history:
        if row.type != "StagePassed":
            continue
        data = decode(row.data)
        for kind, what, undo in _of(capability.get(data["stage"], ""), data["result"]):
            effect = EffectView(
                kind=kind,
                stage=data["stage"],
                attempt=data["attempt"],
                at=timestamp(row.at),
                what=what,
                undo=undo,
            )
            found.setdefault((kind, what), effect)
    return list(found.values())


def _of(capability: str, result: Mapping[str, Any]) -> Iterator[tuple[str, str, str | None]]:
    if capability == "integrate" and "commit" in result:
        where = f"{result['target']} of {result['repository']}"
        yield "merge", f"merged {str(result['commit'])[:12]} into {where}", _revert(result)
    elif capability == "deploy" and "release" in result:
        service = result["service"]
        what = f"deployed release {result['release']} of {service} at {result['url']}"
        yield "release", what, f"shipway release rollback {service}"


def _revert(result: Mapping[str, Any]) -> str | None:
    """The command that takes a merge back; None for the first commit of a repository."""
    commit, previous = str(result["commit"])[:12], result.get("previous")
    if previous is None:
        return None
    what = f"-m 1 {commit}" if result.get("strategy") == "merge" else f"{previous[:12]}..{commit}"
    return f"git -C {shlex.quote(str(result['repository']))} revert {what}"

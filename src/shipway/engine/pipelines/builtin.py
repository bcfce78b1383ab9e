"""The pipelines that come with Shipway: a line about each, its definition, its text."""

from __future__ import annotations

from typing import Any

from shipway.domain.pipeline import Pipeline
from shipway.engine.pipelines import loader


class Builtin:
    """What can be asked of an installation about them."""

    def lines(self) -> list[dict[str, Any]]:
        """Name, version, title, what it takes, number of stages, digest."""
        return [line(loader.load(name)) for name in loader.builtin_names()]

    def loaded(self, name: str) -> Pipeline:
        """Raises NotFoundError."""
        return loader.load(name)

    def source(self, name: str) -> str:
        """As it is written, in YAML; raises NotFoundError."""
        return loader.source_of(name)


def line(one: Pipeline) -> dict[str, Any]:
    return {
        "name": one.name,
        "version": one.version,
        "title": one.title,
        "takes": one.takes,
        "stages": len(one.stages),
        "digest": one.digest,
    }

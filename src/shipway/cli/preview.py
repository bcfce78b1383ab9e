"""``--dry-run``: what a run would do, stage by stage, without starting anything."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from shipway.cli.lines import Field, Part
from shipway.cli.output import Output, one_line, write
from shipway.cli.pipeline import graph_json

if TYPE_CHECKING:
    from shipway.domain.pipeline import Pipeline, Stage
    from shipway.engine.commands import Submission


def preview(output: Output, submission: Submission) -> None:
    """Show the pipeline that was selected and each of its stages; raises what a run would."""
    from shipway.engine.intake import BUILTIN
    from shipway.engine.pipelines.loader import load

    loaded = load(submission.pipeline or BUILTIN[submission.kind])
    _checked(submission)
    if output.json:
        output.emit(_as_json(submission, loaded))
        return
    from shipway.cli.render import Screen
    from shipway.engine.pipelines import graph

    screen = Screen(sys.stdout, output.color)
    screen.fields(
        [
            Field(
                "pipeline",
                [Part(loaded.name, "bold"), Part(f"  version {loaded.version}  {loaded.title}")],
            ),
            Field("requirement", [Part(_requirement(submission))]),
            Field("repository", [Part(str(submission.repository or "a new one"))]),
        ],
        indent=0,
    )
    screen.say()
    write(sys.stdout, graph.text(loaded).rstrip("\n") + "\n\n")
    screen.table(
        ("stage", "capability", "agent", "gates", "asks"),
        [_row(stage) for stage in loaded.stages],
        give=3,
    )
    output.note("\nnothing was started (--dry-run)")


def _checked(submission: Submission) -> None:
    if submission.kind == "specification":
        from shipway.specs import read

        read(submission.requirement, submission.requirement_name)
    elif submission.repository is not None:
        from shipway.workspace.git import inspect

        inspect(submission.repository, submission.target)


def _requirement(submission: Submission) -> str:
    size = len(submission.requirement)
    return f"{one_line(submission.requirement_name)}, {submission.kind}, {size} bytes"


def _row(stage: Stage) -> list[Part]:
    return [
        Part(stage.id, "bold"),
        Part(stage.capability),
        Part(", ".join((stage.agent, *stage.fallbacks))),
        Part(", ".join(stage.gates)),
        Part(", ".join(ask.id for ask in stage.asks)),
    ]


def _as_json(submission: Submission, loaded: Pipeline) -> dict[str, Any]:
    return graph_json(loaded) | {
        "dry_run": True,
        "kind": submission.kind,
        "requirement": {
            "name": submission.requirement_name,
            "size": len(submission.requirement),
        },
        "repository": str(submission.repository) if submission.repository else None,
        "stages": [
            {
                "id": stage.id,
                "capability": stage.capability,
                "agent": stage.agent,
                "fallbacks": list(stage.fallbacks),
                "needs": [need.stage for need in stage.needs],
                "gates": list(stage.gates),
                "asks": [ask.id for ask in stage.asks],
                "timeout_s": stage.timeout_s,
            }
            for stage in loaded.stages
        ],
    }

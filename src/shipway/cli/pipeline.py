"""``shipway pipeline list|show|validate|graph``: the definitions that runs follow."""

from __future__ import annotations

import dataclasses
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from shipway.cli.command import Group, speaks
from shipway.cli.inputs import MEGABYTE, read
from shipway.cli.lines import Part
from shipway.cli.output import Output, clean, one_line, write
from shipway.cli.words import plural
from shipway.errors import ExitCode, NotFoundError, ShipwayError, UsageError

if TYPE_CHECKING:
    from shipway.domain.pipeline import Pipeline

source = click.argument("source", metavar="NAME|FILE")


@click.group(
    cls=Group,
    examples=(
        "shipway pipeline list",
        "shipway pipeline graph service --mermaid",
        "shipway pipeline validate .shipway/pipelines/ours.yaml",
    ),
)
@speaks
def pipeline(output: Output) -> None:
    """List, show, validate and draw pipelines."""


@pipeline.command("list", examples=("shipway pipeline list", "shipway pipeline list --json"))
@speaks
def list_(output: Output) -> None:
    """List the built-in pipelines and those in .shipway/pipelines here."""
    from shipway.cli.render import Screen
    from shipway.cli.session import pipelines
    from shipway.engine.pipelines import loader

    with pipelines() as found:
        rows = [{**line, "source": "built in", "fault": None} for line in found.lines()]
    ours = sorted(path for path in loader.FOLDER.glob("*") if path.suffix in loader.SUFFIXES)
    rows += [_described(path) for path in ours]
    if output.json:
        output.emit(rows)
        return
    Screen(sys.stdout, output.color).table(
        ("pipeline", "version", "takes", "stages", "from", "title"),
        [
            [
                Part(str(row["name"]), "bold"),
                Part(str(row["version"] or "")),
                Part(str(row["takes"] or "any")),
                Part(str(row["stages"] or "")),
                Part(str(row["source"]), "dim"),
                Part(one_line(str(row["fault"] or row["title"]))),
            ]
            for row in rows
        ],
        give=5,
    )


def _described(path: Path) -> dict[str, object]:
    from shipway.engine.pipelines import loader
    from shipway.engine.pipelines.builtin import line

    try:
        row = line(loader.load(path))
    except ShipwayError as error:  # one bad file must not hide the others
        row = dict.fromkeys(("version", "takes", "stages", "digest"))
        row |= {"name": path.stem, "title": ""}
        fault = f"not usable: {error.message.splitlines()[0]}"
        return {**row, "source": str(path), "fault": fault}
    return {**row, "source": str(path), "fault": None}


def _loaded(source: str) -> Pipeline:
    """From a file of this machine, or by its name from where pipelines are kept."""
    from shipway.cli.session import pipelines
    from shipway.engine.pipelines import loader

    place = loader.located(source)
    if isinstance(place, Path):
        return loader.load(place)
    with pipelines() as found:
        return found.loaded(place)


def _source(place: str | Path) -> str:
    from shipway.cli.session import pipelines

    if isinstance(place, Path):
        return _text(place)
    with pipelines() as found:
        return found.source(place)


@pipeline.command(
    "show", examples=("shipway pipeline show service", "shipway pipeline show ./ours.yaml")
)
@source
@speaks
def show(output: Output, source: str) -> None:
    """Print a pipeline as YAML, or as JSON with every default filled in."""
    from shipway.engine.pipelines import loader
    from shipway.engine.pipelines.codec import to_json

    loaded = _loaded(source)
    if output.json:
        output.emit(to_json(loaded))
    else:
        write(sys.stdout, clean(_source(loader.located(source))))


@pipeline.command(
    "validate",
    examples=(
        "shipway pipeline validate .shipway/pipelines/ours.yaml",
        "shipway pipeline validate service --json",
    ),
)
@click.argument("sources", metavar="NAME|FILE...", nargs=-1, required=True)
@speaks
def validate(output: Output, sources: tuple[str, ...]) -> int:
    """Check pipelines and report every fault with its file, line and remedy."""
    from shipway.engine.pipelines import loader

    faults = []
    for one in sources:
        place = loader.located(one)
        faults += loader.validate(
            _source(place), f"{place}.yaml" if isinstance(place, str) else str(place)
        )
    if output.json:
        output.emit({"valid": not faults, "faults": [dataclasses.asdict(one) for one in faults]})
    elif faults:
        for fault in faults:
            at = f"{fault.file}:{fault.line}"
            write(sys.stdout, clean(f"{at}: {fault.message}\n  {fault.remedy}\n"))
        output.note(plural(len(faults), "fault"))
    else:
        write(sys.stdout, f"{plural(len(sources), 'pipeline')} valid\n")
    return ExitCode.FAILED if faults else ExitCode.DONE


def _text(path: Path) -> str:
    if not path.exists():
        from shipway.engine.pipelines import loader

        known = ", ".join(loader.builtin_names())
        raise NotFoundError(f'no such file "{path}"', hint=f"name a file, or one of: {known}")
    try:
        return read(str(path), "FILE", MEGABYTE).data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise UsageError(f'"{path}" is not UTF-8 text', hint="save the file as UTF-8") from None


@pipeline.command(
    "graph",
    examples=("shipway pipeline graph service", "shipway pipeline graph service --mermaid"),
)
@source
@click.option(
    "--text", "form", flag_value="text", default="text", help="For the terminal (default)."
)
@click.option("--mermaid", "form", flag_value="mermaid", help="For Markdown and wikis.")
@speaks
def graph(output: Output, source: str, form: str) -> None:
    """Draw a pipeline."""
    from shipway.engine.pipelines import graph as drawing

    loaded = _loaded(source)
    if output.json:
        output.emit(graph_json(loaded))
        return
    drawn = drawing.mermaid(loaded) if form == "mermaid" else drawing.text(loaded, width=_columns())
    write(sys.stdout, drawn.rstrip("\n") + "\n")


def _columns() -> int:
    """How wide a drawing may be: the terminal, or what fits on most of them."""
    return shutil.get_terminal_size((100, 24)).columns if sys.stdout.isatty() else 100


def graph_json(loaded: Pipeline) -> dict[str, object]:
    """Nodes and edges, for programs that draw."""
    return {
        "pipeline": loaded.name,
        "version": loaded.version,
        "digest": loaded.digest,
        "nodes": [
            {"id": stage.id, "capability": stage.capability, "agent": stage.agent}
            for stage in loaded.stages
        ],
        "edges": [
            {"from": need.stage, "to": stage.id, "on": need.on.value}
            for stage in loaded.stages
            for need in stage.needs
        ],
    }

"""Loading pipelines: the built-in ones and those of a repository, whole or with every fault named."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

from shipway.domain.pipeline import Pipeline, Stage
from shipway.engine.pipelines import order as ordering
from shipway.engine.pipelines.codec import sealed
from shipway.engine.pipelines.shape import Draft, StageDraft, shape
from shipway.engine.pipelines.wiring import Wiring
from shipway.errors import ConfigurationError, NotFoundError
from shipway.specs.placed import reading
from shipway.specs.placed.faults import Fault, Faults, Spot, did_you_mean

_BUILTIN = "builtin"
FOLDER = Path(".shipway") / "pipelines"
SUFFIXES = (".yaml", ".yml")
_START = "start with `name:`, `version:` and `stages:`"


def builtin_names() -> list[str]:
    """The pipelines that come with Shipway."""
    folder = resources.files(__package__) / _BUILTIN
    return sorted(
        entry.name.removesuffix(".yaml")
        for entry in folder.iterdir()
        if entry.name.endswith(".yaml")
    )


def located(text: str, repository: Path = Path()) -> str | Path:
    """The file that is meant, or the name of a built-in pipeline."""
    if "/" in text or text.endswith(SUFFIXES):
        return Path(text)
    if text not in builtin_names():
        for suffix in SUFFIXES:
            place = repository / FOLDER / f"{text}{suffix}"
            if place.is_file():
                return place
    return text


def source_of(name: str) -> str:
    """The YAML of a built-in pipeline; raises NotFoundError."""
    if name not in builtin_names():
        raise NotFoundError(
            f"there is no built-in pipeline `{name[:60]}`",
            hint=did_you_mean(name, builtin_names()),
        )
    return (resources.files(__package__) / _BUILTIN / f"{name}.yaml").read_text("utf-8")


def schema() -> str:
    """The JSON Schema that editors check a pipeline with."""
    return (resources.files(__package__) / "pipeline.schema.json").read_text("utf-8")


def load(source: Path | str) -> Pipeline:
    """A pipeline from a file (a Path), or a built-in one by its name.

    Raises NotFoundError, or ConfigurationError with every fault.
    """
    if isinstance(source, str):
        return parse(source_of(source), f"{source}.yaml")
    return parse(_text_of(source), str(source))


def parse(text: str, file: str) -> Pipeline:
    """A pipeline from its text (of a commit, say); raises ConfigurationError with every fault."""
    faults = Faults(file)
    draft = _checked(text, faults)
    if draft is None or faults:
        raise _refusal(file, faults.listed())
    return sealed(_built(draft))


def validate(text: str, path: str) -> list[Fault]:
    """Everything that is wrong with the text, in its order; ``path`` is named in each fault."""
    faults = Faults(path)
    _checked(text, faults)
    return faults.listed()


def _checked(text: str, faults: Faults) -> Draft | None:
    root = reading.read(text, faults, _START)
    draft = shape(root, faults) if root is not None else None
    if draft is not None:
        order = ordering.Order(draft.stages)
        ordering.check(order, draft.stages, faults)
        wiring = Wiring(order, draft.takes, faults)
        for stage in draft.stages:
            wiring.check(stage)
    return draft


def _built(draft: Draft) -> Pipeline:
    return Pipeline(
        name=draft.name,
        version=draft.version,
        digest="",
        title=draft.title,
        takes=draft.takes,
        timeout_s=draft.timeout_s,
        parallelism=draft.parallelism,
        stages=tuple(_stage(stage) for stage in draft.stages),
    )


def _stage(draft: StageDraft) -> Stage:
    return Stage(
        id=draft.id.value,
        capability=draft.capability.value if draft.capability else "",
        agent=draft.agents[0].value,
        fallbacks=tuple(agent.value for agent in draft.agents[1:]),
        needs=tuple(need.value for need in draft.needs),
        inputs={name: given.value for name, given in draft.inputs.items()},
        gates=tuple(gate.value for gate in draft.gates),
        when=draft.when.value if draft.when else None,
        asks=tuple(ask.rule for ask in draft.asks),
        timeout_s=draft.timeout.value,
        retries=draft.retries,
        continue_on_failure=draft.continue_on_failure,
    )


def _text_of(path: Path) -> str:
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise NotFoundError(
            f"there is no file {path}",
            hint=f"name a file, or a built-in pipeline: {', '.join(builtin_names())}",
        ) from None
    except OSError as error:
        raise ConfigurationError(
            f"{path} cannot be read: {error.strerror}", hint="name a readable file"
        ) from error
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        spot = Spot(data[: error.start].count(b"\n") + 1, 1)
        fault = Fault(str(path), spot.line, 1, "this is not UTF-8 text", "save the file as UTF-8")
        raise _refusal(str(path), [fault]) from error


def _refusal(file: str, faults: list[Fault]) -> ConfigurationError:
    count = f"{len(faults)} fault{'s' if len(faults) != 1 else ''}"
    return ConfigurationError(
        "\n".join([f"{file} is no usable pipeline: {count}", *map(str, faults)]),
        hint=f"mend each, then check with: shipway pipeline validate {file}",
        details={
            "faults": [
                {
                    "file": fault.file,
                    "line": fault.line,
                    "column": fault.column,
                    "message": fault.message,
                    "remedy": fault.remedy,
                }
                for fault in faults
            ]
        },
    )

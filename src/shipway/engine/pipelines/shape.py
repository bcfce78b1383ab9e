"""From the YAML tree to a definition: fields, forms and bounds; what it means is checked later."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from shipway.domain.conditions import Condition, ConditionError, parse
from shipway.domain.pipeline import AskRule, Dependency, InputRef, Literal, When
from shipway.domain.retries import RetryPolicy
from shipway.specs.placed.faults import Faults, Spot
from shipway.specs.placed.form import NAME, RESERVED, Form, Marked, each, short
from shipway.specs.placed.reading import Node, Scalar, Sequence, Table, plain

PIPELINE_FIELDS = ("name", "version", "title", "takes", "timeout", "parallelism", "stages")
STAGE_FIELDS = (
    "id", "capability", "agent", "needs", "inputs", "gates", "when", "asks", "timeout", "retries",
    "continue_on_failure",
)  # fmt: skip
NEED_FIELDS = ("stage", "on")
INPUT_FIELDS = ("from", "otherwise", "value")
RETRY_FIELDS = ("retries", "base", "maximum")
ASK_FIELDS = ("id", "question", "when", "subject", "options", "accept", "default", "deadline")
TAKES = ("specification", "change")
MAX_STAGES = 200
MAX_AGENTS = 8
DAY = 86400.0
_PATH = re.compile(r"^[a-z][a-z0-9_-]*(\.[A-Za-z_][A-Za-z0-9_-]*)+$")
_NO_SPOT = Spot(1, 1)


@dataclass(frozen=True, slots=True)
class StageDraft:
    """A stage as it was written, with its places."""

    spot: Spot
    id: Marked[str]
    capability: Marked[str] | None
    agents: tuple[Marked[str], ...]
    needs: tuple[Marked[Dependency], ...]
    inputs: dict[str, Marked[InputRef | Literal]]
    input_keys: dict[str, Spot]
    gates: tuple[Marked[str], ...]
    when: Marked[Condition] | None
    asks: tuple[AskDraft, ...]
    timeout: Marked[float]
    retries: RetryPolicy
    continue_on_failure: bool


@dataclass(frozen=True, slots=True)
class AskDraft:
    rule: AskRule
    spot: Spot
    when: Marked[Condition] | None
    subject: tuple[Marked[InputRef], ...]


@dataclass(frozen=True, slots=True)
class Draft:
    """A pipeline as it was written."""

    name: str
    version: int
    title: str
    takes: str | None
    timeout_s: float
    parallelism: int
    stages: tuple[StageDraft, ...] = field(default=())


def shape(root: Node, faults: Faults) -> Draft | None:
    """The definition; None when it is no table. Faulty parts are left out or take a default."""
    if not isinstance(root, Table):
        faults.add(
            root.spot,
            "a pipeline is a table of fields",
            "start with `name:`, `version:` and `stages:`",
        )
        return None
    form = Form(root, PIPELINE_FIELDS, "a pipeline", faults)
    name = form.name("name", "add a name, such as `name: service`")
    form.required("version", "add `version: 1`, and count it up when the pipeline changes")
    title = form.text("title", "say what it is for", needed=False)
    takes = form.word("takes", TAKES, "") or None
    timeout = form.duration("timeout", 1.0, 90 * DAY, DAY)
    return Draft(
        name=name.value if name else "unnamed",
        version=form.whole("version", 1, 1_000_000, 1),
        title=title.value if title else "",
        takes=takes,
        timeout_s=timeout.value,
        parallelism=form.whole("parallelism", 1, 64, 4),
        stages=_stages(form, timeout.value),
    )


def _stages(form: Form, total: float) -> tuple[StageDraft, ...]:
    remedy = "list the stages, each beginning with `- id:`"
    node = form.required("stages", remedy)
    if isinstance(node, Sequence) and not node.items:
        form.faults.add(node.spot, "there are no stages", remedy)
    stages = each(form.items("stages", remedy), lambda item: _stage(item, form.faults))
    if len(stages) > MAX_STAGES:
        form.faults.add(
            form.key("stages"),
            f"there are {len(stages)} stages",
            f"{MAX_STAGES} are the most; split the pipeline",
        )
    for stage in stages:
        if stage.timeout.value > total:
            form.faults.add(
                stage.timeout.spot,
                f"`{stage.id.value}` may take {short(stage.timeout.value)}, longer than the whole "
                f"pipeline with {short(total)}",
                "shorten the stage's timeout, or lengthen the pipeline's",
            )
    return tuple(stages)


def _stage(node: Node, faults: Faults) -> StageDraft | None:
    if not isinstance(node, Table):
        faults.add(node.spot, "a stage is a table of fields", "write `- id: ...`")
        return None
    form = Form(node, STAGE_FIELDS, "a stage", faults)
    name = form.name("id", "give it an id, such as `id: plan`")
    if name and name.value in RESERVED:
        faults.add(name.spot, f"`{name.value}` is a reserved word", "choose another id")
    inputs, keys = _inputs(form)
    return StageDraft(
        spot=form.spot,
        id=name or Marked("", form.spot),
        capability=form.text("capability", "say what it does, such as `capability: plan`"),
        agents=_agents(form),
        needs=_needs(form),
        inputs=inputs,
        input_keys=keys,
        gates=tuple(form.words("gates", "list gates, such as `[tests, types]`")),
        when=_condition(form, "when"),
        asks=tuple(each(form.items("asks", "list the asks"), lambda item: _ask(item, faults))),
        timeout=form.duration("timeout", 1.0, 30 * DAY, 1800.0),
        retries=_retries(form),
        continue_on_failure=form.flag("continue_on_failure", default=False),
    )


def _agents(form: Form) -> tuple[Marked[str], ...]:
    """A slot is an agent, or a list: when the first fails for good the next takes over."""
    if isinstance(form.node("agent"), Sequence):
        found = form.words("agent", "list agents, such as `[careful, builtin]`")
    else:
        one = form.text("agent", "name an agent, or leave it out for the built-in", needed=False)
        found = [] if one is None else [one]
    seen: set[str] = set()
    for one in found:
        _check_agent(form, one, seen)
    if len(found) > MAX_AGENTS:
        form.faults.add(
            form.key("agent"), f"there are {len(found)} agents", f"{MAX_AGENTS} are the most"
        )
    return tuple(found) or (Marked("builtin", form.key("agent")),)


def _check_agent(form: Form, one: Marked[str], seen: set[str]) -> None:
    if not NAME.match(one.value):
        form.faults.add(
            one.spot,
            f"`{one.value[:60]}` is no agent slot",
            "write a name such as `builtin`, or a list of names that take over one after the other",
        )
    elif one.value in seen:
        form.faults.add(
            one.spot, f"`{one.value}` is in the slot twice", "each agent has its retries already"
        )
    seen.add(one.value)


def _needs(form: Form) -> tuple[Marked[Dependency], ...]:
    remedy = "list stages, such as `[plan]`, or `{stage: plan, on: completed}`"
    return tuple(each(form.items("needs", remedy), lambda item: _need(item, form, remedy)))


def _need(node: Node, form: Form, remedy: str) -> Marked[Dependency] | None:
    match node:
        case Scalar(spot, str() as name):
            return Marked(Dependency(name), spot)
        case Table():
            inner = Form(node, NEED_FIELDS, "a dependency", form.faults)
            stage = inner.text("stage", "name the stage it waits for")
            on = When(inner.word("on", tuple(When), When.SUCCESS))
            return Marked(Dependency(stage.value, on), stage.spot) if stage else None
        case _:
            form.wrong("needs", node, "a list of stages", remedy)
            return None


def _inputs(form: Form) -> tuple[dict[str, Marked[InputRef | Literal]], dict[str, Spot]]:
    table = form.table("inputs", "write `field: stage.path`, one a line")
    if table is None:
        return {}, {}
    found = {
        name: given
        for name, node in table.fields.items()
        if (given := _input(node, form.faults)) is not None
    }
    return found, dict(table.keys)


def _input(node: Node, faults: Faults) -> Marked[InputRef | Literal] | None:
    if isinstance(node, Table):
        return _input_table(node, faults)
    found = _reference(node, faults)
    return Marked(found.value, found.spot) if found else None


def _input_table(node: Table, faults: Faults) -> Marked[InputRef | Literal] | None:
    form = Form(node, INPUT_FIELDS, "an input", faults)
    value, source, otherwise = (form.node(name) for name in ("value", "from", "otherwise"))
    if (value is None) == (source is None):
        faults.add(
            node.spot,
            "an input is either a `value` or taken `from` a stage",
            "write `{value: ...}` or `{from: plan.digest, otherwise: ...}`",
        )
        return None
    if value is not None:
        if otherwise is not None:
            faults.add(otherwise.spot, "a `value` has no `otherwise`", "delete `otherwise`")
        return Marked(Literal(plain(value)), value.spot)
    found = _reference(source, faults) if source is not None else None
    if found is None:
        return None
    instead = Literal(plain(otherwise)) if otherwise is not None else None
    return Marked(InputRef(found.value.source, found.value.path, instead), found.spot)


def _reference(node: Node, faults: Faults) -> Marked[InputRef] | None:
    match node:
        case Scalar(spot, str() as text) if _PATH.match(text):
            source, *path = text.split(".")
            return Marked(InputRef(source, tuple(path)), spot)
        case Scalar():
            message = f"`{str(node.value)[:60]}` does not say where the value comes from"
        case _:
            message = "this does not say where the value comes from"
    faults.add(
        node.spot,
        message,
        "write a stage and a field of its result, as `plan.digest`; a fixed value is "
        "`{value: ...}`",
    )
    return None


def _condition(form: Form, name: str) -> Marked[Condition] | None:
    found = form.text(name, "write a condition, such as `plan.has_service`", needed=False)
    if found is None:
        return None
    try:
        return Marked(parse(found.value), found.spot)
    except (ConditionError, RecursionError) as error:
        message = str(error) if isinstance(error, ConditionError) else "it is nested too deeply"
        form.faults.add(
            found.spot,
            f"`{name}` is no condition: {message}",
            'compare a path with a literal, as `plan.risk == "high"`, joined by `and`, `or`, `not`',
        )
        return None


def _retries(form: Form) -> RetryPolicy:
    default = RetryPolicy()
    node = form.node("retries")
    if not isinstance(node, Table):
        return RetryPolicy(form.whole("retries", 0, 20, default.retries))
    inner = Form(node, RETRY_FIELDS, "`retries`", form.faults)
    base = inner.duration("base", 0.001, 3600.0, default.base)
    maximum = inner.duration("maximum", 0.001, DAY, max(default.maximum, base.value))
    if maximum.value < base.value:
        inner.faults.add(
            maximum.spot,
            f"`maximum` is {short(maximum.value)}, shorter than `base` with {short(base.value)}",
            "make `maximum` at least `base`",
        )
    return RetryPolicy(inner.whole("retries", 0, 20, default.retries), base.value, maximum.value)


def _ask(node: Node, faults: Faults) -> AskDraft | None:
    if not isinstance(node, Table):
        faults.add(node.spot, "an ask is a table of fields", "write `- id: ...`")
        return None
    form = Form(node, ASK_FIELDS, "an ask", faults)
    name = form.name("id", "give it an id, such as `id: accept-risk`")
    question = form.text("question", "write the question as a person should read it")
    when = _condition(form, "when")
    subject = _subject(form)
    options, accept, default = _options(form)
    rule = AskRule(
        id=name.value if name else "",
        question=question.value if question else "",
        when=when.value if when else None,
        subject=tuple(one.value for one in subject),
        options=options,
        accept=accept,
        deadline_s=form.duration("deadline", 60.0, 365 * DAY, 7 * DAY).value,
        default=default,
    )
    return AskDraft(rule, name.spot if name else form.spot, when, subject)


def _subject(form: Form) -> tuple[Marked[InputRef], ...]:
    remedy = "list what is decided on, such as `[plan.digest]`: the decision is bound to it"
    form.required("subject", remedy)
    found = each(form.items("subject", remedy), lambda item: _reference(item, form.faults))
    node = form.node("subject")
    if isinstance(node, Sequence) and not node.items:
        form.faults.add(node.spot, "`subject` is empty", remedy)
    return tuple(found)


def _options(form: Form) -> tuple[tuple[str, ...], str, str]:
    given = form.words("options", "list the choices, such as `[approve, reject]`")
    options = tuple(one.value for one in given) or ("approve", "reject")
    if form.has("options") and len(set(options)) < max(2, len(options)):
        form.faults.add(
            form.key("options"), "there must be two choices or more, all different", "add a choice"
        )
    chosen = []
    for name, fallback in (("accept", "approve"), ("default", "reject")):
        found = form.text(name, f"name one of the options as `{name}`", needed=False)
        choice = found.value if found else fallback
        if choice not in options:
            form.faults.add(
                found.spot if found else form.key("options"),
                f"`{name}` is `{choice}`, which is none of the options",
                f"use one of {', '.join(options)}",
            )
        chosen.append(choice)
    return options, chosen[0], chosen[1]

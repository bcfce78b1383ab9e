"""Inputs, conditions, gates and asks of the stages, checked against the contracts' types."""

from __future__ import annotations

from collections.abc import Iterator

from pydantic.fields import FieldInfo

from shipway.contracts.registry import CONTRACTS, Contract
from shipway.domain.conditions import Comparison, Condition, comparisons
from shipway.domain.pipeline import InputRef, Literal
from shipway.engine.pipelines import fitting, truth
from shipway.engine.pipelines.fitting import NULL, Kind, Kinds
from shipway.engine.pipelines.order import Order
from shipway.engine.pipelines.shape import StageDraft
from shipway.engine.pipelines.submission import values_for
from shipway.specs.placed.faults import Faults, Spot, choices, did_you_mean
from shipway.specs.placed.form import Marked

ORDERED = {"<", "<=", ">", ">="}


class Wiring:
    """Checks one stage after another; what a stage may look at depends on where it stands."""

    def __init__(self, order: Order, takes: str | None, faults: Faults) -> None:
        self._order = order
        self._run = (Kind("model", model=values_for(takes)),)
        self._faults = faults

    def check(self, stage: StageDraft) -> None:
        contract = self._contract(stage)
        sight = Sight(stage.id.value, self._order, self._run, self._faults)
        if contract is not None:
            _Inputs(stage, contract, sight, self._faults).check()
            self._gates(stage, contract)
        if stage.when is not None:
            self._condition("when", stage.when, sight)
        for ask in stage.asks:
            for subject in ask.subject:
                sight.leads_to(subject.value.source, subject.value.path, subject.spot)
            if ask.when is not None:
                self._condition("when", ask.when, sight)

    def _contract(self, stage: StageDraft) -> Contract | None:
        found = stage.capability
        if found is None:
            return None
        contract = CONTRACTS.get(found.value)
        if contract is None:
            self._faults.add(
                found.spot,
                f"there is no capability `{found.value[:60]}`",
                did_you_mean(found.value, CONTRACTS),
            )
        return contract

    def _gates(self, stage: StageDraft, contract: Contract) -> None:
        named: set[str] = set()
        for gate in stage.gates:
            if not contract.gates:
                message = f"`{contract.capability}` has no gates"
                self._faults.add(gate.spot, message, "delete `gates`")
            elif gate.value not in contract.gates:
                self._faults.add(
                    gate.spot,
                    f"`{contract.capability}` has no gate `{gate.value[:60]}`",
                    did_you_mean(gate.value, contract.gates),
                )
            if gate.value in named:
                self._faults.add(gate.spot, f"`{gate.value[:60]}` stands here twice", "keep one")
            named.add(gate.value)

    def _condition(self, name: str, condition: Marked[Condition], sight: Sight) -> None:
        kinds: dict[tuple[str, ...], Kinds] = {}
        sound = True
        for comparison in comparisons(condition.value):
            found = sight.leads_to(comparison.path[0], comparison.path[1:], condition.spot)
            if found is None:
                sound = False
                continue
            kinds[comparison.path] = found
            sound = self._comparison(comparison, found, condition.spot) and sound
        always = truth.verdict(condition.value, kinds) if sound else None
        if always is not None:
            self._faults.add(
                condition.spot,
                f"`{name}` is {'always' if always else 'never'} true",
                "delete it" if always else "delete the stage or mend the condition",
            )

    def _comparison(self, comparison: Comparison, kinds: Kinds, spot: Spot) -> bool:
        shown = ".".join(comparison.path)
        if comparison.op in ORDERED:
            fine = _numeric(kinds) and _is_number(comparison.literal)
            if not fine:
                self._faults.add(
                    spot,
                    f"`{comparison.op}` compares numbers, but `{shown}` is {fitting.say(kinds)}"
                    if not _numeric(kinds)
                    else f"`{shown} {comparison.op}` needs a number after it",
                    "use `==`, `!=` or `in`" if not _numeric(kinds) else "write a number",
                )
            return fine
        wrong = [one for one in truth.literals(comparison) if not _possible(one, kinds)]
        for literal in wrong:
            self._impossible(shown, literal, kinds, spot)
        return not wrong

    def _impossible(self, shown: str, literal: object, kinds: Kinds, spot: Spot) -> None:
        words = [str(value) for kind in kinds for value in kind.values or ()]
        if isinstance(literal, str) and words:
            remedy = did_you_mean(literal, words)
        elif literal is True:
            remedy = f"compare it, as `{shown} == ...`"
        else:
            remedy = f"compare it with {fitting.say(kinds)}"
        said = fitting.say((Kind("text", values=(literal,)),)).removeprefix("one of ")
        self._faults.add(
            spot, f"`{shown}` is {fitting.say(kinds)}, so it is never {said[:60]}", remedy
        )


class Sight:
    """What one stage may look at: the submission, and results of the stages before it."""

    def __init__(self, stage: str, order: Order, run: Kinds, faults: Faults) -> None:
        self._stage = stage
        self._order = order
        self._run = run
        self._faults = faults
        self.before = order.before(stage) - {stage} if stage in order.stages else frozenset()
        self.sure = order.sure(stage) if stage in order.stages else set()

    def leads_to(self, source: str, path: tuple[str, ...], spot: Spot) -> Kinds | None:
        """The type there, with null when the source may have no result; None after a fault."""
        root = self.root(source, spot)
        if root is None:
            return None
        if not path:
            self._faults.add(
                spot, f"`{source}` alone is no value", f"name a field, as `{source}.…`"
            )
            return None
        found = fitting.follow(root, path)
        if isinstance(found, str):
            self._no_step(source, path, found, root, spot)
            return None
        return found if source == "run" or source in self.sure else (*found, NULL)

    def root(self, source: str, spot: Spot) -> Kinds | None:
        if source == "run":
            return self._run
        if source not in self._order.stages:
            known = sorted(self.before | {"run"})
            self._faults.add(
                spot, f"there is no stage `{source[:60]}`", did_you_mean(source, known)
            )
            return None
        if source == self._stage:
            self._faults.add(spot, "a stage cannot see its own result", "name an earlier stage")
            return None
        if source not in self.before:
            self._faults.add(
                spot,
                f"`{source}` is not over when `{self._stage}` starts",
                f"add `{source}` to its `needs`",
            )
            return None
        return result_of(self._order.stages[source])

    def offers(self) -> Iterator[tuple[str, Kinds]]:
        """Every value within sight that is sure to be there, nearest first."""
        yield from self._fields("run", self._run)
        near = sorted(self.sure, key=lambda name: (-len(self._order.before(name)), name))
        for name in near:
            yield from self._fields(name, result_of(self._order.stages[name]) or ())

    def elsewhere(self, name: str, wanted: Kinds) -> str | None:
        """A stage that this one could wait for, whose result has such a field."""
        for other in self._order.stages:
            if other == self._stage or self._stage in self._order.before(other):
                continue
            found = fitting.follow(result_of(self._order.stages[other]) or (), (name,))
            if not isinstance(found, str) and found and not fitting.misfits(found, wanted):
                return other
        return None

    def _fields(self, source: str, kinds: Kinds) -> Iterator[tuple[str, Kinds]]:
        for kind in kinds:
            for name, field in (kind.model.model_fields if kind.model else {}).items():
                yield f"{source}.{name}", fitting.of_field(field)

    def _no_step(
        self, source: str, path: tuple[str, ...], step: str, root: Kinds, spot: Spot
    ) -> None:
        reached = fitting.follow(root, path[: path.index(step)])
        known = fitting.steps(reached) if not isinstance(reached, str) else []
        self._faults.add(
            spot,
            f"`{'.'.join((source, *path))}` does not exist: nothing is called `{step}` there",
            did_you_mean(step, known),
        )


class _Inputs:
    """The inputs of one stage against the request that its capability takes."""

    def __init__(self, stage: StageDraft, contract: Contract, sight: Sight, faults: Faults) -> None:
        self._stage = stage
        self._fields: dict[str, FieldInfo] = dict(contract.request.model_fields)
        self._capability = contract.capability
        self._sight = sight
        self._faults = faults

    def check(self) -> None:
        for name, spot in self._stage.input_keys.items():
            if name not in self._fields:
                self._faults.add(
                    spot,
                    f"`{self._capability}` takes no input `{name[:60]}`",
                    did_you_mean(name, self._fields),
                )
        for name, field in self._fields.items():
            given = self._stage.inputs.get(name)
            if given is not None:
                self._fits(name, field, given)
            elif field.is_required() and name not in self._stage.input_keys:
                self._missing(name, field)

    def _fits(self, name: str, field: FieldInfo, given: Marked[InputRef | Literal]) -> None:
        match given.value:
            case Literal(value):
                self._literal(name, field, value, given.spot)
            case InputRef() as reference:
                self._reference(name, field, reference, given.spot)

    def _reference(self, name: str, field: FieldInfo, reference: InputRef, spot: Spot) -> None:
        source, path = reference.source, reference.path
        found = self._sight.leads_to(source, path, spot)
        if found is None:
            return
        if reference.otherwise is not None:
            self._literal(name, field, reference.otherwise.value, spot)
        unsure = source != "run" and source not in self._sight.sure
        if unsure and reference.otherwise is None and field.is_required():
            self._faults.add(
                spot,
                f"`{source}` may have no result when `{self._stage.id.value}` starts, and "
                f"`{name}` is required",
                f"say what stands in: `{name}: {{from: {reference}, otherwise: ...}}`",
            )
        if unsure:
            found = found[:-1]
        wanted = fitting.of_field(field)
        wrong = fitting.misfits(found, wanted)
        if wrong:
            self._faults.add(
                spot,
                f"`{name}` must be {fitting.say(wanted)}, but `{reference}` "
                f"{'may be' if len(wrong) < len(found) else 'is'} {fitting.say(wrong)}",
                self._suggestion(name, wanted),
            )

    def _literal(self, name: str, field: FieldInfo, value: object, spot: Spot) -> None:
        fault = fitting.literal_fault(value, field)
        if fault is not None:
            wanted = fitting.say(fitting.of_field(field))
            self._faults.add(spot, f"this is no value for `{name}`: {fault}", f"write {wanted}")

    def _missing(self, name: str, field: FieldInfo) -> None:
        wanted = fitting.of_field(field)
        self._faults.add(
            self._stage.id.spot,
            f"`{self._stage.id.value}` lacks the input `{name}` ({fitting.say(wanted)})",
            self._suggestion(name, wanted),
        )

    def _suggestion(self, name: str, wanted: Kinds) -> str:
        fitting_ones = [
            path for path, kinds in self._sight.offers() if not fitting.misfits(kinds, wanted)
        ]
        same_name = [path for path in fitting_ones if path.endswith(f".{name}")]
        if same_name:
            return f"write `{name}: {same_name[-1]}` in its inputs"
        elsewhere = self._sight.elsewhere(name, wanted)
        if elsewhere:
            return f"add `{elsewhere}` to its `needs` and write `{name}: {elsewhere}.{name}`"
        if fitting_ones:
            return f"something that fits is {choices(fitting_ones[-3:])}"
        return f"no result before it fits; add a dependency, or write `{name}: {{value: ...}}`"


def result_of(stage: StageDraft) -> Kinds | None:
    """The type of a stage's result; None when its capability is unknown (a fault of its own)."""
    contract = CONTRACTS.get(stage.capability.value) if stage.capability else None
    return (Kind("model", model=contract.result),) if contract else None


def _numeric(kinds: Kinds) -> bool:
    return any(kind.of in {"integer", "number"} for kind in kinds)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _possible(literal: object, kinds: Kinds) -> bool:
    """Whether something of these kinds can be equal to the literal."""
    return any(_may_equal(literal, kind) for kind in kinds)


def _may_equal(literal: object, kind: Kind) -> bool:
    if kind.of == "anything":
        return True
    if kind.values is not None:
        return literal in kind.values
    match literal:
        case None:
            return kind == NULL
        case bool():
            return kind.of == "boolean"
        case int() | float():
            return kind.of in {"integer", "number"}
        case _:
            return kind.of == "text"

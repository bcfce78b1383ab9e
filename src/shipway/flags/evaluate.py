"""What somebody gets of a flag, and why: never an error, never a wait, the same every time."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from shipway.flags.bucketing import BUCKETS, WHICH, WHO, bucketing, chosen
from shipway.flags.flag import Attribute, Condition, Flag, Serve, Value, buckets_of


class Reason(StrEnum):
    """Why it is this variant, in OpenFeature's words."""

    STATIC = "STATIC"
    TARGETING_MATCH = "TARGETING_MATCH"
    SPLIT = "SPLIT"
    DEFAULT = "DEFAULT"
    DISABLED = "DISABLED"
    ERROR = "ERROR"


@dataclass(frozen=True, slots=True)
class Context:
    """Who asks, and about what; whatever is not known is left out."""

    user: str | None = None
    roles: tuple[str, ...] = ()
    repository: str | None = None
    environment: str | None = None
    run: str | None = None


NOBODY = Context()


@dataclass(frozen=True, slots=True)
class Evaluation:
    """``problem`` says what is wrong when the reason is ERROR."""

    value: Value
    variant: str | None
    reason: Reason
    problem: str | None = None


Evaluator = Callable[[Context], Evaluation]
_Serving = Callable[[Context], Evaluation]


def evaluator(flag: Flag) -> Evaluator:
    """The flag made ready: everything that does not depend on who asks is decided here, once."""
    outcomes = {
        reason: {name: Evaluation(value, name, reason) for name, value in flag.variants.items()}
        for reason in Reason
    }
    if not flag.enabled:
        off = outcomes[Reason.DISABLED][flag.default]
        return lambda _context: off
    last = _serving(flag, flag.serve, outcomes, Reason.STATIC)
    rules = [
        (
            [_condition(one) for one in rule.when],
            _serving(flag, rule.serve, outcomes, Reason.TARGETING_MATCH),
        )
        for rule in flag.rules
    ]
    if not rules:
        return last

    def evaluate(context: Context) -> Evaluation:
        for conditions, serve in rules:
            if all(holds(context) for holds in conditions):
                return serve(context)
        return last(context)

    return evaluate


def _serving(
    flag: Flag,
    serve: Serve,
    outcomes: Mapping[Reason, Mapping[str, Evaluation]],
    fixed: Reason,
) -> _Serving:
    """Who gets what of one ``serve``. Whoever cannot be told apart gets the default."""
    if serve.variant is not None and serve.percent is None:
        same = outcomes[fixed][serve.variant]
        return lambda _context: same
    read, who = _READ[flag.unit], bucketing(flag.salt, flag.key, WHO)
    missing = outcomes[Reason.DEFAULT][flag.default]
    outside, inside = outcomes[Reason.SPLIT][flag.default], outcomes[Reason.SPLIT]
    split = [(name, buckets_of(share)) for name, share in (serve.split or {}).items()]
    if serve.variant is not None or serve.percent is None:
        # A rollout is a split with one share: both compare the same bucket with the same bounds.
        shares = split or [(serve.variant or "", buckets_of(serve.percent or 0.0))]
        return lambda context: (
            missing
            if not (unit := read(context))
            else inside[name]
            if (name := chosen(who(unit), shares))
            else outside
        )
    part, which = [("part", buckets_of(serve.percent))], bucketing(flag.salt, flag.key, WHICH)

    def experiment(context: Context) -> Evaluation:
        unit = read(context)
        if not unit:
            return missing
        if not chosen(who(unit), part):
            return outside
        name = chosen(which(unit), split)
        return inside[name] if name else outside

    return experiment


def unit_of(flag: Flag, context: Context) -> str | None:
    """What tells this context apart for this flag, if it is known."""
    return _READ[flag.unit](context)


def _condition(condition: Condition) -> Callable[[Context], bool]:
    wanted, excluded = frozenset(condition.values), condition.excluded
    if condition.attribute == "role":
        return lambda context: wanted.isdisjoint(context.roles) == excluded
    read = _READ[condition.attribute]
    return lambda context: (read(context) in wanted) != excluded


_READ: dict[Attribute, Callable[[Context], str | None]] = {
    "user": lambda context: context.user,
    "role": lambda context: context.roles[0] if context.roles else None,
    "repository": lambda context: context.repository,
    "environment": lambda context: context.environment,
    "run": lambda context: context.run,
}

assert BUCKETS == 100 * 100  # noqa: S101 - a percentage has two decimals

"""``shipway flag``: what is switched on for whom, and who changed it when and why."""

from __future__ import annotations

import sys
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any

import click

from shipway.cli.command import Command, Group, speaks
from shipway.cli.lines import Field, Part
from shipway.cli.output import Output, one_line, write
from shipway.cli.session import opened_flags, person
from shipway.errors import UsageError

if TYPE_CHECKING:
    from shipway.flags.flag import Condition, Flag, Rule, Serve

WHY = click.option("--why", default="", help="The reason, for the history.")
ATTRIBUTES = ("user", "role", "repository", "environment", "run")


@click.group(
    cls=Group,
    examples=(
        "shipway flag list",
        "shipway flag rollout gates.mutants 25 --why 'slow on large suites'",
        "shipway flag set engine.parallelism --variant half",
    ),
)
@speaks
def flag(output: Output) -> None:
    """List, set and roll out feature flags."""


@flag.command("list", cls=Command, examples=("shipway flag list", "shipway flag list --json"))
@speaks
def list_flags(output: Output) -> None:
    """List every flag: who gets what, who owns it, until when."""
    from shipway.cli.render import Screen

    with opened_flags() as board:
        flags = list(board.all().values())
    if output.json:
        output.emit([_told(one) for one in flags])
        return
    rows = [
        [
            Part(one.key, "bold"),
            Part(_state(one), "" if one.enabled else "yellow"),
            Part(one_line(one.owner)),
            Part(_until(one), "red" if one.is_expired(_today()) else "dim"),
            Part(one_line(one.about)),
        ]
        for one in flags
    ]
    heads = ("flag", "who gets what", "owner", "until", "what it is for")
    Screen(sys.stdout, output.color).table(heads, rows, give=4)
    expired = [one.key for one in flags if one.is_expired(_today())]
    if expired:
        output.note(f"expired, to be decided for good and removed: {', '.join(expired)}")


@flag.command("get", cls=Command, examples=("shipway flag get gates.mutants",))
@click.argument("key")
@click.option("--for", "who", metavar="USER", help="What this user gets, and why.")
@click.option("--repository", help="Of which repository.")
@click.option("--role", "roles", multiple=True, help="With this role; may be repeated.")
@speaks
def get(
    output: Output, key: str, who: str | None, repository: str | None, roles: list[str]
) -> None:
    """Show one flag, and what somebody would get."""
    from shipway.flags.evaluate import Context, evaluator

    with opened_flags() as board:
        found = board.get(key)
    told = _told(found)
    if who or repository or roles:
        got = evaluator(found)(Context(user=who, repository=repository, roles=tuple(roles)))
        told["evaluation"] = {"value": got.value, "variant": got.variant, "reason": got.reason}
    _show(output, told, found)


@flag.command(
    "set",
    cls=Command,
    examples=(
        "shipway flag set engine.parallelism --variant half --why 'the disk is slow today'",
        "shipway flag set gates.proof --kill",
        "shipway flag set new.editor --create --about 'the new editor' --owner web --expires 2027-01-31",
        "shipway flag set new.editor --when role=admin --variant on",
        "shipway flag set colour --split red=50,blue=50",
    ),
)
@click.argument("key")
@click.option("--variant", help="What is served (with --when: to those).")
@click.option("--split", help="Shares of variants, such as red=50,blue=50.")
@click.option(
    "--when", "conditions", multiple=True, help="ATTRIBUTE=VALUE[,VALUE] or !=; repeatable."
)
@click.option("--forget-rules", is_flag=True, help="Remove all rules before.")
@click.option("--kill/--revive", "killed", default=None, help="Everybody gets the default, or not.")
@click.option("--unit", type=click.Choice(ATTRIBUTES), help="What shares are divided by.")
@click.option("--create", is_flag=True, help="A new flag.")
@click.option("--variants", help="Of a new flag, such as red=#f00,blue=#00f (default: on and off).")
@click.option("--about", help="What it is for.")
@click.option("--owner", help="Who decides about it.")
@click.option("--expires", type=click.DateTime(["%Y-%m-%d"]), help="Until when it is needed.")
@WHY
@speaks
def set_flag(output: Output, key: str, why: str, create: bool, **given: Any) -> None:
    """Change a flag or, with --create, make one; seen by all processes within a second."""
    from shipway.flags.editing import Edit

    with opened_flags() as board:
        before = None if create else board.get(key)
        killed = given["killed"]
        edit = Edit(
            enabled=None if killed is None else not killed,
            serve=None if given["conditions"] else _serve(given),
            rules=_rules(before, given),
            variants=_variants(given["variants"]),
            unit=given["unit"],
            about=given["about"],
            owner=given["owner"],
            expires=given["expires"].date() if given["expires"] else None,
        )
        if edit == Edit():
            raise UsageError("nothing to change was named", hint="see: shipway flag set --help")
        act = board.create if create else board.change
        found = act(key, edit, person(), why)
    _show(output, _told(found), found)


@flag.command(
    "rollout",
    cls=Command,
    examples=(
        "shipway flag rollout new.editor 10",
        "shipway flag rollout new.editor 50 --why 'no complaints'",
    ),
)
@click.argument("key")
@click.argument("percent", type=click.FloatRange(0, 100))
@click.option("--variant", help="Which variant, when it is not on.")
@WHY
@speaks
def rollout(output: Output, key: str, percent: float, variant: str | None, why: str) -> None:
    """Give a flag to a share of users; raising it takes nobody out."""
    from shipway.flags.editing import rollout as rolled_out

    with opened_flags() as board:
        found = board.change(key, rolled_out(board.get(key), percent, variant), person(), why)
    _show(output, _told(found), found)


@flag.command("history", cls=Command, examples=("shipway flag history gates.mutants",))
@click.argument("key")
@speaks
def history(output: Output, key: str) -> None:
    """Show who changed a flag, when and why; newest first."""
    from shipway.cli.render import Screen

    with opened_flags() as board:
        changes = board.history(key)
    if output.json:
        output.emit(
            [
                {"at": _time(one.at), "by": one.by, "why": one.why, "flag": _told(one.flag)}
                for one in changes
            ]
        )
        return
    if not changes:
        write(sys.stdout, f"{key} was never changed\n")
        return
    rows = [
        [
            Part(_time(one.at), "dim"),
            Part(str(one.flag.version)),
            Part(one_line(one.by), "bold"),
            Part(_state(one.flag)),
            Part(one_line(one.why)),
        ]
        for one in changes
    ]
    Screen(sys.stdout, output.color).table(("when", "version", "who", "what", "why"), rows, give=4)


# -- reading what was typed -------------------------------------------------------------------


def _serve(given: dict[str, Any]) -> Serve | None:
    from shipway.flags.editing import served

    if given["variant"] is None and given["split"] is None:
        return None
    split = {name: _number(share) for name, share in _pairs(given["split"], "--split")}
    return served(given["variant"], split or None)


def _rules(before: Flag | None, given: dict[str, Any]) -> tuple[Rule, ...] | None:
    from shipway.flags.flag import Rule

    if not given["conditions"]:
        return () if given["forget_rules"] else None
    serve = _serve(given)
    if serve is None:
        raise UsageError("--when needs --variant or --split", hint="what do those get?")
    kept = () if before is None or given["forget_rules"] else before.rules
    return (*kept, Rule(when=tuple(map(_condition, given["conditions"])), serve=serve))


def _condition(text: str) -> Condition:
    from shipway.flags.flag import Condition

    name, sign, values = text.partition("=")
    excluded = name.endswith("!")
    attribute = name.removesuffix("!").strip()
    if not sign or not values or attribute not in ATTRIBUTES:
        raise UsageError(
            "--when should be ATTRIBUTE=VALUE[,VALUE], or != for all others",
            hint=f"attributes are {', '.join(ATTRIBUTES)}",
        )
    listed = tuple(one.strip() for one in values.split(",") if one.strip())
    return Condition(attribute=attribute, values=listed, excluded=excluded)  # type: ignore[arg-type]  # looked at above


def _variants(text: str | None) -> dict[str, Any] | None:
    return {name: _value(value) for name, value in _pairs(text, "--variants")} or None


def _pairs(text: str | None, option: str) -> list[tuple[str, str]]:
    parts = [one.partition("=") for one in (text or "").split(",") if one.strip()]
    if any(not sign for _, sign, _ in parts):
        raise UsageError(f"{option} should be NAME=VALUE,NAME=VALUE")
    return [(name.strip(), value.strip()) for name, _, value in parts]


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise UsageError("a share should be a number, such as 12.5") from None


def _value(text: str) -> bool | int | float | str:
    if text in {"true", "false"}:
        return text == "true"
    try:
        return int(text) if text.lstrip("-").isdigit() else float(text)
    except ValueError:
        return text


# -- telling ----------------------------------------------------------------------------------


def _told(found: Flag) -> dict[str, Any]:
    return found.model_dump(mode="json") | {"expired": found.is_expired(_today())}


def _show(output: Output, told: dict[str, Any], found: Flag) -> None:
    from shipway.cli.render import Screen

    if output.json:
        output.emit(told)
        return
    screen = Screen(sys.stdout, output.color)
    rows = [
        Field("flag", [Part(found.key, "bold"), Part(f"  version {found.version}", "dim")]),
        Field("for", [Part(one_line(found.about))], prose=True),
        Field("serves", [Part(_state(found), "" if found.enabled else "yellow")]),
        *(
            Field("rule", [Part(f"{_conditions(rule)}: {_serving(rule.serve, found)}")])
            for rule in found.rules
        ),
        Field(
            "variants",
            [Part(", ".join(f"{name} = {value}" for name, value in found.variants.items()))],
        ),
        Field("owner", [Part(one_line(found.owner))]),
        Field("until", [Part(_until(found))]),
    ]
    if "evaluation" in told:
        got = told["evaluation"]
        rows.append(
            Field("gets", [Part(f"{got['variant']}", "bold"), Part(f"  {got['reason']}", "dim")])
        )
    screen.fields(rows)


def _state(found: Flag) -> str:
    if not found.enabled:
        return f"killed: {found.default} for everybody"
    return _serving(found.serve, found)


def _serving(serve: Serve, found: Flag) -> str:
    split = ", ".join(f"{name} {share:g} %" for name, share in (serve.split or {}).items())
    if serve.percent is None:
        return split or f"{serve.variant}"
    return (
        f"{serve.variant or split} for {serve.percent:g} % (by {found.unit}), else {found.default}"
    )


def _conditions(rule: Rule) -> str:
    return " and ".join(
        f"{one.attribute} {'not ' if one.excluded else ''}in {', '.join(one.values)}"
        for one in rule.when
    )


def _until(found: Flag) -> str:
    return f"{found.expires}{' expired' if found.is_expired(_today()) else ''}"


def _today() -> date:
    return datetime.now(UTC).date()


def _time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")

"""Reads `.shipway/policy.yaml` of the base: whole, or with every fault, its place and its remedy."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Collection
from datetime import date
from importlib import resources
from pathlib import PurePosixPath
from typing import TypeVar

from shipway.domain.policy import (
    POLICY,
    PROTECTED,
    REPORTS,
    SUITES,
    THRESHOLDS,
    Policy,
    PolicyCommand,
    Quarantine,
    Waiver,
)
from shipway.errors import ConfigurationError
from shipway.specs.placed import reading
from shipway.specs.placed.faults import Fault, Faults, Spot, did_you_mean
from shipway.specs.placed.form import Form, each
from shipway.specs.placed.reading import Node, Scalar, Table

FIELDS = (
    "version", "required", "advisory", "thresholds", "waivers", "quarantine", "tests",
    "tests_reason", "commands", "requirements", "prepare", "test", "scope", "protected", "golden",
    "holdout", "licences", "advisories", "suite",
)  # fmt: skip
WAIVER = ("gate", "digest", "approver", "reason", "expires")
QUARANTINE = ("test", "owner", "reason", "expires")
COMMAND = ("gate", "run", "counts", "report", "format", "timeout")
_DIGEST = re.compile(r"^[0-9a-f]{40}([0-9a-f]{24})?$")
_START = "start with `version: 1`"

T = TypeVar("T")


def schema() -> str:
    """The JSON Schema that editors check a policy with."""
    return (resources.files(__package__) / "policy.schema.json").read_text("utf-8")


def read(data: bytes, gates: Collection[str], where: str = POLICY) -> Policy:
    """The policy in ``data``; ``gates`` are the known ones. Raises ConfigurationError with all faults."""
    faults = Faults(where, "policy")
    policy = _read(data, gates, faults)
    if policy is None or faults:
        raise _refusal(where, faults.listed())
    return policy


def faults_of(data: bytes, gates: Collection[str], where: str = POLICY) -> list[Fault]:
    """Everything that is wrong with it, in its order."""
    faults = Faults(where, "policy")
    _read(data, gates, faults)
    return faults.listed()


def _read(data: bytes, gates: Collection[str], faults: Faults) -> Policy | None:
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        faults.add(Spot(line, 1), "this is not UTF-8 text", "save the file as UTF-8")
        return None
    root = reading.read(text, faults, _START)
    if root is None:
        return None
    if not isinstance(root, Table):
        faults.add(root.spot, "a policy is a table of fields", _START)
        return None
    return _Policy(Form(root, FIELDS, "a policy", faults), gates, faults).made(data)


class _Policy:
    """One policy being read; faulty parts are left out, since the whole is refused then."""

    def __init__(self, form: Form, gates: Collection[str], faults: Faults) -> None:
        self.form = form
        self.faults = faults
        self.known = set(gates)

    def made(self, data: bytes) -> Policy:
        form = self.form
        form.required("version", _START)
        form.whole("version", 1, 1, 1)
        commands = self._tables("commands", self._command)
        self.known |= {one.gate for one in commands}
        required, advisory = self._gates("required"), self._gates("advisory")
        for name in sorted(required & advisory):
            self.faults.add(
                form.key("advisory"), f"`{name}` is required and advisory", "keep it in one list"
            )
        no_tests, tests = self._tests()
        suite, within = self._suite()
        return Policy(
            required=required,
            advisory=advisory,
            thresholds=self._thresholds(),
            waivers=self._tables("waivers", self._waiver),
            quarantine=self._tables("quarantine", self._quarantine),
            no_tests=no_tests,
            tests=tests,
            suite=suite,
            within=within,
            commands=commands,
            requirements=self._words("requirements"),
            prepare=self._words("prepare"),
            test=self._words("test"),
            scope=self._words("scope"),
            protected=(*PROTECTED, *self._words("protected")),
            golden=self._words("golden"),
            holdout=self._absolute("holdout"),
            licences=self._words("licences"),
            advisories=self._source(),
            digest=hashlib.sha256(data).hexdigest(),
            source=f"{POLICY} of the base",
        )

    # -- lists --------------------------------------------------------------------------------

    def _words(self, name: str) -> tuple[str, ...]:
        return tuple(one.value for one in self.form.words(name, "write a list: `[one, two]`"))

    def _absolute(self, name: str) -> tuple[str, ...]:
        """Directories that are in no repository."""
        found = self.form.words(name, "write a list: `[/one, /two]`")
        for one in found:
            if not PurePosixPath(one.value).is_absolute():
                self.faults.add(
                    one.spot, f"`{name}` must be outside the repository",
                    "write the whole path of a directory, from /",
                )  # fmt: skip
        return tuple(one.value for one in found)

    def _source(self) -> str | None:
        """Where advisories are: outside the repository, since whoever makes a change may write there."""
        table = self.form.table("advisories", "write `advisories: {source: /srv/osv/all.zip}`")
        if table is None:
            return None
        form = Form(table, ("source",), "advisories", self.faults)
        source = form.text("source", "write the whole path of a directory or zip of OSV records")
        if source is None:
            return None
        if not PurePosixPath(source.value).is_absolute():
            self.faults.add(
                source.spot, "`source` must be outside the repository",
                "write the whole path of a directory or zip, from /",
            )  # fmt: skip
        return source.value

    def _gates(self, name: str) -> frozenset[str]:
        found = self.form.words(name, "write a list of gates: `[tests, lint]`")
        for one in found:
            if one.value not in self.known:
                self.faults.add(
                    one.spot, f"there is no gate `{one.value[:60]}`",
                    did_you_mean(one.value, self.known),
                )  # fmt: skip
        return frozenset(one.value for one in found)

    def _tests(self) -> tuple[str | None, tuple[str, ...]]:
        """``tests: none`` with a reason, or globs of what is a test."""
        node = self.form.node("tests")
        reason = self.form.text("tests_reason", "say why in a sentence", needed=False)
        if isinstance(node, Scalar) and node.value == "none":
            if reason is None:
                self.faults.add(
                    node.spot, "`tests: none` needs a reason",
                    "add `tests_reason:` with a sentence that says why nothing can be tested",
                )  # fmt: skip
            return (reason.value if reason else None), ()
        if reason is not None:
            self.faults.add(
                reason.spot, "`tests_reason` goes with `tests: none` only", "delete one of the two"
            )
        return None, self._words("tests")

    def _suite(self) -> tuple[str, tuple[str, ...]]:
        """Which test modules are run: all or those concerned, and where they are looked for."""
        table = self.form.table("suite", "write `suite: {select: concerned}`")
        if table is None:
            return SUITES[0], ()
        form = Form(table, ("select", "within"), "a suite", self.faults)
        within = form.words("within", "write a list of globs: `[tests/unit]`")
        return form.word("select", SUITES, SUITES[0]), tuple(one.value for one in within)

    def _thresholds(self) -> dict[str, float]:
        table = self.form.table("thresholds", "write `name: number` below it")
        if table is None:
            return {}
        Form(table, tuple(THRESHOLDS), "thresholds", self.faults)
        found = {}
        for name, node in table.fields.items():
            value = node.value if isinstance(node, Scalar) else None
            if isinstance(value, bool) or not isinstance(value, int | float) or value < 0:
                self.faults.add(
                    node.spot, f"`{name}` must be a number of 0 or more", "write `80` or `0.5`"
                )
            elif name in {"coverage", "changed_coverage", "mutation"} and value > 100:
                self.faults.add(node.spot, f"`{name}` is above 100 %", "choose 0 to 100")
            else:
                found[name] = float(value)
        return found

    # -- tables -------------------------------------------------------------------------------

    def _tables(self, name: str, read: Callable[[Table], T | None]) -> tuple[T, ...]:
        def one(node: Node) -> T | None:
            if isinstance(node, Table):
                return read(node)
            self.form.wrong(name, node, "a list of tables", "begin each with `- `")
            return None

        return tuple(each(self.form.items(name, "write a list; each entry begins with `- `"), one))

    def _waiver(self, table: Table) -> Waiver | None:
        form = Form(table, WAIVER, "a waiver", self.faults)
        gate = form.text("gate", "name the gate that it is for")
        digest = form.text("digest", "copy the digest that `shipway check` shows for the gate")
        approver = form.text("approver", "name the person who answers for it")
        reason = form.text("reason", "say why in a sentence")
        expires = self._date(form)
        if gate is not None and gate.value not in self.known:
            self.faults.add(
                gate.spot, f"there is no gate `{gate.value[:60]}`",
                did_you_mean(gate.value, self.known),
            )  # fmt: skip
        if digest is not None and not _DIGEST.match(digest.value):
            self.faults.add(
                digest.spot,
                "`digest` is no digest",
                "it has 64 hexadecimal digits, or 40 for a tree",
            )
        if gate and digest and approver and reason and expires:
            return Waiver(gate.value, digest.value, approver.value, reason.value, expires)
        return None

    def _quarantine(self, table: Table) -> Quarantine | None:
        form = Form(table, QUARANTINE, "a quarantine", self.faults)
        test = form.text("test", "name the test as pytest does: tests/test_a.py::test_b")
        owner = form.text("owner", "name the person who mends it")
        reason = form.text("reason", "say in a sentence what is known")
        expires = self._date(form)
        if test and owner and reason and expires:
            return Quarantine(test.value, owner.value, reason.value, expires)
        return None

    def _date(self, form: Form) -> str | None:
        """A day that must come, so that nothing is waived for ever."""
        found = form.text("expires", "write a day: `2030-01-31`")
        if found is None:
            return None
        try:
            return date.fromisoformat(found.value).isoformat()
        except ValueError:
            self.faults.add(found.spot, "`expires` is no day", "write it as `2030-01-31`")
            return None

    def _command(self, table: Table) -> PolicyCommand | None:
        form = Form(table, COMMAND, "a command", self.faults)
        gate = form.name("gate", "give it a name that reports can show")
        form.required("run", "write the command as a list: `[make, check]`")
        run = tuple(one.value for one in form.words("run", "write a list: `[make, check]`"))
        counts = form.text("counts", "a pattern with one group that is a number", needed=False)
        timeout = form.duration("timeout", 1.0, 86400.0, 900.0)
        if gate is not None and gate.value in self.known:
            self.faults.add(gate.spot, f"`{gate.value}` is a gate already", "choose another name")
        if counts is not None and not _counts(counts.value):
            self.faults.add(
                counts.spot, "`counts` is no pattern with exactly one group",
                "write a regular expression such as `(\\d+) passed`",
            )  # fmt: skip
        if form.has("run") and not run:
            self.faults.add(form.key("run"), "`run` is empty", "write a list: `[make, check]`")
        report, form_of = self._report(form)
        if gate is None or not run:
            return None
        wanted = counts.value if counts else None
        return PolicyCommand(gate.value, run, wanted, report, form_of, timeout.value)

    def _report(self, form: Form) -> tuple[str | None, str | None]:
        """The file that the command writes, and what is in it; both or neither."""
        report = form.text("report", "name the file that it writes, from the top", needed=False)
        if report is None:
            if form.has("format"):
                self.faults.add(
                    form.key("format"), "`format` goes with `report:` only",
                    "name the file that the command writes under `report:`",
                )  # fmt: skip
            return None, None
        path = PurePosixPath(report.value)
        if path.is_absolute() or ".." in path.parts:
            self.faults.add(report.spot, "`report` leads out of the tree", "name a file inside it")
        if form.required("format", f"add `format:` with one of {', '.join(REPORTS)}") is None:
            return None, None
        return report.value, form.word("format", REPORTS, REPORTS[0])


def _counts(pattern: str) -> bool:
    try:
        return re.compile(pattern).groups == 1
    except re.error:
        return False


def _refusal(where: str, faults: list[Fault]) -> ConfigurationError:
    count = f"{len(faults)} fault{'s' if len(faults) != 1 else ''}"
    return ConfigurationError(
        "\n".join([f"the policy cannot be used: {count}", *map(str, faults)]),
        hint=f"mend each and commit {POLICY} to the base: the candidate's copy does not count",
        details={
            "faults": [
                {
                    "file": one.file, "line": one.line, "column": one.column,
                    "message": one.message, "remedy": one.remedy,
                }
                for one in faults
            ]
        },
    )  # fmt: skip

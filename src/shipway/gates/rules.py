"""Gates that need no tool: what the commits say, where the change may reach, how large files are."""

from __future__ import annotations

import re
from pathlib import Path

from shipway import __version__
from shipway.contracts.evidence import Finding, GateEvidence, Measurement
from shipway.domain.gates import Verdict
from shipway.domain.policy import matches
from shipway.gates.comparison import Comparison
from shipway.gates.gate import Rule
from shipway.gates.look import Record, evidence
from shipway.gates.parsers.reading import Reading

SUBJECT = 72
_UNFINISHED = re.compile(r"(?i)^(wip\b|fixup!|squash!|amend!|tmp\b|\.+$|x+$)")


def _record(gate: str) -> Record:
    return Record(gate, "shipway", __version__, reproduce=f"shipway check --gate {gate}")


def _say(
    comparison: Comparison, record: Record, examined: int, found: list[Finding], good: str
) -> GateEvidence:
    reading = Reading(examined, found, {"examined": examined, "findings": len(found)})
    if found:
        more = f" and {len(found) - 1} more" if len(found) > 1 else ""
        summary = f"{found[0].message}{more}"
        return evidence(comparison.head.bench, record, Verdict.FAIL, summary, reading)
    return evidence(comparison.head.bench, record, Verdict.PASS, good, reading)


# -- message ----------------------------------------------------------------------------------


def _messages(comparison: Comparison) -> list[str]:
    return [part.strip() for part in comparison.message.split("\0") if part.strip()]


def _select_message(comparison: Comparison) -> tuple[bool, str]:
    count = len(_messages(comparison))
    return bool(count), f"{count} commits have something to say" if count else "no commit yet"


def _judge_message(comparison: Comparison) -> GateEvidence:
    messages = _messages(comparison)
    found = [
        Finding(
            rule="commit-message",
            message=f"{fault}: {one.splitlines()[0][:80]}",
            severity="warning",
        )
        for one in messages
        for fault in _faults(one.splitlines())
    ]
    return _say(comparison, _record("message"), len(messages), found, f"{len(messages)} commits")


def _faults(lines: list[str]) -> list[str]:
    faults = []
    if len(lines[0]) > SUBJECT:
        faults.append(f"the subject is longer than {SUBJECT} characters")
    if _UNFINISHED.match(lines[0]):
        faults.append("the subject says that it is not finished")
    if len(lines) > 1 and lines[1].strip():
        faults.append("no empty line below the subject")
    return faults


# -- scope ------------------------------------------------------------------------------------


def _select_scope(comparison: Comparison) -> tuple[bool, str]:
    if not comparison.policy.scope:
        return False, "the policy lets changes reach everywhere"
    return True, "the policy says where changes may reach"


def _judge_scope(comparison: Comparison) -> GateEvidence:
    found = [
        Finding(rule="out-of-scope", message=f"{path} is outside what changes may touch", path=path)
        for one in comparison.changes
        for path in sorted({one.path, one.before or one.path})
        if not matches(path, comparison.policy.scope)
    ]
    good = f"{len(comparison.changes)} changed files, all within scope"
    return _say(comparison, _record("scope"), len(comparison.changes), found, good)


# -- file size --------------------------------------------------------------------------------


def _select_size(comparison: Comparison) -> tuple[bool, str]:
    here = [one for one in comparison.changes if not one.is_gone]
    return bool(here), f"{len(here)} files came or changed" if here else "files only went away"


def _judge_size(comparison: Comparison) -> GateEvidence:
    limit = comparison.policy.threshold("file_size_kb")
    largest, found, examined = 0.0, [], 0
    for one in comparison.changes:
        if one.is_gone:
            continue
        examined += 1
        size = _kilobytes(comparison.head.bench.tree / one.path)
        before = _kilobytes(comparison.base.bench.tree / one.before) if one.before else 0.0
        largest = max(largest, size)
        if size > limit and size > before:
            found.append(
                Finding(
                    rule="file-size", path=one.path,
                    message=f"{one.path} has {size:.0f} KiB, more than {limit:.0f}",
                )
            )  # fmt: skip
    said = _say(
        comparison,
        _record("file-size"),
        examined,
        found,
        f"{examined} files, the largest {largest:.0f} KiB",
    )
    measured = [
        Measurement(name="largest file", value=round(largest, 1), unit="KiB", threshold=limit)
    ]
    ask = f"{found[0].message}: does it belong into the repository?" if found else None
    return said.model_copy(update={"measurements": measured, "ask": ask})


def _kilobytes(place: Path) -> float:
    return place.lstat().st_size / 1024 if place.is_symlink() or place.is_file() else 0.0


SCOPE = Rule(_select_scope, _judge_scope)
FILE_SIZE = Rule(_select_size, _judge_size)
MESSAGE = Rule(_select_message, _judge_message)

"""Advisories: OSV records held against packages, and a planted one in the gate."""

from __future__ import annotations

import json
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from comparing import SHOP
from hypothesis import given
from hypothesis import strategies as st

from shipway.domain.gates import Verdict
from shipway.domain.policy import Policy
from shipway.gates import advisories, dependencies, locked
from shipway.gates.osv import PYPI, Package, key, look
from shipway.gates.parsers.reading import UnreadableReportError

NAMED = {"package": {"ecosystem": PYPI, "name": "Ini_Config"}}


def record(name: str, *affected: dict[str, Any], **more: Any) -> dict[str, Any]:
    given = {"id": name, "modified": "2026-01-02T03:04:05Z", "summary": "it breaks"}
    return given | {"affected": list(affected)} | more


def ranged(*events: tuple[str, str], kind: str = "ECOSYSTEM", **package: str) -> dict[str, Any]:
    said = [{name: version} for name, version in events]
    return {
        "package": {"ecosystem": PYPI, "name": "iniconfig"} | package,
        "ranges": [{"type": kind, "events": said}],
    }


def zipped(path: Path, *records: dict[str, Any]) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for one in records:
            archive.writestr(f"{one['id']}.json", json.dumps(one))
    return path


# -- versions and ranges ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("affected", "hit"),
    [
        (ranged(("introduced", "0")), True),
        (ranged(("introduced", "0"), ("fixed", "2.0.0")), False),
        (ranged(("introduced", "0"), ("fixed", "2.0.1")), True),
        (ranged(("introduced", "2.0.1")), False),
        (ranged(("fixed", "1.0"), ("introduced", "0"), ("introduced", "2.0rc1")), True),
        (ranged(("introduced", "0"), ("last_affected", "2.0.0")), True),
        (ranged(("introduced", "0"), ("last_affected", "1.9.9")), False),
        (ranged(("introduced", "0"), ("limit", "2.0")), False),
        (ranged(("introduced", "0"), kind="GIT"), False),
        (NAMED | {"versions": ["2.0.0"]}, False),
        ({"package": {"ecosystem": PYPI, "name": "IniConfig"}, "versions": ["2.0.0"]}, True),
        (ranged(("introduced", "0"), name="other"), False),
        (ranged(("introduced", "0"), ecosystem="npm"), False),
    ],
)
def test_a_version_is_affected_as_the_record_says(tmp_path, affected, hit) -> None:
    (tmp_path / "one.json").write_text(json.dumps(record("OSV-1", affected)), encoding="utf-8")
    source = look(tmp_path, [Package(PYPI, "iniconfig", "2.0.0")])
    assert source.records == 1
    assert [one.id for one in source.found] == (["OSV-1"] if hit else [])


def test_withdrawn_records_say_nothing_and_incomparable_ones_are_no_finding_for_sure(
    tmp_path,
) -> None:
    place = zipped(
        tmp_path / "all.zip",
        record("OSV-1", ranged(("introduced", "0")), withdrawn="2026-01-01T00:00:00Z"),
        record("OSV-2", ranged(("introduced", "long ago"))),
    )
    found = look(place, [Package(PYPI, "iniconfig", "2.0.0")]).found
    assert [(one.id, one.sure) for one in found] == [("OSV-2", False)]
    assert "cannot be told" in str(found[0])


@pytest.mark.parametrize("data", ['{"id": "OSV-1", "affected": [{"package": {"name": "inic', "[]"])
def test_a_record_that_is_cut_off_or_none_is_no_source(tmp_path, data) -> None:
    (tmp_path / "one.json").write_text(data, encoding="utf-8")
    with pytest.raises(UnreadableReportError, match=r"one\.json"):
        look(tmp_path, [Package(PYPI, "iniconfig", "2.0.0")])


def test_an_archive_that_is_cut_off_is_no_source(tmp_path) -> None:
    place = zipped(tmp_path / "all.zip", record("OSV-1", ranged(("introduced", "0"))))
    place.write_bytes(place.read_bytes()[:-30])
    with pytest.raises(UnreadableReportError, match="cannot be read"):
        look(place, [Package(PYPI, "iniconfig", "2.0.0")])


NUMBERS = st.tuples(*[st.integers(0, 30)] * 3)


@given(NUMBERS, NUMBERS)
def test_versions_are_in_the_order_of_their_numbers_and_those_to_come_lie_before(
    one, other
) -> None:
    def dotted(numbers: tuple[int, ...]) -> str:
        return ".".join(map(str, numbers))

    for ecosystem, early in (("npm", "-rc.1"), (PYPI, "rc1")):
        assert (key(ecosystem, dotted(one)) < key(ecosystem, dotted(other))) == (one < other)
        assert key(ecosystem, dotted(one) + early) < key(ecosystem, dotted(one))
    assert key("npm", dotted(one) + "-rc.2") < key("npm", dotted(one) + "-rc.10")


# -- the gate ---------------------------------------------------------------------------------

LOCK = {
    "lockfileVersion": 3,
    "packages": {
        "": {"name": "shop", "version": "1.0.0"},
        "node_modules/left": {"version": "1.2.3"},
        "node_modules/left/node_modules/@in/ner": {"version": "0.1.0"},
    },
}


def test_other_stacks_are_read_from_their_locks_and_only_what_is_new_counts(
    compare, tmp_path
) -> None:
    base = {"package.json": "{}", "package-lock.json": json.dumps(LOCK)}
    more = LOCK | {"packages": LOCK["packages"] | {"node_modules/right": {"version": "2.0.0"}}}
    place = zipped(
        tmp_path / "all.zip",
        record("OSV-old", ranged(("introduced", "0.0.1"), ecosystem="npm", name="@in/ner")),
        record(
            "OSV-new",
            ranged(("introduced", "0"), ("fixed", "2.0.1"), ecosystem="npm", name="right"),
            aliases=["CVE-2026-1"],
        ),
    )
    change = {"package-lock.json": json.dumps(more)}
    comparison = compare(change, base=base, policy=Policy(advisories=str(place)))
    assert advisories.RULE.select(comparison)[0]
    seen = advisories.RULE.judge(comparison)
    assert seen.verdict is Verdict.FAIL
    assert [one.rule for one in seen.findings] == ["OSV-new"]
    assert "right 2.0.0 (CVE-2026-1): it breaks; mended in 2.0.1" in seen.summary
    assert seen.counts == {"packages": 3, "records": 2, "known": 1, "new": 1}
    assert seen.examined == 3
    assert len(seen.inputs["advisories"]) == 64


def test_locks_of_rust_and_go_name_packages(tmp_path) -> None:
    (tmp_path / "Cargo.lock").write_text(
        '[[package]]\nname = "mine"\nversion = "0.1.0"\n\n[[package]]\nname = "serde"\n'
        'version = "1.0.2"\nsource = "registry+https://example.org"\n'
    )
    (tmp_path / "go.mod").write_text(
        "module example.org/shop\n\ngo 1.22\n\nrequire (\n\texample.org/a v1.2.3 // indirect\n)\n"
    )
    assert locked.packages(tmp_path) == [
        Package("Go", "example.org/a", "1.2.3"), Package("crates.io", "serde", "1.0.2"),
    ]  # fmt: skip
    (tmp_path / "Cargo.lock").write_text("[[package]\n")
    with pytest.raises(UnreadableReportError, match=r"Cargo\.lock"):
        locked.packages(tmp_path)


def test_a_planted_advisory_speaks_against_what_a_python_project_installs(
    compare, tmp_path
) -> None:
    place = tmp_path / "osv"
    place.mkdir()
    planted = record("OSV-1", ranged(("introduced", "0"), ("fixed", "2.0.1")))
    (place / "one.json").write_text(json.dumps(planted), encoding="utf-8")
    comparison = compare({"requirements.txt": "iniconfig==2.0.0\n"}, base=SHOP)
    seen = advisories.RULE.judge(comparison)
    assert seen.verdict is Verdict.NOT_RUN
    assert "advisories: {source: ...}" in seen.summary
    licences = dependencies.RULE.judge(comparison)
    assert (licences.verdict, licences.examined) == (Verdict.PASS, 1)

    comparison = replace(comparison, policy=Policy(advisories=str(tmp_path / "nowhere")))
    assert advisories.RULE.judge(comparison).verdict is Verdict.NOT_RUN
    comparison = replace(comparison, policy=Policy(advisories=str(place)))
    seen = advisories.RULE.judge(comparison)
    assert seen.verdict is Verdict.FAIL
    assert "OSV-1 iniconfig 2.0.0: it breaks; mended in 2.0.1" in seen.summary
    (place / "one.json").unlink()
    assert advisories.RULE.judge(comparison).verdict is Verdict.NOT_RUN

"""The report as a person meets it: complete, safe against what it shows, loading nothing."""

from __future__ import annotations

import base64
import hashlib
import itertools
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
import run_records as records

from shipway.cli.words import sign
from shipway.domain.states import ICONS, RunStatus, StageStatus
from shipway.report import make
from shipway.report.page import duration, size_of

KINDS = ["succeeded", "failed_gate", "waiting", "conflict", "running"]
VERSIONS = {"shipway": "0.1.0", "python": "3.11.9"}
HOSTILE = "<script>alert(1)</script>\"'><img src=x onerror=alert(1)>{{ 7*7 }}</style></pre>"


def html_of(detail, shelf) -> str:
    return make(detail, shelf.read, records.at(detail.summary.seconds), VERSIONS).html.decode()


def page(kind: str) -> str:
    shelf = records.Shelf()
    return html_of(getattr(records, kind)(shelf), shelf)


class Reading(HTMLParser):
    """Tags and attributes as a browser sees them, and the text a person reads."""

    VOID = frozenset({"meta", "br", "img", "link", "input", "hr"})

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.open: list[str] = []
        self.text = ""
        self.feed(html)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, {name: value or "" for name, value in attrs}))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append((tag, {name: value or "" for name, value in attrs}))

    def handle_endtag(self, tag):
        assert self.open, f"</{tag}> closes nothing"
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open[-1:] not in (["style"], ["script"]):
            self.text += f" {data}"


@pytest.mark.parametrize("kind", KINDS)
def test_the_page_is_well_formed_and_loads_nothing(kind: str):
    html = page(kind)
    seen = Reading(html)
    assert seen.open == []
    names = {tag for tag, _ in seen.tags}
    assert not names & {"script", "link", "img", "iframe", "object", "embed", "form", "base"}
    for tag, attributes in seen.tags:
        assert "style" not in attributes, "the policy forbids inline styles"
        assert not any(name.startswith("on") for name in attributes)
        assert "src" not in attributes
        if "href" in attributes:
            local = ("#", "change.patch", "evidence.json", "http://127.0.0.1")
            assert attributes["href"].startswith(local), (tag, attributes)
    assert "url(http" not in html
    assert "@import" not in html


def test_the_policy_allows_exactly_the_one_style_sheet():
    html = page("succeeded")
    policy = re.search(r'Content-Security-Policy" content="([^"]+)"', html)[1]
    style = re.search(r"<style>(.*?)</style>", html, re.DOTALL)[1]
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    assert policy == (
        f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    )


@pytest.mark.parametrize("kind", KINDS)
def test_ids_are_unique_and_every_section_link_leads_somewhere(kind: str):
    seen = Reading(page(kind))
    ids = [attributes["id"] for _, attributes in seen.tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    links = [a["href"][1:] for _, a in seen.tags if a.get("href", "").startswith("#")]
    assert set(links) <= set(ids)


@pytest.mark.parametrize("kind", KINDS)
def test_headings_are_in_order(kind: str):
    levels = [int(tag[1]) for tag, _ in Reading(page(kind)).tags if re.fullmatch(r"h[1-6]", tag)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(b - a <= 1 for a, b in itertools.pairwise(levels))


def test_a_success_says_where_the_service_answers_and_what_was_merged():
    text = Reading(page("succeeded")).text
    for words in (
        "Done", "http://127.0.0.1:43117", "library-7", "c0ffee111111", "squash",
        "/srv/repositories/library", "shipway release stop library-7", "4242",
    ):  # fmt: skip
        assert words in text


def test_a_failed_gate_says_first_why_it_stopped_and_what_to_type():
    html = page("failed_gate")
    assert html.index("Why it stopped") < html.index("Where the time went")
    text = Reading(html).text
    assert "2 answers differ from the document" in text
    assert "curl -X GET http://127.0.0.1:40021/loans/3f2a" in text
    assert "app/routes/loans.py:88" in html
    assert "310 examined" in text
    for verdict in ("PASS", "FAIL", "NOT_RUN", "not applicable"):
        assert verdict in text


def test_a_waiting_run_asks_its_question_with_a_command_for_each_choice():
    text = Reading(page("waiting")).text
    assert "Deploy the rest?" in text
    assert "shipway decide 128/accept-unimplemented approve" in text
    assert "shipway decide 128/accept-unimplemented reject" in text
    assert "approve|reject" not in text
    assert "2026-03-11 09:30:00 UTC" in text
    assert "POST /books/import" in text


def test_a_conflict_names_the_files_and_shows_the_end_of_the_log():
    text = Reading(page("conflict")).text
    assert "app/routes/loans.py, tests/test_loans.py" in text
    assert "Automatic merge failed" in text


def test_a_decision_that_was_made_is_kept_with_its_maker():
    shelf = records.Shelf()
    detail = records.waiting(shelf)
    ask = detail.asks[0].model_copy(
        update={"answered": "approve", "answered_by": "ada", "answered_at": records.at(99),
                "comment": "fine for now"}
    )  # fmt: skip
    text = Reading(html_of(detail.model_copy(update={"asks": [ask]}), shelf)).text
    assert "Decisions" in text
    assert "by ada" in text
    assert "fine for now" in text


def hostile_run(shelf: records.Shelf):
    """Everything that others write is hostile: titles, texts, findings, paths, patches."""
    bad = records.gate(
        "lint", verdict="FAIL", summary=HOSTILE, command=[HOSTILE], tool=HOSTILE,
        tool_version=HOSTILE, counts={HOSTILE: 1}, inputs={HOSTILE: HOSTILE}, reproduce=HOSTILE,
        findings=[{"rule": HOSTILE, "message": HOSTILE + "\u202e\x1b[31m", "path": HOSTILE,
                   "line": 1, "severity": "error", "reproduce": HOSTILE}],
    )  # fmt: skip
    error = {
        "code": "GATE", "category": "permanent", "message": HOSTILE, "recovery": "x",
        "hint": HOSTILE, "step": HOSTILE, "log_tail": HOSTILE, "reproduce": HOSTILE,
    }  # fmt: skip
    patch = records.PATCH.replace("Nothing is here yet.", HOSTILE).replace("logo.png", HOSTILE)
    readable = shelf.put(f"# {HOSTILE}\n\n[x](javascript:alert(1)) ![y](http://e.example/y.png)"
                         f"\n\n{HOSTILE}\n", "plan.md")  # fmt: skip
    found = records.stages(
        shelf,
        plan=records.stage(
            "plan", "passed", [], [records.attempt(1, 0, 1, 2)],
            result=records.plan_result(
                shelf, readable=readable, title=HOSTILE, unimplemented_count=1,
                unimplemented=[{"operation": HOSTILE, "reason": HOSTILE}],
            ),
        ),
        scaffold=records.stage("scaffold", "passed", ["plan"], [records.attempt(1, 2, 3, 4)],
                               result=records.candidate(shelf, patch), doing=HOSTILE),
        validate=records.stage(
            "validate", "failed", ["scaffold"],
            [records.attempt(1, 4, 5, 6, status="failed", error=error)],
            result=records.report(bad), error=error, reason=HOSTILE,
        ),
    )  # fmt: skip
    return records.run(
        shelf, found, "failed",
        summary={"title": HOSTILE, "repository": HOSTILE},
        requirement_text=HOSTILE + "\u202e hidden \x00",
        stop={"code": "GATE", "message": HOSTILE, "hint": HOSTILE, "next_commands": [HOSTILE]},
    )  # fmt: skip


def test_hostile_text_is_shown_and_never_becomes_markup():
    shelf = records.Shelf()
    html = html_of(hostile_run(shelf), shelf)
    seen = Reading(html)
    assert seen.open == []
    assert not {tag for tag, _ in seen.tags} & {"script", "img"}
    assert not any(name.startswith("on") for _, attributes in seen.tags for name in attributes)
    assert not any(a.get("href", "").startswith("javascript") for _, a in seen.tags)
    assert "{{ 7*7 }}" in seen.text
    assert html.count("<style>") == 1
    for unseen in "\u202e\x1b\x00":
        assert unseen not in html
    assert "⟨U+202E⟩" in html


def test_a_service_cannot_smuggle_a_link():
    shelf = records.Shelf()
    deployed = {**records.deployment(), "url": "javascript:alert(1)"}
    found = records.stages(
        shelf,
        deploy=records.stage(
            "deploy", "passed", [], [records.attempt(1, 1, 2, 3)], result=deployed
        ),
    )
    assert 'href="javascript' not in html_of(records.run(shelf, found), shelf)


def test_a_large_change_is_cut_and_says_so():
    shelf = records.Shelf()
    lines = "".join(f"+line {number}\n" for number in range(5000))
    one = (
        f"diff --git a/big.txt b/big.txt\n--- /dev/null\n+++ b/big.txt\n@@ -0,0 +1,5000 @@\n{lines}"
    )
    many = "".join(
        f"diff --git a/f{n}.txt b/f{n}.txt\n--- /dev/null\n+++ b/f{n}.txt\n@@ -0,0 +1 @@\n+x\n"
        for n in range(300)
    )
    scaffold = records.stage("scaffold", "passed", [], [records.attempt(1, 1, 2, 3)],
                             result=records.candidate(shelf, one + many))  # fmt: skip
    html = html_of(records.run(shelf, records.stages(shelf, scaffold=scaffold)), shelf)
    text = re.sub(r"\s+", " ", Reading(html).text)
    assert "301 files" in text
    assert "+5300" in text
    assert "4601 more lines are in the patch" in text
    assert "101 more files are in the patch" in text
    assert len(html) < 500_000


def test_an_artifact_that_is_gone_is_said_and_the_rest_is_shown():
    shelf = records.Shelf()
    detail = records.succeeded(shelf)
    report = make(detail, records.Shelf().read, records.at(40), VERSIONS)
    text = Reading(report.html.decode()).text
    assert text.count("is no longer stored") == 3
    assert "library-7" in text
    assert report.diff is None


def test_a_run_whose_state_is_lost_still_has_a_report():
    shelf = records.Shelf()
    detail = records.run(
        shelf, [], "quarantined",
        stop={"code": "CORRUPT_RUN", "message": "the stored state does not match",
              "hint": "nothing else is affected", "next_commands": ["shipway run view 128 --json"]},
    )  # fmt: skip
    text = Reading(html_of(detail, shelf)).text
    assert "It was put aside" in text
    assert "shipway run view 128 --json" in text


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0, "0.0 s"), (0.44, "0.4 s"), (9.96, "10 s"), (59.6, "1 min"), (185, "3 min 5 s"),
     (7800, "2 h 10 min"), (277200, "3 d 5 h"), (86400, "1 d")],
)  # fmt: skip
def test_durations_have_two_units_at_most(seconds: float, words: str):
    assert duration(seconds) == words


@pytest.mark.parametrize(
    ("count", "words"), [(0, "0 B"), (999, "999 B"), (1834, "1.8 KB"), (2_500_000, "2.5 MB")]
)
def test_sizes(count: int, words: str):
    assert size_of(count) == words


def test_a_state_has_the_same_icon_in_glossary_drawings_and_terminal():
    glossary = (Path(__file__).resolve().parents[2] / "docs" / "GLOSSARY.md").read_text("utf-8")
    explained = dict(re.findall(r"^\| `(\w+)` \| (\S) \|", glossary, re.MULTILINE))
    assert explained == ICONS
    assert set(ICONS) == {*RunStatus, *StageStatus}
    assert {word: sign(word).icon for word in ICONS} == ICONS


def luminance(colour: str) -> float:
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("scheme", [0, 1], ids=["light", "dark"])
def test_colours_keep_the_contrast_that_people_need(scheme: int):
    found = re.findall(r"--([\w-]+): light-dark\((#\w{6}), (#\w{6})\)", page("succeeded"))
    colours = {name: (light, dark)[scheme] for name, light, dark in found}
    inks = ["text", "soft", "good", "bad", "busy", "wait"]
    grounds = ["page", "sunk", "good-sunk", "bad-sunk", "busy-sunk", "wait-sunk"]
    for ink in inks:
        for ground in grounds:
            ratio = contrast(colours[ink], colours[ground])
            assert ratio >= 4.5, f"{ink} on {ground}: {ratio:.2f}"

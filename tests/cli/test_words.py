"""What is said about a run, and how it looks on terminals of all kinds."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

import pytest
from shown import Terminal, ask, gate, report, stage, stopped

from shipway.cli import runtext, words
from shipway.cli.lines import Field, Part, plain
from shipway.cli.logs import readable
from shipway.cli.output import clean, coloured, one_line, redraws
from shipway.cli.progress import Appended, Board, progress_for
from shipway.cli.render import Screen
from shipway.domain.states import RunStatus, StageStatus

NOW = datetime(2026, 1, 2, 3, 5, 5, tzinfo=UTC)
ESCAPE = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (0, "0.0s"),
        (0.44, "0.4s"),
        (9.96, "10s"),
        (59.6, "1m 00s"),
        (65, "1m 05s"),
        (3599.9, "1h 00m"),
        (7380, "2h 03m"),
        (86400 * 3 + 4 * 3600, "3d 04h"),
        (-1, "0.0s"),
    ],
)
def test_durations_have_two_parts_at_most(seconds, said):
    assert words.duration(seconds) == said


def test_every_state_has_an_icon_a_stand_in_and_a_colour_and_running_is_blue():
    for state in [*RunStatus, *StageStatus]:
        found = words.sign(state.value)
        assert found.icon != "?", state
        assert found.plain.isascii()
        assert found.style
    assert words.sign("running").style == "blue"
    assert words.sign("never heard of it").icon == "?"


def test_ages_and_deadlines_are_said_as_people_say_them():
    assert words.ago("2026-01-02T03:04:55Z", NOW) == "just now"
    assert words.ago("2026-01-02T02:04:55Z", NOW) == "1h ago"
    assert words.left("2026-01-02T03:06:05Z", NOW) == "1m 00s left"
    assert words.left("2026-01-02T03:04:05Z", NOW) == "deadline passed"


# -- stages -------------------------------------------------------------------------------------


def line(view, width=100, *, unicode=True) -> str:
    return plain(runtext.stage_line(view, NOW, 9, width, unicode=unicode))


def test_a_running_stage_says_its_state_its_time_and_what_it_does():
    said = line(stage("validate", "running", started_at="2026-01-02T03:04:05Z", doing="pytest 4/9"))
    assert said.startswith("▶")
    assert "validate" in said
    assert "running" in said
    assert "1m 00s" in said
    assert said.endswith("pytest 4/9")


def test_a_passed_stage_counts_its_gates_and_only_the_selected_ones():
    gates = [gate("lint"), gate("types"), gate("api", None, selected=False)]
    assert line(stage("validate", "passed", gates=gates)).endswith("  2 gates passed")


def test_a_failed_stage_names_the_gate_that_did_not_pass_rather_than_the_general_error():
    gates = [gate("lint"), gate("tests", "FAIL", summary="2 of 41 failed"), gate("types", "ERROR")]
    view = stage("validate", "failed", gates=gates, error=report("the gates did not pass"))
    assert line(view).endswith("tests FAIL: 2 of 41 failed (and 1 more)")
    assert line(stage("plan", "failed", error=report("no such\nbranch"))).endswith("no such branch")


def test_a_second_attempt_is_said_and_a_first_one_is_not():
    assert "attempt 2" in line(stage("plan", "running", attempt=2))
    assert "attempt" not in line(stage("plan", "running", attempt=1))


def test_the_word_is_there_without_unicode_and_without_colour():
    said = line(stage("plan", "failed"), unicode=False)
    assert said.isascii()
    assert "failed" in said


# -- the end ------------------------------------------------------------------------------------


def fields(detail, files=None) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for field in runtext.closing(detail, files or {}):
        found.setdefault(field.label, []).append(plain(field.value))
    return found


def test_a_success_says_where_the_service_the_repository_and_the_report_are(make_run, tmp_path):
    stages = [
        stage("plan", "passed", seconds=1.0),
        stage(
            "integrate",
            "passed",
            seconds=2.0,
            result={"repository": "/r", "target": "main", "commit": "1a2b3c4d5e6f"},
        ),
        stage(
            "deploy",
            "passed",
            seconds=3.0,
            result={"url": "http://127.0.0.1:1", "service": "lib", "release": "r-1"},
        ),
    ]
    detail = make_run("succeeded", stages)
    assert plain(runtext.outcome(detail, NOW, unicode=True)) == "✓ run 12 succeeded in 1m 42s"
    found = fields(detail, {"report": tmp_path / "report.html"})
    assert found["service"] == ["http://127.0.0.1:1  lib"]
    assert found["repository"] == ["/r  main @ 1a2b3c4d5e"]
    assert found["report"] == [str(tmp_path / "report.html")]
    assert found["time"] == ["plan 1.0s, integrate 2.0s, deploy 3.0s"]
    assert found["next"] == ["shipway run view 12", "shipway release stop lib"]


def test_a_failure_says_why_it_stopped_and_what_to_type_next(make_run):
    stop = stopped(
        "GATE", "tests failed", "shipway run logs 12", "shipway run diff 12", hint="mend"
    )
    found = fields(make_run("failed", stop=stop))
    assert found["why"] == ["[GATE] tests failed"]
    assert found["hint"] == ["mend"]
    assert found["next"] == ["shipway run logs 12", "shipway run diff 12"]


def test_a_question_is_shown_with_its_options_its_deadline_and_the_exact_commands(make_run):
    found = {field.label: plain(field.value) for field in runtext.ask_fields(ask(), 12, NOW)}
    assert found["asks"].startswith("Deploy without 2 operations")
    assert found["options"] == "approve, reject (default)"
    assert 'then "reject"' in found["deadline"]
    assert runtext.ask_commands(ask(), 12) == [
        "shipway decide 12/accept-unimplemented approve",
        "shipway decide 12/accept-unimplemented reject",
    ]
    question = ask(kind="clarification", id="paging", options=["page and size", "cursor"])
    assert runtext.ask_commands(question, 12) == [
        "shipway answer 12/paging 'page and size'",
        "shipway answer 12/paging cursor",
    ]
    free = ask(kind="clarification", id="name", options=[])
    assert runtext.ask_commands(free, 12) == ["shipway answer 12/name VALUE"]


def test_the_commands_of_an_open_ask_are_said_once(make_run):
    stop = stopped("WAITING", "it waits", "shipway decide 12/accept-unimplemented approve")
    assert "next" not in fields(make_run("waiting", asks=[ask()], stop=stop))


# -- what comes from elsewhere --------------------------------------------------------------------


def test_titles_and_logs_cannot_steer_the_terminal():
    hostile = "a\x1b[2Jb\x1b]0;title\x07c\rd\x9be\u202ef\x1b[31mred\x1b[0m"
    assert clean(hostile) == "abcdefred"
    assert clean(hostile, colours=True) == "abcdef\x1b[31mred\x1b[0m"
    assert one_line("a\n\n  b\tc") == "a b c"


def test_a_log_is_told_to_people_and_lines_of_others_stay_as_they_are():
    record = '{"run":"r","event":"planning\\u001b[2J it","level":"warning","operations":3,'
    data = f'{record}"time":"2026-01-02T03:04:05.5Z"}}\n{{not json\n\x1b[31mred\x1b[0m\n'.encode()
    first, second, third, last = readable(data).split("\n")
    assert re.fullmatch(r"\d\d:\d\d:05 warning: planning it operations=3", first)
    assert (second, third, last) == ("{not json", "red", "")
    assert readable(data, colours=True).split("\n")[2] == "\x1b[31mred\x1b[0m"


def test_words_in_brackets_are_not_taken_for_markup(make_run):
    out = Terminal(tty=False)
    Screen(out).say(runtext.heading(make_run(title="[red]fix[/red] :smile: [link]")))
    assert "[red]fix[/red] :smile: [link]" in out.getvalue()


# -- streams --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("tty", "choice", "env", "expected"),
    [
        (True, "auto", {"TERM": "xterm"}, True),
        (False, "auto", {"TERM": "xterm"}, False),
        (True, "auto", {"TERM": "dumb"}, False),
        (True, "auto", {"NO_COLOR": "1"}, False),
        (True, "auto", {"NO_COLOR": ""}, True),
        (True, "auto", {"CLICOLOR": "0"}, False),
        (False, "auto", {"FORCE_COLOR": "1"}, True),
        (False, "auto", {"FORCE_COLOR": "0"}, False),
        (False, "auto", {"CLICOLOR_FORCE": "1"}, True),
        (True, "auto", {"FORCE_COLOR": "1", "NO_COLOR": "1"}, False),
        (False, "always", {"NO_COLOR": "1"}, True),
        (True, "never", {"FORCE_COLOR": "1"}, False),
    ],
)
def test_when_there_is_colour(tty, choice, env, expected):
    assert coloured(Terminal(tty=tty), choice, env) is expected


def test_lines_are_drawn_again_only_on_a_terminal_that_can(monkeypatch):
    assert redraws(Terminal(), {"TERM": "xterm"})
    assert not redraws(Terminal(), {"TERM": "dumb"})
    assert not redraws(Terminal(tty=False), {"TERM": "xterm"})
    monkeypatch.setenv("TERM", "dumb")
    assert isinstance(progress_for(Screen(Terminal()), "", quiet=False), Appended)
    monkeypatch.setenv("TERM", "xterm")
    assert isinstance(progress_for(Screen(Terminal()), "", quiet=False), Board)


def test_a_path_is_never_broken_and_prose_wraps_below_itself(monkeypatch):
    monkeypatch.setenv("COLUMNS", "40")
    monkeypatch.setenv("TERM", "xterm")
    out = Terminal()
    path = "/srv/ada/" + "x" * 60
    prose = [Part("it is a long sentence that does not fit on one line of it")]
    Screen(out, "never").fields([Field("report", [Part(path)]), Field("why", prose, prose=True)])
    lines = ESCAPE.sub("", out.getvalue()).splitlines()
    assert lines[0] == f"  report  {path}"
    assert lines[1].startswith("  why     it is a long")
    assert all(len(one) <= 40 for one in lines[1:])
    assert lines[2].startswith(" " * 10 + "s") or lines[2].startswith(" " * 10)


def test_a_table_gives_way_in_one_column_only_and_not_at_all_when_piped(monkeypatch):
    monkeypatch.setenv("COLUMNS", "40")
    rows = [[Part("12"), Part("a title that is far too long for this"), Part("succeeded")]]
    narrow, wide = Terminal(), Terminal(tty=False)
    Screen(narrow, "never").table(("run", "title", "state"), rows, give=1)
    Screen(wide, "never").table(("run", "title", "state"), rows, give=1)
    cut = ESCAPE.sub("", narrow.getvalue()).splitlines()
    assert all(len(one) <= 40 for one in cut)
    assert cut[1].startswith("12   a title")
    assert cut[1].endswith("…  succeeded")
    assert wide.getvalue().splitlines()[1] == (
        "12   a title that is far too long for this  succeeded"
    )


# -- progress -------------------------------------------------------------------------------------


class Clock:
    def __init__(self) -> None:
        self.at = NOW

    def __call__(self) -> datetime:
        return self.at


def test_piped_progress_is_one_line_for_each_change_and_greppable(make_run):
    out, clock = Terminal(tty=False), Clock()
    shown = Appended(Screen(out), clock)
    running = stage("plan", "running", started_at="2026-01-02T03:05:00Z")
    rest = [stage("validate")]
    shown.update(make_run("running", [running, *rest]))
    shown.update(make_run("running", [running, *rest]))
    shown.update(
        make_run("running", [stage("plan", "passed", seconds=5.2), stage("validate", "running")])
    )
    failed = stage("validate", "failed", seconds=12, gates=[gate("tests", "FAIL", summary="2 bad")])
    shown.update(make_run("failed", [stage("plan", "passed", seconds=5.2), failed]))
    lines = [re.sub(r"^\d\d:\d\d:\d\d ", "", one) for one in out.getvalue().splitlines()]
    assert lines == [
        "run 12  service  Library API  (01RUN)",
        "run running",
        "plan running",
        "plan passed 5.2s",
        "validate running",
        "validate failed 12s: tests FAIL: 2 bad",
        "run failed",
    ]
    assert "\x1b" not in out.getvalue()


def test_what_a_stage_does_is_said_at_most_once_a_second(make_run):
    out, clock = Terminal(tty=False), Clock()
    shown = Appended(Screen(out), clock)
    for number in range(30):
        shown.update(make_run("running", [stage("plan", "running", doing=f"step {number}")]))
        clock.at += timedelta(milliseconds=100)
    lines = [one for one in out.getvalue().splitlines() if "plan running" in one]
    assert len(lines) == 3
    assert lines[0].endswith("plan running: step 0")


def test_the_board_shows_one_line_a_stage_and_keeps_the_last_picture(make_run, monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "70")
    out = Terminal()
    with Board(Screen(out, "never"), "Ctrl-C stops") as board:
        board.update(make_run("running", [stage("plan", "running", doing="x" * 200)]))
    with Board(Screen(out, "never"), "Ctrl-C stops") as board:
        board.update(make_run("succeeded", [stage("plan", "passed", seconds=1.0)]))
    shown = [one.rstrip() for one in ESCAPE.sub("", out.getvalue()).splitlines()]
    assert any(one.endswith("x…") and len(one) <= 70 for one in shown)
    assert shown[-1].split() == ["✓", "plan", "passed", "1.0s"]


def test_a_heading_names_the_run_its_pipeline_and_its_id(make_run):
    assert plain(runtext.heading(make_run())) == "run 12  service  Library API  (01RUN)"

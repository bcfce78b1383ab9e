"""What is handed in is checked before anything starts: each fault has its own clear answer."""

from __future__ import annotations

import dataclasses
import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from shipway.cli import inputs
from shipway.cli.run import Wanted, submission_of
from shipway.engine.commands import Maker
from shipway.errors import UsageError

NOTHING = Wanted(
    spec=None,
    into=None,
    repo=None,
    requirement=None,
    title=None,
    claim=None,
    patch=None,
    agent=(),
    priority="normal",
    pipeline=None,
    target=None,
    strategy=None,
    port=0,
    accept_unimplemented=False,
    answer=(),
)


def wanted(**given):
    return dataclasses.replace(NOTHING, **given)


def refused(call, *arguments) -> UsageError:
    with pytest.raises(UsageError) as caught:
        call(*arguments)
    assert caught.value.hint
    return caught.value


def test_a_file_is_read_whole_also_with_a_space_in_its_path(tmp_path):
    path = tmp_path / "my api.yaml"
    path.write_bytes(b"openapi: 3.1.0\n")
    assert inputs.read(str(path), "--spec", 100) == (b"openapi: 3.1.0\n", "my api.yaml")


def test_a_missing_file_comes_with_what_may_have_been_meant(tmp_path):
    (tmp_path / "openapi.yaml").write_text("x")
    error = refused(inputs.read, str(tmp_path / "openapi.yml"), "--spec", 100)
    assert "no such file" in error.message
    assert "openapi.yaml" in (error.hint or "")
    assert "check the path" in (refused(inputs.read, str(tmp_path / "q"), "--spec", 9).hint or "")


def test_too_big_empty_or_a_directory_is_said_as_such(tmp_path):
    big, empty = tmp_path / "big", tmp_path / "empty"
    big.write_bytes(b"x" * (inputs.MEGABYTE + 1))
    empty.touch()
    assert "too big (more than 1 MB)" in refused(inputs.read, str(big), "-r", 1 << 20).message
    assert "too big" in refused(inputs.read, "/dev/zero", "--patch", 1 << 20).message
    assert "is empty" in refused(inputs.read, str(empty), "-r", 10).message
    assert "is a directory" in refused(inputs.read, str(tmp_path), "-r", 10).message
    assert "no name of a file" in refused(inputs.read, "a\0b", "-r", 10).message


def test_a_requirement_is_text_a_file_or_standard_input(tmp_path):
    path = tmp_path / "ticket.md"
    path.write_text("# Round half up\n")
    assert inputs.requirement("Fix it").data == b"Fix it"
    assert inputs.requirement(f"@{path}") == (b"# Round half up\n", "ticket.md")
    assert "is empty" in refused(inputs.requirement, "  \n").message
    path.write_bytes(b"\xff\xfe")
    assert "not UTF-8" in refused(inputs.requirement, f"@{path}").message
    path.write_bytes(b"a\0b")
    assert "not text" in refused(inputs.requirement, f"@{path}").message


def test_answers_and_times_are_understood_or_refused():
    assert inputs.answers(["a=1", "b=x=y"]) == {"a": "1", "b": "x=y"}
    assert "ID=VALUE" in refused(inputs.answers, ["nothing"]).message
    assert "twice" in refused(inputs.answers, ["a=1", "a=2"]).message
    assert [inputs.seconds(one) for one in ("90", "90s", "1.5m", "1h30m")] == [90, 90, 90, 5400]
    for text in ("", "0", "-5", "soon", "5 m s"):
        assert "--timeout" in refused(inputs.seconds, text).message


def test_an_agent_is_a_command_that_exists_or_a_model():
    quoted = shlex.quote(sys.executable)
    made = inputs.makers(
        [
            f"implement=command:{quoted} -c 'print(1)'",
            "implement=acp:./in/the/repository --x",
            "implement=model:some-model:7b",
        ]
    )
    assert made == (
        Maker("command", (sys.executable, "-c", "print(1)")),
        Maker("acp", ("./in/the/repository", "--x")),
        Maker("model", model="some-model:7b"),
    )
    assert inputs.makers([]) == ()
    for text in ("implement", "plan=command:x", "implement=llm:x", "implement=x"):
        assert "implement=model:NAME" in refused(inputs.makers, [text]).message
    assert "no program" in refused(inputs.makers, ["implement=command:no-such-x"]).message
    assert "is empty" in refused(inputs.makers, ["implement=command: "]).message
    assert "quotes" in (refused(inputs.makers, ["implement=command:a 'b"]).hint or "")
    assert "no name of a model" in refused(inputs.makers, ["implement=model:a b"]).message
    assert "same agent twice" in refused(inputs.makers, ["implement=model:a"] * 2).message


def test_where_a_new_repository_may_go(tmp_path):
    assert inputs.new_directory(str(tmp_path / "a" / "b"), "--into") == tmp_path / "a" / "b"
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "x").touch()
    full = refused(inputs.new_directory, str(tmp_path / "full"), "--into")
    assert "not empty and not a git repository" in full.message
    (tmp_path / "full" / ".git").mkdir()
    assert inputs.new_directory(str(tmp_path / "full"), "--into") == tmp_path / "full"
    not_one = refused(inputs.new_directory, str(tmp_path / "full" / "x"), "--into")
    assert "not a directory" in not_one.message


def test_a_document_becomes_a_submission(tmp_path):
    path = tmp_path / "api.yaml"
    text = (
        "openapi: 3.1.0\ninfo: {title: Things, version: '1'}\n"
        "paths: {/things: {get: {responses: {'200': {description: Things.}}}}}\n"
    )
    path.write_text(text)
    made = submission_of(wanted(spec=str(path), into=str(tmp_path / "new"), answer=("a=1",)))
    assert (made.kind, made.requirement, made.requirement_name) == (
        "specification",
        text.encode(),
        "api.yaml",
    )
    assert made.repository == tmp_path / "new"
    assert made.answers == {"a": "1"}
    assert made.pipeline is None


def test_a_change_becomes_a_submission(tmp_path):
    patch = tmp_path / "a.patch"
    patch.write_text("diff")
    given = {"repo": str(tmp_path), "requirement": "Fix it", "patch": str(patch), "claim": "fix"}
    made = submission_of(wanted(**given))
    assert (made.kind, made.patch, made.makers, made.claim) == ("change", b"diff", (), "fix")
    assert made.repository == tmp_path.resolve()


def test_a_pipeline_of_the_repository_is_found_by_its_name(tmp_path):
    folder = tmp_path / ".shipway" / "pipelines"
    folder.mkdir(parents=True)
    (folder / "ours.yaml").touch()
    given = {"repo": str(tmp_path), "requirement": "x", "agent": ("implement=command:git x",)}
    made = submission_of(wanted(**given, pipeline="ours"))
    assert made.pipeline == folder.resolve() / "ours.yaml" or made.pipeline == folder / "ours.yaml"
    assert submission_of(wanted(**given, pipeline="./x.yml")).pipeline == Path("x.yml")
    assert submission_of(wanted(**given, pipeline="change")).pipeline == "change"


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"repo": ".", "requirement": "x"}, "needs the change"),
        ({"repo": ".", "requirement": "x", "patch": "p", "agent": ("a",)}, "needs the change"),
        ({"repo": ".", "requirement": "-", "patch": "-"}, "cannot both be standard input"),
        ({"repo": ".", "requirement": "x", "into": "y"}, "--into does not go with --repo"),
        ({"spec": "x", "patch": "y"}, "--patch does not go with --spec"),
        ({"spec": "x", "requirement": "y"}, "--requirement does not go with --spec"),
        ({"spec": "x", "repo": "y"}, "--spec and --repo do not go together"),
        ({}, "say what to run"),
    ],
)
def test_options_that_do_not_go_together_are_refused(given, message):
    assert message in refused(submission_of, wanted(**given)).message


def test_standard_input_is_read_to_its_end(shipway, tmp_path):
    code = "from shipway.cli import inputs; print(inputs.read('-', '--spec', 99).data)"
    done = subprocess.run(
        [sys.executable, "-c", code],
        input=b"openapi: 3",
        capture_output=True,
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[2] / "src")},
        timeout=30,
        check=True,
    )
    assert done.stdout == b"b'openapi: 3'\n"


def test_a_document_split_over_files_is_handed_in_as_one(tmp_path):
    schema = "{type: object, properties: {id: {type: string}}}"
    (tmp_path / "thing.yaml").write_text(schema)
    document = tmp_path / "api.yaml"
    document.write_text(
        "openapi: 3.1.0\ninfo: {title: Things, version: '1'}\npaths:\n  /things/{id}:\n"
        "    get:\n      parameters: [{name: id, in: path, required: true, schema: {type: string}}]\n"
        "      responses:\n        '200':\n          description: It.\n"
        "          content: {application/json: {schema: {$ref: thing.yaml}}}\n"
    )
    handed_in = submission_of(wanted(spec=str(document)))
    assert b"thing.yaml" in document.read_bytes()
    assert b'"$ref": "thing.yaml"' not in handed_in.requirement
    assert b"properties" in handed_in.requirement

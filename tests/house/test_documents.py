"""What the documents say is so: errors, acceptance, commands, links, lengths."""

from __future__ import annotations

import ast
import re
import shlex
from pathlib import Path

import house_catalogue
import pytest
from house_rules import ROOT, project_files

from shipway.telemetry.failures import TABLE

DOCUMENTS = [name for name in project_files() if name.endswith(".md") and "/templates/" not in name]


# -- errors -----------------------------------------------------------------------------------


def test_the_catalogue_is_the_table_of_errors():
    page = house_catalogue.PAGE.read_text("utf-8")
    assert page == house_catalogue.written(page), "run: make map"
    assert len(re.findall(r"^\| `[A-Z_]+` \|", page, re.MULTILINE)) == len(TABLE)


# -- acceptance -------------------------------------------------------------------------------


def named_tests(text):
    return re.findall(r"`(tests/[\w/.-]+\.py)(?:::([\w:]+))?", text)


def missing_tests(text):
    """Tests that a document names and that are not there."""
    return [
        f"{path}::{name}"
        for path, name in named_tests(text)
        if not _exists(ROOT / path, name.split("::"))
    ]


def _exists(path: Path, names):
    if not path.is_file():
        return False
    body = ast.parse(path.read_text()).body
    for name in filter(None, names):
        kinds = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef
        found = [node for node in body if isinstance(node, kinds) and node.name == name]
        if not found:
            return False
        body = found[0].body
    return True


def test_every_promise_names_a_test_that_exists():
    text = (ROOT / "docs" / "ACCEPTANCE.md").read_text()
    rows = [
        line
        for line in text.splitlines()
        if line.startswith("|") and not re.match(r"\|[\s:|-]+\|?$", line)
    ]
    without = [row for row in rows if "`tests/" not in row]
    assert len(named_tests(text)) > 20
    assert not missing_tests(text)
    assert len(without) <= text.count("\n|--") + text.count("\n| --") + text.count("\n|:-"), without


@pytest.mark.parametrize(
    "cell",
    ["`tests/house/test_nothing.py::test_a`", "`tests/house/test_documents.py::test_not_there`"],
)
def test_a_promise_without_a_test_is_caught(cell):
    assert missing_tests(f"| it works | {cell} |")
    assert not missing_tests(
        "`tests/house/test_documents.py::test_a_promise_without_a_test_is_caught`"
    )


# -- decisions --------------------------------------------------------------------------------


def misnumbered(titles):
    """Records (file name -> first line) that do not say the number of their file, or share it."""
    numbers = [name[:4] for name in titles]
    for name, title in titles.items():
        if not re.match(rf"# {name[:4]} \S", title):
            yield f"{name}: begin it with: # {name[:4]} and what was decided"
        if numbers.count(name[:4]) > 1:
            yield f"{name}: another record has this number"


def test_each_decision_has_a_number_of_its_own():
    records = (ROOT / "docs" / "decisions").glob("*.md")
    assert not list(misnumbered({one.name: one.read_text().splitlines()[0] for one in records}))
    assert len(list(misnumbered({"0001-a.md": "# 0001 A", "0001-b.md": "# 2. B"}))) == 3


# -- links and commands -----------------------------------------------------------------------


def broken_links(name, text):
    for target in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", text):
        if "://" not in target and not (ROOT / name).parent.joinpath(target).exists():
            yield f"{name}: {target}"


def test_every_link_leads_somewhere():
    assert not [
        fault for name in DOCUMENTS for fault in broken_links(name, (ROOT / name).read_text())
    ]
    assert list(broken_links("README.md", "see [this](docs/nowhere.md)"))


def commands(text):
    """Every shipway command that a document shows in a fenced block."""
    for block in re.findall(r"^```(?:sh|console|bash)\n(.*?)^```", text, re.MULTILINE | re.DOTALL):
        for line in re.sub(r"\\\n\s*", "", block).splitlines():
            if re.match(r"(\$ )?(\.venv/bin/)?shipway ", line):
                yield shlex.split(line.removeprefix("$ "), comments=True)[1:]


def unknown(command):
    """What the command line does not know of a command that a document shows."""
    from shipway.cli.commands import root

    node, context = root, root.make_context("shipway", [], resilient_parsing=True)
    for word in command:
        if word.startswith("-"):
            option = word.split("=")[0]
            known = {flag for parameter in node.get_params(context) for flag in parameter.opts}
            if option not in known | {"--help", "--version"}:
                return f"shipway {shlex.join(command)}: no option {option}"
        elif hasattr(node, "get_command"):
            found = node.get_command(context, word)
            node = found or node
            if found is None and node is root:
                return f"shipway {shlex.join(command)}: no command {word}"
    return None


def test_every_command_shown_exists():
    shown = [command for name in DOCUMENTS for command in commands((ROOT / name).read_text())]
    assert len(shown) > 5
    assert not [fault for fault in map(unknown, shown) if fault]
    assert unknown(["run", "--no-such-option"])
    assert unknown(["no-such-command"])


def test_the_readme_is_short_and_has_no_badges():
    text = (ROOT / "README.md").read_text()
    assert text.count("\n") <= 150
    assert "img.shields" not in text
    assert "badge" not in text


def test_the_changelog_knows_this_version():
    from shipway import __version__

    text = (ROOT / "CHANGELOG.md").read_text()
    assert re.search(rf"^## \[{re.escape(__version__)}\]", text, re.MULTILINE)

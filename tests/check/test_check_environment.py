"""What a project needs and is known by, from every place where Python projects say so."""

from __future__ import annotations

import pytest
from checked import SHOP, gate, write

from shipway.contracts.check import Outcome
from shipway.domain.gates import Verdict
from shipway.errors import RepositoryError
from shipway.gates.declared import needs, requirement_files
from shipway.gates.installed import install
from shipway.gates.project import Project


@pytest.fixture
def place(tmp_path):
    path = tmp_path / "place"
    path.mkdir()
    return path


def wanted(tree, place, *names: str) -> str:
    project = Project("p", made=False, stack="python", requirements=names)
    return "".join(path.read_text() for path in requirement_files(project, tree, place))


def test_needs_are_gathered_from_metadata_of_every_kind(tmp_path) -> None:
    write(
        tmp_path,
        {
            "pyproject.toml": (
                '[project]\nname = "Shop-App"\ndependencies = ["a>=1"]\n'
                '[project.optional-dependencies]\ntest = ["b", "shop_app[x]"]\ndocs = ["no"]\n'
                '[tool.poetry.dependencies]\npython = "^3.11"\nc = "^1.2.3"\nd = "*"\n'
                '[tool.poetry.group.test.dependencies]\ne = {version = "~2.1"}\n'
            ),
            "setup.cfg": (
                "[options]\ninstall_requires =\n  f<3\n  # no\n[options.extras_require]\n"
                "testing =\n  g\ndocs =\n  no\n"
            ),
            "setup.py": (
                "from setuptools import setup\nWANTED = ['h', 'i>2']\n"
                "setup(install_requires=WANTED, extras_require={'dev': ['j'], 'doc': ['no']})\n"
            ),
        },
    )
    assert set(needs(tmp_path)) == {
        "a>=1", "b", "c>=1.2.3,<2", "d", "e>=2.1,<2.2", "f<3", "g", "h", "i>2", "j",
    }  # fmt: skip


def test_requirement_files_stand_alone_and_leave_the_project_itself_out(tmp_path, place) -> None:
    tree = tmp_path / "tree"
    write(
        tree,
        {
            "requirements/dev.txt": "-r base.txt\n-e .[test]\n.\n-c limits.txt\npytest # yes\n",
            "requirements/base.txt": "a\\\n>=1\n-e .[full]\n",
            "requirements/limits.txt": "a<9\nzzz<1\n",
            "tox.ini": "[testenv]\ndeps =\n  nose\n  -rx.txt\n",
            "setup.cfg": "[options.extras_require]\nfull = httpx\nother = no\n",
        },
    )
    text = wanted(tree, place, "requirements/dev.txt")
    assert "zzz" not in text
    assert "httpx" in text, "what the project's own path asks for besides"
    assert "no" not in text.splitlines()
    assert "-c constraints-limits.txt" in text
    assert (place / "constraints-limits.txt").read_text() == "a<9\nzzz<1\n"
    assert "nose" not in text
    assert "." not in text.splitlines()
    assert "nose" in wanted(tree, place)
    with pytest.raises(RepositoryError, match=r"gone\.txt"):
        wanted(tree, place, "gone.txt")


@pytest.mark.parametrize(
    "line", ["-r ../outside.txt", "-r dev.txt", "-r link.txt"], ids=["outside", "itself", "a link"]
)
def test_includes_that_lead_astray_are_refused(tmp_path, place, line) -> None:
    tree = tmp_path / "tree"
    write(tree, {"dev.txt": f"{line}\n", "../outside.txt": "a\n"})
    (tree / "link.txt").symlink_to("../outside.txt")
    with pytest.raises(RepositoryError):
        wanted(tree, place, "dev.txt")


def test_a_lock_is_the_whole_of_it(tmp_path, place) -> None:
    lock = "a==1 --hash=sha256:" + "0" * 64 + "\n"
    write(tmp_path, {"lock.txt": lock, "setup.cfg": "[options]\ninstall_requires = b\n"})
    assert wanted(tmp_path, place, "lock.txt") == lock


def test_a_checkout_looks_installed_to_plug_ins_and_versions(judge, git_repository) -> None:
    project = {
        "pyproject.toml": (
            '[project]\nname = "my-shop"\ndynamic = ["version"]\n'
            '[project.entry-points.pytest11]\nshop = "my_shop.plugin"\n'
            '[project.scripts]\nmy-shop = "my_shop.plugin:main"\n'
            '[tool.setuptools_scm]\nversion_file = "src/my_shop/_version.py"\n'
        ),
        "src/my_shop/__init__.py": (
            "from importlib.metadata import version\n\nfrom my_shop._version import __version__\n\n"
            "assert version('my-shop') == __version__\n"
        ),
        "src/my_shop/plugin.py": (
            "import pytest\n\n\n@pytest.fixture\ndef price():\n    return 3\n\n\n"
            "def main():\n    print('open')\n"
        ),
        "tests/test_plugin.py": "def test_price(price):\n    assert price == 3\n",
    }
    program = (
        "import subprocess\n\n\ndef test_open():\n"
        "    assert subprocess.check_output(['my-shop']) == b'open\\n'\n"
    )
    repository = git_repository(project, [{"tests/test_program.py": program}])
    report = judge(repository, base="HEAD~1", gates=("tests", "build"))
    assert gate(report, "build").verdict is Verdict.PASS, gate(report, "build").summary
    assert gate(report, "tests").verdict is Verdict.PASS, gate(report, "tests").summary
    assert report.outcome is Outcome.ACCEPTED


def test_what_is_there_already_is_left_alone(tmp_path) -> None:
    files = {
        "setup.py": "from setuptools import setup\nsetup(name='shop', version='1.2')\n",
        "shop-1.2.dist-info/METADATA": "mine\n",
    }
    write(tmp_path, files)
    install(tmp_path, "flat")
    assert (tmp_path / "shop-1.2.dist-info" / "METADATA").read_text() == "mine\n"
    write(tmp_path, {**SHOP, "setup.py": "this is no Python ("})
    install(tmp_path, "flat")
    assert len(list(tmp_path.glob("*.dist-info"))) == 1

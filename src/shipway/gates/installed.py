"""Makes a checkout look installed: the metadata that tests, plug-ins and `__version__` ask for."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from shipway.gates.declared import needs, read_ini, read_toml, table_of
from shipway.gates.setupcall import setup_call

UNKNOWN = "999.0"
#: Where a project's own programs are, beside its metadata; whoever runs its tests has them on the PATH.
PROGRAMS = "bin"
_OBJECT = re.compile(r"\s*([\w.]+)\s*:\s*([\w.]+)\s*(?:\[[^]]*\]\s*)?")
_VERSION = re.compile(r"""(?m)^__version__\s*(?::\s*str\s*)?=\s*['"]([0-9][^'"\s]*)['"]""")


@dataclass(frozen=True, slots=True)
class Identity:
    """A project as an installer would know it; ``entries`` maps groups to names and objects."""

    name: str
    version: str
    entries: Mapping[str, Mapping[str, str]]
    written: tuple[str, ...]


def install(tree: Path, layout: str) -> None:
    """Write what an editable installation would, beside the sources; nothing is built or run.

    Only what is missing is written, and git does not see it.
    """
    identity = _identity(tree)
    if identity is None:
        return
    root = tree / "src" if layout == "src" else tree
    name = re.sub(r"[-_.]+", "_", identity.name)
    place = root / f"{name}-{identity.version}.dist-info"
    if not place.exists():
        place.mkdir()
        _write(place / "METADATA", _metadata(identity, needs(tree)))
        _write(place / "entry_points.txt", "\n".join(_entries(identity.entries)))
        _write(place / "INSTALLER", "shipway\n")
        _write(place / "RECORD", "")
        _write_programs(place / PROGRAMS, identity.entries.get("console_scripts", {}))
    for path in identity.written:
        target = tree / path
        inside = target.resolve().is_relative_to(tree.resolve())
        if inside and target.parent.is_dir() and not target.exists():
            _write(target, _version_file(identity.version))
    exclude = tree / ".git" / "info" / "exclude"
    if exclude.parent.is_dir():
        lines = ["*.dist-info/", *(f"/{path}" for path in identity.written)]
        _write(exclude, "".join(f"{line}\n" for line in lines))


def _write_programs(place: Path, entries: Mapping[str, str]) -> None:
    """A program for each entry that names an object; the Python is the one on the PATH."""
    for name, target in entries.items():
        said = _OBJECT.fullmatch(target)
        if said is None or not re.fullmatch(r"[\w-][\w.-]*", name):
            continue
        module, called = said[1], said[2]
        place.mkdir(exist_ok=True)
        _write(
            place / name,
            "#!/usr/bin/env python3\nimport sys\n"
            f"from {module} import {called.partition('.')[0]}\nsys.exit({called}())\n",
        )
        (place / name).chmod(0o755)


def _write(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")
    path.chmod(0o644)


def _metadata(identity: Identity, wanted: list[str]) -> str:
    lines = ["Metadata-Version: 2.1", f"Name: {identity.name}", f"Version: {identity.version}"]
    return "\n".join([*lines, *(f"Requires-Dist: {one}" for one in wanted), ""])


def _entries(entries: Mapping[str, Mapping[str, str]]) -> Iterator[str]:
    for group, names in entries.items():
        yield f"[{group}]"
        yield from (f"{name} = {target}" for name, target in names.items())
        yield ""


def _version_file(version: str) -> str:
    numbers = ", ".join(part for part in re.findall(r"\d+", version)[:3])
    return (
        f'__version__ = version = "{version}"\n__version_tuple__ = version_tuple = ({numbers},)\n'
        "__commit_id__ = commit_id = None\n"
    )


# -- identity ---------------------------------------------------------------------------------


def _identity(tree: Path) -> Identity | None:
    table = read_toml(tree / "pyproject.toml")
    project, call, ini = (
        table_of(table.get("project")),
        setup_call(tree),
        read_ini(tree / "setup.cfg"),
    )
    tool = table_of(table.get("tool"))
    poetry = table_of(tool.get("poetry"))
    name = project.get("name") or poetry.get("name") or call.get("name")
    name = name or ini.get("metadata", "name", fallback=None)
    if not isinstance(name, str) or not re.fullmatch(r"[A-Za-z0-9][\w.-]*", name):
        return None
    said = project.get("version") or poetry.get("version") or call.get("version")
    said = said or ini.get("metadata", "version", fallback=None)
    if not isinstance(said, str) or not re.fullmatch(r"\d[\w.+!-]*", said):
        said = _found(tree, name) or UNKNOWN
    entries = _declared_entries(project, poetry, call)
    if ini.has_section("options.entry_points"):
        for group, text in ini.items("options.entry_points"):
            entries.setdefault(group, {}).update(_assignments(text.splitlines()))
    return Identity(name, said, entries, tuple(_version_files(tool, call)))


def _declared_entries(
    project: dict[str, Any], poetry: dict[str, Any], call: dict[str, Any]
) -> dict[str, dict[str, str]]:
    found: dict[str, dict[str, str]] = {}
    tables = [
        ("console_scripts", project.get("scripts")),
        ("gui_scripts", project.get("gui-scripts")),
        ("console_scripts", poetry.get("scripts")),
        *table_of(project.get("entry-points")).items(),
        *table_of(poetry.get("plugins")).items(),
    ]
    for group, names in tables:
        for name, target in table_of(names).items():
            if isinstance(target, str):
                found.setdefault(str(group), {})[str(name)] = target
    for group, lines in table_of(call.get("entry_points")).items():
        texts = lines if isinstance(lines, list) else str(lines).splitlines()
        found.setdefault(str(group), {}).update(_assignments(texts))
    return found


def _assignments(lines: list[Any]) -> dict[str, str]:
    pairs = (str(line).partition("=") for line in lines if "=" in str(line))
    return {name.strip(): target.strip() for name, _, target in pairs}


def _found(tree: Path, name: str) -> str | None:
    """The version in the sources, where the metadata leaves it to them."""
    module = re.sub(r"[-.]+", "_", name)
    for root in (tree / "src", tree):
        for file in ("__init__.py", "__about__.py", "_version.py", "version.py", "__version__.py"):
            path = root / module / file
            if path.is_file() and not path.is_symlink():
                match = _VERSION.search(path.read_text(encoding="utf-8", errors="replace"))
                if match is not None:
                    return match[1]
    return None


def _version_files(tool: dict[str, Any], call: dict[str, Any]) -> Iterator[str]:
    """Files that a build would write the version to, and that sources import."""
    scm = table_of(tool.get("setuptools_scm"))
    hooks = table_of(table_of(table_of(tool.get("hatch")).get("build")).get("hooks"))
    said = [
        scm.get("write_to"), scm.get("version_file"), table_of(hooks.get("vcs")).get("version-file"),
        table_of(call.get("use_scm_version")).get("write_to"),
        table_of(call.get("use_scm_version")).get("version_file"),
    ]  # fmt: skip
    for one in said:
        if isinstance(one, str) and one.endswith(".py") and not PurePosixPath(one).is_absolute():
            yield one

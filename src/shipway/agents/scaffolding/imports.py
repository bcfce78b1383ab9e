"""Import blocks in the order that the project's linter asks for."""

from __future__ import annotations

import sys
from collections.abc import Iterable

from shipway.agents.scaffolding.words import WIDTH


class Imports:
    """Collects what a module needs and writes it down in three sorted sections."""

    def __init__(self, package: str) -> None:
        self.package = package
        self.modules: set[str] = set()
        self.names: dict[str, set[str]] = {}

    def module(self, name: str) -> None:
        """``sqlalchemy as sa`` for ``import sqlalchemy as sa``."""
        self.modules.add(name)

    def add(self, module: str, *names: str) -> None:
        self.names.setdefault(module, set()).update(names)

    def own(self, module: str, *names: str) -> None:
        """From a module of the project itself."""
        self.add(f"{self.package}.{module}" if module else self.package, *names)

    def source(self) -> str:
        sections = []
        for place in ("standard", "third", "own"):
            plain = sorted(one for one in self.modules if self._place(one) == place)
            lines = [f"import {one}" for one in plain]
            named = sorted(one for one in self.names if self._place(one) == place)
            for one in named:
                renamed = sorted(name for name in self.names[one] if " as " in name)
                plainly = self.names[one] - set(renamed)
                lines += [_from(one, plainly)] if plainly else []
                lines += [_from(one, [name]) for name in renamed]
            if lines:
                sections.append("\n".join(lines))
        return "\n\n".join(sections)

    def _place(self, name: str) -> str:
        root = name.split(maxsplit=1)[0].split(".", maxsplit=1)[0]
        if root == self.package:
            return "own"
        return "standard" if root in sys.stdlib_module_names else "third"


def _from(module: str, names: Iterable[str]) -> str:
    ordered = sorted(names, key=_rank)
    one = f"from {module} import {', '.join(ordered)}"
    if len(one) <= WIDTH:
        return one
    inner = "".join(f"    {name},\n" for name in ordered)
    return f"from {module} import (\n{inner})"


def _rank(name: str) -> tuple[int, str, str]:
    bare = name.split(maxsplit=1)[0]
    if bare.isupper() and len(bare) > 1:
        return 0, bare.lower(), bare
    return (1 if bare[:1].isupper() else 2), bare.lower(), bare

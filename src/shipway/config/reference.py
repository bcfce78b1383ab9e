"""The reference of all settings, made from their declarations: a page, and a file for production.

``python -m shipway.config.reference`` writes both below the current directory.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby
from pathlib import Path
from textwrap import wrap

from shipway.config.layers import NOT_SETTINGS
from shipway.config.setting import ENVIRONMENTS, Declared, as_text, declared
from shipway.config.tree import Settings

PAGE, ENV_FILE = "docs/CONFIGURATION.md", ".env.production"
_SAFE = {
    "environment": "production",
    "home": "/var/lib/shipway",
    "cache": "/var/cache/shipway",
}
"""What the file for production sets although the default is another."""

_HEAD = """\
# Configuration

One settings tree, read once at start and checked whole. Each value comes from the strongest of these:

1. an option of the command line
2. a variable, `SHIPWAY_` and the name; a secret may stand in a file that `SHIPWAY_<NAME>_FILE` names
3. the settings file: `$SHIPWAY_CONFIG`, else `$XDG_CONFIG_HOME/shipway/config.toml`
4. the default of the environment (`SHIPWAY_ENVIRONMENT`: development, test or production)
5. the default

The file is TOML. A table is a prefix: `log_level = "info"` and `[log]` with `level = "info"` say the
same. In a variable the items of a list have commas between them. An empty variable of a setting that
may be absent counts as absent.

Everything is checked at once. Each fault is one line that names the setting, what it should be and
what to do, never the value; the exit code is 78. A variable that begins with `SHIPWAY_` and is no
setting is a fault as well, with what may have been meant. Production also refuses what is unsafe.

```sh
shipway config check            # whether a start would succeed
shipway config show --sources   # what holds and who said so; secrets are masked
shipway config env              # a complete, commented file of variables for production
kill -HUP <pid>                 # take over changes of the settings marked "on SIGHUP"
```

This page is generated from the declarations (`python -m shipway.config.reference`) and checked in
`make test`.
"""


def page() -> str:
    """The whole of docs/CONFIGURATION.md."""
    parts = [_HEAD]
    for section, settings in groupby(declared(Settings), key=lambda one: one.section):
        parts.append(f"\n## {section}\n")
        parts += ["\n" + "\n".join(_entry(one)) + "\n" for one in settings]
    parts.append("\n## Variables that are no settings\n\n| variable | what it is |\n|--|--|\n")
    parts += [f"| `{name}` | {what} |\n" for name, what in NOT_SETTINGS.items()]
    return "".join(parts)


def _entry(one: Declared) -> Iterator[str]:
    marks = [
        "secret" if one.secret else "",
        "required in production" if one.facts.required else "",
        "on SIGHUP" if one.facts.reloadable else "",
    ]
    marked = ", ".join(mark for mark in marks if mark)
    yield f"### {one.name}"
    yield ""
    yield from wrap(f"{one.doc[0].upper()}{one.doc[1:]}.", 100)
    yield ""
    yield f"- variable: `{one.variable}`" + (f" or `{one.variable}_FILE`" if one.secret else "")
    yield f"- should be: {one.expectation}"
    yield f"- default: {_defaults(one)}"
    if marked:
        yield f"- {marked}"


def _defaults(one: Declared) -> str:
    values = [one.default_in_words(name) for name in ENVIRONMENTS]
    usual = values[0]
    others = [
        f"{_quoted(value)} in {name}"
        for name, value in zip(ENVIRONMENTS, values, strict=True)
        if value != usual
    ]
    return "; ".join([_quoted(usual), *others])


def _quoted(value: str) -> str:
    return f"`{value}`" if value else "none"


# -- the file for production ------------------------------------------------------------------


def production_file() -> str:
    """A file of variables as systemd and containers read it: every setting, with safe values.

    What has a good default is there as a comment; what production requires is left to fill in.
    """
    lines = [
        "# Shipway in production: every setting, with safe defaults.",
        "# Keep it for its owner only (chmod 600); secrets are better off in files of their own,",
        "# named by SHIPWAY_<NAME>_FILE. Check it with: shipway config check",
    ]
    for section, settings in groupby(declared(Settings), key=lambda one: one.section):
        lines += ["", f"# -- {section} ".ljust(100, "-")]
        for one in settings:
            lines += ["", *_variable(one)]
    return "\n".join(lines) + "\n"


def _variable(one: Declared) -> Iterator[str]:
    yield from (f"# {line}" for line in wrap(f"{one.doc} ({one.expectation})", 96))
    value = _SAFE.get(one.name)
    if one.secret:
        mark = "required" if one.facts.required else "not set"
        yield f"# ({mark}) the secret itself, or the file that holds it:"
        yield f"#{one.variable}="
        yield f"#{one.variable}_FILE=/run/secrets/shipway_{one.name}"
    elif value is not None:
        yield f"{one.variable}={value}"
    elif one.facts.required:
        yield f"# (required) {one.facts.example or ''}".rstrip()
        yield f"#{one.variable}="
    else:
        yield f"#{one.variable}={'' if one.facts.shown else as_text(one.default('production'))}"


if __name__ == "__main__":
    Path(PAGE).write_text(page(), encoding="utf-8")
    Path(ENV_FILE).write_text(production_file(), encoding="utf-8")

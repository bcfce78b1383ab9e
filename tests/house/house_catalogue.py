"""Writes the catalogue in docs/ERROR-HANDLING.md from the one table of errors."""

from __future__ import annotations

from house_rules import ROOT

from shipway.telemetry.failures import STATUSES, TABLE

PAGE = ROOT / "docs" / "ERROR-HANDLING.md"
BEGIN, END = "<!-- catalogue: begin -->\n", "<!-- catalogue: end -->\n"
HTTP_BEGIN, HTTP_END = "<!-- http: begin -->\n", "<!-- http: end -->\n"
HEAD = "| code | meaning | category | tried again | what to do | HTTP | exit code |"


def catalogue() -> str:
    """One row for each code, in the order of the codes."""
    rows = [
        f"| `{row.code}` | {row.meaning} | {row.category.value} "
        f"| {'yes' if row.kind('').retryable else 'no'} | {row.recovery.value} "
        f"| {row.http_status} | {row.exit_code} |"
        for row in sorted(TABLE.values(), key=lambda row: row.code)
    ]
    return "\n".join([HEAD, "|--|--|--|--|--|--|--|", *rows])


def refusals() -> str:
    """One row for each status that HTTP has codes of its own for."""
    rows = [
        f"| {status} | {', '.join(f'`{code}`' for code in (*filter(None, [one.own]), *one.also))} "
        f"| {one.detail} | {one.kind.category.value} | {one.kind.recovery.value} |"
        for status, one in STATUSES.items()
        if one.own or one.also
    ]
    head = "| HTTP | codes of its own | meaning | category | what to do |"
    return "\n".join([head, "|--|--|--|--|--|", *rows])


def written(text: str) -> str:
    """The page with its tables as they must be."""
    text = _between(text, BEGIN, END, catalogue())
    return _between(text, HTTP_BEGIN, HTTP_END, refusals())


def _between(text: str, begin: str, end: str, table: str) -> str:
    before, rest = text.split(begin)
    _, after = rest.split(end)
    return f"{before}{begin}\n{table}\n\n{end}{after}"


if __name__ == "__main__":
    PAGE.write_text(written(PAGE.read_text("utf-8")), encoding="utf-8")

"""Writes the catalogue in docs/ERROR-HANDLING.md from the one table of errors."""

from __future__ import annotations

from house_rules import ROOT

from shipway.telemetry.failures import TABLE

PAGE = ROOT / "docs" / "ERROR-HANDLING.md"
BEGIN, END = "<!-- catalogue: begin -->\n", "<!-- catalogue: end -->\n"
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


def written(text: str) -> str:
    """The page with its catalogue as it must be."""
    before, rest = text.split(BEGIN)
    _, after = rest.split(END)
    return f"{before}{BEGIN}\n{catalogue()}\n\n{END}{after}"


if __name__ == "__main__":
    PAGE.write_text(written(PAGE.read_text("utf-8")), encoding="utf-8")

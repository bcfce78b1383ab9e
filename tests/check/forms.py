"""What SARIF 2.1.0 and JUnit XML ask of a document, in our own words and as far as ours use them.

Every object is closed: a name that the standard does not know there is a fault.
"""

from __future__ import annotations

from collections import Counter
from typing import Any
from xml.etree import ElementTree as ET


def _closed(needed: tuple[str, ...] = (), **fields: Any) -> dict[str, Any]:
    return {
        "type": "object", "properties": fields, "required": list(needed),
        "additionalProperties": False,
    }  # fmt: skip


def _many(one: dict[str, Any]) -> dict[str, Any]:
    return {"type": "array", "items": one}


_TEXT = {"type": "string", "minLength": 1}
_TIME = {"type": "string", "pattern": r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$"}
_BAG = {"type": "object"}
_MESSAGE = _closed(("text",), text=_TEXT)
# A relative reference without a scheme, a fragment or anything that has to be escaped.
_PLACE = _closed(("uri",), uri={"type": "string", "pattern": r"^[A-Za-z0-9._~%/!$&'()*+,;=@-]+$"})
_REGION = _closed(("startLine",), startLine={"type": "integer", "minimum": 1})
_LOCATION = _closed(
    ("physicalLocation",),
    physicalLocation=_closed(("artifactLocation",), artifactLocation=_PLACE, region=_REGION),
)
_RESULT = _closed(
    ("message",), ruleId=_TEXT, message=_MESSAGE, locations=_many(_LOCATION),
    level={"enum": ["none", "note", "warning", "error"]},
)  # fmt: skip
_DRIVER = _closed(("name",), name=_TEXT, version=_TEXT, rules=_many(_closed(("id",), id=_TEXT)))
_INVOCATION = _closed(
    ("executionSuccessful",), executionSuccessful={"type": "boolean"}, exitCodeDescription=_TEXT,
    startTimeUtc=_TIME, endTimeUtc=_TIME,
)  # fmt: skip
_RUN = _closed(
    ("tool", "results"), tool=_closed(("driver",), driver=_DRIVER), results=_many(_RESULT),
    invocations=_many(_INVOCATION), properties=_BAG,
)  # fmt: skip
SARIF = _closed(
    ("version", "runs"), version={"const": "2.1.0"}, runs=_many(_RUN),
    **{"$schema": {"type": "string", "format": "uri"}},
)  # fmt: skip


def junit_faults(text: str) -> list[str]:
    """What is wrong with a JUnit document; its counts have to be those of its cases."""
    suite = ET.fromstring(text)  # noqa: S314 - our own output
    cases = suite.findall("testcase")
    counts = Counter(kind.tag for case in cases for kind in case)
    wanted = {
        "tests": len(cases), "failures": counts["failure"], "errors": counts["error"],
        "skipped": counts["skipped"],
    }  # fmt: skip
    faults = [
        f"{name} is not {count}" for name, count in wanted.items() if suite.get(name) != str(count)
    ]
    faults += [] if suite.tag == "testsuite" and suite.get("name") else ["no named suite"]
    for case in cases:
        if not case.get("name") or not case.get("classname") or len(case) > 1:
            faults.append(f"the case {case.attrib} is none")
        faults += [
            f"{kind.tag} has no message" for kind in case
            if kind.tag not in {"failure", "error", "skipped"} or not kind.get("message")
        ]  # fmt: skip
    faults += [] if float(suite.get("time", "-1")) >= 0 else ["no time"]
    return faults

"""The JSON Schema of evidence.json, shipped beside the code and printed by ``python -m`` this."""

from __future__ import annotations

import json
import sys
from importlib import resources

from shipway.report.model import Evidence


def shipped() -> str:
    """The schema file that comes with the package."""
    return (resources.files("shipway.report") / "evidence.schema.json").read_text("utf-8")


def generated() -> str:
    """The schema that the model has now."""
    schema = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": "urn:shipway:evidence:1",
        **Evidence.model_json_schema(mode="serialization"),
    }
    return json.dumps(schema, indent=1, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    sys.stdout.write(generated())

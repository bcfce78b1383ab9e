"""An overlay adds to a document; it never changes what stands there."""

from __future__ import annotations

from typing import Any

import pytest

from shipway.errors import SpecificationError
from shipway.specs import overlaid
from shipway.specs.overlay import target

DOCUMENT: dict[str, Any] = {
    "paths": {"/a'\"]b": {"get": {"responses": {"200": {"description": "ok"}}}}}
}
PLACE = target("paths", "/a'\"]b", "get", "responses")


def test_what_is_missing_is_added_to_a_copy() -> None:
    made = overlaid(DOCUMENT, [{"target": PLACE, "update": {"404": {"description": "gone"}}}])
    assert list(made["paths"]["/a'\"]b"]["get"]["responses"]) == ["200", "404"]
    assert list(DOCUMENT["paths"]["/a'\"]b"]["get"]["responses"]) == ["200"]


def test_what_is_there_is_not_changed() -> None:
    with pytest.raises(SpecificationError, match="would change"):
        overlaid(DOCUMENT, [{"target": PLACE, "update": {"200": {"description": "other"}}}])


@pytest.mark.parametrize(
    "place",
    [target("paths", "/b"), "$.paths", '$["paths"] or so', target("paths", "/a'\"]b", "get", "x")],
)
def test_a_place_that_is_not_there_is_refused(place: str) -> None:
    with pytest.raises(SpecificationError, match="is not in the document"):
        overlaid(DOCUMENT, [{"target": place, "update": {"1": {}}}])

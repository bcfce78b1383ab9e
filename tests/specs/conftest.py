"""Small OpenAPI documents for the reader's tests."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from typing import Any

import pytest

from shipway.specs import Document, read

OK = {"200": {"description": "fine"}}


@pytest.fixture
def build() -> Callable[..., bytes]:
    """``build(paths=..., components=..., openapi="3.1.0")``: the document as JSON bytes."""

    def make(**given: Any) -> bytes:
        document: dict[str, Any] = {
            "openapi": "3.1.0",
            "info": {"title": "Test", "version": "1"},
            "paths": {"/things": {"get": {"responses": copy.deepcopy(OK)}}},
        }
        return json.dumps(document | given).encode()

    return make


@pytest.fixture
def schema(build: Callable[..., bytes]) -> Callable[..., Document]:
    """A document whose component ``Subject`` is the given schema, beside other components."""

    def make(subject: Any, openapi: str = "3.1.0", **others: Any) -> Document:
        return read(build(openapi=openapi, components={"schemas": {"Subject": subject, **others}}))

    return make

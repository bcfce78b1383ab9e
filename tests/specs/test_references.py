"""References lead somewhere inside the document's directory, or the document is refused."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from shipway.errors import SpecificationError
from shipway.specs import read

Build = Callable[..., bytes]


def referring(build: Build, target: str, **schemas: object) -> bytes:
    answer = {"content": {"application/json": {"schema": {"$ref": target}}}}
    return build(
        paths={"/a": {"get": {"responses": {"200": {"description": "ok", **answer}}}}},
        components={"schemas": {"A": {"type": "string"}, **schemas}},
    )


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("#/components/schemas/Gone", "has no target"),
        ("#/paths/0", "has no target"),
        ("http://example.com/a.yaml#/A", "is a URL"),
        ("//example.com/a.yaml", "is a URL"),
        ("file:///etc/passwd", "is a URL"),
        ("other.yaml#/A", "is another file"),
    ],
)
def test_bytes_may_only_refer_to_themselves(build: Build, target: str, message: str) -> None:
    with pytest.raises(SpecificationError) as caught:
        read(referring(build, target))
    assert message in caught.value.message
    assert caught.value.hint


def test_a_circle_of_references_alone_is_refused(build: Build) -> None:
    circle = {"B": {"$ref": "#/components/schemas/C"}, "C": {"$ref": "#/components/schemas/B"}}
    with pytest.raises(SpecificationError, match="leads back to itself"):
        read(referring(build, "#/components/schemas/B", **circle))


def test_a_circle_through_properties_is_legal(build: Build) -> None:
    node = {"type": "object", "properties": {"next": {"$ref": "#/components/schemas/Node"}}}
    assert read(referring(build, "#/components/schemas/Node", Node=node)).operations


def test_a_property_or_example_called_ref_is_no_reference(build: Build) -> None:
    odd = {
        "type": "object",
        "properties": {"$ref": {"type": "string"}},
        "example": {"$ref": "#/nowhere"},
    }
    assert read(referring(build, "#/components/schemas/Odd", Odd=odd)).operations


@pytest.mark.parametrize(
    "target", ["../secret.yaml", "link.yaml", "%2e%2e/secret.yaml", "/etc/hostname"]
)
def test_files_outside_the_directory_are_refused(tmp_path: Path, build: Build, target: str) -> None:
    (tmp_path / "secret.yaml").write_text("type: string")
    inside = tmp_path / "api"
    inside.mkdir()
    (inside / "link.yaml").symlink_to(tmp_path / "secret.yaml")
    (inside / "api.json").write_bytes(referring(build, target))
    with pytest.raises(SpecificationError, match="outside the document's directory"):
        read(inside / "api.json")


def test_files_inside_may_refer_to_each_other_and_back(tmp_path: Path, build: Build) -> None:
    (tmp_path / "b.yaml").write_text(
        "B: {type: object, properties: {c: {$ref: 'c.yaml#/C'}, a: {$ref: 'api.json#/components/schemas/A'}}}"
    )
    (tmp_path / "c.yaml").write_text("C: {type: object, properties: {b: {$ref: 'b.yaml#/B'}}}")
    (tmp_path / "api.json").write_bytes(referring(build, "b.yaml#/B"))
    document = read(tmp_path / "api.json")
    assert sorted(document.data["x-files"]) == ["b.yaml", "c.yaml"]


def test_a_missing_or_broken_file_is_told(tmp_path: Path, build: Build) -> None:
    (tmp_path / "api.json").write_bytes(referring(build, "gone.yaml"))
    with pytest.raises(SpecificationError, match="no such file"):
        read(tmp_path / "api.json")
    (tmp_path / "gone.yaml").write_text("a: [")
    with pytest.raises(SpecificationError, match=r"gone\.yaml:\d+: it is not YAML"):
        read(tmp_path / "api.json")

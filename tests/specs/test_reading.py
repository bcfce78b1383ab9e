"""Documents are accepted when they are OpenAPI 3.0 or 3.1, and refused with every fault at once."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from shipway.errors import SpecificationError
from shipway.specs import bundled, read

ROOT = Path(__file__).parents[2]
Build = Callable[..., bytes]
OK = {"responses": {"200": {"description": "fine"}}}


@pytest.mark.parametrize(
    "path", [ROOT / "examples/library.openapi.yaml", *sorted((ROOT / "tests/documents").iterdir())]
)
def test_our_own_documents_are_read(path: Path) -> None:
    document = read(path)
    assert document.operations
    assert read(path.read_bytes(), path.name).sha256 == document.sha256


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        ("- a\n- b", "not an OpenAPI document", "3.1"),
        ("hello", "not an OpenAPI document", "3.1"),
        ("title: x", "'openapi' is missing", "3.1"),
        ("\nswagger: '2.0'\npaths: {}", "api.yaml:2: it is Swagger 2.0", "swagger2openapi"),
        ("openapi: 2.9.0\npaths: {}", "version of OpenAPI is not supported", "3.0.x or 3.1.x"),
        ("openapi: 3.2.0", "version of OpenAPI is not supported", "3.1"),
        ("openapi: [3]", "version of OpenAPI is not supported", "3.1"),
    ],
)
def test_what_is_no_openapi_is_refused_with_a_next_step(text: str, message: str, hint: str) -> None:
    with pytest.raises(SpecificationError) as caught:
        read(text.encode(), "api.yaml")
    assert message in caught.value.message
    assert hint in str(caught.value.hint)


def test_every_fault_is_told_at_once_with_line_and_pointer() -> None:
    text = b"""openapi: 3.0.3
info:
  title: x
paths:
  /a:
    get:
      responses:
        '200': {}
  /b:
    get:
      parameters:
        - name: q
          in: nowhere
          schema: {}
      responses:
        '200': {description: ok, content: {application/json: {schema: {$ref: '#/components/schemas/Gone'}}}}
"""
    with pytest.raises(SpecificationError) as caught:
        read(text, "api.yaml")
    faults = {fault["pointer"]: fault for fault in caught.value.details["faults"]}
    assert "'version' is missing" in faults["#/info"]["message"]
    assert faults["#/info"]["line"] == 2
    gone = "#/paths/~1b/get/responses/200/content/application~1json/schema"
    assert "has no target" in faults[gone]["message"]
    assert faults[gone]["line"] == 16
    assert any(pointer.startswith("#/paths/~1a/get/responses") for pointer in faults)
    assert all(fault["remedy"] for fault in faults.values())


def test_at_most_twenty_faults_are_told(build: Build) -> None:
    paths = {f"/p{n}": {"get": {"responses": {"200": {}}}} for n in range(50)}
    with pytest.raises(SpecificationError) as caught:
        read(build(paths=paths, openapi="3.0.3"))
    assert len(caught.value.details["faults"]) == 20


@pytest.mark.parametrize("paths", [{}, {"/a": {}}, {"/a": {"description": "nothing"}}])
def test_a_document_without_operations_is_refused(build: Build, paths: object) -> None:
    with pytest.raises(SpecificationError, match="there is no operation in it"):
        read(build(paths=paths))


@pytest.mark.parametrize(
    ("paths", "message"),
    [
        (
            {"/a": {"get": {"operationId": "x", **OK}, "post": {"operationId": "x", **OK}}},
            "already that of",
        ),
        ({"/a/{id}": {"get": OK}}, "path parameter 'id' is not described"),
        (
            {
                path: {
                    "parameters": [{"name": name, "in": "path", "required": True, "schema": {}}],
                    "get": OK,
                }
                for path, name in (("/a/{x}", "x"), ("/a/{y}", "y"))
            },
            "the same as /a/{x} but for parameter names",
        ),
    ],
)
def test_faults_of_meaning_are_found(build: Build, paths: object, message: str) -> None:
    with pytest.raises(SpecificationError) as caught:
        read(build(paths=paths))
    assert message in caught.value.message


def test_too_many_operations_are_refused(build: Build) -> None:
    with pytest.raises(SpecificationError, match="has 2001 operations"):
        read(build(paths={f"/p{n}": {"get": OK} for n in range(2001)}))


def test_a_fault_never_repeats_the_document(build: Build) -> None:
    with pytest.raises(SpecificationError) as caught:
        read(build(info={"title": "x", "version": {"password": "hunter2" * 50}}))
    assert "hunter2" not in json.dumps(caught.value.report())


def test_a_missing_or_unreadable_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(SpecificationError, match="cannot be read"):
        read(tmp_path / "gone.yaml")
    with pytest.raises(SpecificationError, match="cannot be read"):
        read(tmp_path)


def test_parameters_of_the_path_are_merged_and_overridden(build: Build) -> None:
    shared = [
        {"name": "id", "in": "path", "required": True, "schema": {"type": "string"}},
        {"name": "q", "in": "query", "schema": {"type": "string"}},
    ]
    own = [{"name": "q", "in": "query", "schema": {"type": "integer"}}]
    document = read(
        build(paths={"/a/{id}": {"parameters": shared, "get": {"parameters": own, **OK}}})
    )
    (operation,) = document.operations
    assert operation.id == "get /a/{id}"
    assert [node.value["name"] for node in operation.parameters] == ["id", "q"]
    assert operation.parameters[1].value["schema"] == {"type": "integer"}


@pytest.mark.parametrize(
    ("url", "prefix"),
    [
        ("https://x.example/api/v1/", "/api/v1"),
        ("/", ""),
        ("https://x.example", ""),
        ("/{v}/a", ""),
    ],
)
def test_the_prefix_is_the_path_of_the_first_server(build: Build, url: str, prefix: str) -> None:
    variables = {"variables": {"v": {"default": "1"}}} if "{" in url else {}
    assert read(build(servers=[{"url": url, **variables}])).prefix == prefix


def test_what_was_bundled_is_read_from_bytes_alone(tmp_path: Path, build: Build) -> None:
    (tmp_path / "parts").mkdir()
    (tmp_path / "parts/book.yaml").write_text(
        "Book: {type: object, properties: {next: {$ref: '#/Book'}, tag: {$ref: '../tag.yaml'}}}"
    )
    (tmp_path / "tag.yaml").write_text("type: string")
    answer = {"content": {"application/json": {"schema": {"$ref": "parts/book.yaml#/Book"}}}}
    paths = {"/a": {"get": {"responses": {"200": {"description": "ok", **answer}}}}}
    path = tmp_path / "api.json"
    path.write_bytes(build(paths=paths))
    alone = read(bundled(path), "api.json")
    text = json.dumps(alone.data)
    assert "#/x-files/parts~1book.yaml/Book" in text
    assert "#/x-files/tag.yaml" in text
    with pytest.raises(SpecificationError, match="another file"):
        read(path.read_bytes())
    plain = tmp_path / "plain.yaml"
    plain.write_bytes((ROOT / "examples/library.openapi.yaml").read_bytes())
    assert bundled(plain) == plain.read_bytes()

"""The plan of the example and of three documents in other styles: everything in them is built."""

from __future__ import annotations

from pathlib import Path

import pytest
from jsonschema import Draft202012Validator
from plan_documents import column, entity, model, operation, parameter

from shipway import specs
from shipway.agents.planning import readable
from shipway.agents.planning.service import plan_service
from shipway.contracts.service_plan import ServicePlan
from shipway.specs.contained import contained
from shipway.specs.document import Node

ROOT = Path(__file__).parents[2]
DOCUMENTS = [ROOT / "examples/library.openapi.yaml", *sorted((ROOT / "tests/documents").iterdir())]


def made_from(path: Path) -> ServicePlan:
    planned = plan_service(specs.read(path), {})
    assert planned.questions == []
    return planned.plan


@pytest.fixture(scope="module")
def library() -> ServicePlan:
    return made_from(DOCUMENTS[0])


@pytest.fixture(scope="module")
def projects() -> ServicePlan:
    return made_from(ROOT / "tests/documents/projects.openapi.yaml")


@pytest.fixture(scope="module")
def inventory() -> ServicePlan:
    return made_from(ROOT / "tests/documents/inventory.openapi.json")


@pytest.fixture(scope="module")
def countries() -> ServicePlan:
    return made_from(ROOT / "tests/documents/countries.openapi.yaml")


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.stem)
def test_nothing_is_left_out_and_bytes_are_the_same_each_time(path: Path) -> None:
    made = made_from(path)
    assert made.unimplemented == []
    again = made_from(path)
    assert again.model_dump_json() == made.model_dump_json()
    assert readable.write(again) == readable.write(made)
    assert ServicePlan.model_validate_json(made.model_dump_json()) == made


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.stem)
def test_every_sample_is_accepted_by_the_document(path: Path) -> None:
    document = specs.read(path)
    made = made_from(path)
    nodes = {one.id: one.node for one in document.operations}
    bodies = [one for one in made.operations if one.request_model]
    assert bodies
    for one in bodies:
        holder = document.resolve(nodes[one.id].at("requestBody"))
        (content,) = holder.value["content"].values()
        schema = contained(document, Node(content["schema"], "#/test"))
        assert len(made.samples[one.id]) >= 2
        for sample in made.samples[one.id]:
            assert [
                error.message
                for error in Draft202012Validator(schema).iter_errors(sample)
                if "'id' is a required property" not in error.message
            ] == []


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.stem)
def test_the_overlay_fits_the_document(path: Path) -> None:
    document, made = specs.read(path), made_from(path)
    whole = specs.overlaid(document.data, made.overlay)
    for one in made.operations:
        responses = whole["paths"][one.path][one.method]["responses"]
        for error in one.errors:
            assert str(error.status) in responses or "default" in responses


def test_the_library_keeps_books_members_and_loans(library: ServicePlan) -> None:
    assert [(one.name, one.key_kind) for one in library.entities] == [
        ("Book", "uuid"), ("Member", "uuid"), ("Loan", "uuid"),
    ]  # fmt: skip
    assert library.ambiguities == []
    assert column(library, "isbn", "Book").unique
    assert column(library, "language", "Book").field.default == "en"
    assert column(library, "createdAt", "Book").field.server == "created"
    loan = entity(library, "Loan")
    assert loan.parent is not None
    assert (loan.parent.entity, loan.parent_column) == ("Member", "member_id")
    assert column(library, "status", "Loan").field.default == "active"


def test_a_book_on_loan_cannot_be_lent_again(library: ServicePlan) -> None:
    (rule,) = entity(library, "Loan").unique
    assert (rule.columns, rule.while_field, rule.while_values) == (
        ["book_id"],
        "status",
        ["active"],
    )
    assert rule.reason.endswith("/responses/409/description")


def test_filters_and_pages_of_the_library(library: ServicePlan) -> None:
    books = "GET /books"
    assert parameter(library, "q", books).columns == ["title", "author"]
    assert parameter(library, "publishedFrom", books).comparison == "ge"
    assert parameter(library, "publishedTo", books).comparison == "le"
    assert parameter(library, "dueBefore", "GET /loans").comparison == "lt"
    assert parameter(library, "memberId", "GET /members/{memberId}/loans").role == "parent"
    one = operation(library, books)
    assert one.page is not None
    assert (one.page.items, one.page.total, one.page.default_limit, one.page.max_limit) == (
        "items", "total", 20, 100,
    )  # fmt: skip
    assert [key.value for key in one.default_sort] == ["title"]


def test_errors_of_the_library_are_those_it_declares(library: ServicePlan) -> None:
    lend = operation(library, "POST /members/{memberId}/loans")
    assert {(error.reason, error.status) for error in lend.errors} == {
        ("not_found", 404), ("reference", 409), ("conflict", 409), ("invalid", 422),
    }  # fmt: skip
    assert library.overlay == []
    assert operation(library, "DELETE /books/{bookId}").security == [["libraryKey"]]
    assert library.security_schemes[0].name == "X-Library-Key"


def test_the_checks_of_the_library_cover_every_kind(library: ServicePlan) -> None:
    assert {check.kind for check in library.checks} == {
        "create_read", "list_contains", "replace", "patch", "delete", "unique", "reference",
        "not_found", "invalid", "unauthorised", "filter", "page", "nested", "persists",
    }  # fmt: skip
    ids = {one.id for one in library.operations}
    assert all(set(check.operations) <= ids for check in library.checks)


def test_tasks_belong_to_projects_by_a_hidden_column(projects: ServicePlan) -> None:
    task = entity(projects, "Task")
    assert task.parent is not None
    assert (task.parent.entity, task.parent.on_delete) == ("Project", "cascade")
    hidden = next(one for one in task.columns if one.column == task.parent_column)
    shown = model(projects, "Task")
    assert hidden.field.name not in {field.name for field in shown.fields}
    assert [rule.columns for rule in task.unique] == [["title", "project_id"]]
    assert [rule.columns for rule in entity(projects, "Project").unique] == [["short_name"]]
    tasks = operation(projects, "GET /projects/{project_id}/tasks")
    assert tasks.page is not None
    assert (tasks.page.style, tasks.page.items) == ("cursor", "data")
    assert tasks.page.echo == {"next_cursor": "next_cursor", "has_more": "has_more"}
    state = parameter(projects, "state", "GET /projects/{project_id}/tasks")
    assert (state.comparison, state.style) == ("in", "comma")
    assert operation(projects, "PATCH /projects/{project_id}").request_media_type == (
        "application/merge-patch+json"
    )


def test_the_inventory_counts_its_keys_and_nests_its_page(inventory: ServicePlan) -> None:
    assert {one.key_kind for one in inventory.entities} == {"integer"}
    assert inventory.prefix == "/api/v1"
    products = operation(inventory, "GET /products")
    assert products.page is not None
    assert (products.page.style, products.page.first_page) == ("page", 0)
    assert products.page.total == "page.totalElements"
    assert products.page.echo == {
        "page.number": "page",
        "page.size": "limit",
        "page.totalPages": "pages",
    }
    assert parameter(inventory, "minPrice", "GET /products").comparison == "ge"
    assert parameter(inventory, "order", "GET /products").role == "direction"
    create = operation(inventory, "POST /products")
    reference = next(error for error in create.errors if error.reason == "reference")
    assert (reference.status, reference.model) == (404, "ApiError")
    assert reference.fill == {"code": "code", "message": "detail", "details": "errors"}


def test_countries_are_created_by_put_under_their_own_key(countries: ServicePlan) -> None:
    country = entity(countries, "Country")
    assert (country.key, country.key_kind) == ("code", "client")
    put = operation(countries, "PUT /countries/{code}")
    assert (put.behaviour, put.success, put.created) == ("replace", 200, 201)
    assert {error.reason for error in put.errors} == {"invalid", "unauthorised", "conflict"}
    assert [rule.columns for rule in entity(countries, "City").unique] == [["name", "country_code"]]
    reference = column(countries, "countryCode", "City").reference
    assert reference is not None
    assert (reference.entity, reference.field) == ("Country", "code")
    assert operation(countries, "GET /cities").response_headers == ["X-Total-Count"]
    assert operation(countries, "DELETE /cities/{id}").response_model == "City"
    assert countries.security_schemes[0].kind == "basic"

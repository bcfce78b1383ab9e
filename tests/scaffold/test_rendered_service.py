"""The rendered library, in a process of its own: what its clients and its host would notice."""

from __future__ import annotations

import http.client
import signal
import threading
import uuid

from rendered_service import plan_of

KEY = {"X-Library-Key": "sesame"}
BOOK = {
    "isbn": "9780547773742",
    "title": "A Wizard of Earthsea",
    "author": "Le Guin",
    "genre": "fiction",
}
MEMBER = {"name": "Tenar", "email": "tenar@example.org", "joinedOn": "2024-03-01"}


def add_book(library, **changes):
    answer = library.call("POST", "/books", BOOK | changes)
    assert answer.status == 201, answer.body
    return answer.json


def add_member(library, **changes):
    answer = library.call("POST", "/members", MEMBER | changes)
    assert answer.status == 201, answer.body
    return answer.json


def lend(library, member, book, **changes):
    body = {"bookId": book["id"], "lentOn": "2024-05-02", "dueOn": "2024-05-23"} | changes
    return library.call("POST", f"/members/{member['id']}/loans", body)


def test_what_was_stored_is_there_after_a_restart(library):
    one, other = add_book(library), add_book(library, isbn="9780345539434", title="Cosmos")
    assert (one["title"], other["title"]) == (BOOK["title"], "Cosmos")
    assert one["language"] == "en"
    assert one["tags"] == []
    assert one["id"] != other["id"]
    assert library.stop() == 0
    library.start()
    assert library.call("GET", f"/books/{one['id']}").json == one
    assert library.call("GET", f"/books/{other['id']}").json == other


def test_a_new_row_says_where_it_is(shared):
    answer = shared.call("POST", "/books", BOOK | {"isbn": "9780000000100"})
    assert answer.status == 201
    assert shared.call("GET", answer.headers["location"]).json == answer.json


def test_replacing_and_patching_change_what_they_should(shared):
    book = add_book(shared, isbn="9780000000200", pages=205)
    new = BOOK | {"title": "Tehanu", "isbn": "9780000000201"}
    answer = shared.call("PUT", f"/books/{book['id']}", new, KEY)
    assert (answer.status, answer.json["title"], answer.json["pages"]) == (200, "Tehanu", None)
    assert answer.json["createdAt"] == book["createdAt"] < answer.json["updatedAt"]
    member = add_member(shared, address={"street": "Quay", "city": "Re Albi", "postcode": "10427"})
    changed = shared.call("PATCH", f"/members/{member['id']}", {"status": "suspended"})
    assert changed.json == member | {"status": "suspended"}
    assert shared.call("PATCH", f"/members/{member['id']}", {"status": None}).status == 422
    assert shared.call("PATCH", f"/members/{member['id']}", {}).status == 422


def test_rules_are_kept(library):
    book, member = add_book(library), add_member(library)
    assert library.call("POST", "/books", BOOK | {"title": "Again"}).status == 409
    loan = lend(library, member, book)
    assert loan.status == 201
    assert loan.json["status"] == "active"
    assert lend(library, member, book).status == 409
    back = {"status": "returned", "returnedOn": "2024-05-20"}
    assert library.call("PATCH", f"/loans/{loan.json['id']}", back).status == 200
    assert lend(library, member, book).status == 201
    assert library.call("PATCH", f"/loans/{loan.json['id']}", {"status": "active"}).status == 409
    lending = next(one for one in plan_of("library").operations if one.id == "lendBook")
    planned = {one.reason: one.status for one in lending.errors}
    assert lend(library, member, {"id": str(uuid.uuid4())}).status == planned["reference"]
    assert lend(library, {"id": str(uuid.uuid4())}, book).status == 404
    assert library.call("DELETE", f"/books/{book['id']}", headers=KEY).status == 409


def test_a_rule_holds_against_many_at_once(shared):
    book, statuses = BOOK | {"isbn": "9780000000400"}, []
    threads = [
        threading.Thread(target=lambda: statuses.append(shared.call("POST", "/books", book).status))
        for _ in range(12)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(statuses) == [201] + [409] * 11


def test_lists_are_filtered_sorted_and_paged_on_the_server(library):
    titles = ["Delta", "alpha", "Charlie", "Bravo"]
    for number, title in enumerate(titles):
        add_book(
            library, isbn=f"978000000000{number}", title=title, publishedOn=f"200{number}-01-01",
            genre="science" if number % 2 else "fiction",
        )  # fmt: skip
    found = library.call("GET", "/books?sort=-publishedOn&limit=2&offset=1").json
    assert [one["title"] for one in found["items"]] == ["Charlie", "alpha"]
    assert (found["total"], found["limit"], found["offset"]) == (4, 2, 1)
    assert library.call("GET", "/books?q=ALPH").json["total"] == 1
    assert library.call("GET", "/books?q=%25").json["total"] == 0
    assert library.call("GET", "/books?genre=science").json["total"] == 2
    after = library.call("GET", "/books?publishedFrom=2001-01-01&publishedTo=2002-12-31").json
    assert {one["title"] for one in after["items"]} == {"alpha", "Charlie"}
    assert library.call("GET", "/books?offset=1000000").json["items"] == []
    for wrong in ("limit=0", "limit=1.0", "limit=1_0", "limit=%201", "genre=none", "sort=isbn"):
        assert library.call("GET", f"/books?{wrong}").status == 422, wrong


def test_the_guard_lets_in_who_has_the_key(library):
    book = add_book(library)
    path = f"/books/{book['id']}"
    for headers in ({}, {"X-Library-Key": ""}, {"X-Library-Key": "sesam"}):
        refused = library.call("DELETE", path, headers=headers)
        assert refused.status == 401
        assert refused.headers["www-authenticate"]
    assert library.call("DELETE", path, headers=KEY).status == 204
    assert library.call("GET", path).status == 404
    library.stop()
    library.settings.clear()
    library.start()
    assert library.call("DELETE", path, headers={"X-Library-Key": ""}).status == 401


UNFIT = (
        {"title": ""}, {"title": None}, {"title": 5}, {"pages": True}, {"pages": "5"}, {"pages": 1.5},
        {"pages": 2**70}, {"price": "1"}, {"price": 1e9}, {"isbn": "9780000000000\n"}, {"genre": "x"},
        {"publishedOn": "2024-02-30"}, {"publishedOn": "20240201"}, {"tags": ["a", "a"]},
        {"tags": "a"}, {"cover": "no uri"}, {"language": "EN"},
)  # fmt: skip


def test_what_does_not_fit_is_refused_and_named(shared):
    before = shared.call("GET", "/books").json["total"]
    for change in UNFIT:
        answer = shared.call("POST", "/books", BOOK | change)
        assert answer.status == 422, change
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.json["errors"][0]["field"].split(".")[0] in change
    assert shared.call("GET", "/books").json["total"] == before


def test_unusual_but_good_values_are_kept_as_they_are(shared):
    title = 'nul \0, "quotes", \\, \U0001f4da, \u202e'
    book = add_book(
        shared, isbn="9780000000300", title=title, pages=2.0, price=0, unknown="left out"
    )
    assert (book["title"], book["pages"], "unknown" in book) == (title, 2, False)
    assert shared.call("GET", f"/books/{book['id']}").json == book


def test_every_error_has_the_document_s_shape(shared):
    for method, path, body, status in [
        ("GET", "/nothing", None, 404),
        ("GET", f"/books/{uuid.uuid4()}", None, 404),
        ("GET", "/books/no-uuid", None, 422),
        ("DELETE", "/books", None, 405),
        ("POST", "/books", b"{", 422),
        ("POST", "/books", b"\xff", 422),
        ("POST", "/books", b"[" * 50_000, 422),
        ("POST", "/books", b" " * 2_000_000, 413),
    ]:
        answer = shared.call(method, path, body)
        assert (answer.status, answer.json["status"]) == (status, status), (method, path)
        assert answer.headers["content-type"] == "application/problem+json"
    assert shared.call("DELETE", "/books").headers["allow"] == "GET, POST"
    for method in ("HEAD", "OPTIONS", "TRACE"):
        assert shared.call(method, "/books").status == 405


def test_a_request_that_is_under_way_is_finished_before_it_stops(library):
    body = b'{"isbn": "9780547773742", "title": "Slow", "author": "x", "genre": "fiction"}'
    slow = http.client.HTTPConnection("127.0.0.1", library.port, timeout=20)
    slow.putrequest("POST", "/books")
    slow.putheader("Content-Type", "application/json")
    slow.putheader("Content-Length", str(len(body)))
    slow.endheaders(body[:10])
    assert library.call("GET", "/healthz").status == 200
    library.process.send_signal(signal.SIGTERM)
    library.wait_until_deaf()
    slow.send(body[10:])
    answer = slow.getresponse()
    assert answer.status == 201
    assert answer.read()
    slow.close()
    assert library.process.wait(20) == 0
    library.start()
    assert library.call("GET", "/books").json["total"] == 1

"""What a span says it does, and who calls whom."""

from __future__ import annotations

import pytest

from lab.domain.trace import AttributeValue, Kind, Span, Trace
from lab.investigation.reading.span_words import (
    LONGEST_OPERATION,
    operation,
    operation_without_statement,
    whom,
)
from tests.support.traces import Draft, client, internal, server, trace


def call(name: str, /, **attributes: AttributeValue) -> tuple[Trace, Span]:
    """A call of these attributes (``_`` for ``.``) to somebody of whom no span came."""
    dotted = {key.replace("__", "."): value for key, value in attributes.items()}
    found = trace("t", client("gateway", name, 0, 9, "auth", attributes=dotted))
    return found, found.spans[0]


@pytest.mark.parametrize(
    ("name", "attributes", "says"),
    [
        ("GET", {}, "GET"),
        ("GET", {"url__full": "http://127.0.0.1:21140/session?token=1"}, "GET /session"),
        ("GET", {"url__template": "/things/{id}", "url__full": "http://a/things/7"},
         "GET /things/{id}"),
        ("GET", {"http__url": "http://[broken"}, "GET"),
        ("GET", {"url__full": 7}, "GET"),
        ("POST /checkout", {"url__full": "http://a/b"}, "POST /checkout"),
        ("SELECT", {"db__query__text": "select  a\n from b"}, "select a from b"),
        ("users", {"db__statement": "SELECT 1"}, "users SELECT 1"),
        ("db.connect", {}, "db.connect"),
        ("SELECT", {"db__query__text": " "}, "SELECT"),
    ],
)  # fmt: skip
def test_a_call_says_what_it_asks_for(
    name: str, attributes: dict[str, AttributeValue], says: str
) -> None:
    """By route, template or path, or by its statement, in one line."""
    assert operation(*call(name, **attributes)) == says


def test_who_answered_knows_the_route_best() -> None:
    answer = server("auth", "GET /s", 1, 5, attributes={"http.route": "/sessions/{id}"})
    draft = client("gateway", "GET", 0, 9, "auth", answer, attributes={"url.full": "http://a/s/1"})
    found = trace("t", draft)
    assert operation(found, found.spans[0]) == "GET /sessions/{id}"
    assert operation(found, found.spans[1]) == "GET /s"


def test_where_there_is_little_room_a_query_is_its_name() -> None:
    """And a call by HTTP has its route all the same."""
    query = call("SELECT", db__query__text="SELECT a FROM b")
    assert operation_without_statement(*query) == "SELECT"
    assert operation_without_statement(*call("GET", url__path="/prices")) == "GET /prices"


def test_a_long_statement_is_cut() -> None:
    said = operation(*call("SELECT", db__query__text="SELECT " + "x, " * 500))
    assert len(said) == LONGEST_OPERATION
    assert said.endswith("…")


def test_who_calls_whom_is_said_of_every_kind_of_span() -> None:
    """By who answered, else by whom the call names; own work says who asked for it."""
    work = internal("auth", "work", 2, 1)
    found = trace("t", client("gateway", "GET", 0, 9, "x", server("auth", "GET /", 1, 5, work)))
    assert [whom(found, span) for span in found.spans] == [
        "gateway calls auth",
        "auth answers gateway",
        "auth called by gateway",
    ]
    assert whom(*call("GET")) == "gateway calls auth"
    alone = {
        Kind.SERVER: "a answers somebody who is not here",
        Kind.CLIENT: "a calls somebody",
        Kind.PRODUCER: "a leaves a message",
        Kind.CONSUMER: "a takes a message up",
        Kind.INTERNAL: "a",
    }
    for kind, says in alone.items():
        lone = trace("t", Draft("a", "b", 0, 1, kind))
        assert whom(lone, lone.spans[0]) == says

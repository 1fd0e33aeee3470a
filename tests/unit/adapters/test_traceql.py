"""The part of TraceQL that the domain's predicates say, and the rest that is refused."""

from __future__ import annotations

import pytest

from lab import bootstrap
from lab.adapters import traceql
from lab.domain.record import Source
from lab.domain.trace import Status, Trace
from lab.errors import NeedsTraceQL
from lab.settings import Settings
from tests.support.traces import client, server, trace

QUERY = client(
    *("payments", "SELECT", 1, 2, "ledger_db"),
    attributes={"cold": False, "rows": 3, "share": 0.5, "cache.key": "a b"},
)
ORPHAN = trace("ab" * 16, server("payments", "charge", 0, 5, QUERY, status=Status.ERROR))


@pytest.mark.parametrize(
    "query",
    [
        "{}",
        "{ }",
        '{ name = "SELECT" }',
        "{kind=server}",
        '{ resource.service.name = "payments" && kind = client && status = unset }',
        '{ name = "SELECT" && span.cold = false && span.rows = 3 && span.share = 0.5 }',
        '{ span.cache.key = "a b" }',
        '{ trace:rootService = "payments" && name = "SELECT" }',
        '{ trace:rootService =~ "bank|payments" }',
    ],
)
def test_a_trace_answers(query: str) -> None:
    """One of its spans is all that is asked at once."""
    assert traceql.read(query).is_answered_by(ORPHAN)


@pytest.mark.parametrize(
    "query",
    [
        '{ name = "INSERT" }',
        '{ name = "SELECT" && kind = server }',
        '{ name = "SELECT" && status = error }',
        "{ span.cold = true }",
        '{ span.rows = "3" }',
        "{ span.nothing = 1 }",
        '{ trace:rootService =~ "bank|gateway" }',
        '{ trace:rootService = "payments|bank" }',
    ],
)
def test_a_trace_does_not_answer(query: str) -> None:
    """No one span is all of it, or it began elsewhere."""
    assert not traceql.read(query).is_answered_by(ORPHAN)


def test_a_trace_whose_beginning_never_came_began_nowhere() -> None:
    """A span whose parent is missing is no root."""
    cut = Trace(ORPHAN.trace_id, ORPHAN.spans[1:])
    assert not traceql.read('{ trace:rootService = "payments" }').is_answered_by(cut)


@pytest.mark.parametrize(
    ("query", "beyond"),
    [
        ("", ""),
        ('{ name = "a" } >> { status = error }', '{ name = "a" } >> { status = error }'),
        ("{ } | count() > 3", "{ } | count() > 3"),
        ('{ name = "a" || name = "b" }', '{ name = "a" || name = "b" }'),
        ("{ duration > 3s }", "{ duration > 3s }"),
        ('{ name = "a" && }', '{ name = "a" && }'),
        ('{ kind = client && name =~ "a.*" }', 'name =~ "a.*"'),
        ('{ trace:rootService =~ "a.*" }', 'trace:rootService =~ "a.*"'),
        ("{ trace:rootService = 3 }", "trace:rootService = 3"),
        ("{ name = SELECT }", "name = SELECT"),
        ("{ status = red }", "status = red"),
        ('{ kind = "server" }', 'kind = "server"'),
        ("{ span.x = nil }", "span.x = nil"),
        ("{ .x = 3 }", ".x = 3"),
        ('{ name = "a" && name = "b" }', 'name = "b"'),
    ],
)
def test_what_no_predicate_says_is_named(query: str, beyond: str) -> None:
    """Whoever wrote it learns which part needs Tempo."""
    with pytest.raises(NeedsTraceQL, match="needs TraceQL: run it with Tempo") as refused:
        traceql.read(query)
    assert refused.value.part == beyond


@pytest.mark.parametrize(
    ("query", "operations"),
    [
        ("{ }", (("", ""),)),
        ('{ name = "a" }', (("", "a"),)),
        ('{ resource.service.name = "s" && name = "a" }', (("s", "a"),)),
        ('{ trace:rootService =~ "s|r" }', (("r", ""), ("s", ""))),
        # The span that is meant need not be of the service in which all began.
        ('{ trace:rootService = "s" && name = "a" }', (("", "a"),)),
    ],
)
def test_a_store_that_knows_operations_reads_no_more_than_it_must(
    query: str, operations: tuple[tuple[str, str], ...]
) -> None:
    """Every find has a span of one of these."""
    assert traceql.read(query).operations == operations


def test_every_search_of_the_scenarios_can_be_said() -> None:
    """So each of them runs without Tempo."""
    for scenario in bootstrap.scenarios(Settings()).values():
        queries = scenario.observation.records.values()
        for join in scenario.truth.joins:
            traceql.read(join.search)
        for query in queries:
            if query.source is Source.TRACES:
                traceql.read(query.what)

"""What no request began, on the clock of the requests, and what it belongs to."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from lab.domain.evidence import Evidence, Sample
from lab.domain.load import Window
from lab.domain.trace import Link, Trace
from lab.investigation.reading.background import background_rows, background_traces
from tests.support.recorded_cases import recorded
from tests.support.traces import evidence, healthy_checkout, internal, request, trace

MINE, OTHER, WORK = "a" * 32, "b" * 32, "c" * 32


def bearing(owner: Trace, **attributes: Any) -> Trace:
    """The trace with these attributes on its first span."""
    first = dataclasses.replace(owner.spans[0], attributes=attributes)
    return Trace(owner.trace_id, (first, *owner.spans[1:]))


def work(at_ms: float = 50, **attributes: Any) -> Trace:
    return bearing(trace(WORK, internal("notifier", "process", at_ms, 5)), **attributes)


def joined(background: Trace, *others: Trace) -> list[tuple[str, str]]:
    """Whose it is and by what."""
    found = _case(background, *others)
    (row,) = background_rows(found, background_traces(found))
    return [(each["trace_id"], each["by"]) for each in row["joined"]]


def _case(background: Trace, *others: Trace) -> Evidence:
    return evidence(
        [request(each.trace_id, Window.CRIME) for each in others],
        {Sample.AFFECTED: list(others), Sample.JOINED: [background]},
    )


def test_a_link_leads_to_its_request() -> None:
    """Before whatever else they share."""
    mine = bearing(healthy_checkout(MINE), order_id="o-1")
    other = bearing(healthy_checkout(OTHER), order_id="o-1")
    first = work(order_id="o-1").spans[0]
    linked = dataclasses.replace(first, links=(Link(OTHER, "99" * 8), Link("e" * 32, "99" * 8)))
    assert joined(Trace(WORK, (linked,)), mine, other) == [
        (OTHER, "link"),
        (MINE, "order_id=o-1"),
    ]


@pytest.mark.parametrize(
    ("shared", "is_joined"),
    [
        ({"order_id": "o-1"}, True),
        ({"messaging.message.id": "m-1"}, True),
        ({"cache.key": "product:1"}, True),
        ({"tenant_id": "acme"}, False),
        ({"db.connection.id": "7"}, False),
        ({"http.route": "/checkout"}, False),
        ({"account_id": 1}, False),
    ],
)
def test_a_value_that_names_one_joins_those_that_have_it(
    shared: dict[str, Any], is_joined: bool
) -> None:
    """A number names nothing by itself, and what all have in common joins nobody."""
    late = work(at_ms=90_000, **shared)
    assert bool(joined(late, bearing(healthy_checkout(MINE), **shared))) is is_joined


def test_what_many_share_joins_those_that_ran_at_the_time() -> None:
    """A lock's key is everybody's, one after the other."""
    many = [bearing(healthy_checkout(f"{n:032x}"), account_id=1) for n in range(5)]
    assert len(joined(work(at_ms=1, account_id=1), *many)) == 5
    assert joined(work(at_ms=90_000, account_id=1), *many) == []
    named = [bearing(healthy_checkout(f"{n:032x}"), lock_key="k") for n in range(5)]
    assert joined(work(at_ms=90_000, lock_key="k"), *named) == [], "more than a few have it"


def test_messages_of_a_recorded_case_belong_to_their_purchases() -> None:
    """And say how long they lay: 0.3 s before, up to a minute in the incident."""
    found = recorded("late-email").evidence
    rows = background_rows(found, background_traces(found))
    after_s = {
        word: [row["joined"][0]["after_s"] for row in rows if row["window"] == word]
        for word in ("before", "incident")
    }
    assert max(after_s["before"]) < 2
    assert max(after_s["incident"]) > 20
    assert rows == sorted(rows, key=lambda row: row["start_unix_s"])

"""Trees of text are read as they are drawn, and written so that they are read as the same."""

from __future__ import annotations

import pytest

from lab.domain.trace import Kind, Status
from lab.errors import UsageError
from lab.testing import TraceSet
from lab.testing.tree import read, write
from tests.support.traces import client, internal, server, trace

ONE = trace(
    "1" * 32,
    server(
        "pay", "POST /pay", 0, 50,
        client("pay", "POST", 1, 9, "bank", server("bank", "POST /charge", 2, 6)),
        internal("pay", "charge card", 12, 3, status=Status.ERROR, exception="shop.CardDeclined"),
        internal("pay", "list [all]", 20, 3),
        internal("pay", "...", 30, 3),
    ),
)  # fmt: skip

DRAWN = """\
POST /pay [server, service=pay]
    POST [client]
        POST /charge [server, service=bank]
    charge card [error, !CardDeclined]
    list [all] [internal]
    ... [internal]"""


def test_what_is_written_is_read_as_the_same() -> None:
    """A round trip, names that look like marks or like *more* included."""
    assert write((ONE,)) == DRAWN
    TraceSet.received([ONE])
    from lab.testing import match_tree

    match_tree([ONE], DRAWN)


def test_each_mark_says_one_thing() -> None:
    """Kind, status, exception, service; in any order, with any indentation."""
    top = read("\n\n   a b [ error , client, service=x, !E ]\n     c\n     ...\n")
    (node,) = top.children
    asked = node.predicate
    assert (asked.name, asked.kind, asked.status) == ("a b", Kind.CLIENT, Status.ERROR)
    assert (asked.service, asked.exception) == ("x", "E")
    assert [child.predicate.name for child in node.children] == ["c"]
    assert node.more
    assert not top.more


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "found none"),
        ("a [eror]", "line 1 of the tree: expected a kind"),
        ("a\n\n  b [service]", "line 3 of the tree"),
    ],
)
def test_what_draws_nothing_is_refused(text: str, told: str) -> None:
    """With its line."""
    with pytest.raises(UsageError, match=told):
        read(text)

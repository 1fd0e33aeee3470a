"""A tree fits whatever order concurrent siblings ended in, and nothing but what it draws."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.domain.trace import Status, Trace
from lab.testing import expect, match_tree
from tests.support.traces import Draft, internal, server, trace


def request(*children: Draft) -> list[Trace]:
    return [trace("1" * 32, server("a", "GET /", 0, 1000, *children))]


def tree(*names: str, more: bool = False) -> str:
    return "\n".join(["GET /", *(f"    {name}" for name in names), *(["    ..."] * more)])


CONCURRENT = (internal("a", "x", 10, 50), internal("a", "y", 20, 50), internal("a", "z", 30, 50))
ONE_BY_ONE = (internal("a", "x", 10, 5), internal("a", "y", 20, 5), internal("a", "z", 30, 5))


@pytest.mark.parametrize("names", ["xyz", "zyx", "yxz"])
def test_concurrent_siblings_have_no_order(names: str) -> None:
    match_tree(request(*CONCURRENT), tree(*names))


def test_those_one_after_another_have() -> None:
    match_tree(request(*ONE_BY_ONE), tree("x", "y", "z"))
    with pytest.raises(AssertionError):
        match_tree(request(*ONE_BY_ONE), tree("x", "z", "y"))


@pytest.mark.parametrize(
    ("drawn", "fits"),
    [
        (tree("x", "y", "z"), True),
        (tree("x", "y"), False),
        (tree("x", "y", more=True), True),
        (tree("x", "w", more=True), False),
        (tree("x", "y", "z", "w"), False),
        (tree("x", "x", "y", "z"), False),
        (tree(more=True), True),
        (tree("x [server]", "y", "z"), False),
        (tree("x [error]", "y", "z"), False),
        (tree("x [unset, internal, service=a]", "y", "z"), True),
        ("GET /", False),
        ("GET /\n    x\n        y\n    z", False),
        ("...", True),
        ("GET /\n    ...\nGET /\n    ...", False),
    ],
)
def test_nothing_else_fits(drawn: str, fits: bool) -> None:
    if fits:
        match_tree(request(*CONCURRENT), drawn)
    else:
        with pytest.raises(AssertionError):
            match_tree(request(*CONCURRENT), drawn)


def test_a_line_without_a_status_is_of_no_error() -> None:
    """Or a tree would go on fitting once its spans begin to fail."""
    match_tree(request(internal("a", "x", 1, 1, status=Status.OK)), tree("x"))
    with pytest.raises(AssertionError):
        match_tree(request(internal("a", "x", 1, 1, status=Status.ERROR)), tree("x"))


INTERVALS = st.lists(
    st.tuples(st.integers(0, 40), st.integers(1, 40), st.sampled_from("xyz")), max_size=7
)


@given(INTERVALS)
def test_any_order_that_no_two_spans_contradict_fits(
    intervals: list[tuple[int, int, str]],
) -> None:
    """Drawn in an order of their starts or of their ends, every set of siblings fits."""
    children = [internal("a", name, at, took) for at, took, name in intervals]
    for key in (lambda each: each[0], lambda each: each[0] + each[1]):
        names = [name for _, _, name in sorted(intervals, key=key)]
        match_tree(request(*children), tree(*names))


def test_many_alike_take_no_time() -> None:
    """A thousand queries under one request, the last of them wrong."""
    many = [internal("a", "SELECT", n % 7, 9) for n in range(300)]
    began = time.process_time()
    with pytest.raises(AssertionError):
        match_tree(request(*many), tree(*["SELECT"] * 299, "INSERT"))
    expect(request(*many)).to_match_tree(tree(*["SELECT"] * 300))
    assert time.process_time() - began < 5

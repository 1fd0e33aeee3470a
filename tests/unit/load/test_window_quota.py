"""Mixes are dealt, not drawn, and customers take turns."""

from __future__ import annotations

from itertools import islice, pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.load.actors import ACCOUNTS, TENANTS, Account, credentials
from lab.load.shape import Shape
from lab.load.window import Quota, Stretch

WEIGHTS = st.dictionaries(
    st.text("abcdef", min_size=1, max_size=3), st.integers(1, 100), min_size=1, max_size=6
)


@given(WEIGHTS, st.integers(1, 400))
def test_every_share_holds_from_the_start_to_within_one(
    weights: dict[str, float], deals: int
) -> None:
    """After any number of deals each name was dealt its share, give or take less than one."""
    quota = Quota(weights)
    dealt = [quota.deal() for _ in range(deals)]

    for name, weight in weights.items():
        assert abs(dealt.count(name) - deals * weight / sum(weights.values())) < 1


@given(st.integers(1, 99), st.integers(0, 150), st.integers(1, 150))
def test_of_two_names_any_stretch_holds_its_share_to_within_one(
    weight: int, begin: int, length: int
) -> None:
    """A window may begin anywhere in the sequence and still sees the mix it was promised."""
    quota = Quota({"rare": weight, "usual": 100 - weight})
    dealt = [quota.deal() for _ in range(begin + length)][begin:]

    assert abs(dealt.count("rare") - length * weight / 100) <= 1


def test_a_rare_name_comes_at_equal_distances() -> None:
    """Two in a hundred are every fiftieth, not two in a row and then none for long."""
    quota = Quota({"shopper": 0.98, "expired-card-shopper": 0.02})
    dealt = [quota.deal() for _ in range(300)]

    places = [place for place, name in enumerate(dealt) if name == "expired-card-shopper"]
    assert [after - before for before, after in pairwise(places)] == [50] * 5


def test_a_weight_of_zero_is_never_dealt() -> None:
    """Weight 0 switches an actor off."""
    quota = Quota({"shopper": 1, "browser": 0})

    assert {quota.deal() for _ in range(20)} == {"shopper"}


def test_nothing_to_deal_is_refused() -> None:
    """Without any weight above 0 there is no share to hold."""
    with pytest.raises(ValueError, match="at least one weight above 0"):
        Quota({"shopper": 0})


SHAPE = Shape(mix={"searcher": 1.0}, users=1, rate_per_s=None, pace_s=1.0)


def test_tenants_come_equally_often_and_in_step_with_nothing() -> None:
    """Ten connections in turn would else give the slow one to the same tenants for ever."""
    accounts = [
        Account(email, password, TENANTS[number % 10], token="")
        for number, (email, password) in enumerate(islice(credentials(), ACCOUNTS))
    ]
    stretch = Stretch("crime", SHAPE, accounts, seed=1)
    dealt = [stretch.next_visit().account.tenant for _ in range(1000)]

    assert all(sorted(dealt[n : n + 10]) == sorted(TENANTS) for n in range(0, 1000, 10))
    assert all(len(set(dealt[place::10])) == 10 for place in range(10)), "no place is one tenant's"
    again = Stretch("crime", SHAPE, accounts, seed=1)
    assert [again.next_visit().account.tenant for _ in range(1000)] == dealt

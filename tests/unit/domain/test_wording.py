"""Words for a person."""

from __future__ import annotations

from lab.domain.wording import near_names


def test_near_names_are_offered_nearest_first_and_strangers_are_not() -> None:
    known = ["db-timeout", "slow-shelves", "card-declined"]
    assert near_names("db-timout", known) == ("db-timeout",)
    assert near_names("zzz", known) == ()

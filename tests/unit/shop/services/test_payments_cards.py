"""Which card numbers add up."""

from __future__ import annotations

import pytest

from lab.shop.services.bank import DECLINED
from lab.shop.services.payments import adds_up


@pytest.mark.parametrize(
    "number", ["4242 4242 4242 4242", "4242-4242-4242-4242", "4242424242424242", *DECLINED]
)
def test_a_card_number_adds_up_however_it_is_written(number: str) -> None:
    """Spaces and dashes do not count; declined test cards are numbers as good as any."""
    assert adds_up(number)


@pytest.mark.parametrize(
    "number",
    ["4242 4242 4242 4241", "4242", "", "no card", "0" * 17, "424242424242424²", "4" * 5000],
)
def test_anything_else_does_not(number: str) -> None:
    """A wrong check digit and a wrong count of digits are both refused."""
    assert not adds_up(number)

"""What may be typed in as a card: all of it is known to the Collector, which masks it."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from lab.shop.services.bank import DECLINED
from lab.shop.services.gateway import Card
from tests.support.personal_data import CARDS_OF_16


@pytest.mark.parametrize("number", [*CARDS_OF_16, *DECLINED])
@pytest.mark.parametrize("between", ["", " ", "-"])
def test_a_card_of_every_network_is_taken(number: str, between: str) -> None:
    """In four fours, as it is printed on it; whether it adds up, payments asks."""
    written = between.join(number[n : n + 4] for n in range(0, 16, 4))
    assert Card(number=written).number == written


@pytest.mark.parametrize(
    "number",
    [
        *("", "no card", "4242", "4" * 17, "4" * 5000, "4242 4242 4242 4242\n"),
        *("4242-4242 4242-4242", "42 42 42 42 42 42 42 42", "4242–4242–4242–4242"),
        *(
            "4a2b4c2d4e2f4g2h4i2j4k2l4m2n4o2p",
            "424242424242424²",
            "４２４２４２４２４２４２４２４２",
        ),
        *("1234567812345670", "9999999999999995", "0000000000000000", "2024 0000 0000 0000"),
    ],
)
def test_anything_else_ends_at_the_door(number: str) -> None:
    """Other signs and groups, and what no network gives out: no mask would know it."""
    with pytest.raises(ValidationError):
        Card(number=number)

"""Personal data on its way through the whole shop: typed in, charged, declined, logged, traced."""

from __future__ import annotations

import re

import pytest

from lab.shop.services.bank import DECLINED
from lab.shop.services.payments import adds_up
from tests.services.running_shop import Customer
from tests.support.lab_under_test import LabUnderTest
from tests.support.personal_data import CARDS_OF_16
from tests.support.warden_parts import HTTP, wait_until

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(240)]

LEFT = re.compile(r"user0010|(?:\d[ -]?){16}")


def test_no_card_that_the_shop_takes_is_left_in_what_a_case_is_made_of(lab: LabUnderTest) -> None:
    """A case's traces come out of Tempo and its log lines out of the Collector's copy."""
    customer = Customer(lab.settings.url("gateway"))
    whole = [
        next(f"{card[:15]}{last}" for last in range(10) if adds_up(f"{card[:15]}{last}"))
        for card in CARDS_OF_16
    ]
    written = [
        between.join(card[n : n + 4] for n in range(0, 16, 4))
        for card in (*whole, *DECLINED)
        for between in ("", " ", "-")
    ]
    answers = [customer.buy(card) for card in written]
    statuses = {answer.response.status_code for answer in answers}
    assert statuses == {201, 400}
    assert [answer for answer in answers if "Card invalid" in answer.response.text] == []

    odd = [" ".join(card[n : n + 2] for n in range(0, 16, 2)) for card in whole]
    refused = [customer.buy(card) for card in odd]
    assert {answer.response.status_code for answer in refused} == {422}
    assert not any(LEFT.search(answer.response.text) for answer in refused)
    answers = [*refused, *answers]

    copy = lab.settings.log_dir / "signals-logs.jsonl"
    last = answers[-1].trace_id
    wait_until(lambda: copy.exists() and last in copy.read_text(), "the last log line")
    logged = [line for line in copy.read_text().splitlines() if "charging card" in line]
    assert sum(line.count("charging card ****") for line in logged) >= len(written)
    for line in logged:
        assert not LEFT.search(without_ids(line))
    for answer in answers:
        url = f"{lab.settings.url('tempo_http')}/api/traces/{answer.trace_id}"
        wait_until(lambda url=url: HTTP.get(url).status_code == 200, "a trace")  # type: ignore[misc]
        assert not LEFT.search(without_ids(HTTP.get(url).text))


def without_ids(text: str) -> str:
    """Times and ids are long numbers, too, and an order's may have digits like a card's."""
    bare = re.sub(r'"(?:traceId|spanId|parentSpanId|\w*UnixNano|intValue)": ?"[^"]*"', "", text)
    return re.sub(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", "", bare)

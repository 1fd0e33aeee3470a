"""What each actor does in a visit, without a network."""

from __future__ import annotations

import json
from itertools import islice
from math import gcd
from random import Random

import pytest

from lab.load.actors import (
    ACCOUNTS,
    ACTORS,
    ASSORTMENT_SIZES,
    EXPIRED_CARD,
    GOOD_CARD,
    LOOKS_AROUND_EVERY,
    OFFER_OF_THE_DAY,
    OPENS_PRODUCT_EVERY,
    PRODUCTS,
    SEARCHED,
    WHOLESALE_LINES,
    Account,
    Answer,
    Call,
    Visit,
    credentials,
)

CUSTOMER = Account("user0001@example.com", "password-0001", "birch", "t")
PAGE = Answer(200, json.dumps({"items": [{"product_id": 41}], "page": 1}).encode())
FAILED = Answer(504, b'{"title": "Gateway Timeout"}')


def calls_of(actor: str, number: int, answer: Answer = PAGE) -> list[Call]:
    """The calls of one visit in which every call is answered by ``answer``."""
    visit = Visit(actor, CUSTOMER, number, Random(number))
    calls = ACTORS[actor](visit)
    made = [next(calls)]
    while True:
        try:
            made.append(calls.send(answer))
        except StopIteration:
            return made


@pytest.mark.parametrize(
    ("actor", "card"), [("shopper", GOOD_CARD), ("expired-card-shopper", EXPIRED_CARD)]
)
@pytest.mark.parametrize("number", range(LOOKS_AROUND_EVERY + 1))
def test_every_shopper_buys_once_a_visit(actor: str, card: str, number: int) -> None:
    """One checkout a visit, so that the share of visits is the share of checkouts."""
    checkouts = [call for call in calls_of(actor, number) if call.route == "POST /checkout"]

    assert len(checkouts) == 1
    assert checkouts[0].body is not None
    assert checkouts[0].body["card"] == {"number": card}


def test_a_home_visitor_sees_the_front_page_and_nothing_else() -> None:
    assert calls_of("home-visitor", 3) == [Call("GET", "/home", "/home")]


def test_a_returning_customer_logs_in_and_nothing_else() -> None:
    """With the address and password it has, and not with the token of its last visit."""
    given = {"email": "user0001@example.com", "password": "password-0001"}
    assert calls_of("returning-customer", 3) == [Call("POST", "/login", "/login", given)]


def test_every_customer_comes_to_search_for_every_word() -> None:
    """In any sixty visits each of the twenty customers searches for each of the three once."""
    found = {(number % ACCOUNTS, calls_of("searcher", number)[0].path) for number in range(60)}
    assert len(found) == ACCOUNTS * len(SEARCHED)
    assert {calls_of("searcher", number)[0].route for number in range(3)} == {"GET /products"}


def test_bargain_hunters_all_come_for_one_product() -> None:
    seen = {call for number in range(40) for call in calls_of("bargain-hunter", number)}
    assert seen == {Call("GET", "/products/{id}", f"/products/{OFFER_OF_THE_DAY}")}


def test_window_shoppers_look_at_anything_there_is() -> None:
    """One page a visit, hardly ever the one that somebody else has just seen."""
    seen = [call.path for number in range(400) for call in calls_of("window-shopper", number)]
    assert len(seen) == 400
    assert len(set(seen)) > 300
    assert {int(path.removeprefix("/products/")) for path in seen} <= set(range(1, PRODUCTS + 1))


def test_a_wholesaler_buys_forty_different_things() -> None:
    """All of them products that there are, from the first cart to the last."""
    for number in range(200):
        [buy] = calls_of("wholesaler", number)
        assert buy.body is not None
        products = [item["product_id"] for item in buy.body["items"]]
        assert len(set(products)) == WHOLESALE_LINES
        assert min(products) >= 1
        assert max(products) <= PRODUCTS


def test_every_customer_reads_assortments_of_every_size() -> None:
    """In any sixty visits each of the twenty customers reads each of the three sizes once."""
    read = {
        (number % ACCOUNTS, calls_of("assortment-reader", number)[0].path) for number in range(60)
    }
    assert len(read) == ACCOUNTS * len(ASSORTMENT_SIZES)
    assert gcd(ACCOUNTS, len(ASSORTMENT_SIZES)) == 1


def test_a_shopper_sometimes_looks_around_first_and_buys_what_it_saw() -> None:
    """Its first visit reads the shelves, then buys from them."""
    look, buy = calls_of("shopper", 0)

    assert look == Call("GET", "/products", "/products?page=1")
    assert buy.body is not None
    assert buy.body["items"] == [{"product_id": 41, "quantity": 1}]


def test_a_shopper_who_saw_no_shelves_buys_all_the_same() -> None:
    """A failed page ends no visit: a sick shop must not see fewer checkouts."""
    _, buy = calls_of("shopper", 0, FAILED)

    assert buy.body is not None
    assert 1 <= buy.body["items"][0]["product_id"] <= PRODUCTS


def test_a_browser_reads_and_never_buys() -> None:
    """Browsing is reading only, mostly the shelves."""
    calls = [call for number in range(18) for call in calls_of("browser", number)]
    routes = [call.route for call in calls]

    assert set(routes) == {"GET /products", "GET /products/{id}"}
    assert routes.count("GET /products") == 18
    assert routes.count("GET /products/{id}") == 18 / OPENS_PRODUCT_EVERY
    assert calls[1].path == "/products/41"


@pytest.mark.parametrize("every", [LOOKS_AROUND_EVERY, OPENS_PRODUCT_EVERY])
def test_what_happens_now_and_then_happens_to_everybody(every: int) -> None:
    """A rhythm that fits the rotation of accounts would always hit the same tenants."""
    assert gcd(every, ACCOUNTS) == 1


def test_any_ten_customers_in_a_row_are_of_ten_tenants() -> None:
    """The seed gives tenants by the last digit of the number."""
    emails = [email for email, _ in islice(credentials(), 10)]

    assert {email[7] for email in emails} == set("0123456789")
    assert next(credentials()) == ("user0001@example.com", "password-0001")


@pytest.mark.parametrize(
    ("answer", "parsed"),
    [
        (Answer(200, b'{"a": 1}'), {"a": 1}),
        (Answer(201, b"<html>"), None),
        (Answer(504, b'{"a": 1}'), None),
        (Answer(0), None),
    ],
)
def test_only_a_good_answer_has_content(answer: Answer, parsed: object) -> None:
    """Problem documents and broken JSON are no data to go on with."""
    assert answer.json() == parsed

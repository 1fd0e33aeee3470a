"""The actors: what each kind of visitor does in one visit, and who visits.

An actor is a generator of calls; whoever performs them sends each answer back in.
So an actor knows nothing of sockets, spans or clocks.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import count
from random import Random
from types import MappingProxyType
from typing import Any, Final

GOOD_CARD: Final = "4242 4242 4242 4242"
EXPIRED_CARD: Final = "4000 0000 0000 0069"
"""Test cards of the bank's published list: always accepted, always expired."""

PRODUCTS: Final = 1680
"""Products of the seed data, numbered from 1."""

ASSORTMENT_SIZES: Final = (700, 1000, 1500)
"""Products on one page, in turn: three sizes, so that time can be told to follow from bytes.
Customers take turns in no fixed order, so each comes to read each size."""

WHOLESALE_LINES: Final = 40

SEARCHED: Final = ("lamp", "chair", "kettle")
"""Words that some products of every tenant have in their name, searched for in turn.
Customers take turns in no fixed order, so each comes to search for each."""

OFFER_OF_THE_DAY: Final = 7
"""The product that everybody comes for."""

LOOKS_AROUND_EVERY: Final = 7
OPENS_PRODUCT_EVERY: Final = 9
"""Visits between two that also look around. Both are coprime to the number of tenants: otherwise
some would do it more often, and a learner would find a pattern that means nothing."""

TENANTS: Final = (
    "acme", "birch", "cedar", "dune", "elm", "fjord", "grove", "heath", "isle", "juniper"
)  # fmt: skip
"""Whom the customers of the seed data belong to: every tenth to acme, the large one."""

JOBS: Final = ("auditor",)
"""Actors that come by the clock and have clients of their own; see `lab.load.jobs`."""

ACCOUNTS: Final = 20
"""How many accounts a run logs in: two of each of the ten tenants."""


@dataclass(frozen=True, slots=True)
class Call:
    """One HTTP request an actor wants made; ``template`` is its path with ids left open."""

    method: str
    template: str
    path: str
    body: Mapping[str, Any] | None = None

    @property
    def route(self) -> str:
        """Method and template: ``GET /products/{id}``."""
        return f"{self.method} {self.template}"


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back; ``status`` 0 means nothing did."""

    status: int
    body: bytes = b""

    def json(self) -> Any:
        """The body of a 2xx answer, None of any other or where it is not JSON."""
        if not 200 <= self.status < 300:
            return None
        try:
            return json.loads(self.body)
        except ValueError:
            return None


@dataclass(frozen=True, slots=True)
class Account:
    """A customer who is logged in."""

    email: str
    password: str = field(repr=False)
    tenant: str
    token: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Visit:
    """One turn of an actor: ``number`` counts the visits of this actor from 0."""

    actor: str
    account: Account
    number: int
    choices: Random


Calls = Generator[Call, Answer, None]


def login(email: str, password: str) -> Call:
    """The call that turns an address and a password into a token."""
    return Call("POST", "/login", "/login", {"email": email, "password": password})


def credentials() -> Iterator[tuple[str, str]]:
    """Address and password of every seeded customer; any ten in a row are of ten tenants."""
    for number in count(1):
        yield f"user{number:04d}@example.com", f"password-{number:04d}"


def _shopper(visit: Visit) -> Calls:
    """Buys one thing with a good card, now and then after a look at the shelves."""
    yield from _buys(visit, GOOD_CARD)


def _expired_card_shopper(visit: Visit) -> Calls:
    """Does as the shopper does, with a card that has expired."""
    yield from _buys(visit, EXPIRED_CARD)


def _browser(visit: Visit) -> Calls:
    """Reads the shelves, now and then opens one product, and never buys."""
    shelf = yield from _looks_around(visit)
    if visit.number % OPENS_PRODUCT_EVERY == 0:
        product = visit.choices.choice(shelf)
        yield Call("GET", "/products/{id}", f"/products/{product}")


def _assortment_reader(visit: Visit) -> Calls:
    """Reads all there is in one page, or the larger part: 200 kB for acme, 3 kB for the others."""
    size = ASSORTMENT_SIZES[visit.number % len(ASSORTMENT_SIZES)]
    yield Call("GET", "/products", f"/products?page=1&size={size}")


def _home_visitor(_: Visit) -> Calls:
    """Looks at the front page, and leaves."""
    yield Call("GET", "/home", "/home")


def _returning_customer(visit: Visit) -> Calls:
    """Logs in once more, and leaves."""
    yield login(visit.account.email, visit.account.password)


def _searcher(visit: Visit) -> Calls:
    """Looks for something by its name; every customer's shop has some of each word."""
    word = SEARCHED[visit.number % len(SEARCHED)]
    yield Call("GET", "/products", f"/products?page=1&q={word}")


def _bargain_hunter(_: Visit) -> Calls:
    """Opens the page of the offer of the day, as everybody does."""
    yield Call("GET", "/products/{id}", f"/products/{OFFER_OF_THE_DAY}")


def _window_shopper(visit: Visit) -> Calls:
    """Opens the page of one product or another, and leaves."""
    yield Call("GET", "/products/{id}", f"/products/{visit.choices.randint(1, PRODUCTS)}")


def _wholesaler(visit: Visit) -> Calls:
    """Buys forty different things at once."""
    first = visit.choices.randint(1, PRODUCTS - WHOLESALE_LINES)
    yield _checkout(range(first, first + WHOLESALE_LINES), GOOD_CARD)


def _buys(visit: Visit, card: str) -> Calls:
    shelf: list[int] = []
    if visit.number % LOOKS_AROUND_EVERY == 0:
        shelf = yield from _looks_around(visit)
    product = visit.choices.choice(shelf) if shelf else visit.choices.randint(1, PRODUCTS)
    yield _checkout([product], card)


def _checkout(products: Iterable[int], card: str) -> Call:
    items = [{"product_id": product, "quantity": 1} for product in products]
    return Call("POST", "/checkout", "/checkout", {"items": items, "card": {"number": card}})


def _looks_around(visit: Visit) -> Generator[Call, Answer, list[int]]:
    """Read the first page; returns the ids on it, or any one id where no page came."""
    page = (yield Call("GET", "/products", "/products?page=1")).json()
    ids = [item["product_id"] for item in page["items"]] if page else []
    return ids or [visit.choices.randint(1, PRODUCTS)]


ACTORS: Final[Mapping[str, Callable[[Visit], Calls]]] = MappingProxyType(
    {
        "shopper": _shopper,
        "browser": _browser,
        "expired-card-shopper": _expired_card_shopper,
        "assortment-reader": _assortment_reader,
        "home-visitor": _home_visitor,
        "wholesaler": _wholesaler,
        "returning-customer": _returning_customer,
        "searcher": _searcher,
        "bargain-hunter": _bargain_hunter,
        "window-shopper": _window_shopper,
    }
)
"""Every actor by the name a scenario's load gives it."""

"""Which window is on, who visits next by quota, and what is still in flight."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from fractions import Fraction
from itertools import count, cycle
from math import ceil
from random import Random

from gevent.event import Event

from lab.load.actors import TENANTS, Account, Visit
from lab.load.plan import TRANSITION
from lab.load.shape import Shape


class Quota:
    """Deals names so that after any number of deals each is within 1 of its share.

    With two names any stretch, from wherever to wherever, is within 1 as well. Not
    random: the same weights always give the same sequence. R. Tijdeman, "The chairman
    assignment problem", Discrete Mathematics 32 (1980).
    """

    def __init__(self, weights: Mapping[str, float]) -> None:
        exact = {name: Fraction(str(weight)) for name, weight in weights.items() if weight > 0}
        if not exact:
            raise ValueError(f"expected at least one weight above 0, got {dict(weights)}")
        total = sum(exact.values())
        self._shares = {name: exact[name] / total for name in sorted(exact)}
        self._dealt = dict.fromkeys(self._shares, 0)
        self._deals = 0
        self._slack = Fraction(1, 2 * max(len(exact), 2) - 2)

    def deal(self) -> str:
        """The next name: of those far enough behind their share, the one due first."""
        self._deals += 1
        behind = [
            name
            for name, share in self._shares.items()
            if share * self._deals - self._dealt[name] >= self._slack
        ]
        name = min(behind, key=self._due)
        self._dealt[name] += 1
        return name

    def _due(self, name: str) -> int:
        """The deal at which ``name`` would fall too far behind if it were not dealt till then."""
        return ceil((self._dealt[name] + 1 - self._slack) / self._shares[name])


class Stretch:
    """One window while it lasts; every entry into a window is a stretch of its own.

    ``start_s`` is Unix time, ``began`` the same moment on the monotonic clock; ``over``
    is set when the window ends, whatever is still in flight then.
    """

    def __init__(self, window: str, shape: Shape, accounts: Sequence[Account], seed: int) -> None:
        self.window = window
        self.shape = shape
        self.start_s = time.time()
        self.began = time.monotonic()
        self.over = Event()
        self._quota = Quota(shape.mix)
        self._numbers = {actor: count() for actor in shape.mix}
        self._accounts = {
            actor: _in_turn(accounts, f"{seed} {window} {actor}") for actor in shape.mix
        }
        self._choices = Random(f"{seed} {window}")  # noqa: S311 (products, not secrets)

    @property
    def is_on(self) -> bool:
        """Whether new requests may start, and finished ones count for the window."""
        return not self.over.is_set()

    @property
    def age_s(self) -> float:
        """Seconds since it began."""
        return time.monotonic() - self.began

    def next_visit(self) -> Visit:
        """Deal an actor by quota and give it its next account.

        Accounts take turns for each actor by itself: in one common rotation an actor with a
        share of 1/50 would always be the same customer.
        """
        actor = self._quota.deal()
        number, account = next(self._numbers[actor]), next(self._accounts[actor])
        return Visit(actor, account, number, self._choices)

    def window_of_finished(self) -> str:
        """The window of a request that ends now: this one, unless it straddled the end."""
        return self.window if self.is_on else TRANSITION


def _in_turn(accounts: Sequence[Account], seed: str) -> Iterator[Account]:
    """All accounts again and again, a tenth of each ten turns for every tenant.

    The order within ten is drawn anew each time: whatever else goes round in the shop, such as
    the connections of a pool, would else meet the same tenants for ever.
    """
    choices = Random(seed)  # noqa: S311 (an order, no secret)
    for first in cycle(range(0, len(accounts), len(TENANTS))):
        some = list(accounts[first : first + len(TENANTS)])
        choices.shuffle(some)
        yield from some


class Floor:
    """Holds the stretch that is on; users wait here for the next one."""

    def __init__(self) -> None:
        self.current: Stretch | None = None
        self.in_flight = 0
        self._opened = Event()
        self._idle = Event()
        self._idle.set()

    def open(self, stretch: Stretch) -> None:
        """Begin ``stretch``, ending the one before it."""
        self.close()
        self.current = stretch
        self._opened.set()

    def close(self) -> None:
        """End the stretch that is on, if any: from now on nothing new starts."""
        if self.current is not None:
            self.current.over.set()
        self.current = None
        self._opened.clear()

    def await_stretch(self) -> Stretch:
        """The stretch that is on, or the next one."""
        while self.current is None:
            self._opened.wait()
        return self.current

    @contextmanager
    def request(self) -> Iterator[None]:
        """Count what happens inside as in flight."""
        self.in_flight += 1
        self._idle.clear()
        try:
            yield
        finally:
            self.in_flight -= 1
            if self.in_flight == 0:
                self._idle.set()

    def drain(self, timeout_s: float) -> bool:
        """Wait until nothing is in flight; False when something still is after ``timeout_s``."""
        return bool(self._idle.wait(timeout_s))

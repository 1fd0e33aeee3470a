"""Locust users: a closed loop of shoppers, and the one dispatcher of an open loop."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from itertools import islice
from typing import Any, ClassVar

import gevent
from locust import FastHttpUser, task

from lab.load.plan import Plan
from lab.load.storefront import Storefront
from lab.load.window import Floor, Stretch

HEADERS = {"User-Agent": "storefront"}

SHORTEST_PAUSE_S = 0.02
"""Between two visits of one user, however late it is: a refusing shop answers in 2 ms."""


@dataclass
class Places:
    """Which of all users of a run those of this process are.

    Each takes a number when it starts; seats and dispatchers of a process follow on from
    its first, which is known once all processes have said how many they have.
    """

    seated: int = 0
    dispatching: int = 0
    first_seat: int = 0
    first_dispatcher: int = 0
    all_dispatchers: int = 1


class _User(FastHttpUser):  # type: ignore[misc] # Locust ships no types.
    """Waits on the floor for a stretch and plays its part in it."""

    abstract = True
    floor: ClassVar[Floor]
    storefront: ClassVar[Storefront]

    @task  # type: ignore[untyped-decorator]
    def play(self) -> None:
        """One stretch from beginning to end."""
        stretch = self.floor.await_stretch()
        self.take_part(stretch)
        stretch.over.wait()

    def take_part(self, stretch: Stretch) -> None:
        """What this kind of user does while ``stretch`` is on."""
        raise NotImplementedError


class _Shopper(_User):
    """One seat of a closed loop: the next visit starts once this one was answered."""

    abstract = True
    places: ClassVar[Places]

    def on_start(self) -> None:
        self.number = self.places.seated
        self.places.seated += 1

    def take_part(self, stretch: Stretch) -> None:
        users, pace_s = stretch.shape.users, stretch.shape.pace_s
        seat = self.places.first_seat + self.number
        if users is None or seat >= users:
            return
        # Spread over one pace: a window that starts with all users at once measures its start.
        stretch.over.wait(pace_s * seat / users)
        while stretch.is_on:
            began = time.monotonic()
            self.storefront.perform(self.client, stretch, stretch.next_visit())
            rest_s = pace_s - (time.monotonic() - began)
            stretch.over.wait(max(rest_s, SHORTEST_PAUSE_S))


class _Dispatcher(_User):
    """The open loop: arrivals when the shape plans them, answered or not.

    Where there are several, each has every n-th of the same arrivals.
    """

    abstract = True
    on_failure: ClassVar[Callable[[gevent.Greenlet], None]]
    places: ClassVar[Places]

    def on_start(self) -> None:
        self.number = self.places.dispatching
        self.places.dispatching += 1

    def take_part(self, stretch: Stretch) -> None:
        if stretch.shape.rate_per_s is None:
            return
        mine = self.places.first_dispatcher + self.number
        arrivals = stretch.shape.arrivals()
        for offset_s in islice(arrivals, mine, None, self.places.all_dispatchers):
            stretch.over.wait(max(offset_s - stretch.age_s, 0))
            if not stretch.is_on:
                return
            visit = gevent.spawn(
                self.storefront.perform,
                self.client,
                stretch,
                stretch.next_visit(),
                stretch.start_s + offset_s,
            )
            visit.link_exception(type(self).on_failure)


def user_classes(
    plan: Plan,
    floor: Floor,
    storefront: Storefront,
    places: Places,
    on_failure: Callable[[gevent.Greenlet], None],
) -> list[type[FastHttpUser]]:
    """The classes Locust shall spawn, as many of each as the plan's windows ever need."""
    common = {
        "host": plan.host,
        "network_timeout": plan.timeout_s,
        "connection_timeout": plan.timeout_s,
        "floor": floor,
        "storefront": storefront,
        "default_headers": HEADERS,
        "places": places,
        "abstract": False,
    }
    classes: list[type[FastHttpUser]] = []
    if plan.users:
        own = {"fixed_count": plan.users, "concurrency": 1}
        classes.append(type("Shopper", (_Shopper,), {**common, **own}))
    if plan.connections:
        many: dict[str, Any] = {"concurrency": plan.connections, "on_failure": on_failure}
        many["fixed_count"] = max(plan.workers, 1)
        classes.append(type("Dispatcher", (_Dispatcher,), {**common, **many}))
    return classes

"""Those who carry out a plan in this process: customers, users, and what they leave behind."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import islice
from typing import Protocol

import gevent
from gevent.pool import Pool
from locust import FastHttpUser
from locust.contrib.fasthttp import FastHttpSession
from locust.env import Environment

# After Locust, whose import replaces sockets and threads by gevent's: what holds on to
# the blocking ones before that would stop every actor while it waits.
from lab.load.actors import ACCOUNTS, Account, credentials
from lab.load.plan import Plan
from lab.load.storefront import Log, Storefront
from lab.load.tracing import RootSpans, otlp_exporter
from lab.load.users import HEADERS, Places, user_classes
from lab.load.window import Floor, Stretch

DRAIN_S = 15.0
FLUSH_S = 10.0
LOGIN_CONNECTIONS = 4

OnFailure = Callable[[BaseException], None]
"""Told of what ends the run."""


class RunFailed(Exception):
    """The run cannot go on; the message is for whoever started it."""


@dataclass(frozen=True, slots=True)
class Spans:
    """Roots that ended, and those of them that reached nobody."""

    ended: int
    failed: int


class Hands(Protocol):
    """What does the work of a run: this process, or workers of it."""

    @property
    def current(self) -> tuple[str, float] | None:
        """The window that is on, and for how long (seconds)."""
        ...

    def prepare(self) -> None:
        """Log the customers in and seat the users."""
        ...

    def enter(self, window: str) -> float:
        """Begin ``window``; returns its start (Unix seconds)."""
        ...

    def pause(self) -> None:
        """Start nothing new, and wait until nothing is in flight."""
        ...

    def finish(self) -> Spans:
        """Drain, and hand over every span."""
        ...

    def close(self) -> None:
        """Start nothing new, whatever happened."""
        ...


class Crew:
    """`Hands` of this process. ``places`` says which part of the plan's users they are."""

    def __init__(self, plan: Plan, log: Log, on_failure: OnFailure) -> None:
        self._plan = plan
        self._on_failure = on_failure
        self._floor = Floor()
        self._roots = RootSpans(otlp_exporter(plan.otlp_endpoint, plan.otlp_protocol))
        self._storefront = Storefront(plan.host, self._roots, log, self._floor)
        self._accounts: list[Account] = []
        self.places = Places()

    @property
    def current(self) -> tuple[str, float] | None:
        """The window that is on, and for how long (seconds)."""
        stretch = self._floor.current
        return None if stretch is None else (stretch.window, stretch.age_s)

    def prepare(self) -> None:
        """Log all customers in, and seat all users at a runner of this process."""
        environment = Environment()
        self.log_in(environment, islice(credentials(), ACCOUNTS))
        environment.user_classes = self.user_classes()
        users = sum(each.fixed_count for each in environment.user_classes)
        runner = environment.create_local_runner()
        runner.start(users, spawn_rate=min(users, 100))
        runner.spawning_greenlet.join()

    def log_in(self, environment: Environment, customers: Iterable[tuple[str, str]]) -> None:
        """Log ``customers`` in; they visit from now on."""
        environment.events.user_error.add_listener(self._on_user_error)
        session = FastHttpSession(
            self._plan.host,
            environment.events.request,
            user=None,
            concurrency=LOGIN_CONNECTIONS,
            network_timeout=self._plan.timeout_s,
            connection_timeout=self._plan.timeout_s,
            max_retries=0,
            headers=HEADERS,
        )
        self._accounts = Pool(LOGIN_CONNECTIONS).map(
            lambda customer: self._storefront.log_in(session, *customer), customers
        )

    def user_classes(self) -> list[type[FastHttpUser]]:
        """What Locust shall spawn; its users wait on this floor."""
        return user_classes(
            self._plan, self._floor, self._storefront, self.places, self._on_greenlet_failure
        )

    def enter(self, window: str, at_s: float | None = None) -> float:
        """Begin ``window``, now or at a moment that several agreed on (Unix seconds)."""
        shape = self._plan.shapes.get(window)
        if shape is None:
            raise RunFailed(f"expected one of the plan's {sorted(self._plan.shapes)}, got {window}")
        if at_s is not None:
            gevent.sleep(max(at_s - time.time(), 0))
        stretch = Stretch(window, shape, self._accounts, self._plan.seed)
        self._floor.open(stretch)
        return stretch.start_s

    def pause(self) -> None:
        """Start nothing new, and wait until nothing is in flight."""
        self._floor.close()
        if not self._floor.drain(DRAIN_S):
            raise RunFailed(
                f"expected every request answered within {DRAIN_S:.0f} s of the pause, "
                f"{self._floor.in_flight} still are not"
            )

    def finish(self) -> Spans:
        """Drain, and hand over every span."""
        self._floor.close()
        self._floor.drain(DRAIN_S)
        with gevent.Timeout(FLUSH_S, False):
            self._roots.flush()
        return Spans(self._roots.ended, self._roots.failed)

    def close(self) -> None:
        """Start nothing new."""
        self._floor.close()

    def _on_greenlet_failure(self, failed: gevent.Greenlet) -> None:
        self._on_failure(failed.exception)

    def _on_user_error(self, exception: BaseException, **_: object) -> None:
        self._on_failure(exception)

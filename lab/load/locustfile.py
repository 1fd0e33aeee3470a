"""Free play: the lab's actors under Locust's own command line and web UI.

``locust -f lab/load/locustfile.py``, with ``--headless``, ``--master``, ``--worker`` and
everything else Locust knows; ``--class-picker`` chooses the actors. Every request is the
root of a trace, as in a case, but is written to no request log: nobody judges it.
"""

from __future__ import annotations

import logging
import os
import signal
from collections.abc import Callable, Iterator
from http import HTTPStatus
from pathlib import Path
from typing import Any, ClassVar

import gevent
from flask import Response, abort, jsonify, request
from locust import FastHttpUser, constant_pacing, events, task
from locust.env import Environment
from locust.exception import StopUser
from locust.runners import Runner, WorkerRunner
from locust.web import WebUI

from lab.load.actors import credentials
from lab.load.most import MOST_VARIABLE, rate_problem, users_problem
from lab.load.request_log import RequestLog
from lab.load.shape import Shape
from lab.load.storefront import LoginFailed, Storefront
from lab.load.tracing import RootSpans, otlp_exporter
from lab.load.users import HEADERS
from lab.load.window import Floor, Stretch
from lab.shop import topology
from lab.shop.keeper import own_pages

PACE_S = 0.75
PATIENCE_S = 10.0
_logger = logging.getLogger(__name__)
_OFFSET = int(os.environ.get("LAB_PORT_OFFSET", "0"))
_GATEWAY = topology.url("gateway", _OFFSET)
_MOST = int(os.environ[MOST_VARIABLE]) if MOST_VARIABLE in os.environ else None


class _Actor(FastHttpUser):  # type: ignore[misc] # Locust ships no types.
    """A customer who logs in and then visits at the pace of a case."""

    abstract = True
    host = _GATEWAY
    default_headers = HEADERS
    concurrency = 1
    network_timeout = PATIENCE_S
    connection_timeout = PATIENCE_S
    wait_time = constant_pacing(PACE_S)
    actor: ClassVar[str]
    storefront: ClassVar[Storefront]
    customers: ClassVar[Iterator[tuple[str, str]]]

    def on_start(self) -> None:
        self.stretch: Stretch | None = None

    @task  # type: ignore[untyped-decorator]
    def visit(self) -> None:
        """One visit, the first after a login."""
        if self.stretch is None:
            self.stretch = self._logged_in()
        self.storefront.perform(self.client, self.stretch, self.stretch.next_visit())

    def _logged_in(self) -> Stretch:
        """An endless stretch for this customer alone.

        Not in ``on_start``: Locust would add its own traceback to a shop that is down.
        """
        try:
            account = self.storefront.log_in(self.client, *next(self.customers))
        except LoginFailed as problem:
            _logger.error("%s", problem)  # noqa: TRY400 (the message says it all)
            raise StopUser from problem
        shape = Shape({self.actor: 1}, users=1, rate_per_s=None, pace_s=PACE_S)
        return Stretch(self.actor, shape, [account], seed=0)


class Shopper(_Actor):
    """Buys."""

    actor = "shopper"
    weight = 12


class Browser(_Actor):
    """Only looks."""

    actor = "browser"
    weight = 4


class ExpiredCardShopper(_Actor):
    """Tries to buy with a card that has expired."""

    actor = "expired-card-shopper"
    weight = 1


_roots = RootSpans(
    otlp_exporter(
        os.environ.get("OTEL_EXPORTER_OTLP_ENDPOINT", topology.url("otelcol_otlp_http", _OFFSET)),
        "http/protobuf",
    )
)


@events.init.add_listener  # type: ignore[untyped-decorator]
def _let_visits_end(environment: Environment, **_: object) -> None:
    # Without it Locust kills its users in the middle of a request, and the trace of
    # that request would never get its root.
    environment.stop_timeout = environment.stop_timeout or PATIENCE_S


@events.init.add_listener  # type: ignore[untyped-decorator]
def _hear_every_ctrl_c(**_: object) -> None:
    """Take Ctrl-C as Locust takes SIGTERM.

    By itself it becomes a KeyboardInterrupt in whichever greenlet is at work, and one that
    gevent has made of a thread, as of the spans' exporter, prints it and goes on.
    """
    gevent.signal_handler(signal.SIGINT, signal.raise_signal, signal.SIGTERM)


@events.init.add_listener  # type: ignore[untyped-decorator]
def _let_no_other_page_in(web_ui: WebUI | None, **_: object) -> None:
    """Only Locust's own page may drive it: by itself it lets every page of every site do so."""
    if web_ui is None:
        return

    def refuse_others() -> None:
        if own_pages.is_foreign(request.host, request.origin):
            abort(HTTPStatus.FORBIDDEN)

    web_ui.app.before_request(refuse_others)


@events.init.add_listener  # type: ignore[untyped-decorator]
def _bound_the_page(web_ui: WebUI | None, environment: Environment, **_: object) -> None:
    """Say on the page what is wrong with the numbers in its form."""
    if web_ui is None:
        return

    def refuse_too_many() -> Response | None:
        if request.method != "POST" or not request.path.endswith("/swarm"):
            return None
        try:
            problem = users_problem(int(request.form.get("user_count", "1")), _MOST)
            problem = problem or rate_problem(float(request.form.get("spawn_rate", "1")), _MOST)
        except ValueError:
            return None  # Locust itself says that it is no number.
        if problem is None:
            return None
        answer: Response = jsonify(success=False, message=problem, host=environment.host)
        return answer

    web_ui.app.before_request(refuse_too_many)


@events.init.add_listener  # type: ignore[untyped-decorator]
def _bound_every_start(runner: Runner, web_ui: WebUI | None, **_: object) -> None:
    """Start no more users than the machine bears, whoever asks: a file of settings, a key.

    What master or master's page ask of a worker they have been refused before.
    """
    if isinstance(runner, WorkerRunner):
        return
    start: Callable[..., Any] = runner.start

    def bounded(user_count: int, spawn_rate: float, *rest: Any, **more: Any) -> None:
        # None at all is how a key in Locust's terminal takes the last user away.
        problem = users_problem(user_count or 1, _MOST) or rate_problem(spawn_rate or 1, _MOST)
        if problem is None:
            start(user_count, spawn_rate, *rest, **more)
            return
        _logger.error("%s", problem)
        if web_ui is None and not runner.user_count:
            runner.quit()

    runner.start = bounded


@events.test_start.add_listener  # type: ignore[untyped-decorator]
def _open_shop(environment: Environment, **_: object) -> None:
    log = RequestLog(Path(os.devnull))
    _Actor.storefront = Storefront(environment.host or _GATEWAY, _roots, log, Floor())
    _Actor.customers = credentials()


@events.quitting.add_listener  # type: ignore[untyped-decorator]
@events.test_stop.add_listener  # type: ignore[untyped-decorator]
def _flush(**_: object) -> None:
    _roots.flush()

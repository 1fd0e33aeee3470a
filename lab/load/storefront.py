"""Performs visits: one root span, one request and one log entry for each call."""

from __future__ import annotations

import time
from typing import Any, Protocol

from lab.load.actors import ACTORS, Account, Answer, Call, Visit, login
from lab.load.plan import TRANSITION, UNJUDGED
from lab.load.request_log import Entry
from lab.load.tracing import RootSpans
from lab.load.window import Floor, Stretch

NOBODY = Account(email="", password="", tenant="", token="")


class LoginFailed(Exception):
    """A customer of the seed data could not log in."""


class Log(Protocol):
    """Takes what each request came to; ``lateness_ms`` is of those that were planned."""

    lateness_ms: list[float]

    def write(self, entry: Entry) -> None:
        """Keep ``entry``."""
        ...


class Storefront:
    """What actors stand before; ``host`` is the gateway's base URL."""

    def __init__(self, host: str, roots: RootSpans, log: Log, floor: Floor) -> None:
        self._host = host
        self._roots = roots
        self._log = log
        self._floor = floor

    def log_in(self, session: Any, email: str, password: str) -> Account:
        """Log a customer in; ``session`` is a Locust FastHttpSession."""
        answer = self._exchange(session, login(email, password), NOBODY, "login", None, None)
        fields = answer.json()
        if not fields:
            raise LoginFailed(
                f"expected POST {self._host}/login to give {email} a token, "
                f"got status {answer.status}; is the shop up? `lab status`"
            )
        return Account(email, password, tenant=fields["tenant_id"], token=fields["token"])

    def perform(
        self, session: Any, stretch: Stretch, visit: Visit, planned_s: float | None = None
    ) -> None:
        """Make the calls of ``visit`` until it is done or ``stretch`` is over.

        ``planned_s`` is the arrival's planned
        moment in an open loop; it is that of the visit's first request.
        """
        calls = ACTORS[visit.actor](visit)
        call = next(calls, None)
        while call is not None and stretch.is_on:
            answer = self._exchange(session, call, visit.account, visit.actor, stretch, planned_s)
            planned_s = None
            try:
                call = calls.send(answer)
            except StopIteration:
                call = None

    def _exchange(
        self,
        session: Any,
        call: Call,
        account: Account,
        actor: str,
        stretch: Stretch | None,
        planned_s: float | None,
    ) -> Answer:
        url = self._host + call.path
        with self._floor.request():
            span, headers = self._roots.begin(call, url, account.tenant)
            if account.token:
                headers["Authorization"] = f"Bearer {account.token}"
            start_s, began = time.time(), time.perf_counter()
            answer, error_type = _send(session, call, url, headers)
            latency_ms = (time.perf_counter() - began) * 1000
            self._roots.end(span, answer.status, error_type)
            if planned_s is not None and stretch and stretch.window not in UNJUDGED:
                self._log.lateness_ms.append((start_s - planned_s) * 1000)
            self._log.write(
                Entry(
                    window=stretch.window_of_finished() if stretch else TRANSITION,
                    planned_s=start_s if planned_s is None else planned_s,
                    start_s=start_s,
                    latency_ms=round(latency_ms, 3),
                    actor=actor,
                    route=call.route,
                    tenant=account.tenant,
                    status=answer.status,
                    trace_id=f"{span.get_span_context().trace_id:032x}",
                    answer_bytes=len(answer.body),
                )
            )
        return answer


def _send(session: Any, call: Call, url: str, headers: dict[str, str]) -> tuple[Answer, str | None]:
    """The answer, and, where there is none, the name of what came instead."""
    with session.request(
        call.method,
        url,
        name=call.template,
        json=call.body,
        headers=headers,
        catch_response=True,
    ) as response:
        status = int(response.status_code)
        problem = response.request_meta["exception"]
        # An answer of 400 or above comes with an exception too; a body that broke off
        # comes with one under a status that was fine.
        if problem is not None and status < 400:
            return Answer(0), type(problem).__name__
        return Answer(status, response.content or b""), None

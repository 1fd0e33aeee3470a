"""The shop as separate processes, and a customer of it."""

from __future__ import annotations

import os
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from lab.shop import topology
from tests.services.otlp_sink import OtlpSink, ReceivedSpan

GOOD_CARD = "4242 4242 4242 4242"
EXPIRED_CARD = "4000-0000-0000-0069"
POOR_CARD = "4000 0000 0000 9995"


def eventually(check: Callable[[], bool], *, within_s: float = 20.0) -> None:
    """Return as soon as ``check`` holds; fail with its name when it does not in time."""
    deadline_s = time.monotonic() + within_s
    while time.monotonic() < deadline_s:
        if check():
            return
        time.sleep(0.02)
    raise AssertionError(f"not within {within_s} s: {check}")


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def clean_environment() -> dict[str, str]:
    """This process's environment without what would steer a service."""
    steering = ("OTEL_", "SHOP_", "PG", "LAB_")
    return {name: value for name, value in os.environ.items() if not name.startswith(steering)}


class RunningShop:
    """``python -m lab.shop parent`` as a process."""

    def __init__(
        self, offset: int, log_dir: Path, secret_file: Path | None = None, **environment: str
    ) -> None:
        self.offset = offset
        self.log_dir = log_dir
        self.http = httpx.Client(trust_env=False, timeout=15)
        command = [sys.executable, "-m", "lab.shop", "parent"]
        command += ["--port-offset", str(offset), "--log-dir", str(log_dir)]
        command += ["--secret-file", str(secret_file)] if secret_file else []
        self.process = subprocess.Popen(
            command, env={**clean_environment(), "PGUSER": "shop", **environment}
        )

    def wait_until_healthy(self) -> None:
        eventually(lambda: all(map(self.is_healthy, topology.SERVICES)), within_s=20)

    def is_healthy(self, service: str) -> bool:
        return self.health(service) == "ok"

    def health(self, service: str) -> str:
        """What a service says of itself: ok or starting; nothing while it cannot be asked."""
        try:
            answer = self.http.get(self.url(service) + "/healthz")
        except httpx.HTTPError:
            return ""
        status: str = answer.json()["status"]
        assert answer.is_success == (status == "ok")
        return status

    def url(self, name: str) -> str:
        return topology.url(name, self.offset)

    def services(self) -> dict[str, Any]:
        answer = self.http.get(self.url("shop_control") + "/services")
        services: dict[str, Any] = answer.json()["services"]
        return services

    def configure(self, service: str, **wish: Any) -> httpx.Response:
        return self.http.put(f"{self.url('shop_control')}/services/{service}", json=wish)

    def stop(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(8)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise


@dataclass(frozen=True)
class Answer:
    """An answer, and the trace it left."""

    response: httpx.Response
    trace_id: str


class Customer:
    """Somebody who is logged in and whose every request begins a trace."""

    def __init__(self, gateway: str, email: str = "user0010@example.com") -> None:
        self._http = httpx.Client(base_url=gateway, trust_env=False, timeout=15)
        password = f"password-{email[4:8]}"
        self.login = self.ask("POST", "/login", json={"email": email, "password": password})
        document = self.login.response.json()
        self._http.headers["authorization"] = f"Bearer {document['token']}"
        self._http.headers["baggage"] = f"tenant_id={document['tenant_id']}"

    def ask(self, method: str, path: str, **options: Any) -> Answer:
        trace_id, span_id = secrets.token_hex(16), secrets.token_hex(8)
        headers = {"traceparent": f"00-{trace_id}-{span_id}-01", **options.pop("headers", {})}
        response = self._http.request(method, path, headers=headers, **options)
        return Answer(response, trace_id)

    def buy(self, card: str = GOOD_CARD, product_id: int = 8) -> Answer:
        items = [{"product_id": product_id, "quantity": 1}]
        return self.ask("POST", "/checkout", json={"items": items, "card": {"number": card}})


def whole_trace(sink: OtlpSink, answer: Answer) -> list[ReceivedSpan]:
    """Every span of an answer's trace.

    A service exports in the order in which spans end, and a SERVER span ends
    last; so a trace is whole when every answered call has its SERVER span.
    """

    def is_whole() -> bool:
        spans = sink.trace(answer.trace_id)
        servers = [span for span in spans if span.kind == "server"]
        parents = {span.parent_id for span in servers}
        calls = [span for span in spans if "network.protocol.version" in span.attributes]
        answered = {span.span_id for span in calls if span.kind == "client"}
        return answered < parents and any(span.service == "gateway" for span in servers)

    eventually(is_whole)
    return sink.trace(answer.trace_id)

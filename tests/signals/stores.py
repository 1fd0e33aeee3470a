"""Asks Prometheus, Loki and Tempo what Grafana would ask them."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal, Self

import httpx
import psutil

from lab.adapters.stack import processes
from lab.domain.evidence import Interval
from lab.settings import Settings

Store = Literal["prometheus", "loki", "tempo"]
METRIC_FUNCTIONS = ("rate(", "_over_time(", "compare(")
"""What makes of a TraceQL query one that answers with series instead of traces."""


@dataclass(frozen=True)
class Query:
    """A query that stands in a file; ``where`` names the file and the place in it."""

    where: str
    store: Store
    text: str

    def with_variables(self, **values: str) -> Query:
        """What Grafana sends once every ``$name`` has its value."""
        text = self.text
        known = {"__rate_interval": "10s", **values}
        # The longest first: `$trace` is the beginning of another.
        for name in sorted(known, key=len, reverse=True):
            text = text.replace(f"${{{name}}}", known[name]).replace(f"${name}", known[name])
        return Query(self.where, self.store, text)


@dataclass(frozen=True)
class Answer:
    """How many series or traces came, and every number in them; a trace or a line counts 1."""

    series: int
    values: tuple[float, ...]

    @property
    def is_more_than_zeros(self) -> bool:
        return any(value != 0 for value in self.values)


class Stores:
    """Connections to the three stores of one stack."""

    def __init__(self, settings: Settings) -> None:
        self._urls = {
            "prometheus": settings.url("prometheus"),
            "loki": settings.url("loki"),
            "tempo": settings.url("tempo_http"),
        }
        self._client = httpx.Client(trust_env=False, timeout=20.0)
        ports: dict[Store, str] = {
            "prometheus": "prometheus",
            "loki": "loki",
            "tempo": "tempo_http",
        }
        self._processes = {
            store: _listening_on(settings.port(port)) for store, port in ports.items()
        }

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    def get(self, store: Store, path: str, **parameters: Any) -> Any:
        """The JSON that a store answers with; a refusal fails the test with its words."""
        answer = self._client.get(f"{self._urls[store]}{path}", params=parameters)
        assert answer.is_success, f"{answer.status_code} {answer.text} for {parameters}"
        return answer.json()

    def worked_s(self, store: Store) -> float:
        """For how long the store has had a processor so far."""
        used = self._processes[store].cpu_times()
        return float(used.user + used.system)

    def ask(self, query: Query, during: Interval, *, step_s: int = 1) -> Answer:
        """Run ``query`` over an interval."""
        if query.store == "prometheus":
            return self._prometheus(query.text, during, step_s)
        if query.store == "loki":
            return self._loki(query.text, during, step_s)
        return self._tempo(query.text, during, step_s)

    def _prometheus(self, text: str, during: Interval, step_s: int) -> Answer:
        found = self.get(
            "prometheus",
            "/api/v1/query_range",
            query=text,
            start=during.start_s,
            end=during.end_s,
            step=step_s,
        )
        return _series(result["values"] for result in found["data"]["result"])

    def _loki(self, text: str, during: Interval, step_s: int) -> Answer:
        found = self.get(
            "loki",
            "/loki/api/v1/query_range",
            query=text,
            start=round(during.start_s * 1e9),
            end=round(during.end_s * 1e9),
            step=f"{step_s}s",
            limit=1000,
        )["data"]
        if found["resultType"] == "streams":
            lines = sum(len(stream["values"]) for stream in found["result"])
            return Answer(len(found["result"]), (1.0,) * lines)
        return _series(result["values"] for result in found["result"])

    def _tempo(self, text: str, during: Interval, step_s: int) -> Answer:
        if _is_trace_id(text):
            trace = self.get("tempo", f"/api/v2/traces/{text}")["trace"]
            spans = sum(
                len(scope["spans"])
                for resource in trace.get("resourceSpans", ())
                for scope in resource["scopeSpans"]
            )
            return Answer(1, (1.0,) * spans)
        start, end = math.floor(during.start_s), math.ceil(during.end_s)
        if any(name in text for name in METRIC_FUNCTIONS):
            found = self.get(
                "tempo", "/api/metrics/query_range", q=text, start=start, end=end, step=f"{step_s}s"
            )
            series = [
                [(each.get("timestampMs"), each.get("value", 0)) for each in one.get("samples", ())]
                for one in found.get("series") or ()
            ]
            return _series(series)
        found = self.get("tempo", "/api/search", q=text, start=start, end=end, limit=20)
        traces = found.get("traces") or ()
        return Answer(len(traces), (1.0,) * len(traces))


def _listening_on(port: int) -> psutil.Process:
    pid = processes.pid_listening_on(port)
    assert pid is not None, f"nobody listens on port {port}"
    return psutil.Process(pid)


def _series(results: Iterable[Iterable[Any]]) -> Answer:
    series = [[float(value) for _, value in values] for values in results]
    numbers = (value for values in series for value in values)
    return Answer(len(series), tuple(value for value in numbers if not math.isnan(value)))


def _is_trace_id(text: str) -> bool:
    return len(text) == 32 and set(text) <= set("0123456789abcdef")

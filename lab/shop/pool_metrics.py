"""What a pool of connections says of itself between requests, as metrics.

The names are those of OpenTelemetry's semantic conventions for database client
metrics, so that a dashboard made for any other pool reads this one:
https://opentelemetry.io/docs/specs/semconv/database/database-metrics/
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from opentelemetry.metrics import Observation

from lab.shop.telemetry import meter as shop_meter

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from opentelemetry.metrics import CallbackOptions, Meter


class PoolCounts(NamedTuple):
    """A pool at one moment: connections in use and idle, and callers who have none yet."""

    used: int
    idle: int
    pending: int


def publish_pool(
    name: str, size: int, counts: Callable[[], PoolCounts], meter: Meter = shop_meter
) -> None:
    """Report the pool called ``name``, of at most ``size`` connections, at every export.

    ``counts`` is called from the exporter's thread; it must not wait.
    """
    pool = {"db.client.connection.pool.name": name}

    def connections(_: CallbackOptions) -> Iterable[Observation]:
        now = counts()
        yield Observation(now.used, {**pool, "db.client.connection.state": "used"})
        yield Observation(now.idle, {**pool, "db.client.connection.state": "idle"})

    meter.create_observable_up_down_counter(
        "db.client.connection.count",
        [connections],
        unit="{connection}",
        description="Connections of the pool, by whether somebody uses them.",
    )
    meter.create_observable_up_down_counter(
        "db.client.connection.max",
        [lambda _: [Observation(size, pool)]],
        unit="{connection}",
        description="As many connections as the pool may open.",
    )
    meter.create_observable_up_down_counter(
        "db.client.connection.pending_requests",
        [lambda _: [Observation(counts().pending, pool)]],
        unit="{request}",
        description="Callers who asked for a connection and have none yet.",
    )

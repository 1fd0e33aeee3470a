"""What a pool says of itself as metrics."""

from __future__ import annotations

from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader, NumberDataPoint

from lab.shop.pool_metrics import PoolCounts, publish_pool


def reported(reader: InMemoryMetricReader) -> dict[tuple[str, str], int | float]:
    """Each value by its metric and, where there is one, its state; the pool's name is asserted."""
    data = reader.get_metrics_data()
    assert data is not None
    values: dict[tuple[str, str], int | float] = {}
    for metric in data.resource_metrics[0].scope_metrics[0].metrics:
        for point in metric.data.data_points:
            assert isinstance(point, NumberDataPoint)
            said = dict(point.attributes or {})
            assert said["db.client.connection.pool.name"] == "orders_db"
            state = str(said.get("db.client.connection.state", ""))
            values[metric.name.removeprefix("db.client.connection."), state] = point.value
    return values


def test_a_pool_reports_what_it_holds_now() -> None:
    """Used and idle connections apart, its size, and who waits; anew at each export."""
    reader = InMemoryMetricReader()
    meter = MeterProvider([reader]).get_meter("test")
    now = [PoolCounts(used=2, idle=3, pending=0)]
    publish_pool("orders_db", 10, lambda: now[0], meter)

    assert reported(reader) == {
        ("count", "used"): 2,
        ("count", "idle"): 3,
        ("max", ""): 10,
        ("pending_requests", ""): 0,
    }
    now[0] = PoolCounts(used=10, idle=0, pending=7)
    assert reported(reader)["count", "used"] == 10
    assert reported(reader)["pending_requests", ""] == 7

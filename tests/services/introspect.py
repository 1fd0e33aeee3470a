"""Print, as JSON, what telemetry a service's process has; run as a script.

``introspect.py started`` tells of this process, which ``opentelemetry-instrument``
may have prepared; ``introspect.py forked`` imports ahead as the shop's parent
does, forks, and tells of the child. Both set the environment that is in
``INTROSPECT``, the second one only after the fork.
"""

from __future__ import annotations

import json
import os
import sys
from importlib.metadata import entry_points
from typing import Any

from lab.shop import telemetry
from lab.shop.keeper import parent


def describe() -> dict[str, Any]:
    """Exporters, sampler, propagators, instrumentors and resource of this process."""
    telemetry.start(telemetry.SpanCounter(memoryview(bytearray(8))))
    from opentelemetry import _logs, metrics, propagate, trace

    tracers: Any = trace.get_tracer_provider()
    meters: Any = metrics.get_meter_provider()
    loggers: Any = _logs.get_logger_provider()
    processors = [*_processors(tracers), *_processors(loggers)]
    propagator: Any = propagate.get_global_textmap()
    instrumentors = {
        point.name: bool(point.load()().is_instrumented_by_opentelemetry)
        for point in entry_points(group="opentelemetry_instrumentor")
    }
    resource = dict(tracers.resource.attributes)
    return {
        "processors": [type(processor).__name__ for processor in processors],
        "exporters": sorted(map(_exporter, [*processors, *_readers(meters)])),
        "sampler": tracers.sampler.get_description(),
        "propagators": [type(part).__name__ for part in propagator._propagators],
        "instrumentors": instrumentors,
        "resource": {key: value for key, value in resource.items() if "instance" not in key},
    }


def _processors(provider: Any) -> list[Any]:
    multi = (
        getattr(provider, "_active_span_processor", None) or provider._multi_log_record_processor
    )
    return list(
        multi._span_processors
        if hasattr(multi, "_span_processors")
        else multi._log_record_processors
    )


def _readers(provider: Any) -> list[Any]:
    return list(
        provider._all_metric_readers
        if hasattr(provider, "_all_metric_readers")
        else provider._metric_readers
    )


def _exporter(holder: Any) -> str:
    batch = getattr(holder, "_batch_processor", holder)
    exporter = getattr(batch, "_exporter", None)
    where = getattr(exporter, "_endpoint", "")
    return f"{type(exporter).__module__}.{type(exporter).__name__} {where}"


def main() -> None:
    environment = json.loads(os.environ["INTROSPECT"])
    if sys.argv[1] == "forked":
        parent.import_ahead(environment["OTEL_EXPORTER_OTLP_PROTOCOL"])
        pid = os.fork()
        if pid:
            os._exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
        os.environ.update(environment)
    sys.stdout.write(json.dumps(describe()))
    sys.stdout.flush()
    os._exit(0)


main()

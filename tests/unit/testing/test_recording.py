"""What it costs to record and to assert, and to have the plugin and not use it."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path
from statistics import median

from opentelemetry.sdk.trace import TracerProvider

from lab.testing import RecordedSpans, expect, span
from tests.unit.testing.sessions import write

MOST_MS = 20.0
MOST_ADDED_MS = 30.0


def thousand(spans: RecordedSpans) -> None:
    tracer = spans.tracer()
    for request in range(100):
        with tracer.start_as_current_span("GET /", attributes={"http.route": "/"}):
            for n in range(9):
                attributes: dict[str, str | int] = {"n": n, "url.full": f"http://shop/{request}"}
                with tracer.start_as_current_span("SELECT", attributes=attributes):
                    pass


def test_a_thousand_spans_are_asserted_in_no_time() -> None:
    """Processor time, the first look included; as a multiple of plain work, for a slow machine."""
    took_ms, plain_ms = [], []
    for _ in range(7):
        began = time.process_time()
        assert sum(number * number for number in range(200_000))
        plain_ms.append((time.process_time() - began) * 1e3)
        with RecordedSpans(TracerProvider()) as spans:
            thousand(spans)
            began = time.process_time()
            last = span("SELECT", attributes={"n": 8}).child_of(span("GET /"))
            expect(spans).to_have(last, count="== 1", traces="== 100%")
            took_ms.append((time.process_time() - began) * 1e3)
    assert len(spans.look()) == 1000
    assert min(took_ms) <= max(MOST_MS, 3 * min(plain_ms)), (took_ms, plain_ms)


SESSION = """
import sys, time
import pytest
began = time.process_time()
code = pytest.main([*sys.argv[1:], "-q", "-p", "no:cacheprovider"])
print("TOOK", (time.process_time() - began) * 1e3)
sys.exit(code)
"""


def session_ms(folder: Path, *words: str) -> float:
    done = subprocess.run(
        [sys.executable, "-c", SESSION, *words, str(folder)],
        env={"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTHONPATH": str(Path(__file__).parents[3])},
        capture_output=True,
        text=True,
        check=True,
    )
    return float(done.stdout.rpartition("TOOK")[2])


def test_a_session_that_does_not_use_it_hardly_notices_it(tmp_path: Path) -> None:
    """Processor time with the plugin and without, in turns."""
    write(tmp_path, "def test_it(): pass")
    pairs = [
        (session_ms(tmp_path, "-p", "lab.testing.plugin"), session_ms(tmp_path)) for _ in range(5)
    ]
    assert median(with_it - without for with_it, without in pairs) <= MOST_ADDED_MS, pairs

"""A recorded case replayed into a real Collector and Tempo, and accused by its ids there."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

import anyio
import pytest

from lab import bootstrap
from lab.adapters.cases.recording_file import RECORDING, read_recording
from lab.domain.trace import Trace
from lab.settings import CHECKOUT
from tests.support.lab_under_test import LabUnderTest

pytestmark = pytest.mark.e2e

DB_TIMEOUT = CHECKOUT / "scenarios" / "db-timeout" / RECORDING
FOUND_WITHIN_S = 30.0


def test_a_replayed_case_is_solved_by_the_ids_it_has_elsewhere(
    lab: LabUnderTest, tmp_path: Path
) -> None:
    """Every span arrives, with the story it had; the guilty one is accused by its new name."""
    mine = replace(lab, environment={**lab.environment, "LAB_STATE_DIR": str(tmp_path)})
    case_id = mine.json("import", str(DB_TIMEOUT))["case"]
    recorded = read_recording(DB_TIMEOUT)
    assert recorded.support_code is not None
    original = recorded.evidence.traces[recorded.support_code]

    told = mine.json("replay", case_id, "--to", lab.settings.url("otelcol_otlp_http"))

    assert (told["rejected"], told["traces"]) == (0, len(recorded.evidence.traces))
    found = anyio.run(_from_tempo, lab, told["support_code"], len(original.spans))
    assert [(span.service, span.name) for span in found] == [
        (span.service, span.name) for span in original
    ]
    [query] = [span for span in found if (span.service, span.name) == ("auth", "SELECT")]
    solved = mine.run("accuse", case_id, found.trace_id, query.span_id, "--mechanism", "timeout")
    assert solved.returncode == 0, solved.stdout + solved.stderr


async def _from_tempo(lab: LabUnderTest, trace_id: str, spans: int) -> Trace:
    give_up_s = time.monotonic() + FOUND_WITHIN_S
    async with bootstrap.lab(lab.settings) as parts:
        while True:
            found = await parts.store.trace(trace_id)
            if found is not None and len(found.spans) == spans:
                return found
            assert time.monotonic() < give_up_s, f"expected {spans} spans, found {found}"
            await anyio.sleep(0.2)

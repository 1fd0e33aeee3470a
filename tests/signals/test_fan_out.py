"""Two backends at once, by the Collector's configuration alone."""

from __future__ import annotations

import anyio

from lab.adapters.tempo import TempoStore
from tests.services.running_shop import eventually
from tests.signals.conftest import Ran
from tests.signals.second_backend import SpanIds
from tests.support.lab_under_test import LabUnderTest


def test_the_second_backend_gets_every_span_that_the_first_gets(
    full_lab: LabUnderTest, ran: dict[str, Ran], second_backend: SpanIds
) -> None:
    """The spans of three proven cases, which have lost none: none is lost on this way either."""

    async def received() -> int:
        async with TempoStore(full_lab.settings.url("tempo_http")) as tempo:
            return await tempo.spans_received()

    # Nothing loads the shop any more, but a poll may still leave a span.
    eventually(lambda: len(second_backend.ids) == anyio.run(received), within_s=15)
    assert len(second_backend.ids) > 1_000
    assert len(set(second_backend.ids)) == len(second_backend.ids)
    with_case = {trace_id.hex() for trace_id, _ in second_backend.ids}
    assert {case.trace_id for case in ran.values()} <= with_case

"""The random lives of wardens, many more of them than a unit test has time for."""

from __future__ import annotations

import pytest
from hypothesis import settings
from hypothesis.stateful import run_state_machine_as_test

from tests.unit.warden.test_leases_machine import Wardens

pytestmark = pytest.mark.adversity_full


@pytest.mark.timeout(1800)
def test_no_harm_outlives_its_lease_in_thousands_of_lives() -> None:
    """The same machine, the same rules."""
    run_state_machine_as_test(
        Wardens, settings=settings(max_examples=4000, stateful_step_count=50, deadline=None)
    )

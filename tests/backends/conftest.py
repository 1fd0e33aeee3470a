"""What the tests of other backends and headers share: whole stacks, one for each wish."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab.adapters.stack.postgres import can_start_servers
from lab.adapters.tools import toolbox
from lab.settings import Settings
from tests.support.lab_under_test import PROOF_WITHIN_S

HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Whichever test comes first waits for a stack, or for a case."""
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.timeout(PROOF_WITHIN_S + 120))


@pytest.fixture(scope="session", autouse=True)
def servers() -> None:
    """Without a database there is no shop."""
    if (reason := can_start_servers()) is not None:
        pytest.skip(f"skipped: {reason}")


@pytest.fixture(scope="session")
def jaeger(servers: None) -> None:
    """Built only where somebody asked for it."""
    if toolbox.find(toolbox.JAEGER, Settings()) is None:
        pytest.skip("skipped: no Jaeger here; `lab tools --build jaeger` builds one")

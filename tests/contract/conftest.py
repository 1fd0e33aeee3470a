"""Real parts for the contracts that the warden and its adapters keep."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.warden_parts import Toxiproxy, toxiproxy_before_stubs


@pytest.fixture(scope="session")
def _toxiproxy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Toxiproxy]:
    with toxiproxy_before_stubs(tmp_path_factory.mktemp("toxiproxy")) as toxiproxy:
        yield toxiproxy


@pytest.fixture
def toxiproxy(_toxiproxy: Toxiproxy) -> Iterator[Toxiproxy]:
    """A Toxiproxy with every edge of the topology, clean before and after."""
    yield _toxiproxy
    _toxiproxy.reset()

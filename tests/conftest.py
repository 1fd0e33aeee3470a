"""A test that fails while the machine stood still is run again; it says nothing of the lab."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

import pytest

from lab.adapters.machine import ThisMachine
from lab.ports import Strain

RERUNS: Final = 2
STALL_S: Final = 0.25
"""A sleeper kept from the processors for so long: nothing else here met its time either.

The share of busy processors does not count: tests may use all of it themselves.
"""

_WATCH: Final = pytest.StashKey[Callable[[], Strain]]()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    """Watch the machine through every run of ``item``."""
    with ThisMachine().watch() as strain:
        item.stash[_WATCH] = strain
        return (yield)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let each test that fails be judged by what the machine did meanwhile."""
    for item in items:
        item.add_marker(pytest.mark.flaky(reruns=RERUNS, condition=_stood_still_during(item)))


def _stood_still_during(item: pytest.Item) -> Callable[[], bool]:
    def stood_still() -> bool:
        return item.stash[_WATCH]().longest_stall_s > STALL_S

    return stood_still

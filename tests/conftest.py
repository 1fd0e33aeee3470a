"""What all tests share: one stack of real parts, and another try where the machine stood still."""

from __future__ import annotations

import importlib
import os
from collections.abc import Callable, Iterator
from typing import Final

import hypothesis
import pytest

from lab.adapters.machine import ThisMachine
from lab.ports.machine import Strain
from tests.support import sharing
from tests.support.lab_under_test import LabUnderTest, lab_up
from tests.support.seen import SEEN
from tests.support.seen_plugin import watch
from tests.support.words import insist_on_words

# Programs that tests start are a user's, who waits for Python's compiler once and not each time.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

RERUNS: Final = 2
STALL_S: Final = 0.25
"""A sleeper kept from the processors for so long: nothing else here met its time either.

The share of busy processors does not count: tests may use all of it themselves.
"""

hypothesis.settings.register_profile("no deadline", deadline=None)
# What an example costs depends on what else runs here; a test that hangs has its own limit.
hypothesis.settings.load_profile("no deadline")

_WATCH: Final = pytest.StashKey[Callable[[], Strain]]()


def pytest_configure(config: pytest.Config) -> None:
    """Keep the ledger of what occurs; the end of the whole suite looks for what never did.

    And let no text show a noun as Python prints it.
    """
    insist_on_words()
    # Whoever shares tests out tells how wide its terminal is; what is tested is read by a pipe.
    if hasattr(config, "workerinput"):
        os.environ.pop("COLUMNS", None)
    # Its consoles decide once how wide they are: not by what the first test happens to set.
    importlib.import_module("lab.commands.common")
    config.pluginmanager.register(watch(SEEN), "seen")
    config.pluginmanager.register(sharing, "sharing")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    """Watch the machine through every run of ``item``."""
    with ThisMachine().watch() as strain:
        item.stash[_WATCH] = strain
        return (yield)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let each test that fails be judged by what the machine did meanwhile.

    A test that fails while it stood still says nothing of the lab. And tests of the code
    alone come first, which several workers may share; then those that need no shared stack,
    before the first that brings it up: it stays up to the end, and those of the stack itself
    start two more. Three at once would starve each other.
    """
    for item in items:
        item.add_marker(pytest.mark.flaky(reruns=RERUNS, condition=_stood_still_during(item)))
    items.sort(key=lambda item: (not sharing.is_code_alone(item.nodeid), _shares_the_stack(item)))


def _shares_the_stack(item: pytest.Item) -> bool:
    """By its fixture and not by its file, so that a new one falls into its place by itself."""
    needs_lab = isinstance(item, pytest.Function) and "lab" in item.fixturenames
    return needs_lab and item.get_closest_marker("e2e") is not None


@pytest.fixture(scope="session")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LabUnderTest]:
    """The whole local stack, up, for every test that needs real parts.

    In a folder whose name one or the other part reads as something else, unless told not to.
    """
    with lab_up(tmp_path_factory.mktemp("lab %d ;é #{}$a${HOME}'\"") / ".lab") as up:
        yield up


def _stood_still_during(item: pytest.Item) -> Callable[[], bool]:
    def stood_still() -> bool:
        return item.stash[_WATCH]().longest_stall_s > STALL_S

    return stood_still

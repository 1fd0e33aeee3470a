"""What watches a session of tests for the *seen* ledger, and makes it red where one is missing."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from functools import wraps
from typing import Any, Final

import pytest

from lab.domain.case import Case
from lab.domain.proof import ProofVerdict
from lab.domain.verdict import Judgement
from lab.investigation.running.run_case import CaseRun
from lab.ports.warden import Removal
from lab.warden.ending import Undoing
from tests.support import seen
from tests.support.seen import Level, Seen

JUDGE: Final = "lab.investigation.solving.judge"
WHOLE_SUITE: Final = frozenset({"", "not adversity_full"})
"""What may be asked of markers in a session that counts as the whole suite."""

FILE: Final = "lab/seen"
"""Where pytest's cache keeps the ledger of the last session: `.pytest_cache/v/lab/seen`."""


def is_whole(session: pytest.Session) -> bool:
    """Whether every test of the suite was meant to run, and no one ended it early."""
    config = session.config
    chosen = ("keyword", "deselect", "ignore", "ignore_glob", "lf", "collectonly")
    return (
        config.args_source is pytest.Config.ArgsSource.TESTPATHS
        and config.option.markexpr in WHOLE_SUITE
        and not any(getattr(config.option, name, None) for name in chosen)
        and not (session.shouldstop or session.shouldfail)
    )


class Watch:
    """The plugin; says nothing of a session that ran a part of the suite, or was red anyway."""

    def __init__(self, ledger: Seen) -> None:
        self._ledger = ledger
        self._missing: tuple[str, ...] = ()

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Iterator[None]:
        """Remember whose doing it is."""
        self._ledger.where = item.nodeid
        return (yield)

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any) -> None:
        """Take over what a worker has seen; one that died saw nothing."""
        self._ledger.take(getattr(node, "workeroutput", {}).get(FILE, ()))

    def pytest_sessionfinish(self, session: pytest.Session, exitstatus: int) -> None:
        """Keep the ledger; after the whole suite, be red where anything was never seen.

        A worker hands its own to whoever shares the tests out, and judges nothing.
        """
        if (told := getattr(session.config, "workeroutput", None)) is not None:
            told[FILE] = self._ledger.rows()
            return
        cache = session.config.cache
        if cache is not None:
            cache.set(FILE, self._ledger.rows())
        if exitstatus == pytest.ExitCode.OK and is_whole(session):
            self._missing = self._ledger.missing()
            if self._missing:
                session.exitstatus = pytest.ExitCode.TESTS_FAILED

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> Iterator[None]:
        """Name each that is missing, behind all else: where somebody reads only how it ended."""
        yield
        if self._missing:
            terminalreporter.section("never seen in the whole suite", red=True)
            for line in self._missing:
                terminalreporter.line(line)


def watch(ledger: Seen) -> Watch:
    """A plugin whose ledger is told by the product's own code from now on."""
    Undoing.attempt = _telling(Undoing.attempt, _removed(ledger))  # type: ignore[method-assign]
    CaseRun.run = _telling(CaseRun.run, _ran(ledger))  # type: ignore[method-assign]
    _tell_of_judgements(ledger)
    return Watch(ledger)


def _telling(method: Any, tell: Callable[[Any, Any], None]) -> Any:
    @wraps(method)
    async def told(self: Any) -> Any:
        result = await method(self)
        tell(self, result)
        return result

    return told


def _removed(ledger: Seen) -> Callable[[Undoing, Removal], None]:
    def tell(undoing: Undoing, removal: Removal) -> None:
        ledger.note(seen.REASON, seen.reason(undoing.why))
        ledger.note(seen.MEANS, removal.method)

    return tell


def _ran(ledger: Seen) -> Callable[[CaseRun, Case], None]:
    def tell(_: CaseRun, case: Case) -> None:
        ledger.note(seen.PROVED, case.proof.verdict)
        ledger.note(seen.ENDING, case.ending)
        if case.proof.verdict is ProofVerdict.PROVEN and ledger.level is Level.LIVE:
            for mechanism in case.scenario.truth.mechanisms:
                ledger.note(seen.MECHANISM, mechanism)

    return tell


def _tell_of_judgements(ledger: Seen) -> None:
    made = Judgement.__init__

    @wraps(made)
    def told(self: Judgement, *words: Any, **named: Any) -> None:
        made(self, *words, **named)
        # One that a test made by hand is nobody's judgement.
        if sys._getframe(1).f_globals.get("__name__") == JUDGE:
            ledger.note(seen.JUDGED, self.verdict)

    Judgement.__init__ = told  # type: ignore[method-assign]

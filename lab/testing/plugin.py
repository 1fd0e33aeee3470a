"""The pytest plugin: its fixtures and options. Nothing else is imported until it is used."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Generator, Iterator
from typing import TYPE_CHECKING, Any, Final

import pytest

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider

    from lab.testing.receiver import OtlpReceiver
    from lab.testing.recording import RecordedSpans

KEEP: Final = ("on-failure", "always", "html")
INCOMPLETE: Final = "incomplete"
_INCOMPLETE: Final = ("lab.testing.waiting", "Incomplete")


def pytest_addoption(parser: pytest.Parser) -> None:
    """What of the spans is kept, and whether expected trees are written anew."""
    group = parser.getgroup("spans", "span assertions (deadspan)")
    group.addoption(
        "--spans",
        choices=KEEP,
        metavar="WHEN",
        help="keep the spans of tests for `lab open`: on-failure, always, or html (those that "
        "failed, as a page beside it)",
    )
    group.addoption(
        "--spans-dir", default="test-spans", metavar="DIR", help="where they are kept (test-spans)"
    )
    group.addoption(
        "--spans-update",
        action="store_true",
        help="write the trees of match_tree anew, in the files of the tests",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Give those who ask for more their part of the plugin."""
    if config.getoption("spans"):
        from lab.testing.keeping import Keeper

        config.pluginmanager.register(Keeper(config), "lab-testing-keeper")
    if config.getoption("spans_update"):
        from lab.testing.tree_update import Updater

        config.pluginmanager.register(Updater.of(config), "lab-testing-updater")


@pytest.fixture
def spans_provider() -> TracerProvider | None:
    """Whose spans are recorded: override it where the application has a provider of its own.

    None is the process's: the application's where it sets one when it is imported, else one that
    is set now, once for all tests.
    """
    return None


@pytest.fixture
def spans(spans_provider: TracerProvider | None) -> Iterator[RecordedSpans]:
    """The spans that this test makes, in memory, and no others."""
    from lab.testing.recording import RecordedSpans

    with RecordedSpans(spans_provider) as recorded:
        yield recorded


@pytest.fixture
def otlp_receiver() -> Iterator[OtlpReceiver]:
    """A backend on free ports of loopback, to which services in other processes send OTLP."""
    from lab.testing.receiver import OtlpReceiver

    with OtlpReceiver() as receiver:
        yield receiver


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> Generator[None, object, object]:
    """Let a coroutine's context be its test's: anyio has one for the tests of a whole module."""
    recorded: Any = getattr(pyfuncitem, "funcargs", {}).get("spans")
    if hasattr(recorded, "enter") and inspect.iscoroutinefunction(pyfuncitem.obj):
        own = pyfuncitem.obj
        pyfuncitem.obj = _entering(own, recorded.enter)
        try:
            return (yield)
        finally:
            pyfuncitem.obj = own
    return (yield)


def _entering(test: Callable[..., Any], enter: Callable[[], None]) -> Callable[..., Any]:
    async def entered(**arguments: Any) -> Any:
        enter()
        return await test(**arguments)

    return entered


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    call: pytest.CallInfo[None],
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Mark a test that could not know."""
    report = yield
    # By its name: to import it would cost those who assert on no span.
    error = None if call.excinfo is None else call.excinfo.type
    if error is not None and (error.__module__, error.__name__) == _INCOMPLETE:
        report.user_properties.append((INCOMPLETE, True))
    return report


def pytest_report_teststatus(report: pytest.TestReport) -> tuple[str, str, str] | None:
    """Neither passed nor failed: counted by itself, while the session is not green."""
    properties = getattr(report, "user_properties", ())
    if report.failed and any(name == INCOMPLETE for name, _ in properties):
        return INCOMPLETE, "I", "INCOMPLETE"
    return None


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Say what was missing, as of a failure."""
    reports = terminalreporter.getreports(INCOMPLETE)
    if reports:
        terminalreporter.write_sep("=", "INCOMPLETE: spans are missing, so nobody knows")
        for report in reports:
            terminalreporter.write_sep("_", report.nodeid)
            terminalreporter.write_line(report.longreprtext)

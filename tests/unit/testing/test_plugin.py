"""The plugin in a session of somebody else's: fixtures, options, what it prints and costs."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from lab.domain.trace import Status
from lab.testing import from_file
from tests.unit.testing.sessions import run, write

ISOLATED = """
    import asyncio
    import threading

    import pytest
    from opentelemetry import trace
    from lab.testing import Incomplete, expect, span

    tracer = trace.get_tracer("app")
    left = {}

    def test_one(spans):
        with tracer.start_as_current_span("one"):
            pass
        left["open"] = tracer.start_span("left open")
        go = left["go"] = threading.Event()

        def late():
            go.wait()
            with tracer.start_as_current_span("late, of the first test"):
                pass

        import contextvars
        left["thread"] = threading.Thread(target=contextvars.copy_context().run, args=[late])
        left["thread"].start()
        expect(spans).to_have("one")

    def test_two_sees_nothing_of_the_first(spans):
        def child():
            with trace.use_span(left["open"]):
                tracer.start_span("child of what was left open").end()

        other = threading.Thread(target=child)
        other.start()
        other.join()
        left["open"].end()
        left["go"].set()
        left["thread"].join()
        expect(spans).not_to_have()
        tracer.start_span("two").end()
        assert [each.name for each in spans.look()] == ["two"]

    def test_threads_and_loops_of_a_test_are_its_own(spans):
        async def request():
            with tracer.start_as_current_span("in a loop"):
                await asyncio.to_thread(lambda: tracer.start_span("in a thread").end())

        asyncio.run(request())
        other = threading.Thread(target=lambda: tracer.start_span("without context").end())
        other.start()
        other.join()
        expect(spans).to_have(span("in a thread").child_of(span("in a loop")))
        expect(spans).to_have("without context")

    def test_what_is_still_open_is_no_failure(spans):
        with tracer.start_as_current_span("open"):
            with pytest.raises(Incomplete, match="'open' is open"):
                expect(spans).not_to_have("x")
        expect(spans).not_to_have("x")

    def test_spans_before_a_step_can_be_forgotten(spans):
        tracer.start_span("preparing").end()
        spans.clear()
        spans.tracer().start_span("doing").end()
        assert [each.name for each in spans.look()] == ["doing"]
"""


def test_each_test_sees_its_own_spans(tmp_path: Path) -> None:
    """Whatever a test before it left running, and whoever runs in threads and loops for it."""
    write(tmp_path, ISOLATED)
    session = run(tmp_path)
    assert session.counts == {"passed": 5}, session.text


def test_the_applications_own_provider_is_recorded(tmp_path: Path) -> None:
    """One that is set once, at import, and one that is nobody's but the application's."""
    write(
        tmp_path,
        """
        import pytest
        from opentelemetry import trace
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from lab.testing import expect

        trace.set_tracer_provider(TracerProvider(resource=Resource({"service.name": "pay"})))

        class App:
            provider = TracerProvider(resource=Resource({"service.name": "own"}))

        def test_global(spans):
            trace.get_tracer("x").start_span("a").end()
            App.provider.get_tracer("x").start_span("not recorded").end()
            assert [(each.service, each.name) for each in spans.look()] == [("pay", "a")]

        class TestOwn:
            @pytest.fixture
            def spans_provider(self):
                return App.provider

            def test_own(self, spans):
                App.provider.get_tracer("x").start_span("b").end()
                trace.get_tracer("x").start_span("not recorded").end()
                assert [(each.service, each.name) for each in spans.look()] == [("own", "b")]
        """,
    )
    session = run(tmp_path)
    assert session.counts == {"passed": 2}, session.text


THREE = """
    from lab.testing import TraceSet, expect
    from opentelemetry import trace

    def make():
        with trace.get_tracer("app").start_as_current_span("charge"):
            pass

    def test_passes(spans):
        make()
        expect(spans).to_have("charge")

    def test_fails(spans):
        make()
        expect(spans).to_have("refund")

    def test_cannot_know(spans):
        make()
        with trace.get_tracer("app").start_as_current_span("open"):
            expect(spans).to_have("refund")
"""


def test_incomplete_is_an_answer_of_its_own(tmp_path: Path) -> None:
    """Counted and shown by itself, and the session is not green."""
    write(tmp_path, THREE)
    session = run(tmp_path, "-k", "not fails")
    assert session.code == 1
    assert session.counts == {"passed": 1, "incomplete": 1, "deselected": 1}, session.text
    assert "test_it.py .I" in session.text
    assert "INCOMPLETE: spans are missing, so nobody knows" in session.text
    assert "('open' is open)" in session.text


def test_a_failure_shows_the_tree_and_none_of_our_own_code(tmp_path: Path) -> None:
    """The traceback ends at the test's line."""
    write(tmp_path, THREE)
    text = run(tmp_path, "-k", "fails").text
    assert "◀ name: expected refund, found charge" in text
    assert '>       expect(spans).to_have("refund")' in text
    assert "def _rounds" not in text
    assert "def _settle" not in text


@pytest.mark.parametrize(
    ("when", "files"),
    [
        (
            "on-failure",
            {"test_it.py-test_fails.otlp.json", "test_it.py-test_cannot_know.otlp.json"},
        ),
        ("always", {f"test_it.py-test_{n}.otlp.json" for n in ("passes", "fails", "cannot_know")}),
    ],
)
def test_spans_are_kept_for_the_desk(tmp_path: Path, when: str, files: set[str]) -> None:
    """As OTLP/JSON in files that say of which test they are."""
    write(tmp_path, THREE)
    session = run(tmp_path, f"--spans={when}")
    kept = tmp_path / "test-spans"
    assert {path.name for path in kept.iterdir()} == files
    assert [each.name for each in from_file(kept / "test_it.py-test_fails.otlp.json")] == ["charge"]
    assert f"`lab open {kept / 'test_it.py-test_fails.otlp.json'}` shows them" in session.text


def test_spans_are_kept_as_a_page(tmp_path: Path) -> None:
    """Which needs nothing else, and shows foreign text as text."""
    write(
        tmp_path,
        """
        from lab.testing import expect

        def test_it(spans):
            spans.tracer().start_span("<script>alert(1)</script>", attributes={"a": '"><b>'}).end()
            assert False
        """,
    )
    run(tmp_path, "--spans=html", "--spans-dir=kept")
    page = (tmp_path / "kept" / "test_it.py-test_it.html").read_text(encoding="utf-8")
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
    assert "<script" not in page
    assert "<b>" not in page


def test_a_kept_test_opens_at_the_desk(tmp_path: Path) -> None:
    """``lab import --otlp`` takes the file, and ``lab traces`` shows what is in it."""
    write(tmp_path, THREE)
    run(tmp_path, "--spans=on-failure")
    file = tmp_path / "test-spans" / "test_it.py-test_fails.otlp.json"
    lab = [sys.executable, "-m", "lab"]
    environment = {"LAB_STATE_DIR": str(tmp_path / "state"), "PATH": ""}
    made = subprocess.run(
        [*lab, "import", "--otlp", str(file), "--json"],
        capture_output=True, text=True, check=True, env=environment,
    )  # fmt: skip
    found = json.loads(made.stdout)
    expected = {"case": "imported-1", "is_new": True, "traces": 1, "spans": 1, "skipped_spans": 0}
    assert found.items() >= expected.items()


def test_a_file_of_traces_knows_how_its_spans_ended(tmp_path: Path) -> None:
    """Nothing is lost on the way to disk and back."""
    write(
        tmp_path,
        """
        import pytest
        from opentelemetry.trace import SpanKind

        def test_it(spans):
            with pytest.raises(ValueError):
                with spans.tracer().start_as_current_span("a", kind=SpanKind.CLIENT):
                    raise ValueError("declined")
            spans.save("kept.json")
        """,
    )
    assert run(tmp_path).code == 0
    (kept,) = from_file(tmp_path / "kept.json")
    assert (kept.status, kept.kind.value, kept.exceptions) == (
        Status.ERROR, "client", ("ValueError",)
    )  # fmt: skip


HEAVY = ("fastapi", "grpc", "httpx", "locust", "pydantic", "rich", "ruamel", "typer", "google")
UNUSED = ("opentelemetry", "lab.domain", "lab.adapters", "lab.errors")


def test_a_session_that_uses_none_of_it_imports_none_of_it(tmp_path: Path) -> None:
    """The plugin is in every session of a project, also in those that assert on no span."""
    write(
        tmp_path,
        f"""
        import sys

        def test_nothing():
            found = [each for each in sys.modules if each.split(".")[0] in {HEAVY}]
            found += [each for each in sys.modules if each.startswith({UNUSED})]
            assert found == []
        """,
    )
    session = run(tmp_path)
    assert session.counts == {"passed": 1}, session.text


def test_to_assert_imports_nothing_heavy(tmp_path: Path) -> None:
    """Neither Locust nor FastAPI, nor what the command line and the desk are made of."""
    write(
        tmp_path,
        f"""
        import sys
        from lab.testing import assert_semantic, expect, from_file, from_jaeger, from_tempo, span
        import lab.testing.toxiproxy

        def test_nothing(spans, otlp_receiver):
            spans.tracer().start_span("a").end()
            expect(spans).to_have("a")
            expect(spans).to_match_tree("a")
            assert_semantic(spans)
            assert [each for each in sys.modules if each.split(".")[0] in {HEAVY}] == []
        """,
    )
    session = run(tmp_path)
    assert session.counts == {"passed": 1}, session.text

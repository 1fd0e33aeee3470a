"""``--spans-update`` writes trees anew where they stand, and touches nothing else."""

from __future__ import annotations

from pathlib import Path

from tests.unit.testing.sessions import run, write

HEAD = '''
    from lab.testing import expect, match_tree
    from opentelemetry import trace

    tracer = trace.get_tracer("app")


    def pay():
        with tracer.start_as_current_span("POST /pay", kind=trace.SpanKind.SERVER):
            with tracer.start_as_current_span("charge é"):
                pass
            with tracer.start_as_current_span('say """hi""" \\\\ there'):
                pass
'''
TESTS = '''

    def test_one(spans):
        pay()
        match_tree(spans, """
            POST /pay
                old  # no comment: a name
        """)  # this stays


    def test_two(spans):
        pay()
        x = "é"; expect(spans).to_match_tree("old"), "beside it"


    def test_more(spans):
        pay()
        match_tree(
            spans,
            """
            POST /pay [client]
                charge é
                ...
            """,
        )
'''
WRITTEN = '''

    def test_one(spans):
        pay()
        match_tree(spans, """
            POST /pay [server]
                charge é
                say \\"\\"\\"hi\\"\\"\\" \\\\ there
            """)  # this stays


    def test_two(spans):
        pay()
        x = "é"; expect(spans).to_match_tree("""
            POST /pay [server]
                charge é
                say \\"\\"\\"hi\\"\\"\\" \\\\ there
            """), "beside it"


    def test_more(spans):
        pay()
        match_tree(
            spans,
            """
            POST /pay [server]
                charge é
                ...
            """,
        )
'''


def test_trees_are_written_anew_where_they_stand(tmp_path: Path) -> None:
    """Comments, other statements of the line, escapes and ``...`` stay; then they fit."""
    path = write(tmp_path, HEAD + TESTS)
    expected = write(tmp_path, HEAD + WRITTEN, "expected.txt").read_text(encoding="utf-8")
    assert run(tmp_path).counts == {"failed": 3}
    session = run(tmp_path, "--spans-update")
    assert session.code == 0, session.text
    assert f"3 written in {path}" in session.text
    assert path.read_text(encoding="utf-8") == expected
    assert run(tmp_path).counts == {"passed": 3}
    run(tmp_path, "--spans-update")
    assert path.read_text(encoding="utf-8") == expected


def test_line_ends_and_mode_of_the_file_stay(tmp_path: Path) -> None:
    """It is the user's."""
    path = write(tmp_path, HEAD + TESTS)
    path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
    path.chmod(0o640)
    assert run(tmp_path, "--spans-update").code == 0
    content = path.read_bytes()
    assert content.count(b"\n") == content.count(b"\r\n") > 30
    assert path.stat().st_mode & 0o777 == 0o640
    assert run(tmp_path).counts == {"passed": 3}


def test_what_cannot_be_written_is_left_and_told(tmp_path: Path) -> None:
    """A tree that is no plain text there, and one that differs from run to run."""
    text = (
        HEAD
        + """

    import pytest

    TREE = "old"

    def test_named(spans):
        pay()
        match_tree(spans, TREE)

    @pytest.mark.parametrize("name", ["a", "b"])
    def test_twice(spans, name):
        tracer.start_span(name).end()
        match_tree(spans, "old")
    """
    )
    path = write(tmp_path, text)
    before = path.read_bytes()
    session = run(tmp_path, "--spans-update")
    assert session.code == 1
    assert "left as it is, for no plain text there" in session.text
    assert "left as it is, for one run differs from another" in session.text
    assert path.read_bytes() == before


def test_half_a_tree_is_never_written(tmp_path: Path) -> None:
    """While a span is open the test is incomplete, and its text stays."""
    path = write(
        tmp_path,
        """
        from lab.testing import match_tree

        def test_it(spans):
            with spans.tracer().start_as_current_span("a"):
                spans.tracer().start_span("b").end()
                match_tree(spans, "old")
        """,
    )
    before = path.read_bytes()
    assert run(tmp_path, "--spans-update").counts == {"incomplete": 1}
    assert path.read_bytes() == before

"""The page about services in other processes: its code runs as it stands, on a real Toxiproxy."""

from __future__ import annotations

from pathlib import Path

from tests.support.pages import write_files
from tests.support.warden_parts import toxiproxy_binary
from tests.unit.testing.sessions import run


def test_its_tests_pass(tmp_path: Path) -> None:
    """A service, a bank, a fault between them, and what the spans say of it."""
    names = write_files("testing-services-in-other-processes.md", tmp_path)
    assert names == ["pay.py", "test_pay.py"]
    session = run(tmp_path, environment={"LAB_TOXIPROXY_BIN": str(toxiproxy_binary())})
    assert session.counts == {"passed": 2}, session.text

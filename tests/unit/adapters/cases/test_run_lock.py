from pathlib import Path

import pytest

from lab.adapters.cases.run_lock import run_at_work, run_lock
from lab.errors import RunInProgress


def test_a_second_run_is_told_who_holds_the_lab(tmp_path: Path) -> None:
    """While one run holds the lock, another is refused with its name and pid."""
    with (
        run_lock(tmp_path, "`lab run db-timeout`"),
        pytest.raises(RunInProgress, match=r"`lab run db-timeout` \(pid \d+\)"),
        run_lock(tmp_path, "`lab verify`"),
    ):
        pytest.fail("a second lock was granted")


def test_the_lock_ends_with_its_holder(tmp_path: Path) -> None:
    """After the first run, however it ended, the next one may start."""
    with pytest.raises(ZeroDivisionError), run_lock(tmp_path, "one"):
        _ = 1 // 0
    with run_lock(tmp_path, "two"):
        assert "two" in (tmp_path / "run.lock").read_text()


def test_whoever_asks_is_told_of_a_run_at_work(tmp_path: Path) -> None:
    """The holder while there is one, nobody before and after; asking takes no lock."""
    assert run_at_work(tmp_path / "never") is None
    with run_lock(tmp_path, "`lab run db-timeout`"):
        assert "`lab run db-timeout` (pid " in str(run_at_work(tmp_path))
    assert run_at_work(tmp_path) is None
    with run_lock(tmp_path, "`lab verify`"):
        pass

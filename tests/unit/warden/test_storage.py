"""The lease on disk and the diary beside it."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest

from lab.adapters.memory.clock import FakeClock
from lab.domain.fault import Fault, Stream, Toxic
from lab.domain.schedule import Schedule
from lab.errors import LeaseError
from lab.warden.diary import JournalFile
from lab.warden.lease import Lease, LeaseState
from lab.warden.storage import LeaseFile

LEASE = Lease(
    lease_id="abc",
    holder="a run",
    ttl_s=3.0,
    taken_unix_s=1.5,
    faults=(
        Fault("auth-users_db", Toxic.LATENCY, {"latency": 80}, Stream.UPSTREAM, 0.5),
        Fault("payments-bank", None, schedule=Schedule(0.1, 15, every_s=60, jitter_s=1 / 3)),
    ),
    conditions={
        "checkout.pool_size": 2,
        "catalog.single_flight": False,
        "payments.OTEL_TRACES_SAMPLER_ARG": 0.1,
        "auth.command_timeout": "off",
    },
    seed=2**70,
    state=LeaseState.HELD,
)


def test_a_lease_is_read_as_it_was_written(tmp_path: Path) -> None:
    """Faults with their schedules, settings of every type, seed, state: all of it."""
    file = LeaseFile(tmp_path / "run" / "lease.json")
    file.save(LEASE)
    assert file.load() == LEASE
    assert LEASE.services == ("auth", "catalog", "checkout", "payments")


def test_only_its_owner_may_read_it(tmp_path: Path) -> None:
    """It names the culprit."""
    file = LeaseFile(tmp_path / "lease.json")
    file.save(LEASE)
    assert stat.S_IMODE((tmp_path / "lease.json").stat().st_mode) == 0o600


def test_a_forgotten_lease_is_gone_and_may_be_forgotten_again(tmp_path: Path) -> None:
    """Forgetting is idempotent, and nothing else is left in the folder."""
    file = LeaseFile(tmp_path / "lease.json")
    file.save(LEASE)
    file.clear()
    file.clear()
    assert file.load() is None
    assert list(tmp_path.iterdir()) == []


def test_forgetting_where_nothing_ever_was_is_no_error(tmp_path: Path) -> None:
    """`heal` may come before the first run."""
    LeaseFile(tmp_path / "never" / "lease.json").clear()


@pytest.mark.parametrize("text", ["", "{", "[]", '{"lease_id": "abc"}', "\x00\x00"])
def test_half_a_lease_is_an_error_that_names_the_file(tmp_path: Path, text: str) -> None:
    """It is not taken for no lease."""
    path = tmp_path / "lease.json"
    path.write_text(text)
    with pytest.raises(LeaseError, match=str(path)):
        LeaseFile(path).load()


def test_a_disk_that_refuses_leaves_the_former_lease_whole(tmp_path: Path) -> None:
    """The draft is written beside it, and only a whole one takes its place."""
    file = LeaseFile(tmp_path / "lease.json")
    file.save(LEASE)
    (tmp_path / "lease.draft").mkdir()
    with pytest.raises(OSError, match=r"lease\.draft"):
        file.save(LEASE)
    assert file.load() == LEASE


def test_the_diary_is_one_json_object_a_line(tmp_path: Path) -> None:
    """With the time for people and the time for arithmetic."""
    journal = JournalFile(tmp_path / "log" / "warden.jsonl", FakeClock(start_s=5.0))
    journal.record("held", lease="abc")
    journal.record("removed", method="api")
    lines = (tmp_path / "log" / "warden.jsonl").read_text().splitlines()
    assert [json.loads(line)["event"] for line in lines] == ["held", "removed"]
    assert json.loads(lines[0])["monotonic_s"] == 5.0


def test_a_diary_that_cannot_be_written_stops_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The line goes to the process's log instead."""
    (tmp_path / "warden.jsonl").mkdir()
    JournalFile(tmp_path / "warden.jsonl", FakeClock()).record("removed", lease="abc")
    assert "abc" in caplog.text

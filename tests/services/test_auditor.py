"""The auditor: an actor of the ledger's database, with a process and traces of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from lab.shop.keeper.environment import service_environment
from tests.services.otlp_sink import OtlpSink
from tests.services.running_shop import Customer, RunningShop, eventually

AUDIT_S = 4.0
"""Longer than payments waits for an answer of its database, and than a busy machine takes."""

TIMETABLE = {"shapes": {"crime": {"auditor": {"at_s": 0.0, "every_s": 60.0, "holds_s": AUDIT_S}}}}


@contextmanager
def jobs(offset: int) -> Iterator[subprocess.Popen[str]]:
    """The process of the jobs, ready; it ends with its stdin."""
    environment = {**os.environ, **service_environment("auditor", offset=offset)}
    with subprocess.Popen(
        [sys.executable, "-m", "lab.load.jobs"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env=environment,
    ) as process:
        assert process.stdin is not None
        try:
            assert ask(process, TIMETABLE)["event"] == "ready"
            yield process
        finally:
            process.stdin.close()
            process.wait(10)


def ask(process: subprocess.Popen[str], command: object) -> dict[str, object]:
    """Send a command and read the answer."""
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(json.dumps(command) + "\n")
    process.stdin.flush()
    answer: dict[str, object] = json.loads(process.stdout.readline())
    return answer


def test_who_books_beside_an_audit_waits_and_the_audit_says_for_which_account(
    offset: int, shop: RunningShop, customer: Customer, sink: OtlpSink
) -> None:
    """The audit is a trace of its own; all of its spans are counted, and have arrived."""
    with jobs(offset) as process:
        ask(process, {"enter": "crime"})
        eventually(lambda: locks(customer))
        assert ask(process, {"pause": True})["event"] == "paused"
        finished = ask(process, {"finish": True})
    audit = [span for span in sink.spans if span.service == "auditor"]
    [root] = [span for span in audit if span.parent_id == ""]
    assert (root.name, root.kind, root.attributes["account_id"]) == (
        "audit_accounts",
        "internal",
        1,
    )
    assert {span.name for span in audit} == {
        "audit_accounts", "pool.acquire", "BEGIN;", "SELECT", "COMMIT;",
    }  # fmt: skip
    assert finished["spans_ended"] == len(audit)
    held = next(span for span in audit if span.name == "SELECT")
    assert {"db.connection.id", "account_id"} <= held.attributes.keys()


def locks(customer: Customer) -> bool:
    """Whether a booking waits in vain, so that the customer is told of a timeout."""
    answer = customer.buy()
    assert answer.response.status_code in {201, 504}
    return answer.response.status_code == 504


def test_a_process_whose_stdin_ends_lets_go_of_what_it_holds(
    offset: int, shop: RunningShop, customer: Customer
) -> None:
    """Whoever started it may have been killed; no lock outlives that."""
    with jobs(offset) as process:
        ask(process, {"enter": "crime"})
        eventually(lambda: locks(customer))
    assert process.returncode == 3
    assert not locks(customer)


def test_a_command_that_means_nothing_ends_it(offset: int, shop: RunningShop) -> None:
    with jobs(offset) as process:
        assert ask(process, {"dance": True})["event"] == "failed"
    assert process.returncode == 1

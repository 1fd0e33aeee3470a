"""Toxiproxy dies, hangs, or obeys somebody else in the crime: no verdict, and a clean shop."""

from __future__ import annotations

import os
import signal
import time

import pytest

from lab.domain.journal import Ending
from lab.domain.proof import Outcome
from tests.adversity.scene import CULPRIT, Scene

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(240)]

STRANGERS_EDGE = "payments-bank"


def test_a_toxiproxy_that_restarts_forgets_the_harm(scene: Scene) -> None:
    """It comes back without its toxics: the crime was not what the case says it was."""
    run = scene.start_until("crime")
    os.kill(scene.pid("toxiproxy"), signal.SIGKILL)
    assert "toxiproxy" in scene.incomplete(run, "parts restarted").measured
    assert scene.finding("edges as leased").outcome is not Outcome.HOLDS
    scene.assert_as_before(Ending.COMPLETED)


def test_a_toxiproxy_that_hangs_is_restarted(scene: Scene) -> None:
    """Its control API answers nothing any more: reset fails too, so it is started anew."""
    run = scene.start_until("crime")
    os.kill(scene.pid("toxiproxy"), signal.SIGSTOP)
    assert "toxiproxy" in scene.incomplete(run, "parts restarted").measured
    methods = [entry.data.get("method") for entry in scene.record().entries]
    assert "restart" in methods, "the journal says by which means the harm was removed"
    scene.assert_as_before(Ending.COMPLETED)


@pytest.mark.adversity_full
def test_a_toxiproxy_that_hangs_for_a_while(scene: Scene) -> None:
    """It hangs for longer than the lease lives and comes back inside the crime."""
    run = scene.start_until("crime")
    toxiproxy = scene.pid("toxiproxy")
    os.kill(toxiproxy, signal.SIGSTOP)
    time.sleep(3.2)
    os.kill(toxiproxy, signal.SIGCONT)
    assert scene.incomplete(run, "edges as leased").outcome is not Outcome.HOLDS
    scene.assert_as_before(Ending.COMPLETED)


@pytest.mark.adversity_full
def test_a_stranger_who_cures_the_shop_spoils_the_case(scene: Scene) -> None:
    """Harm that somebody took away early was not there all through the crime."""
    run = scene.start_until("crime")
    scene.toxiproxy("POST", f"/proxies/{CULPRIT}", {"enabled": True})
    assert scene.incomplete(run, "edges as leased").outcome is Outcome.FAILS
    scene.assert_as_before(Ending.COMPLETED)


def test_a_strangers_toxic_is_told_of_and_left_to_him(scene: Scene) -> None:
    """Noticed, not deleted unasked, in the way of the next run, and gone with `lab heal`."""
    toxic = {"type": "latency", "attributes": {"latency": 10}}
    run = scene.start_until("crime")
    scene.toxiproxy("POST", f"/proxies/{STRANGERS_EDGE}/toxics", toxic)
    assert scene.incomplete(run, "edges as leased").outcome is Outcome.FAILS
    assert scene.finding("edges clean").outcome is Outcome.FAILS
    assert len(scene.proxies()[STRANGERS_EDGE]["toxics"]) == 1

    refused = scene.start()
    assert refused.finish() == 2
    assert "lab heal" in refused.said[-1]
    assert STRANGERS_EDGE not in "".join(refused.said)

    healed = scene.lab.run("heal", "--reveal")
    assert healed.returncode == 0
    assert STRANGERS_EDGE in healed.stdout
    assert scene.lab.json("heal")["removed"] == 0
    scene.assert_as_before(Ending.DEVIATED)


def test_afterwards_a_run_is_proven(scene: Scene) -> None:
    """Nothing that was done to Toxiproxy stands in the way of the next run."""
    scene.prove()

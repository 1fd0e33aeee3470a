"""A quick case on a stack of real parts, what is done to it, and how all must be afterwards."""

from __future__ import annotations

import re
import signal
import subprocess
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import anyio
import httpx
import psutil

from lab import bootstrap
from lab.adapters.cases.archive import FolderArchive
from lab.adapters.stack import processes
from lab.adapters.stack.collector_metrics import stored_in
from lab.adapters.stack.local import LocalStack
from lab.adapters.stack.supervisor import Supervisor
from lab.adapters.warden_client import WardenClient
from lab.domain.journal import Ending, RunRecord
from lab.domain.proof import Finding, ProofVerdict
from lab.ports.stack import PartStatus
from lab.ports.warden import LeaseStatus
from lab.shop.keeper import secret
from lab.shop.topology import EDGES
from lab.warden.probe import EdgeProbe
from tests.support.lab_under_test import PROOF_WITHIN_S, LabUnderTest, harvest
from tests.support.warden_parts import wait_until

SCENARIOS = Path(__file__).parent / "scenarios"
QUICK = "quick"
CULPRIT = "gateway-catalog"
"""The edge that the quick scenario hurts."""

LOOK_EVERY_S = 0.2
"""A look asks every part of the stack."""

ACCEPTED = re.compile(r"^otelcol_receiver_accepted_spans(?:_total)?\{.*\} (\S+)$", re.MULTILINE)

PHASES = ("preflight", "settle", "reference", "crime", "recovery", "evidence")


@dataclass
class Run:
    """A `lab run quick` at work."""

    process: subprocess.Popen[str]
    said: list[str]

    def reach(self, phase: str) -> None:
        """Read its plain progress until it says that it is in ``phase``."""
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.said.append(line)
            if line.split()[1:2] == [phase]:
                return
        raise AssertionError(f"the run ended before {phase}:\n{''.join(self.said)}")

    def family(self) -> list[psutil.Process]:
        """The processes it has started."""
        return psutil.Process(self.process.pid).children(recursive=True)

    def shoppers(self) -> psutil.Process:
        """Its load generator."""
        (found,) = (each for each in self.family() if "lab.load" in each.cmdline())
        return found

    def finish(self) -> int:
        """Its exit code; a run that would try again after its first verdict is ended there."""
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.said.append(line)
            if "trying again" in line:
                self.process.send_signal(signal.SIGINT)
        return self.process.wait(10)


class Scene:
    """The stack under test, with the quick scenario as its only one."""

    def __init__(self, lab: LabUnderTest) -> None:
        settings = lab.settings.model_copy(update={"scenarios_dir": SCENARIOS})
        environment = {**lab.environment, "LAB_SCENARIOS_DIR": str(SCENARIOS)}
        self.lab = replace(lab, settings=settings, environment=environment)
        self.settings = settings
        self.stack = LocalStack(settings)
        self._runs: list[Run] = []
        self._case_id = ""
        self._is_as_before = False

    # --- a run ---

    @property
    def archive(self) -> FolderArchive:
        """The cases and leftovers of this lab."""
        return bootstrap.archive(self.settings)

    def start(self, **options: Any) -> Run:
        """Start `lab run quick`."""
        self._case_id = self.archive.next_case_id(QUICK)
        self._is_as_before = False
        run = Run(self.lab.start("run", QUICK, **options), [])
        self._runs.append(run)
        return run

    def start_until(self, phase: str) -> Run:
        """A run that has just come to ``phase``."""
        run = self.start()
        run.reach(phase)
        return run

    def record(self) -> RunRecord:
        """What the latest run wrote down, whatever became of it; of several tries, the first."""
        return self.archive.run_record(self._case_id)

    def without_verdict(self, run: Run) -> Ending:
        """How a run ended that must have come to no verdict."""
        code = run.finish()
        record = self.record()
        if record.is_case:
            proof = self.archive.load(self._case_id).proof
            assert proof.verdict is ProofVerdict.INCOMPLETE, "\n".join(map(str, proof.findings))
        assert code in (2, 130), run.said
        assert record.ending is not None
        return record.ending

    def incomplete(self, run: Run, check: str) -> Finding:
        """The finding of that name of a run that must have ended as an incomplete case."""
        assert self.without_verdict(run) is Ending.COMPLETED, run.said
        return self.finding(check)

    def finding(self, check: str) -> Finding:
        """The finding of that name in the latest run's case."""
        findings = self.archive.load(self._case_id).proof.findings
        (found,) = (each for each in findings if each.check == check)
        return found

    def prove(self) -> None:
        """One more run is proven, as if nothing had ever happened."""
        again = self.lab.run("run", QUICK, timeout_s=PROOF_WITHIN_S)
        assert again.returncode == 0, again.stdout + again.stderr
        self._is_as_before = True

    # --- the stack ---

    def part(self, name: str) -> PartStatus:
        """One part of the stack as it is now."""
        return next(part for part in anyio.run(self.stack.status) if part.name == name)

    def pids(self) -> dict[str, int | None]:
        """The process of every part."""
        return {part.name: part.pid for part in anyio.run(self.stack.status)}

    def supervised(self) -> dict[int, str]:
        """Pid → part of everything that runs, supervisord and the services included."""
        settings = self.settings
        port = settings.port("supervisor")
        return processes.survivors(Supervisor(settings.run_dir, settings.log_dir, port).births())

    def pid(self, name: str) -> int:
        """The process of one part."""
        pid = self.part(name).pid
        assert pid is not None, name
        return pid

    def await_ready(self, *names: str) -> None:
        """Wait until these parts, or all of them, are ready."""

        def ready() -> bool:
            parts = anyio.run(self.stack.status)
            return all(part.is_ready for part in parts if not names or part.name in names)

        awaited = f"{', '.join(names) or 'every part'} to be ready"
        wait_until(ready, awaited, within_s=40, every_s=LOOK_EVERY_S)

    def up(self) -> None:
        """`lab up` makes the stack whole."""
        started = self.lab.run("up")
        assert started.returncode == 0, started.stderr
        self.await_ready()

    def toxiproxy(self, method: str, path: str, body: object = None) -> Any:
        """Ask Toxiproxy itself, as a stranger would who has got hold of the secret."""
        url = f"{self.settings.url('toxiproxy')}{path}"
        told = dict(secret.headers(self.settings.secret_file))
        answer = httpx.request(method, url, json=body, headers=told, trust_env=False, timeout=5)
        return answer.raise_for_status().json()

    def proxies(self) -> dict[str, Any]:
        """Every proxy as Toxiproxy itself tells it."""
        found: dict[str, Any] = self.toxiproxy("GET", "/proxies")
        return found

    def spans_held(self) -> int:
        """How many spans the Collector says that it has taken in and not passed on."""
        url = f"{self.settings.url('otelcol_metrics')}/metrics"
        page = httpx.get(url, trust_env=False, timeout=5).raise_for_status().text
        accepted = ACCEPTED.search(page)
        return (int(float(accepted[1])) if accepted else 0) - stored_in(page)

    # --- afterwards ---

    def assert_as_before(self, ending: Ending) -> None:
        """Nothing of the run is left but its journal, which says how it ended."""
        self.await_ready()
        wait_until(self.is_clean, "no toxic, every edge open, and no lease", every_s=LOOK_EVERY_S)
        wait_until(self._all_answer, "every edge to answer", every_s=LOOK_EVERY_S)
        wait_until(
            lambda: not self._left_behind(),
            "no process of the run to be left",
            every_s=LOOK_EVERY_S,
        )
        assert self.record().ending is ending
        told = self.lab.run("journal", self._case_id, "--json")
        assert told.returncode == 0, told.stderr
        assert f'"ending": "{ending.value}"' in told.stdout
        assert CULPRIT not in told.stdout
        self._is_as_before = True

    def is_clean(self) -> bool:
        """Whether no harm is left and no lease that names any."""
        clean = all(each["enabled"] and not each["toxics"] for each in self.proxies().values())
        return clean and anyio.run(self._lease) is None

    async def _lease(self) -> LeaseStatus | None:
        async with WardenClient(
            self.settings.url("warden"), headers=secret.headers(self.settings.secret_file)
        ) as warden:
            return await warden.current()

    def _all_answer(self) -> bool:
        probe = EdgeProbe({edge.name: self.settings.port(edge.name) for edge in EDGES})

        async def ask() -> bool:
            return not [edge for edge in EDGES if await probe(edge.name) is not None]

        return anyio.run(ask)

    def _left_behind(self) -> list[psutil.Process]:
        """Runs and load generators of this state folder, whoever started them."""
        return [process for process in psutil.process_iter() if self._is_of_a_run(process)]

    def _is_of_a_run(self, process: psutil.Process) -> bool:
        try:
            if process.status() == psutil.STATUS_ZOMBIE:
                return False
            words = process.cmdline()
            is_run = "lab.load" in words or words[2:4] == ["lab", "run"]
            return is_run and process.environ().get("LAB_STATE_DIR") == str(self.settings.state_dir)
        except psutil.Error:
            return False

    def clear(self) -> None:
        """End what a test that failed may have left, so that the next one can start."""
        for run in self._runs:
            with run.process:
                run.process.kill()
        harvest(self.settings)
        if self._is_as_before:
            return
        if any(not part.is_ready for part in anyio.run(self.stack.status)):
            self.lab.run("up")
        self.lab.run("heal")

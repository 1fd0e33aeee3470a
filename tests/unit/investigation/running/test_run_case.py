"""A run over fakes: what it does to the shop, in which order, and how it gives up."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import anyio
import pytest

from lab import scenario_file
from lab.adapters.memory.case_archive import MemoryArchive
from lab.adapters.memory.clock import FakeClock
from lab.adapters.memory.injector import MemoryInjector
from lab.adapters.memory.load import MemoryLoad, MemoryRun
from lab.adapters.memory.machine import MemoryMachine
from lab.adapters.memory.records import MemoryRecords
from lab.adapters.memory.services import MemoryServices
from lab.adapters.memory.stack import MemoryStack
from lab.adapters.memory.trace_store import MemoryTraceStore
from lab.adapters.memory.warden import MemoryHarmMark, MemoryWarden
from lab.domain.bound import parse
from lab.domain.case import Case
from lab.domain.fault import Dice, Fault, Toxic
from lab.domain.instrumentation import Instrumentation
from lab.domain.journal import Step
from lab.domain.load import LoadProgress, Request, Window
from lab.domain.predicate import Predicate
from lab.domain.proof import Finding, Outcome, ProofVerdict
from lab.domain.record_check import LogCheck
from lab.domain.scenario import Scenario
from lab.domain.schedule import Schedule
from lab.errors import (
    ConditionsRefused,
    DirtyShop,
    HarmStopped,
    LoadError,
    MachineStrained,
    StackNotReady,
    WaitTimeout,
)
from lab.investigation.running.run_case import CaseRun, Lab
from lab.ports.machine import Strain
from lab.ports.warden import LeaseStatus
from lab.scenario_file import varied
from lab.settings import CHECKOUT
from lab.shop.topology import EDGES, SERVICES

STRANGER = Fault("payments-bank", Toxic.LATENCY, {"latency": 5})


def _requests(status: int, seconds: int = 12) -> list[Request]:
    return [
        Request(
            Window.REFERENCE,
            n / 10,
            n / 10,
            20.0,
            "shopper",
            "POST /checkout",
            "birch",
            status,
            f"{n + status * 1000:032x}",
        )
        for n in range(seconds * 10)
    ]


class Story:
    """An observer that may do something to the shop when a step begins."""

    def __init__(self) -> None:
        self.steps: list[Step] = []
        self.edges_in: dict[Step, dict[str, bool]] = {}
        self.acts: dict[Step, Fault | BaseException] = {}
        self.mark = MemoryHarmMark()
        self.pulled_in: Step | None = None
        self.injector = MemoryInjector(edge.name for edge in EDGES)

    def phase(self, step: Step, detail: str, seconds_left: float | None = None) -> None:
        if step in self.steps:
            return
        self.steps.append(step)
        state = self.injector._edges
        self.edges_in[step] = {name: edge.is_clean for name, edge in state.items()}
        if step is self.pulled_in:
            self.mark.set()
        act = self.acts.get(step)
        if isinstance(act, BaseException):
            raise act
        if act is not None:
            state[act.edge] = replace(state[act.edge], toxics=(act,))

    def progress(self, progress: LoadProgress) -> None: ...

    def note(self, text: str) -> None: ...


@dataclass
class Stage:
    """The fakes of one run."""

    story: Story
    clock: FakeClock
    stack: MemoryStack
    archive: MemoryArchive
    store: MemoryTraceStore
    lab: Lab
    scenario: Scenario
    level: Instrumentation = Instrumentation.FULL

    def run(self) -> Case:
        """Run the case from the first step to the last."""
        run = CaseRun(
            self.lab,
            self.scenario,
            case_id="db-timeout-1",
            seed=1,
            observer=self.story,
            instrumentation=self.level,
        )
        return anyio.run(run.run)

    def finding(self, case: Case, check: str) -> Finding:
        """The finding of that name."""
        (found,) = (finding for finding in case.proof.findings if finding.check == check)
        return found


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    story, clock, stack = Story(), FakeClock(), MemoryStack()
    archive, store = MemoryArchive(tmp_path, clock), MemoryTraceStore()
    (tmp_path / "db-timeout-1").mkdir()
    healthy = _requests(201)
    requests = dict.fromkeys(Window, healthy) | {Window.CRIME: _requests(504)}
    lab = Lab(
        stack=stack,
        warden=MemoryWarden(story.injector, clock, mark=story.mark),
        store=store,
        load=MemoryLoad(clock, requests),
        archive=archive,
        clock=clock,
        machine=MemoryMachine(),
        records=MemoryRecords(),
    )

    async def up() -> None:
        async for _ in stack.up():
            pass

    anyio.run(up)
    scenario = scenario_file.load(CHECKOUT / "scenarios" / "db-timeout")
    return Stage(story, clock, stack, archive, store, lab, scenario)


def test_a_case_with_conditions_is_refused_where_services_cannot_be_configured(
    stage: Stage,
) -> None:
    """Before any load, with the reason; a case that only hurts edges runs there."""
    services = MemoryServices(SERVICES, can_configure=False)
    warden = MemoryWarden(stage.story.injector, stage.clock, services)
    stage.lab = replace(stage.lab, warden=warden)
    plain, stage.scenario = (
        stage.scenario,
        replace(stage.scenario, conditions={"checkout.pool_size": 2}),
    )

    with pytest.raises(ConditionsRefused, match="another system keeps"):
        stage.run()

    assert stage.story.steps == [Step.PREFLIGHT]
    stage.scenario = plain
    assert stage.run().case_id == "db-timeout-1"


def test_a_run_goes_through_all_steps_and_hurts_only_in_the_crime(stage: Stage) -> None:
    """Preflight to opened, in order; the culprit's edge is hurt in the crime and never else."""
    case = stage.run()
    assert stage.story.steps == list(Step)
    hurt = {step for step, edges in stage.story.edges_in.items() if not edges["auth-users_db"]}
    assert hurt == {Step.CRIME}
    assert set(case.evidence.windows) == {Window.REFERENCE, Window.CRIME, Window.RECOVERY}
    assert stage.archive.load(None) is case


def test_a_run_judges_what_services_wrote_meanwhile(stage: Stage) -> None:
    """Lines of no trace as well; they are sealed with the case they speak of."""
    began_s = stage.clock.unix()
    stage.archive.written = tuple(
        json.dumps({"time_unix_s": began_s + n, "service": "auth", "body": "no answer"})
        for n in range(300)
    )
    claim = LogCheck("it says so", parse(">= 5"), service="auth", says="no answer")
    stage.scenario = replace(
        stage.scenario,
        exhibits={"said": claim, "unsaid": replace(claim, says="all is well")},
    )
    case = stage.run()
    assert case.evidence.logs == stage.archive.written
    assert stage.finding(case, "exhibit said: it says so").outcome is Outcome.HOLDS
    assert stage.finding(case, "exhibit unsaid: it says so").outcome is Outcome.FAILS


def test_a_run_without_traces_is_incomplete(stage: Stage) -> None:
    """Requests alone prove nothing: without spans there is no verdict."""
    assert stage.run().proof.verdict is ProofVerdict.INCOMPLETE


def test_a_trace_store_that_dies_is_incomplete_not_an_error(stage: Stage) -> None:
    """Counters that cannot be read are unknown, and the case still opens."""
    stage.store.break_off()
    case = stage.run()
    assert stage.finding(case, "spans received").outcome is Outcome.UNKNOWN
    assert case.proof.verdict is ProofVerdict.INCOMPLETE


def test_a_strangers_toxic_is_noticed_and_left_alone(stage: Stage) -> None:
    """What appears on an edge during the crime is reported, and not deleted unasked."""
    stage.story.acts[Step.CRIME] = STRANGER
    case = stage.run()
    assert stage.finding(case, "edges as leased").outcome is Outcome.FAILS
    assert stage.finding(case, "edges clean").outcome is Outcome.FAILS
    assert anyio.run(stage.story.injector.edges)["payments-bank"].toxics == (STRANGER,)


def test_a_dirty_shop_is_refused_before_any_load(stage: Stage) -> None:
    """A toxic without a lease: the run says how to get rid of it, and touches nothing."""
    anyio.run(stage.story.injector.apply, STRANGER)
    with pytest.raises(DirtyShop, match="lab heal") as refusal:
        stage.run()
    assert "payments-bank" not in str(refusal.value)
    assert stage.story.steps == [Step.PREFLIGHT]


def test_a_proxy_that_nobody_of_the_lab_made_is_named_before_any_load(stage: Stage) -> None:
    """It gives nothing away, and whoever runs a case has to know of it."""
    stage.story.injector.admit_stranger("spy")
    with pytest.raises(DirtyShop, match=r"spy: a stranger's.*lab heal"):
        stage.run()
    assert stage.story.steps == [Step.PREFLIGHT]
    removal = anyio.run(stage.lab.warden.heal)
    assert removal.strangers == ("spy: a stranger's",)
    assert stage.run().proof is not None


def test_a_lease_of_somebody_else_is_refused_by_name(stage: Stage) -> None:
    """A second caller is told who holds the shop."""

    async def take() -> None:
        await stage.lab.warden.take(holder="a colleague", faults=(), conditions={}, ttl_s=60)

    anyio.run(take)
    with pytest.raises(DirtyShop, match="a colleague"):
        stage.run()


def test_a_part_that_is_down_is_named(stage: Stage) -> None:
    """Nothing is run against half a stack."""
    anyio.run(stage.stack.down)
    with pytest.raises(StackNotReady, match="gateway is down"):
        stage.run()


def test_a_shop_that_never_calms_down_is_not_run(stage: Stage) -> None:
    """Settling gives up after its time and says what it last saw."""
    load = MemoryLoad(stage.clock, {window: _requests(504, 20) for window in Window})
    stage.lab = replace(stage.lab, load=load)
    with pytest.raises(WaitTimeout, match="inside the reference bounds") as gave_up:
        stage.run()
    assert not isinstance(gave_up.value, MachineStrained)


def test_a_strained_machine_is_told_as_what_kept_a_shop_from_calm(stage: Stage) -> None:
    """So that whoever wants a verdict may run it once more."""
    load = MemoryLoad(stage.clock, {window: _requests(504, 60) for window in Window})
    machine = MemoryMachine(Strain(longest_stall_s=0.4, busy=0.3))
    stage.lab = replace(stage.lab, load=load, machine=machine)
    with pytest.raises(MachineStrained, match="inside the reference bounds") as gave_up:
        stage.run()
    # In words, of the shop and of the machine: a reader knows no class of ours.
    assert gave_up.value.last_seen == (
        "10 requests in the last second, 100% of them failed, p95 20 ms; "
        "the machine: longest stall 0.40 s, 30% of 1 processors busy"
    )


def test_a_quiet_shop_settles_between_its_few_requests(stage: Stage) -> None:
    """A good answer every three seconds is calm enough; the seconds between say nothing."""
    seldom = _requests(201, 20)[::30]
    load = MemoryLoad(stage.clock, dict.fromkeys(Window, seldom))
    stage.lab = replace(stage.lab, load=load)
    stage.run()
    settled = [entry.data for entry in stage.archive.journal("db-timeout-1").entries()]
    assert [each["after_s"] for each in settled if "after_s" in each] == [pytest.approx(3, abs=1)]


def test_a_shop_that_nobody_visits_never_settles(stage: Stage) -> None:
    """Silence is no calm."""
    stage.lab = replace(stage.lab, load=MemoryLoad(stage.clock, {window: [] for window in Window}))
    with pytest.raises(WaitTimeout, match="inside the reference bounds"):
        stage.run()


@pytest.mark.parametrize("step", [Step.SETTLE, Step.REFERENCE, Step.CRIME, Step.RECOVERY])
@pytest.mark.parametrize(
    ("failure", "ending", "because"),
    [
        (KeyboardInterrupt(), "interrupted", "KeyboardInterrupt"),
        (LoadError("died"), "deviated", "died"),
        # The words of a bug might name what was hurt.
        (ValueError("auth-users_db"), "interrupted", "ValueError"),
    ],
)
def test_whatever_ends_a_run_the_harm_ends_with_it(
    stage: Stage, step: Step, failure: BaseException, ending: str, because: str
) -> None:
    """An interruption or a failure in any window leaves clean edges and an honest journal."""
    stage.story.acts[step] = failure
    with pytest.raises(type(failure)):
        stage.run()
    assert all(edge.is_clean for edge in anyio.run(stage.story.injector.edges).values())
    last = stage.archive.journal("db-timeout-1").entries()[-1]
    assert (last.data["ending"], last.data["because"]) == (ending, because)
    assert not last.spoiler
    assert stage.archive.cases() == ()


@pytest.mark.parametrize("step", list(Step)[:5])
@pytest.mark.parametrize("faults", [0, 1], ids=["load alone", "a fault"])
def test_the_safety_lever_ends_a_run_in_every_window(stage: Stage, step: Step, faults: int) -> None:
    """Interrupted, for it was told to end; the reason says who did it and what to do."""
    stage.scenario = replace(stage.scenario, faults=stage.scenario.faults[:faults])
    stage.story.pulled_in = step
    with pytest.raises(HarmStopped) as ended:
        stage.run()
    assert ended.value.exit_code == 2
    assert all(edge.is_clean for edge in anyio.run(stage.story.injector.edges).values())
    last = stage.archive.journal("db-timeout-1").entries()[-1]
    assert last.data["ending"] == "interrupted"
    assert "lab allow-harm" in last.data["because"]
    assert stage.story.steps[-1] is step
    assert stage.archive.cases() == ()


def test_ambient_harm_is_there_before_and_after_too(stage: Stage) -> None:
    """A distant region is distant in every window, so it can never be the culprit."""
    distant = Fault("checkout-catalog", Toxic.LATENCY, {"latency": 10})
    stage.scenario = replace(stage.scenario, ambient=(distant,))
    stage.run()
    hurt = {step for step, edges in stage.story.edges_in.items() if not edges["checkout-catalog"]}
    assert hurt == {Step.SETTLE, Step.REFERENCE, Step.CRIME, Step.RECOVERY}


def test_scheduled_harm_is_journalled_switch_by_switch(stage: Stage) -> None:
    """Each with the moment it was read back, and as a spoiler; the run's seed is the lease's."""
    schedule = Schedule(start_s=2, on_s=3, every_s=6)
    comb = Fault("gateway-auth", Toxic.LATENCY, {"latency": 700}, schedule=schedule)
    stage.scenario = replace(stage.scenario, faults=(*stage.scenario.faults, comb))
    take, seeds = stage.lab.warden.take, []

    async def noting(**wish: Any) -> LeaseStatus:
        seeds.append(wish["seed"])
        return await take(**wish)

    stage.lab.warden.take = noting  # type: ignore[method-assign]
    case = stage.run()
    assert seeds == [case.seed]
    assert stage.finding(case, "edges as leased").outcome is Outcome.HOLDS
    assert stage.finding(case, "schedule kept").outcome is Outcome.HOLDS
    told = [entry for entry in case.journal if entry.event == "fault switched"]
    assert [entry.data["is_on"] for entry in told] == [True, False, True, False]
    assert all(entry.spoiler and "gateway-auth" in entry.data["fault"] for entry in told)
    taken = next(each for each in case.journal if each.data.get("faults") and each.spoiler)
    for entry, due_s in zip(told, (2, 5, 8, 11), strict=True):
        # The memory warden switches when it is looked at, which is once a second at least.
        assert 0 <= entry.data["switched_unix_s"] - taken.time_unix_s - due_s <= 1.5


def test_settings_change_while_nobody_is_in_the_shop(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The load is paused and drained first: a restart must not be a customer's error."""
    told: list[str] = []
    enter, pause, take = MemoryRun.enter, MemoryRun.pause, stage.lab.warden.take

    async def entering(run: MemoryRun, window: Window) -> float:
        told.append(window.value)
        return await enter(run, window)

    async def pausing(run: MemoryRun) -> float:
        told.append("pause")
        return await pause(run)

    async def taking(**wish: Any) -> LeaseStatus:
        told.append("settings" if wish["conditions"] else "no settings")
        return await take(**wish)

    monkeypatch.setattr(MemoryRun, "enter", entering)
    monkeypatch.setattr(MemoryRun, "pause", pausing)
    monkeypatch.setattr(stage.lab.warden, "take", taking)
    stage.scenario = replace(stage.scenario, conditions={"checkout.pool_size": 2})
    stage.run()
    changed = told.index("settings")
    assert told[changed - 2 : changed + 2] == ["reference", "pause", "settings", "transition"]


@pytest.mark.parametrize("pauses", [True, False])
def test_a_crime_inherits_its_warm_up_only_where_nothing_pauses(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, pauses: bool
) -> None:
    """Without a pause whoever stands in line when the window begins stays there."""
    told: list[str] = []
    enter, pause = MemoryRun.enter, MemoryRun.pause

    async def entering(run: MemoryRun, window: Window) -> float:
        told.append(window.value)
        return await enter(run, window)

    async def pausing(run: MemoryRun) -> float:
        told.append("pause")
        return await pause(run)

    monkeypatch.setattr(MemoryRun, "enter", entering)
    monkeypatch.setattr(MemoryRun, "pause", pausing)
    stage.scenario = replace(stage.scenario, pauses=pauses, conditions={"checkout.pool_size": 2})
    stage.run()
    began = told.index("transition")
    assert told[began : told.index("crime") + 1] == [
        "transition", *(["pause"] if pauses else []), "crime"
    ]  # fmt: skip


def test_dice_that_never_fall_fairly_make_a_run_incomplete(stage: Stage) -> None:
    """Without a trace nobody is seen to be hit: three warm-ups, three throws, no verdict."""
    sick = Fault("catalog-catalog_db", Toxic.LATENCY, {"latency": 600}, toxicity=0.3)
    dice = Dice(sick.edge, Predicate(name="SELECT"), "db.connection.id", parse("2..5"))
    stage.scenario = replace(stage.scenario, faults=(*stage.scenario.faults, sick), dice=dice)
    case = stage.run()
    thrown = [entry for entry in case.journal if entry.event == "dice thrown"]
    assert [entry.data["throw"] for entry in thrown] == [1, 2, 3]
    assert all(entry.spoiler for entry in thrown)
    first, _, last = [entry.monotonic_s for entry in thrown]
    assert last - first >= 2 * stage.scenario.warmup_s
    assert stage.finding(case, "dice fell fairly").outcome is Outcome.UNKNOWN
    assert stage.finding(case, "edges as leased").outcome is Outcome.HOLDS


def test_a_crash_in_the_run_is_told(stage: Stage) -> None:
    """A part that restarted unasked makes the run incomplete, by name."""
    real_phase = stage.story.phase

    def crash(step: Step, detail: str, seconds_left: float | None = None) -> None:
        if step is Step.RECOVERY and step not in stage.story.steps:
            stage.stack.crash("payments")
        real_phase(step, detail, seconds_left)

    stage.story.phase = crash  # type: ignore[method-assign]
    finding = stage.finding(stage.run(), "parts restarted")
    assert finding.outcome is Outcome.FAILS
    assert "payments" in finding.measured


def test_the_plan_that_was_drawn_is_in_the_journal_and_not_for_a_learner(stage: Stage) -> None:
    """As a spoiler: they name what was varied; the case carries them, as its scenario has them."""
    stage.scenario = varied(stage.scenario, 3)
    case = stage.run()
    [entry] = [each for each in case.journal if each.event == "plan drawn"]
    assert entry.data == {"plan": dict(case.scenario.plan)}
    assert entry.spoiler
    assert case.scenario.variant


def test_a_run_with_less_written_down_leaves_a_shop_that_writes_everything(stage: Stage) -> None:
    """The level holds from before the load until the end, and the case says which it was."""
    levels: list[Instrumentation] = []

    async def instrument(level: Instrumentation) -> None:
        levels.append(level)
        stage.stack.level = level

    stage.stack.instrument = instrument  # type: ignore[method-assign]
    stage.level = Instrumentation.AUTO
    case = stage.run()
    assert levels == [Instrumentation.AUTO, Instrumentation.FULL]
    assert case.instrumentation is Instrumentation.AUTO
    assert case.journal[0].data["instrumentation"] == "auto"
    assert not any("truth" in finding.check for finding in case.proof.findings)


def test_a_run_that_fails_gives_the_shop_all_its_spans_back(stage: Stage) -> None:
    stage.level = Instrumentation.NONE
    stage.story.acts[Step.CRIME] = LoadError("the load died")
    with pytest.raises(LoadError):
        stage.run()
    assert stage.stack.level is Instrumentation.FULL


def test_a_shop_that_takes_its_spans_back_no_more_does_not_hide_why_a_run_ended(
    stage: Stage,
) -> None:
    async def instrument(level: Instrumentation) -> None:
        if level is Instrumentation.FULL:
            raise StackNotReady("expected the shop's keeper to answer")

    stage.stack.instrument = instrument  # type: ignore[method-assign]
    stage.level = Instrumentation.NONE
    stage.story.acts[Step.CRIME] = LoadError("the load died")
    with pytest.raises(LoadError, match="the load died"):
        stage.run()


def test_a_run_ends_what_a_killed_one_left_of_less(stage: Stage) -> None:
    """Else its proof would miss the spans that nobody wrote down."""
    stage.stack.level = Instrumentation.NONE
    stage.run()
    assert stage.stack.level is Instrumentation.FULL

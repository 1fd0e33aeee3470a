"""The command that makes an exercise of an incident that happened: promote."""

from __future__ import annotations

import math
from dataclasses import replace
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, Self

import typer

from lab import bootstrap, umask
from lab.commands.common import console, lab_command
from lab.commands.importing import BeforeOption
from lab.commands.promote_answers import Answers
from lab.domain.case import Case, CaseFile
from lab.domain.evidence import Evidence, Healthy, Interval, Sample, stranger_evidence
from lab.domain.journal import Ending
from lab.domain.load import Request, Window, percentile
from lab.domain.mechanism import Mechanism, Scope
from lab.domain.proof import Outcome, ProofVerdict
from lab.domain.trace import Span, Status, Trace
from lab.domain.wording import duration, unknown_name
from lab.errors import UsageError
from lab.frozen import dataclass
from lab.settings import Settings

if TYPE_CHECKING:
    from lab.domain.scenario import Scenario

MOST_BYTES: Final = 5_000_000
"""Of the recording: it is shared by hand, and not committed to this checkout."""

MOST_OF_A_SAMPLE: Final = 200
HALF_WINDOW_S: Final = 1800.0
"""A case has at most an hour of an incident: so much on either side of the accused trace."""

LONGEST_S: Final = 7200.0
SKILL: Final = "Find in its traces who caused an incident that happened."


def promote(
    case_id: Annotated[str | None, typer.Argument(metavar="[CASE]")] = None,
    name: Annotated[str | None, typer.Option(help="What to call the scenario.")] = None,
    trace: Annotated[str | None, typer.Option(help="A trace that shows the culprit.")] = None,
    span: Annotated[str | None, typer.Option(help="The culprit's span in it.")] = None,
    mechanism: Annotated[str | None, typer.Option(help="How; see `lab mechanisms`.")] = None,
    scope: Annotated[str | None, typer.Option(help="Whom it hit; all by default.")] = None,
    title: Annotated[str | None, typer.Option(help="What a list calls it.")] = None,
    briefing: Annotated[str | None, typer.Option(help="The pager's words.")] = None,
    hint: Annotated[list[str] | None, typer.Option(help="From nudge to solution.")] = None,
    level: Annotated[int | None, typer.Option(min=1, max=5, help="How hard; 3 by default.")] = None,
    answers: Annotated[
        Path | None, typer.Option("--from", metavar="FILE", help="The same as YAML.")
    ] = None,
    before: BeforeOption = None,
    into: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Where to; by default beside the others.")
    ] = None,
) -> None:
    """Make a scenario of an incident that happened: recorded, and never run.

    CASE is an import or a case of yours; what you leave out is asked for. The culprit is
    found again in the traces by its operation, and it must be the one that began it.
    """
    told = Answers(name, trace, span, mechanism, scope, title, briefing, tuple(hint or ()), level)
    said = told.over(Answers.of(answers) if answers else Answers()).asked()
    settings = Settings()
    archive = bootstrap.archive(settings)
    folder = (into or settings.scenarios_dir) / str(said.name)
    if folder.exists():
        raise UsageError(f"expected no {folder} yet, found one; choose another --name")
    incident = _Incident.of(archive.open(case_id), said, before)
    scenario, packed = incident.recorded(archive.now_s())
    _write(folder, scenario, packed)
    opened = f"practice {said.name}" if into is None else f"open {folder}/recorded.case.zip"
    console.print(
        f"{folder} holds what happened, {len(packed) / 1000:.0f} kB; "
        f"`{lab_command()} {opened}` opens it",
        soft_wrap=True,
        markup=False,
    )


@dataclass(frozen=True)
class _Incident:
    """Evidence with the span that did it, and what was said of both."""

    said: Answers
    evidence: Evidence
    trace: Trace
    span: Span
    request: Request

    @classmethod
    def of(cls, found: CaseFile, said: Answers, before: str | None) -> Self:
        """What happened, cut to what one case may hold; UsageError where that shows no harm."""
        from lab.investigation.reading.ids import resolve_span, resolve_trace

        _check_words(said)
        evidence = _evidence_of(found, before)
        trace = resolve_trace(evidence, str(said.trace))
        span = resolve_span(trace, str(said.span))
        request = evidence.request_of.get(trace.trace_id)
        if request is None or request.window is not Window.CRIME:
            raise UsageError(
                f"expected a trace of the incident, with a root and a start, got {trace.trace_id}: "
                "it is of the healthy time, or nobody can say when it began"
            )
        if not isinstance(found, Case):
            evidence = _cut(evidence, request)
        return cls(said, evidence, trace, span, request)

    def recorded(self, now_s: float) -> tuple[Scenario, bytes]:
        """A scenario and the recording that proves it; UsageError where the traces do not."""
        from lab.adapters.cases.recording_file import pack_case
        from lab.investigation.proof.affected import affected_share, affected_traces
        from lab.investigation.proof.prove import pick_support_code, prove
        from lab.investigation.running.recording import recorded
        from lab.lint import text_problems

        draft = self._scenario(0.0, 1.0, 0.0)
        evidence = self._sampled(draft)
        stats = evidence.reference_stats
        shares = {
            window: affected_share(draft, evidence, stats, window).value or 0.0
            for window in (Window.REFERENCE, Window.CRIME, Window.RECOVERY)
            if window in evidence.windows
        }
        hurt = affected_traces(draft, evidence, stats)
        shown = sum(draft.truth.matches(each, stats) for each in hurt) / max(1, len(hurt))
        before = max((share for key, share in shares.items() if key is not Window.CRIME), default=0)
        scenario = self._scenario(shares[Window.CRIME], before, shown)
        if problems := text_problems(scenario):
            raise UsageError("\n".join(map(str, problems)))
        case = Case(
            case_id=f"{scenario.id}-1",
            scenario=scenario,
            seed=0,
            opened_unix_s=now_s,
            ending=Ending.COMPLETED,
            versions={},
            evidence=evidence,
            journal=(),
            proof=prove(scenario, evidence),
            support_code=pick_support_code(scenario, evidence),
        )
        _check_is_proven(case)
        return scenario, recorded(case, pack_case, at_most=MOST_BYTES)

    def _sampled(self, scenario: Scenario) -> Evidence:
        """With the samples that this scenario asks for, and their traces alone."""
        from lab.investigation.running.sampling import evenly

        symptom = scenario.symptom
        ids: dict[Sample, list[str]] = {}
        for request in self.evidence.requests:
            if request.trace_id in self.evidence.traces:
                sample = _SAMPLES.get(request.window, Sample.OTHERS)
                if sample is Sample.AFFECTED and not self.evidence.suffered(symptom, request):
                    same = symptom.of.covers(request)
                    sample = Sample.UNAFFECTED if same else Sample.OTHERS
                ids.setdefault(sample, []).append(request.trace_id)
        samples = {
            sample: tuple(dict.fromkeys((*evenly(found, MOST_OF_A_SAMPLE), *self._own(sample))))
            for sample, found in ids.items()
        }
        kept = {each for found in samples.values() for each in found}
        traces = {each: self.evidence.traces[each] for each in sorted(kept)}
        return replace(self.evidence, samples=samples, traces=traces, whole_ids=None)

    def _own(self, sample: Sample) -> tuple[str, ...]:
        return (self.trace.trace_id,) if sample is Sample.AFFECTED else ()

    def _scenario(self, crime: float, before: float, shown: float) -> Scenario:
        """The scenario with these shares of affected requests, and of traces that show it."""
        from ruamel.yaml import YAML

        from lab import scenario_file

        written = StringIO()
        yaml = YAML()
        yaml.width = 96
        yaml.dump(self._document(crime, before, shown), written)
        texts = {
            scenario_file.SCENARIO: written.getvalue(),
            scenario_file.BRIEFING: f"{str(self.said.briefing).strip()}\n",
            scenario_file.DEBRIEF: self._debrief(),
        }
        return scenario_file.parse(texts, str(self.said.name))

    def _document(self, crime: float, before: float, shown: float) -> dict[str, Any]:
        truth: dict[str, Any] = {"mechanism": self.said.mechanism}
        truth |= {"scope": self.said.scope} if self.said.scope else {}
        truth |= {"culprit": {"any": [self._culprit()]}, "share": _at_least(min(shown, 0.8))}
        return {
            "title": self.said.title,
            "difficulty": self.said.level or 3,
            "skill": SKILL,
            "recorded": True,
            "symptom": {**self._symptom(crime), "reference": _at_most(max(before, 0.01))},
            "truth": truth,
            "hints": list(self.said.hints) or self._usual_hints(),
        }

    def _symptom(self, share: float) -> dict[str, Any]:
        """What whoever asked for that trace suffered: an error, or slowness beyond the usual."""
        told: dict[str, Any] = {"route": self.request.route}
        if self.request.is_server_error:
            return told | {"error_rate": _at_least(share)}
        if self.request.is_rejected:
            return told | {"rejection_rate": _at_least(share)}
        usual = [
            each.latency_ms
            for each in self.evidence.requests
            if each.window is Window.REFERENCE and each.route == self.request.route
        ]
        usual_ms = percentile(usual, 0.95) if usual else 0.0
        if self.request.latency_ms <= usual_ms:
            raise UsageError(
                f"expected a trace of somebody who was hurt, got {self.trace.trace_id}: its root "
                f"did not fail, and took {duration(self.request.latency_ms)} where "
                f"{duration(usual_ms)} was usual before"
            )
        slower_ms = _between(usual_ms, self.request.latency_ms)
        return told | {"slow_rate": _at_least(share), "slower_than": f"{slower_ms}ms"}

    def _culprit(self) -> dict[str, Any]:
        """The span by its operation, and by what is wrong with it."""
        span = self.span
        told: dict[str, Any] = {"service": span.service, "name": span.name, "kind": span.kind.value}
        told |= {"peer": span.peer} if span.peer else {}
        if span.status is Status.ERROR:
            return told | {"status": "error"}
        usual = self.evidence.reference_stats.for_span(span)
        least_ms = _between(usual.p95_ms if usual else 0.0, span.duration_ms)
        return told | {"duration": f">= {least_ms}ms"} if least_ms < span.duration_ms else told

    def _usual_hints(self) -> list[str]:
        return [
            "Lay a hurt request beside one that was well: which of them differs first?",
            "Errors and delays are handed up. Go down until nothing below explains them.",
            f"Look at `{self.span.name}` of {self.span.service}: it is `{self.said.mechanism}`.",
        ]

    def _debrief(self) -> str:
        how = next(each for each in Mechanism if each == self.said.mechanism)
        who = f"`{self.span.name}` of `{self.span.service}`"
        return _DEBRIEF.format(self.said.title, who, how, how.definition, how.apart)


_DEBRIEF: Final = """# {}

## What happened

It was {}, by `{}`. {} {}

Nobody made this case: it happened, and its traces were kept.
"""

_SAMPLES: Final = {
    Window.REFERENCE: Sample.REFERENCE,
    Window.CRIME: Sample.AFFECTED,
    Window.RECOVERY: Sample.RECOVERY,
}


def _check_words(said: Answers) -> None:
    problems = [
        unknown_name(what, word, list(map(str, words)))
        for what, word, words in (
            ("mechanism", said.mechanism or "", Mechanism),
            ("scope", said.scope or Scope.ALL.value, Scope),
        )
        if word not in list(map(str, words))
    ]
    if said.mechanism == Mechanism.BUSINESS_REJECTION:
        problems.append("expected a mechanism by which a span did it, got that of nobody")
    if problems:
        raise UsageError("; ".join(problems))


def _evidence_of(found: CaseFile, before: str | None) -> Evidence:
    """Windows, requests and traces, whatever they were kept for."""
    from lab.adapters.cases.stretch import stretch_of

    if isinstance(found, Case):
        if before is not None:
            raise UsageError("expected no --before: a case of a run has a time before its own")
        return replace(found.evidence, joins=(), records={})
    healthy = found.healthy if before is None else Healthy(stretch_of(before, found.index))
    return stranger_evidence(found.evidence.traces, found.index, healthy)


def _cut(evidence: Evidence, request: Request) -> Evidence:
    """The hour round the request, and the last hour of what was healthy before."""
    crime, healthy = evidence.windows[Window.CRIME], evidence.windows.get(Window.REFERENCE)
    start_s = max(crime.start_s, request.start_s - HALF_WINDOW_S)
    end_s = min(crime.end_s, request.start_s + HALF_WINDOW_S)
    windows: dict[Window, Interval] = {}
    if healthy is not None:
        before = Interval(max(healthy.start_s, healthy.end_s - 2 * HALF_WINDOW_S), healthy.end_s)
        if healthy.end_s > request.start_s or end_s - before.start_s > LONGEST_S:
            raise UsageError(
                f"expected healthy traces of at most {LONGEST_S / 3600:g} hours before the accused "
                f"one, found those from {healthy}; `{lab_command()} reference` says others"
            )
        windows[Window.REFERENCE], start_s = before, max(start_s, before.end_s)
    windows[Window.CRIME] = Interval(start_s, end_s)
    requests = tuple(
        each for each in evidence.requests if each.start_s in windows.get(each.window, _NEVER)
    )
    return replace(evidence, windows=windows, requests=requests)


_NEVER: Final = Interval(0.0, 0.0)


def _between(usual_ms: float, hurt_ms: float) -> float:
    """A quarter of the way from the usual to the hurt, to a hundredth of a millisecond."""
    return round(usual_ms + (hurt_ms - usual_ms) / 4, 2)


def _at_least(share: float) -> str:
    return f">= {math.floor(share * 1000) / 10:g}%"


def _at_most(share: float) -> str:
    return f"<= {math.ceil(share * 1000) / 10:g}%"


def _check_is_proven(case: Case) -> None:
    """UsageError with each finding that does not hold."""
    if case.proof.verdict is ProofVerdict.PROVEN:
        return
    told = "; ".join(
        f"{each.step} {each.check}: expected {each.expected}, found {each.measured}"
        for each in case.proof.findings
        if each.outcome is not Outcome.HOLDS
    )
    raise UsageError(
        f"expected the incident's traces to show that this span did it, found {told}; name "
        "another span, or say by --before which traces were healthy"
    )


def _write(folder: Path, scenario: Scenario, packed: bytes) -> None:
    """The scenario's files, and its recording last; UsageError where the place is taken."""
    from lab.adapters.cases.recording_file import RECORDING, write_recording

    try:
        with umask.asked_for():
            folder.mkdir(parents=True)
            for name, text in scenario.source.items():
                (folder / name).write_text(text, encoding="utf-8", newline="\n")
        write_recording(folder / RECORDING, packed)
    except OSError as error:
        raise UsageError(
            f"expected to write {folder}, found: {error.strerror}; choose another --name or --into"
        ) from error

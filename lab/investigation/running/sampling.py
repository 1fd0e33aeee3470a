"""Which requests' traces become evidence."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from lab.domain.evidence import Sample
from lab.domain.load import Request, Window
from lab.domain.observation import Observation
from lab.domain.symptom import Counts, Symptom
from lab.investigation.running.looking_round import looked_round

ONSET: Final = 20
"""The first affected requests are all taken: they meet warm pools, later ones do not."""


def evenly(items: Sequence[str], count: int) -> tuple[str, ...]:
    """At most ``count`` of ``items``, evenly spread from the first to the last, order kept."""
    if len(items) <= count:
        return tuple(items)
    if count < 2:
        return tuple(items[: max(0, count)])
    return tuple(items[index * (len(items) - 1) // (count - 1)] for index in range(count))


def choose(
    requests: Iterable[Request],
    symptom: Symptom,
    counts: Counts,
    observation: Observation,
) -> Mapping[Sample, tuple[str, ...]]:
    """Trace ids for each sample; *affected* by the SLI, never by what the truth says.

    What the proof asks is of the symptom's own requests, so that like is compared with like;
    around it is kept what one can look round by. The choice depends on
    requests and records alone: the same log gives the same sample. Where a sampler dropped
    traces of the crime, it is among those that it kept.
    """
    there = _that_can_be_had(requests, counts, observation)
    groups: dict[Sample, list[str]] = defaultdict(list)
    for request in filter(symptom.of.covers, there):
        if request.window is Window.REFERENCE:
            groups[Sample.REFERENCE].append(request.trace_id)
        elif request.window is Window.RECOVERY:
            groups[Sample.RECOVERY].append(request.trace_id)
        elif request.window is Window.CRIME:
            hurt = symptom.is_affected(request, counts)
            groups[Sample.AFFECTED if hurt else Sample.UNAFFECTED].append(request.trace_id)
    affected = groups[Sample.AFFECTED]
    most = observation.controls
    chosen = {
        Sample.AFFECTED: tuple(affected[:ONSET])
        + evenly(affected[ONSET:], observation.affected - ONSET),
        **{
            sample: evenly(groups[sample], most)
            for sample in (Sample.UNAFFECTED, Sample.REFERENCE, Sample.RECOVERY)
        },
    }
    return {**chosen, **looked_round(there, counts, chosen, most)}


def _that_can_be_had(
    requests: Iterable[Request], counts: Counts, observation: Observation
) -> Sequence[Request]:
    """The requests whose traces nobody burned, in order of time."""
    ordered = sorted(requests, key=lambda request: request.start_s)
    if observation.kept is None:
        return ordered
    kept = counts.get(observation.kept, {})
    return [each for each in ordered if each.window is not Window.CRIME or each.trace_id in kept]

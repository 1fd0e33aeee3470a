"""Which requests' traces become evidence."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Final

from lab.domain.evidence import Sample
from lab.domain.load import Request, Window
from lab.domain.observation import Observation
from lab.domain.symptom import Counts, Symptom

ONSET: Final = 20
"""The first affected requests are all taken: they meet warm pools, later ones do not."""


def evenly(items: Sequence[str], count: int) -> tuple[str, ...]:
    """At most ``count`` of ``items``, evenly spread over them, order kept."""
    if len(items) <= count:
        return tuple(items)
    return tuple(items[index * len(items) // count] for index in range(count))


def choose(
    requests: Iterable[Request],
    symptom: Symptom,
    counts: Counts,
    observation: Observation,
) -> Mapping[Sample, tuple[str, ...]]:
    """Trace ids for each sample; *affected* by the SLI, never by what the truth says.

    Controls are of the symptom's own requests, so that like is compared with like. The
    choice depends on requests and records alone: the same log gives the same sample. Where
    a sampler dropped traces of the crime, it is among those that it kept.
    """
    kept: Collection[str] | None = None
    if observation.kept is not None:
        kept = counts.get(observation.kept, {})
    groups: dict[Sample, list[str]] = {sample: [] for sample in Sample}
    meant = (request for request in requests if symptom.of.covers(request))
    for request in sorted(meant, key=lambda request: request.start_s):
        if request.window is Window.REFERENCE:
            groups[Sample.REFERENCE].append(request.trace_id)
        elif request.window is Window.RECOVERY:
            groups[Sample.RECOVERY].append(request.trace_id)
        elif request.window is Window.CRIME and (kept is None or request.trace_id in kept):
            hurt = symptom.is_affected(request, counts)
            groups[Sample.AFFECTED if hurt else Sample.UNAFFECTED].append(request.trace_id)
    affected = groups[Sample.AFFECTED]
    onset = tuple(affected[:ONSET])
    return {
        Sample.AFFECTED: onset + evenly(affected[ONSET:], observation.affected - ONSET),
        **{
            sample: evenly(groups[sample], observation.controls)
            for sample in (Sample.UNAFFECTED, Sample.REFERENCE, Sample.RECOVERY)
        },
    }

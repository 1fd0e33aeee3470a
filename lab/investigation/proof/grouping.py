"""Spans in groups by an attribute: which groups are hit, and what that explains. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from typing import Final

from lab.domain.evidence import Evidence, Sample
from lab.domain.load import Window
from lab.domain.proof import Finding, Outcome
from lab.domain.reference import ReferenceStats
from lab.domain.scenario import OccupancyCheck, SpanGroupsCheck
from lab.domain.trace import AttributeValue
from lab.frozen import dataclass

_CRIME: Final = (Sample.AFFECTED, Sample.UNAFFECTED)
_FEWEST_GROUPS: Final = 2
"""With one there is nothing that it differs from."""


@dataclass(frozen=True, slots=True)
class Groups:
    """Of each value of the attribute, whether each of its spans was hit."""

    members: dict[AttributeValue, list[bool]]

    @classmethod
    def of(
        cls,
        check: SpanGroupsCheck | OccupancyCheck,
        evidence: Evidence,
        reference: ReferenceStats,
    ) -> Groups:
        """The spans of the crime's traces, grouped as ``check`` says."""
        members: dict[AttributeValue, list[bool]] = {}
        for sample in _CRIME:
            for trace in evidence.whole_traces(sample):
                for each in trace.story:
                    for span in each:
                        value = span.attributes.get(check.by)
                        if value is not None and check.predicate.matches(span, each, reference):
                            hit = check.hit.matches(span, each, reference)
                            members.setdefault(value, []).append(hit)
        return cls(members)

    @property
    def hit(self) -> frozenset[AttributeValue]:
        """The groups of which most spans were hit."""
        return frozenset(value for value, hits in self.members.items() if _mostly(hits))

    def purity(self, *, of_hit: bool) -> float | None:
        """The share of the spans of hit groups (or of the others) that are as their group is."""
        found = (hits for value, hits in self.members.items() if (value in self.hit) is of_hit)
        hits = tuple(chain.from_iterable(found))
        return sum(hit is of_hit for hit in hits) / len(hits) if hits else None


def groups_finding(
    check: SpanGroupsCheck, evidence: Evidence, reference: ReferenceStats
) -> Finding:
    """So many groups are hit, and whoever is in one of them is hit, and nobody else."""
    groups = Groups.of(check, evidence, reference)
    guilty, innocent = groups.purity(of_hit=True), groups.purity(of_hit=False)
    expected = f"{check.bound} values of {check.by}, {check.purity} of spans as their group"
    if guilty is None or innocent is None or len(groups.members) < _FEWEST_GROUPS:
        measured = f"{len(groups.hit)} of {len(groups.members)} values: nothing to compare"
        return Finding(check.step, check.label, expected, measured, Outcome.UNKNOWN)
    measured = (
        f"{len(groups.hit)} of {len(groups.members)} values; "
        f"{guilty:.1%} of their spans hit, {innocent:.1%} of the others' not"
    )
    outcomes = {check.bound.holds(len(groups.hit)), check.purity.holds(min(guilty, innocent))}
    outcome = Outcome.HOLDS if outcomes == {Outcome.HOLDS} else Outcome.FAILS
    return Finding(check.step, check.label, expected, measured, outcome)


def occupancy_finding(
    check: OccupancyCheck, evidence: Evidence, reference: ReferenceStats
) -> Finding:
    """As many requests suffered as those that are hit could have served."""
    hit = len(Groups.of(check, evidence, reference).hit)
    requests = evidence.requests_in(Window.CRIME, check.of)
    window = evidence.windows.get(Window.CRIME)
    expected = f"{check.bound} of what {check.by} can explain"
    if not hit or not requests or window is None:
        measured = f"{hit} values hit, {len(requests)} requests: nothing to compare"
        return Finding(check.step, check.label, expected, measured, Outcome.UNKNOWN)
    rate = len(requests) / window.length_s
    share = sum(each.latency_ms > check.slower_than_ms for each in requests) / len(requests)
    explained = hit / (check.held_s * rate)
    measured = (
        f"{share / explained:.0%}: {share:.1%} of {len(requests)} requests against "
        f"{hit} ÷ ({check.held_s:g} s × {rate:.1f}/s) = {explained:.1%}"
    )
    outcome = check.bound.holds(share / explained)
    return Finding(check.step, check.label, expected, measured, outcome)


def _mostly(hits: Sequence[bool]) -> bool:
    return 2 * sum(hits) > len(hits)

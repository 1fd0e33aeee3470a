"""Every error the lab raises on purpose, in one tree.

The number is the exit code; a message says expected, found, what to do next::

    LabError
    ├── UsageError               64   the command line cannot mean anything
    ├── ScenarioError            64   a scenario file is wrong (all problems at once)
    ├── PreconditionError         2   the lab is not in a state to do this
    │   ├── StackNotReady              a part is down or not answering
    │   ├── DirtyShop                  a toxic or a lease is left; `lab heal`
    │   ├── RunInProgress              another run holds the lab
    │   ├── HarmStopped                somebody has stopped all harm; `lab allow-harm`
    │   ├── TooSoon                    a wrong accusation delays the next
    │   ├── ConditionsRefused          the shop's settings cannot be changed there
    │   ├── NotOurs                    the lab removes only what it made
    │   └── ToolMissing                a binary cannot be had
    ├── PartFailed                2   a part died or refused while it was needed
    │   ├── InjectorError              Toxiproxy did not do as asked
    │   ├── LeaseError                 the warden did not do as asked
    │   │   ├── LeaseHeld              somebody else's lease is in the way
    │   │   └── LeaseGone              the lease was released, ran out, or never was
    │   ├── LoadError                  the load generator died or lagged
    │   ├── TraceStoreError            a trace store did not answer as documented
    │   │   └── NeedsTraceQL           a search says what only TraceQL can
    │   ├── ReplayRefused              an endpoint did not take what was sent to it
    │   └── RecordsMissing             a log or a metric that a proof needs cannot be had
    ├── CaseError                64   a case folder is missing or too new
    │   ├── CaseDamaged          64   a file of it is not as it was sealed
    │   ├── NothingToGrade       64   a stranger's telemetry, of which nobody knows the truth
    │   ├── NoReference          64   nobody has said which of its traces were healthy
    │   ├── UnknownCase                nobody made a case of that id
    │   ├── CaseAtWork                 its run is still writing it
    │   ├── NotEarned                  an answer of a case that is still open
    │   ├── DiskRefused           2   the disk would not take or give what it should
    │   └── RecordingTooLarge     2   a case does not fit into the file it is to be kept in
    └── WaitTimeout               2   something awaited did not come in time
        └── MachineStrained            and the machine may be why: another run may do

A foreign error is caught where it enters and re-raised as the most specific of
these, ``from`` its cause; nothing else reaches the command line.
"""

from __future__ import annotations

import math


class LabError(Exception):
    """Base of all; ``exit_code`` is what the command line returns for it."""

    exit_code: int = 2


class UsageError(LabError):
    """The command line cannot mean anything."""

    exit_code = 64


class ScenarioError(LabError):
    """A scenario file is wrong; ``problems`` lists every one as ``file:line field: …``."""

    exit_code = 64

    def __init__(self, problems: tuple[str, ...]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


class PreconditionError(LabError):
    """The lab is not in a state to do what was asked."""


class StackNotReady(PreconditionError):
    """A part of the stack is down or does not answer."""


class DirtyShop(PreconditionError):
    """A toxic or a lease is left from before."""


class RunInProgress(PreconditionError):
    """Another run holds the lab."""


class HarmStopped(PreconditionError):
    """The safety lever is pulled: no lease is given, and the one that was held has ended."""

    def __init__(self) -> None:
        super().__init__(
            "expected that harm may be done here, found it stopped by `lab stop-harm` or at the "
            "desk: no lease is given, and none is left. Ask whoever stopped it, then "
            "`lab allow-harm` lets runs and holds hurt the shop again"
        )


class TooSoon(PreconditionError):
    """A wrong accusation delays the next one by ``wait_s`` seconds more."""

    def __init__(self, wait_s: float) -> None:
        super().__init__(
            f"expected some thought after a wrong accusation: "
            f"the next one is heard in {math.ceil(wait_s)} s"
        )
        self.wait_s = wait_s


class ConditionsRefused(PreconditionError):
    """A scenario changes settings of services that the lab cannot restart."""


class NotOurs(PreconditionError):
    """The lab removes only what it made; nothing was removed."""


class ToolMissing(PreconditionError):
    """A binary the stack needs cannot be found or built."""


class PartFailed(LabError):
    """A part died, or refused, while it was needed."""


class InjectorError(PartFailed):
    """Toxiproxy did not do, or does not show, what was asked of it."""


class LeaseError(PartFailed):
    """The warden refused or lost a lease."""


class LeaseHeld(LeaseError):
    """Another lease is held; the message says by whom and until when."""


class LeaseGone(LeaseError):
    """There is no such lease any more; its harm is removed or being removed."""


class LoadError(PartFailed):
    """The load generator died or could not keep its plan."""


class TraceStoreError(PartFailed):
    """A trace store did not answer, or not as documented."""


class NeedsTraceQL(TraceStoreError):
    """The store speaks no TraceQL, and ``part`` of the search is beyond what predicates say."""

    def __init__(self, traceql: str, part: str) -> None:
        self.part = part
        super().__init__(
            f"expected a search that the lab's own predicates can say, found {part!r} in "
            f"{traceql!r}, which needs TraceQL: run it with Tempo, which STORE=jaeger leaves out"
        )


class ReplayRefused(PartFailed):
    """An endpoint of the user's did not take the spans that were sent to it."""


class RecordsMissing(PartFailed):
    """A log or a metric that a proof needs cannot be had on this stack."""


class CaseError(LabError):
    """A case folder is missing, damaged, or written by a newer version."""

    exit_code = 64


class CaseDamaged(CaseError):
    """A file of a case is not as it was sealed; ``file`` and ``expected`` say which and how."""

    def __init__(self, message: str, *, file: str, expected: str) -> None:
        super().__init__(message)
        self.file = file
        self.expected = expected


class NothingToGrade(CaseError):
    """A case of a stranger's telemetry: it can be looked at, and has no truth to judge by."""


class NoReference(CaseError):
    """A stranger's traces, of which nobody has said which were healthy."""


class UnknownCase(CaseError):
    """There is no case of that id."""


class CaseAtWork(CaseError):
    """The case is still being written by its run."""


class NotEarned(CaseError):
    """An answer was asked for, and the case is neither solved nor given up."""


class DiskRefused(CaseError):
    """The disk is full, or a folder may not be written or read."""

    exit_code = 2


class RecordingTooLarge(CaseError):
    """A case does not fit into the file it is to be kept in."""

    exit_code = 2


class WaitTimeout(LabError):
    """Something awaited did not come in time.

    ``awaited`` says what, ``waited_s`` for how long, ``tries`` how often it was
    looked for and ``last_seen`` what was there instead.
    """

    def __init__(self, awaited: str, *, waited_s: float, tries: int, last_seen: str) -> None:
        super().__init__(
            f"expected {awaited} within {waited_s:.1f} s, "
            f"looked {tries} times, last saw: {last_seen}"
        )
        self.awaited = awaited
        self.waited_s = waited_s
        self.tries = tries
        self.last_seen = last_seen


class MachineStrained(WaitTimeout):
    """It did not come, on a machine that stood still or was busy with all it has."""

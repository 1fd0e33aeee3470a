"""Whether a trace can be reasoned about: the same for who looks at it and for who judges."""

from __future__ import annotations

from enum import StrEnum

from lab.domain.trace import Trace


class Seal(StrEnum):
    """How far a trace can be trusted; proof and judge count *sealed* ones alone."""

    SEALED = "sealed"
    ARRIVING = "still arriving"
    PARENT_NEVER_CAME = "parent never came"
    NOT_ONE_TREE = "not one tree"


def seal_of(trace: Trace | None, *, is_growing: bool = False) -> Seal:
    """The seal of what came of a trace; ``is_growing`` where a second look found more spans.

    A case is opened only after its traces have stopped growing, so in a case file nothing
    grows, and whatever is not whole there will never be.
    """
    if trace is None or not trace.by_id or is_growing:
        return Seal.ARRIVING
    if trace.is_whole:
        return Seal.SEALED
    return Seal.PARENT_NEVER_CAME if trace.missing_parents else Seal.NOT_ONE_TREE


def why(trace: Trace | None, seal: Seal) -> str:
    """The seal's reason, in a sentence with its numbers."""
    if trace is None or seal is Seal.ARRIVING:
        return "Nothing of it has come yet, or more spans came while one looked."
    count = len(trace.by_id)
    if seal is Seal.SEALED:
        return f"All {count} spans hang on one root, none is missing, and no more came."
    if seal is Seal.PARENT_NEVER_CAME:
        missing = sorted(trace.missing_parents)
        shown = ", ".join(missing[:3]) + (", …" if len(missing) > 3 else "")
        return f"{len(missing)} spans are named as parent and never came: {shown}."
    if trace.is_cyclic:
        return "A span is its own ancestor."
    return f"{len(trace.roots)} of its {count} spans name no parent, where one should."

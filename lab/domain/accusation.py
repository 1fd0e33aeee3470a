"""What a learner claims: which spans did it and how, or that nobody did."""

from __future__ import annotations

from lab.domain.mechanism import Mechanism, Scope
from lab.frozen import dataclass


@dataclass(frozen=True, slots=True)
class Accusation:
    """``spans`` holds (trace id, span id) pairs, none of them where ``nobody`` is claimed.

    ``mechanisms`` is one for each span in their order, or one for all of them; none is
    needed where nobody did it.
    """

    spans: tuple[tuple[str, str], ...]
    mechanisms: tuple[Mechanism, ...] = ()
    nobody: bool = False
    scope: Scope | None = None

    def __post_init__(self) -> None:
        """ValueError where the mechanisms cannot be told to their spans."""
        expected = {1, len(self.spans)} | ({0} if self.nobody else set())
        if len(self.mechanisms) not in expected:
            raise ValueError(
                f"expected one mechanism, or one for each of {len(self.spans)} spans, "
                f"got {len(self.mechanisms)}"
            )

    @property
    def charges(self) -> tuple[tuple[str, str, Mechanism], ...]:
        """Trace id, span id and mechanism of each accused span."""
        several = len(self.mechanisms) == len(self.spans)
        each = self.mechanisms if several else self.mechanisms * len(self.spans)
        return tuple((*pair, how) for pair, how in zip(self.spans, each, strict=True))

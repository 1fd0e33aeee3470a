"""What reading gives: spans, and in place of each that could not be read why not."""

from __future__ import annotations

from dataclasses import field
from typing import Final

from lab.domain.trace import Span
from lab.domain.wording import counted, visible
from lab.frozen import dataclass

LONGEST_SOURCE: Final = 120
MOST_TOLD: Final = 1000
"""Of what was skipped; the rest is counted."""

SHOWN: Final = 3
"""Of what was skipped, in one sentence."""


@dataclass(frozen=True, slots=True)
class Skipped:
    """A span, or a piece of a file that may hold some, which could not be read.

    ``line`` counts from 1; None where a format has no lines. ``where`` is the path of the
    field. ``is_span`` tells a span from a piece of which nobody knows how many it held.
    """

    file: str
    line: int | None
    where: str
    why: str
    is_span: bool = True

    def __str__(self) -> str:
        """One line that says where and why."""
        line = "" if self.line is None else f":{self.line}"
        where = f" {self.where}" if self.where else ""
        return visible(f"{self.file[-LONGEST_SOURCE:]}{line}{where}: {self.why}"[:400])


Found = Span | Skipped


@dataclass(slots=True)
class Account:
    """What became of all that was read: every span is kept, dropped or skipped.

    ``duplicates`` came twice with the same content; ``remarks`` say what was read other
    than as it stood there.
    """

    files: int = 0
    read: int = 0
    kept: int = 0
    traces: int = 0
    duplicates: int = 0
    skipped_spans: int = 0
    skipped_pieces: int = 0
    skipped: list[Skipped] = field(default_factory=list)
    remarks: dict[str, int] = field(default_factory=dict)

    def skip(self, skipped: Skipped) -> None:
        """Count one, and keep it if there is room."""
        if skipped.is_span:
            self.read += 1
            self.skipped_spans += 1
        else:
            self.skipped_pieces += 1
        if len(self.skipped) < MOST_TOLD:
            self.skipped.append(skipped)

    def remark(self, what: str) -> None:
        """Count something that was changed in reading."""
        self.remarks[what] = self.remarks.get(what, 0) + 1

    @property
    def is_complete(self) -> bool:
        """Whether all that was there was read."""
        return not self.skipped_spans and not self.skipped_pieces

    @property
    def skipped_words(self) -> str:
        """What was skipped, counted, with the first of it."""
        counts = []
        if self.skipped_spans:
            counts.append(counted(self.skipped_spans, "span"))
        if self.skipped_pieces:
            counts.append(f"{counted(self.skipped_pieces, 'piece')} that could not be read")
        shown = "; ".join(str(each) for each in self.skipped[:SHOWN])
        more = self.skipped_spans + self.skipped_pieces - SHOWN
        rest = f"; and {more:,} more" if more > 0 else ""
        return f"{' and '.join(counts)} skipped: {shown}{rest}"

    @property
    def adds_up(self) -> bool:
        """Whether no span is lost unsaid."""
        return self.read == self.kept + self.duplicates + self.skipped_spans

"""Regular expressions that an agent wrote, as Tempo and Jaeger take them: RE2's.

RE2 needs time by the length of the text alone, whatever the expression is; Python's own module
may need years for one with a repetition inside a repetition.
"""

from __future__ import annotations


class Pattern:
    """One expression; ValueError where it is none."""

    def __init__(self, text: str) -> None:
        # Few calls have one, and nobody waits for its library before.
        import re2

        options = re2.Options()
        options.log_errors = False  # Standard error is the log of the lab.
        try:
            self._compiled = re2.compile(text, options)
        except re2.error as error:
            raise ValueError(f"expected an expression as RE2 has them, got {text!r:.80}") from error

    def is_in(self, text: str) -> bool:
        """Whether some part of the text fits."""
        return self._compiled.search(_as_utf8(text)) is not None

    def is_all_of(self, text: str) -> bool:
        """Whether the whole text fits."""
        return self._compiled.fullmatch(_as_utf8(text)) is not None


def _as_utf8(text: str) -> str:
    """The same, with a question mark for half a letter, which is no UTF-8."""
    return text.encode(errors="replace").decode()

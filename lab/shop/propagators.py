"""In which headers a trace is carried from one service to the next: what is installed for it."""

from __future__ import annotations

from typing import Final

USUAL: Final = "tracecontext,baggage"
"""W3C's headers: https://www.w3.org/TR/trace-context/ and https://www.w3.org/TR/baggage/."""

CARRIERS: Final = ("tracecontext", "b3", "b3multi", "jaeger")
"""Each carries a trace by itself; ``jaeger`` also carries baggage, the others do not."""

BAGGAGE: Final = "baggage"

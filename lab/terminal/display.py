"""What all that is drawn while work goes on has in common."""

from __future__ import annotations

from typing import Generic, Protocol, Self, TypeVar


class Drawing(Protocol):
    """What Rich draws by itself until it is told to stop; stopping twice does no harm."""

    def stop(self) -> None:
        """Draw no more."""
        ...


DrawingT = TypeVar("DrawingT", bound=Drawing)


class Display(Generic[DrawingT]):
    """A context manager around the work; whatever ends that, the drawing ends with it."""

    _drawing: DrawingT

    def __enter__(self) -> Self:
        """Be ready to draw."""
        return self

    def __exit__(self, *_: object) -> None:
        """Draw no more."""
        self._drawing.stop()

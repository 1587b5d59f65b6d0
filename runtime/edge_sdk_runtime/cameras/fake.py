"""A camera that plays a script: for tests of what surrounds one, and of programs that use one."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from time import perf_counter_ns
from typing import TYPE_CHECKING, Union

from ..errors import CameraEndedError
from .base import Grant, Shot

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["FakeReader", "Hang", "Pause"]


class Pause(float):
    """Seconds without a picture."""


class Hang:
    """A driver that never returns, until the test lets it.

    Attributes:
        entered: Set when the driver hangs.
        released: Set by the test.
    """

    def __init__(self) -> None:
        self.entered = threading.Event()
        self.released = threading.Event()

    def hang(self) -> None:
        """Wait to be released."""
        self.entered.set()
        self.released.wait()


Step = Union["NDArray[np.uint8]", Shot, BaseException, Pause, Hang]
"""A picture captured now or at a moment of its own, a failure, a pause, or a hang."""


class FakeReader:
    """A `Reader` that plays steps, then ends.

    Args:
        steps: What happens, in order; may be endless.
        grant: What the source claims to give; 640 × 480 at 30 fps where None.
        clock: Nanoseconds; stamps pictures that have no moment of their own.

    Attributes:
        closed: Whether it was released.
    """

    def __init__(
        self,
        steps: Iterable[Step],
        grant: Grant | None = None,
        clock: Callable[[], int] = perf_counter_ns,
    ) -> None:
        self.grant = grant or Grant(640, 480, 30.0, "FAKE")
        self.closed = False
        self._steps: Iterator[Step] = iter(steps)
        self._clock = clock

    def read(self) -> Shot:
        """Play steps up to the next picture or failure."""
        for step in self._steps:
            if isinstance(step, Pause):
                threading.Event().wait(step)
            elif isinstance(step, Hang):
                step.hang()
            elif isinstance(step, BaseException):
                raise step
            else:
                return step if isinstance(step, Shot) else Shot(step, self._clock())
        raise CameraEndedError("A script ends. Received: a read after its last step. Write more of them.")

    def close(self) -> None:
        """Note that it was released."""
        self.closed = True

"""A camera's frames until somebody has seen enough, and how many come a second."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from time import monotonic
from typing import NamedTuple

from .cameras import Camera, CameraCounts, Frame
from .cameras.base import READ_TIMEOUT_S
from .cameras.threaded import no_frame
from .classifier import Classification
from .errors import CameraEndedError, UsageError

__all__ = ["NO_LIMITS", "Limits", "RateMeter", "Seen", "frames_until"]

_SLICE_S = 0.2
"""How long a read waits at a time, and so how soon a request to stop is heard."""


class Limits(NamedTuple):
    """When enough was seen.

    Attributes:
        frames: After so many frames; None for never.
        seconds: After so many seconds; None for never.
        idle_s: The longest without a frame before that is an error, in seconds; None where waiting is what is wanted.
    """

    frames: int | None = None
    seconds: float | None = None
    idle_s: float | None = READ_TIMEOUT_S

    def check(self) -> Limits:
        """The same limits, unless they make no sense.

        Raises:
            UsageError: A limit is not above 0.
        """
        for name, value in self._asdict().items():
            if value is not None and not value > 0:
                raise UsageError(f"{name} must be above 0. Received: {value:g}. Leave it out for no limit.")
        return self


NO_LIMITS = Limits()
"""As long as frames come."""


def frames_until(
    camera: Camera, limits: Limits = NO_LIMITS, stopped: Callable[[], bool] = lambda: False
) -> Iterator[Frame]:
    """Frames of a camera until a limit is reached, the source ends, or somebody asks to stop.

    Args:
        camera: An opened camera; it stays open.
        limits: When to end.
        stopped: Asked between frames, and five times a second while none comes.

    Yields:
        Frames as `Camera.read` gives them.

    Raises:
        CameraTimeoutError: No frame came for `limits.idle_s`.
        CameraError: The camera failed and did not come back.
    """
    given, begun = 0, monotonic()
    heard = begun
    while not stopped() and (limits.frames is None or given < limits.frames):
        left = _SLICE_S if limits.seconds is None else begun + limits.seconds - monotonic()
        if left <= 0:
            return
        try:
            frame = camera.poll(min(left, _SLICE_S))
        except CameraEndedError:
            return
        if frame is not None:
            given += 1
            yield frame
            heard = monotonic()
        elif limits.idle_s is not None and monotonic() - heard >= limits.idle_s:
            raise no_frame(camera.address, limits.idle_s)


class Seen(NamedTuple):
    """The latest frame and what it shows.

    Attributes:
        frame: The frame.
        result: Its classification.
        fps: Classifications a second.
        counts: What became of the camera's frames.
    """

    frame: Frame
    result: Classification
    fps: float
    counts: CameraCounts


class RateMeter:
    """How often something happens, over the latest two seconds or so.

    Args:
        window: The most events that are looked back on.
        clock: Seconds.
    """

    def __init__(self, window: int = 60, clock: Callable[[], float] = monotonic) -> None:
        self._moments: deque[float] = deque(maxlen=window)
        self._clock = clock

    def tick(self) -> float:
        """Count one event; events per second, 0 before the second one."""
        now = self._clock()
        self._moments.append(now)
        while now - self._moments[0] > 2 and len(self._moments) > 2:
            self._moments.popleft()
        elapsed = now - self._moments[0]
        return (len(self._moments) - 1) / elapsed if elapsed > 0 else 0.0

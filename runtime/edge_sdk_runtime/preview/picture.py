"""JPEGs of the latest frame: made when somebody looks, once for all who look, and not more often than is worth it."""

from __future__ import annotations

import json
import threading
from time import monotonic, sleep
from typing import TYPE_CHECKING, NamedTuple

import cv2

from .state import PreviewState, classification_document

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["Picture", "PictureMaker"]

_LONGEST_SIDE = 640
_QUALITY = 75
_INTERVAL_S = 1 / 12
_WAIT_S = 2.0


class Picture(NamedTuple):
    """One JPEG, with what was said of the frame that it shows: asked for apart, they would be of different frames.

    Attributes:
        jpeg: The file.
        sequence: Its frame's number.
        classification: The frame's `classification_document`, as JSON that is ASCII throughout, so that a header can hold it.
    """

    jpeg: bytes
    sequence: int
    classification: str


class PictureMaker:
    """Makes pictures of what a state shows.

    Args:
        state: Where the latest frame is.
        interval_s: The shortest time between two pictures, in seconds.
    """

    def __init__(self, state: PreviewState, interval_s: float = _INTERVAL_S) -> None:
        self._state = state
        self._interval_s = interval_s
        self._lock = threading.Lock()
        self._latest: Picture | None = None
        self._made = 0.0

    def newer(self, than: int) -> Picture | None:
        """A picture of another frame than `than`; None where none comes within two seconds.

        Args:
            than: The number of a frame that was shown already; −1 for none.
        """
        seen = self._state.newer(than, _WAIT_S)
        if seen is None:
            return None
        with self._lock:  # who looks at the same time gets the same picture
            pause = self._made + self._interval_s - monotonic()
            if pause > 0:
                if self._latest is not None and self._latest.sequence != than:
                    return self._latest
                sleep(pause)
                seen = self._state.newer(than, 0) or seen
            if self._latest is None or self._latest.sequence != seen.frame.sequence:
                said = json.dumps(classification_document(seen), allow_nan=False)
                self._latest = Picture(encode(seen.frame.image), seen.frame.sequence, said)
                self._made = monotonic()
            return self._latest


def encode(frame: NDArray[np.uint8]) -> bytes:
    """A JPEG of a frame, at most 640 pixels long; OpenCV lets other threads run meanwhile."""
    height, width = frame.shape[:2]
    scale = _LONGEST_SIDE / max(height, width)
    if scale < 1:
        size = (max(1, round(width * scale)), max(1, round(height * scale)))
        frame = cv2.resize(frame, size, interpolation=cv2.INTER_LINEAR).astype(frame.dtype, copy=False)
    return cv2.imencode(".jpg", frame, [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])[1].tobytes()

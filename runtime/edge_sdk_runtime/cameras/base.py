"""What a camera gives, what it must offer, and what the driver behind one must."""

from __future__ import annotations

from collections.abc import Iterator
from types import TracebackType
from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["READ_TIMEOUT_S", "Camera", "CameraCounts", "Frame", "Grant", "Reader", "Shot"]

READ_TIMEOUT_S = 10.0
"""How long a read waits for a frame unless it is told otherwise: longer than a camera needs to come back after a glitch."""


class Frame(NamedTuple):
    """One picture, and when it was taken.

    Attributes:
        image: `uint8 [height, width, 3]`, BGR; the caller's own, never written to again.
        captured_ns: Its moment of capture on the clock of `time.perf_counter_ns`: the driver's own time of the exposure or of
            the transfer where it tells that, else the moment at which the driver handed the picture over. A file's frames
            were captured long ago; theirs is the moment at which they were read.
        sequence: Its number among the frames that the source delivered, from 0; a gap says how many were dropped.
        name: The file it came from; empty where it is none.
    """

    image: NDArray[np.uint8]
    captured_ns: int
    sequence: int
    name: str = ""


class Grant(NamedTuple):
    """What a source really gives, whatever was asked for.

    Attributes:
        width: In pixels; 0 where it differs from picture to picture.
        height: Likewise.
        fps: Frames per second; 0 where it is not known.
        format: The format on the wire, such as `"MJPG"`; empty where it is not known.
    """

    width: int
    height: int
    fps: float
    format: str = ""

    def __str__(self) -> str:
        parts = [
            f"{self.width} × {self.height}" if self.width else "pictures of any size",
            f"{self.fps:g} fps" if self.fps else "",
            self.format,
        ]
        return ", ".join(filter(None, parts))


class CameraCounts(NamedTuple):
    """What became of the frames.

    Attributes:
        delivered: Frames that the source gave.
        dropped: Those of them that a newer one replaced before anybody read them.
        reconnects: How often the source was opened again after it had failed.
        unreadable: Pictures of a folder that could not be decoded, and were skipped.
    """

    delivered: int
    dropped: int
    reconnects: int
    unreadable: int


class Camera(Protocol):
    """An opened source of frames: its own context manager, and iterable until it ends."""

    @property
    def address(self) -> str:
        """What it was opened by, passwords left out."""

    @property
    def grant(self) -> Grant:
        """What the source really gives."""

    @property
    def counts(self) -> CameraCounts:
        """What became of the frames so far."""

    def read(self, timeout_s: float | None = READ_TIMEOUT_S) -> Frame:
        """The newest frame that was not read yet, or the next one in order; waits for one where there is none.

        Args:
            timeout_s: The longest to wait, in seconds; None to wait for ever.

        Raises:
            CameraEndedError: The source has no further frame.
            CameraTimeoutError: None came in time.
            CameraError: The camera failed and did not come back, or was closed.
        """

    def poll(self, timeout_s: float | None) -> Frame | None:
        """As `read`, but None where no frame came in time."""

    def close(self) -> None:
        """Release the source; what hangs in its driver is left behind, and released when the driver returns."""

    def __iter__(self) -> Iterator[Frame]:
        """Frames by `read`, until the source ends; a watched folder is waited for without a limit."""

    def __enter__(self) -> Camera:
        """The camera."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close it."""


class Shot(NamedTuple):
    """One picture as its driver gives it.

    Attributes:
        image: `uint8 [height, width, 3]`, BGR; a new array each time.
        captured_ns: Its moment of capture on the clock of `time.perf_counter_ns`.
        name: The file it came from; empty where it is none.
    """

    image: NDArray[np.uint8]
    captured_ns: int
    name: str = ""


class Reader(Protocol):
    """A driver: gives one picture after the other, may block, and is called by one thread alone.

    A new kind of camera implements these three and joins `open_reader`.
    """

    @property
    def grant(self) -> Grant:
        """What the source really gives."""

    def read(self) -> Shot:
        """Wait for the next picture.

        Raises:
            CameraEndedError: There is no further one.
            CameraError: The source failed; it may be opened again.
            ImageReadError: This picture cannot be decoded; the next call gives the next one.
        """

    def close(self) -> None:
        """Release the source; a second call does nothing."""

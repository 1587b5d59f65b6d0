"""A thread that reads a driver, so that nobody else ever waits in one, and a hand-over that holds one frame.

By default the hand-over keeps the newest frame: who reads gets a picture no older than one frame interval, however slow they
are. In order, the driver waits until its frame was taken, and none is lost.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from time import monotonic, perf_counter_ns
from types import TracebackType

from ..errors import CameraEndedError, CameraError, CameraTimeoutError, EdgeRuntimeError, ImageReadError
from .base import READ_TIMEOUT_S, CameraCounts, Frame, Grant, Reader, Shot

__all__ = ["ThreadedCamera", "no_frame"]

_RELEASE_S = 2.0
"""How long closing waits for a driver to return; the thread is a daemon, so one that never does holds nobody up."""
_FIRST_PAUSE_S = 0.1
_LONGEST_PAUSE_S = 1.0


class _Handover:
    """One frame on its way from the driver's thread to whoever reads."""

    def __init__(self, in_order: bool) -> None:
        self.dropped = 0
        self._in_order = in_order
        self._changed = threading.Condition()
        self._frame: Frame | None = None
        self._end: EdgeRuntimeError | None = None

    def put(self, frame: Frame) -> None:
        """Offer a frame: at once in the place of an older one, or in order, after that was taken."""
        with self._changed:
            while self._in_order and self._frame is not None and self._end is None:
                self._changed.wait()
            if self._end is not None:  # closed while the driver was at work
                return
            self.dropped += self._frame is not None
            self._frame = frame
            self._changed.notify_all()

    def finish(self, end: EdgeRuntimeError) -> None:
        """Let every later `take` raise an error, once the frame that still waits was taken."""
        with self._changed:
            self._end = self._end or end
            self._changed.notify_all()

    def abandon(self, end: EdgeRuntimeError) -> None:
        """Let every later `take` raise an error at once."""
        with self._changed:
            self._frame, self._end = None, end
            self._changed.notify_all()

    def take(self, timeout_s: float | None) -> Frame | None:
        """The waiting frame, or the next one; None where none comes in time."""
        with self._changed:
            self._changed.wait_for(lambda: self._frame is not None or self._end is not None, timeout_s)
            frame, self._frame = self._frame, None
            if frame is None and self._end is not None:
                raise self._end.with_traceback(None)
            self._changed.notify_all()
            return frame


class ThreadedCamera:
    """A `Camera` over any `Reader`; the reader is opened, read and closed by one thread of its own.

    Args:
        address: What to call the source.
        open_reader: Opens the driver; called again after a failure.
        in_order: Whether every frame is given in order, instead of the newest.
        open_timeout_s: The longest that opening may take, in seconds.
        reconnect_s: How long a source that failed is opened again and again before that is an error; 0 for never.
        patient: Whether iterating waits for ever, for a source that may rightly give nothing.

    Raises:
        CameraUnavailableError: There is no such camera, or something it needs is missing.
        CameraTimeoutError: Opening took longer.
    """

    def __init__(
        self,
        address: str,
        open_reader: Callable[[], Reader],
        *,
        in_order: bool,
        open_timeout_s: float,
        reconnect_s: float,
        patient: bool = False,
    ) -> None:
        self.address = address
        self._open_reader = open_reader
        self._in_order = in_order
        self._patient = patient
        self._reconnect_s = reconnect_s
        self._handover = _Handover(in_order)
        self._delivered = self._reconnects = self._unreadable = 0
        self._grant: Grant | None = None
        self._settled = threading.Event()
        self._closing = threading.Event()
        self._failure: EdgeRuntimeError | None = None
        self._thread = threading.Thread(target=self._run, name=f"camera {address}", daemon=True)
        self._thread.start()
        self._await_opening(open_timeout_s)

    @property
    def grant(self) -> Grant:
        """What the source really gives."""
        assert self._grant is not None, "the constructor waits for it"
        return self._grant

    @property
    def counts(self) -> CameraCounts:
        """What became of the frames so far."""
        return CameraCounts(self._delivered, self._handover.dropped, self._reconnects, self._unreadable)

    def read(self, timeout_s: float | None = READ_TIMEOUT_S) -> Frame:
        """The newest frame, or the next in order; see `Camera.read`."""
        frame = self.poll(timeout_s)
        if frame is None:
            assert timeout_s is not None, "without a limit, a frame or an error comes"
            raise no_frame(self.address, timeout_s)
        return frame

    def poll(self, timeout_s: float | None) -> Frame | None:
        """As `read`, but None where no frame came in time."""
        frame = self._handover.take(timeout_s)
        if frame is not None and self._in_order:  # it was read ahead; its wait says nothing about the source
            return frame._replace(captured_ns=perf_counter_ns())
        return frame

    def close(self) -> None:
        """Release the source; see `Camera.close`."""
        self._closing.set()
        self._handover.abandon(_closed(self.address))
        if self._thread is not threading.current_thread():
            self._thread.join(_RELEASE_S)

    def __iter__(self) -> Iterator[Frame]:
        while True:
            try:
                frame = self.read(None if self._patient else READ_TIMEOUT_S)
            except CameraEndedError:
                return
            yield frame

    def __enter__(self) -> ThreadedCamera:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _await_opening(self, timeout_s: float) -> None:
        try:
            settled = self._settled.wait(timeout_s)
        except BaseException:  # interrupted: nobody would hold the camera to close it
            self._closing.set()
            raise
        if self._failure is not None:
            raise self._failure.with_traceback(None)
        if not settled:
            self._closing.set()
            raise CameraTimeoutError(
                f"A camera must open within {timeout_s:g} s. Received: no answer from {self.address}. "
                "Unplug it and plug it in again, or restart it."
            )

    def _run(self) -> None:
        try:
            reader = self._open_reader()
            self._grant = reader.grant
            self._settled.set()
            self._serve(reader)
        except EdgeRuntimeError as error:
            self._fail(error)
        except Exception as error:  # a driver's own kinds: told to whoever reads, or the thread would die unseen
            self._fail(_driver_failed(self.address, error))

    def _fail(self, error: EdgeRuntimeError) -> None:
        if not self._settled.is_set():
            self._failure = error
            self._settled.set()
        self._handover.finish(error)

    def _serve(self, reader: Reader) -> None:
        lost_since: float | None = None
        try:
            while not self._closing.is_set():
                try:
                    shot = reader.read()
                except ImageReadError:
                    self._unreadable += 1
                    continue
                except CameraEndedError:
                    raise
                except CameraError as error:
                    lost_since = lost_since or monotonic()
                    reader.close()
                    reader = self._reopen(error, lost_since + self._reconnect_s)
                    continue
                lost_since = None
                self._deliver(shot)
        finally:
            reader.close()

    def _deliver(self, shot: Shot) -> None:
        frame = Frame(shot.image, shot.captured_ns, self._delivered, shot.name)
        self._delivered += 1
        self._handover.put(frame)

    def _reopen(self, reason: CameraError, deadline: float) -> Reader:
        """Open the driver again, after pauses that grow; a camera that opens but gives nothing does not extend the time."""
        pause = _FIRST_PAUSE_S
        while monotonic() + pause < deadline and not self._closing.wait(pause):
            pause = min(2 * pause, _LONGEST_PAUSE_S)
            try:
                reader = self._open_reader()
            except CameraError:
                continue
            self._reconnects += 1
            return reader
        if self._closing.is_set():
            raise _closed(self.address)
        if self._reconnect_s == 0:
            raise reason
        raise CameraError(
            f"A camera that fails must come back within {self._reconnect_s:g} s. Received: {self.address} did not ({reason})"
        ) from reason


def no_frame(address: str, timeout_s: float) -> CameraTimeoutError:
    """The error of a source that gave no frame in time."""
    return CameraTimeoutError(
        f"A camera must give a frame within {timeout_s:g} s. Received: none from {address}. Unplug it and plug it in again, or wait longer."
    )


def _closed(address: str) -> CameraError:
    return CameraError(f"A closed camera gives no frames. Received: a read of {address} after close(). Open it again.")


def _driver_failed(address: str, error: Exception) -> CameraError:
    said = " ".join(str(error).split())[:200]
    return CameraError(
        f"A camera's driver must not fail. Received: {type(error).__name__} from {address} ({said}). Open the camera again."
    )

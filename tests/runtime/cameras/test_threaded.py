import itertools
import threading
from time import perf_counter_ns

import pytest

from edge_sdk_runtime.cameras.base import Shot
from edge_sdk_runtime.cameras.fake import FakeReader, Hang, Pause
from edge_sdk_runtime.cameras.threaded import ThreadedCamera
from edge_sdk_runtime.errors import (
    CameraEndedError,
    CameraError,
    CameraTimeoutError,
    CameraUnavailableError,
    EdgeRuntimeError,
    ImageReadError,
)
from tests.runtime.cameras.players import Opener, camera, picture, pictures, until

UNPLUGGED = CameraError("unplugged")


@pytest.mark.parametrize(
    ("kind", "builtin"),
    [
        (CameraError, OSError),
        (CameraEndedError, EOFError),
        (CameraTimeoutError, TimeoutError),
        (CameraUnavailableError, OSError),
    ],
)
def test_errors_have_one_root_and_are_builtins_too(kind: type[Exception], builtin: type[Exception]) -> None:
    assert issubclass(kind, EdgeRuntimeError) and issubclass(kind, CameraError) and issubclass(kind, builtin)


def test_the_newest_frame_is_read_and_the_others_are_counted() -> None:
    with camera(pictures(5)) as source:
        until(lambda: source.counts.delivered == 5)
        frame = source.read()
        assert (frame.sequence, frame.image[0, 0, 0]) == (4, 4)
        assert source.counts == (5, 4, 0, 0)
        with pytest.raises(CameraEndedError):
            source.read()


def test_no_frame_is_read_twice_and_a_read_waits_for_the_next() -> None:
    held = Hang()
    with camera([picture(1), held, picture(2)]) as source:
        assert source.read().sequence == 0
        assert source.poll(0.01) is None
        with pytest.raises(CameraTimeoutError, match=r"within 0.01 s. Received: none from /dev/video0. Unplug it"):
            source.read(0.01)
        held.released.set()
        assert source.read().sequence == 1
        assert source.counts.dropped == 0


def test_in_order_nothing_is_dropped_however_slow_the_reader_is() -> None:
    reader = FakeReader(pictures(20))
    with ThreadedCamera("f", lambda: reader, in_order=True, open_timeout_s=20, reconnect_s=0) as source:
        seen = []
        for frame in source:
            threading.Event().wait(0.002)
            seen.append((frame.sequence, int(frame.image[0, 0, 0])))
    assert seen == [(i, i) for i in range(20)]
    assert source.counts == (20, 0, 0, 0)
    assert reader.closed


def test_the_moment_of_capture_is_the_drivers_own() -> None:
    """A frame that lay in the driver's buffer shows its age."""
    captured = perf_counter_ns() - 400_000_000
    with camera([Shot(picture(1), captured)]) as source:
        assert source.read().captured_ns == captured


def test_an_unplugged_camera_that_comes_back_is_opened_again() -> None:
    opener = Opener([picture(1), UNPLUGGED], CameraUnavailableError("not there yet"), [picture(2)])
    with ThreadedCamera("usb:0", opener, in_order=False, open_timeout_s=20, reconnect_s=20) as source:
        frames = list(source)
    assert [frame.sequence for frame in frames][-1] == 1
    assert (source.counts.reconnects, source.counts.delivered, opener.opened) == (1, 2, 3)
    assert all(reader.closed for reader in opener.readers)


def test_one_that_does_not_come_back_ends_in_an_error_that_stays() -> None:
    absent = (CameraUnavailableError("absent") for _ in itertools.count())
    opener = Opener([picture(1), UNPLUGGED], *itertools.islice(absent, 50))
    with ThreadedCamera("usb:0", opener, in_order=False, open_timeout_s=20, reconnect_s=0.3) as source:
        with pytest.raises(CameraError, match=r"must come back within 0.3 s. Received: usb:0 did not \(unplugged\)"):
            list(source)
        with pytest.raises(CameraError, match="must come back"):
            source.read()


def test_one_that_opens_again_and_again_but_gives_nothing_is_bounded_too() -> None:
    opener = Opener([picture(1), UNPLUGGED], *[[CameraError("nothing")] for _ in range(100)])
    source = ThreadedCamera("usb:0", opener, in_order=False, open_timeout_s=20, reconnect_s=0.5)
    with source, pytest.raises(CameraError, match="must come back"):
        list(source)
    assert all(reader.closed for reader in opener.readers)


def test_without_reconnecting_the_first_failure_is_the_error() -> None:
    with camera([UNPLUGGED], reconnect_s=0) as source, pytest.raises(CameraError, match=r"^unplugged$"):
        source.read()


def test_an_unreadable_picture_is_skipped_and_counted() -> None:
    with camera([ImageReadError("broken"), picture(7)]) as source:
        assert source.read().image[0, 0, 0] == 7
        assert source.counts.unreadable == 1


def test_a_driver_that_hangs_holds_up_neither_reading_nor_closing() -> None:
    hang = Hang()
    opener = Opener([picture(1), hang])
    source = ThreadedCamera("usb:0", opener, in_order=False, open_timeout_s=20, reconnect_s=1)
    source.read()
    assert hang.entered.wait(20)
    with pytest.raises(CameraTimeoutError):
        source.read(0.05)
    source.close()
    with pytest.raises(CameraError, match=r"after close\(\)"):
        source.read()
    assert not opener.readers[0].closed
    hang.released.set()
    until(lambda: opener.readers[0].closed)


def test_a_driver_that_hangs_while_it_opens_is_given_up_and_released_later() -> None:
    released = threading.Event()
    reader = FakeReader(pictures(1))

    def open_slowly() -> FakeReader:
        released.wait()
        return reader

    with pytest.raises(CameraTimeoutError, match=r"must open within 0.05 s. Received: no answer from usb:0"):
        ThreadedCamera("usb:0", open_slowly, in_order=False, open_timeout_s=0.05, reconnect_s=1)
    released.set()
    until(lambda: reader.closed)


def test_a_camera_that_cannot_be_opened_says_why_at_once() -> None:
    with pytest.raises(CameraUnavailableError, match=r"^busy$"):
        camera(CameraUnavailableError("busy"))


@pytest.mark.parametrize("when", ["opening", "reading"])
def test_a_drivers_own_kind_of_error_is_told_to_the_reader(when: str) -> None:
    own = KeyError("no such\nstream")
    told = pytest.raises(CameraError, match=r"must not fail. Received: KeyError from /dev/video0 \('no such.*stream'\)")
    with told, camera(own if when == "opening" else [own]) as source:
        source.read()


def test_closing_wakes_who_waits() -> None:
    hang = Hang()
    source = camera([hang])
    failures: list[CameraError] = []

    def wait() -> None:
        try:
            source.read(None)
        except CameraError as error:
            failures.append(error)

    reader = threading.Thread(target=wait)
    reader.start()
    hang.entered.wait(20)
    hang.released.set()
    source.close()
    reader.join(20)
    assert len(failures) == 1
    source.close()


def test_a_slow_camera_is_waited_for() -> None:
    with camera([Pause(0.05), picture(3), Pause(0.05), picture(4)]) as source:
        assert [int(frame.image[0, 0, 0]) for frame in source] == [3, 4]


def test_several_readers_share_the_frames() -> None:
    reader = FakeReader(pictures(60))
    seen: list[int] = []
    with ThreadedCamera("f", lambda: reader, in_order=True, open_timeout_s=20, reconnect_s=0) as source:
        threads = [threading.Thread(target=lambda: seen.extend(f.sequence for f in source)) for _ in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(20)
    assert sorted(seen) == list(range(60))

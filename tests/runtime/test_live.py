import pytest

from edge_sdk_runtime import UsageError
from edge_sdk_runtime.cameras.fake import Hang
from edge_sdk_runtime.errors import CameraError, CameraTimeoutError
from edge_sdk_runtime.live import Limits, RateMeter, frames_until
from tests.runtime.cameras.players import camera, picture


def endless() -> object:
    while True:
        yield picture(1)


def test_it_ends_after_so_many_frames_with_the_source_or_when_asked() -> None:
    with camera(endless()) as source:  # type: ignore[arg-type]
        assert len(list(frames_until(source, Limits(frames=3)))) == 3
        asked = iter([False, False, True])
        assert len(list(frames_until(source, stopped=lambda: next(asked)))) == 2
    with camera([picture(1)]) as source:
        assert [frame.sequence for frame in frames_until(source)] == [0]


def test_it_ends_after_so_many_seconds_though_nothing_comes() -> None:
    with camera([Hang()]) as source:
        assert list(frames_until(source, Limits(seconds=0.05))) == []


def test_nothing_for_too_long_is_an_error_and_a_stop_is_heard_before() -> None:
    hang = Hang()
    with camera([hang]) as source:
        with pytest.raises(CameraTimeoutError, match=r"within 0.01 s. Received: none from /dev/video0"):
            list(frames_until(source, Limits(idle_s=0.01)))
        asked = iter([False, True])
        assert list(frames_until(source, Limits(idle_s=None), lambda: next(asked))) == []
        hang.released.set()


def test_a_camera_that_fails_is_an_error() -> None:
    with camera([picture(1), CameraError("unplugged")], reconnect_s=0) as source, pytest.raises(CameraError):
        list(frames_until(source))


@pytest.mark.parametrize(
    "limits", [Limits(frames=0), Limits(seconds=-1.0), Limits(idle_s=0), Limits(seconds=float("nan"))]
)
def test_limits_are_above_zero(limits: Limits) -> None:
    with pytest.raises(UsageError, match="must be above 0"):
        limits.check()
    assert Limits(1, 0.5).check() == Limits(1, 0.5)


def test_the_rate_is_of_the_latest_events() -> None:
    now = [0.0]
    meter = RateMeter(clock=lambda: now[0])
    rates = []
    for step in [0.0, *[0.1] * 50, *[0.5] * 10]:
        now[0] += step
        rates.append(meter.tick())
    assert rates[0] == 0
    assert rates[30] == pytest.approx(10)
    assert rates[-1] == pytest.approx(2)

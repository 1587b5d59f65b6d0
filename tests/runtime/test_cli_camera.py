import csv
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest

from edge_sdk_runtime import Classifier, affinity, cameras
from edge_sdk_runtime.cameras.fake import FakeReader, Hang
from edge_sdk_runtime.cli import main
from edge_sdk_runtime.errors import CameraError
from tests.runtime.cameras.players import Opener, clip, image_file, until
from tests.runtime.helpers import fake_plug, make_bundle, plain

Output = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def _colours(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every bundle is the colour bundle on fakes, whose files need no interpreter."""

    def load(path: str, **options: Any) -> Classifier:
        assert path == "colours.edge"
        return Classifier(make_bundle(), **{**options, "interpreter": fake_plug()})

    monkeypatch.setattr(Classifier, "load", load)


@pytest.fixture
def plays(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Plays scripts in the place of cameras."""

    def play(*scripts: Any, **options: Any) -> Opener:
        opener = Opener(*scripts)
        original = cameras.open_camera
        monkeypatch.setattr(cameras, "open_camera", partial(original, opener=opener, **options))
        return opener

    return play


def edge_run(*arguments: str) -> int:
    return main.main(arguments)


def red(count: int) -> list[Any]:
    return [plain(250, 20, 20) for _ in range(count)]


def endless(then: Any = None) -> Iterator[Any]:
    """Red frames for ever; after a few, `then` is called once."""
    for i in range(10**9):
        if i == 5 and then:
            then()
        threading.Event().wait(0.002)
        yield plain(250, 20, 20)


def test_a_video_ends_with_the_figures_of_every_frame(tmp_path: Path, capsys: Output) -> None:
    path = clip(tmp_path / "clip.avi", range(0, 250, 25))
    assert edge_run("camera", "colours.edge", "--source", f"file:{path}") == 0
    captured = capsys.readouterr()
    assert captured.err == f"file:{path}: 64 × 48, 25 fps, MJPG\n"
    *_, head, columns, age, pre, embed, similarity, last, total, labels = captured.out.splitlines()
    assert head.startswith("10 frames in ")
    assert columns.split() == ["p50", "p95", "p99", "max"]
    assert [row.split("  ")[0].strip() for row in (age, pre, embed, similarity, last, total)] == [
        "frame age", "preprocess", "embed", "similarity", "head", "total",
    ]  # fmt: skip
    assert labels.startswith("labels: ")


def test_json_is_a_line_per_frame_then_the_figures(plays: Any, capsys: Output) -> None:
    plays(endless())
    assert edge_run("camera", "colours.edge", "--json", "--frames", "3") == 0
    *frames, end = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [frame["label"] for frame in frames] == ["red"] * 3
    for frame in frames:
        assert frame["total_ns"] == sum(frame["stages_ns"].values())
        assert frame["capture_age_ns"] >= 0
    assert end["summary"]["frames"] == 3
    assert end["summary"]["labels"] == {"red": 3}
    assert end["summary"]["latency"]["total"]["count"] == 3


def test_a_line_per_second_into_a_pipe(plays: Any, capsys: Output, monkeypatch: pytest.MonkeyPatch) -> None:
    from edge_sdk_runtime.cli import status_line

    moments = iter(range(0, 10**6, 1))
    monkeypatch.setattr(status_line.StatusLine.__init__, "__defaults__", (lambda: next(moments) / 2,))
    plays(endless())
    assert edge_run("camera", "colours.edge", "--frames", "10") == 0
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("red 9")]
    assert len(lines) == 5
    assert all("fps" in line and "age" in line and "preprocess" in line for line in lines)


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 0)])
def test_a_signal_releases_the_camera_and_prints_the_last_figures(
    plays: Any, capsys: Output, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, status: int
) -> None:
    before = [signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM)]
    classified, classify = threading.Event(), Classifier.classify

    def told(*arguments: Any) -> Any:
        result = classify(*arguments)
        classified.set()
        return result

    def end() -> None:
        classified.wait(30)
        os.kill(os.getpid(), number)

    monkeypatch.setattr(Classifier, "classify", told)
    opener = plays(endless(end))
    table = tmp_path / "out.csv"
    assert edge_run("camera", "colours.edge", "--record", str(table)) == status
    until(lambda: opener.readers[0].closed)
    assert " frames in " in capsys.readouterr().out
    assert len(table.read_text().splitlines()) >= 2
    assert [signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM)] == before


def test_a_signal_is_heard_while_no_frame_comes(plays: Any, capsys: Output) -> None:
    hang = Hang()
    plays([*red(1), hang])

    def terminate() -> None:
        hang.entered.wait(30)
        os.kill(os.getpid(), signal.SIGTERM)
        hang.released.set()

    thread = threading.Thread(target=terminate)
    thread.start()
    assert edge_run("camera", "colours.edge") == 0
    thread.join()
    assert (
        " frames in " in capsys.readouterr().out
    )  # whether the one before the hang was still taken is nobody's promise


def test_an_unplugged_camera_keeps_the_recording_and_ends_with_one_line(
    plays: Any, capsys: Output, tmp_path: Path
) -> None:
    table = tmp_path / "out.csv"
    plays([*red(1), CameraError("The camera was unplugged.")], reconnect_s=0)
    assert edge_run("camera", "colours.edge", "--record", str(table)) == 2
    captured = capsys.readouterr()
    assert "1 frames in" in captured.out
    assert captured.err.splitlines()[-1] == "edge-run: The camera was unplugged."
    with table.open(newline="") as file:
        assert [row["label"] for row in csv.DictReader(file)] == ["red"]


def test_a_camera_that_hangs_is_given_up(plays: Any, capsys: Output) -> None:
    hang = Hang()
    plays([hang])
    threading.Timer(1.0, hang.released.set).start()
    assert edge_run("camera", "colours.edge", "--timeout", "0.3") == 2
    assert "within 0.3 s" in capsys.readouterr().err


def test_a_folder_without_readable_pictures_is_an_error(tmp_path: Path, capsys: Output) -> None:
    (tmp_path / "a.png").write_bytes(b"none")
    assert edge_run("camera", "colours.edge", "--source", f"images:{tmp_path}") == 2
    captured = capsys.readouterr()
    assert "1 unreadable" in captured.out
    assert "at least one readable frame" in captured.err


def test_the_region_reaches_the_classifier(tmp_path: Path, capsys: Output) -> None:
    frame = plain(250, 0, 0, (40, 40))
    frame[:, 20:] = (250, 0, 0)
    image_file(tmp_path / "half.png", frame)
    for region, label in (("0,0,0.5,1", "red"), ("0.5,0,0.5,1", "blue")):
        assert edge_run("camera", "colours.edge", "--source", f"images:{tmp_path}", "--region", region, "--json") == 0
        assert json.loads(capsys.readouterr().out.splitlines()[0])["label"] == label


def test_the_processors_are_those_that_were_chosen(plays: Any, capsys: Output, monkeypatch: pytest.MonkeyPatch) -> None:
    chosen: list[Sequence[int]] = []
    monkeypatch.setattr(affinity, "use_processors", chosen.append)
    plays(endless())
    assert edge_run("camera", "colours.edge", "--frames", "1", "--cpus", "2-3") == 0
    assert chosen == [(2, 3)]


def test_a_trace_is_written(tmp_path: Path, plays: Any, capsys: Output) -> None:
    plays(endless())
    assert edge_run("camera", "colours.edge", "--frames", "3", "--trace", str(tmp_path / "t.json")) == 0
    events = json.loads((tmp_path / "t.json").read_text())
    assert sum(event["name"] == "preprocess" for event in events) == 3


def test_the_preview_shows_what_is_classified(plays: Any, capsys: Output) -> None:
    """Somebody looks while it runs, then it is ended."""
    looked: list[dict[str, Any]] = []
    printed: list[str] = []

    def look() -> None:
        def has_printed() -> bool:
            printed.append(capsys.readouterr().err)
            return "Preview: " in "".join(printed)

        until(has_printed)
        url = "".join(printed).partition("Preview: ")[2].split()[0]

        def has_label() -> bool:
            with urlopen(url + "state.json", timeout=30) as answer:
                looked.append(json.load(answer))
            return not looked[-1]["waiting"]

        until(has_label)
        os.kill(os.getpid(), signal.SIGTERM)

    plays(endless())
    looker = threading.Thread(target=look)
    looker.start()
    assert edge_run("camera", "colours.edge", "--preview", ":0") == 0
    looker.join()
    assert (looked[-1]["bundle"], looked[-1]["label"]) == ("colours", "red")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--source", "webcam"), "A camera address must be one of usb:0, "),
        (("--size", "640"), "A size must be WIDTHxHEIGHT"),
        (("--source", "file:clip.avi", "--size", "64x48"), "which has its own"),
        (("--source", "usb:99"), "no /dev/video99"),
        (("--source", "file:absent.mp4"), "No such file"),
        (("--frames", "0"), "frames must be above 0"),
        (("--seconds", "-1"), "seconds must be above 0"),
        (("--preview", "8080"), "A preview must be [HOST]:PORT"),
        (("--region", "2,0,1,1"), "A region must lie within the frame"),
    ],
)
def test_wrong_use_is_one_line(arguments: Sequence[str], message: str, capsys: Output) -> None:
    assert edge_run("camera", "colours.edge", *arguments) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("edge-run: ")
    assert message in captured.err.splitlines()[-1]
    assert captured.err.count("\n") == 1 or arguments[0] == "--preview"


def test_a_recording_that_is_there_is_refused_before_the_camera_opens(
    tmp_path: Path, plays: Any, capsys: Output
) -> None:
    (tmp_path / "out.csv").write_text("mine")
    opener = plays(endless())
    assert edge_run("camera", "colours.edge", "--record", str(tmp_path / "out.csv")) == 2
    assert opener.opened == 0
    assert (tmp_path / "out.csv").read_text() == "mine"
    assert "must be a new file" in capsys.readouterr().err


def test_what_the_camera_grants_is_told_where_it_was_asked_for_more(plays: Any, capsys: Output) -> None:
    plays(endless())
    assert edge_run("camera", "colours.edge", "--size", "1280x720", "--frames", "1") == 0
    assert capsys.readouterr().err == "/dev/video0: 640 × 480, 30 fps, FAKE (asked for 1280 × 720)\n"


def test_capture_collects_a_folder_per_class(tmp_path: Path, capsys: Output) -> None:
    from tests.runtime.test_collect import scene

    frames = tmp_path / "frames"
    frames.mkdir()
    for i, seed in enumerate((1, 1, 2, 3)):
        image_file(frames / f"{i}.png", scene(seed))
    arguments = ("capture", "--source", f"images:{frames}", "-o", str(tmp_path / "photos"))
    assert edge_run(*arguments, "--label", "mug") == 0
    assert (
        capsys.readouterr().out.splitlines()[-1]
        == f"mug: 3 kept, 1 too similar, 0 blurred, in {tmp_path / 'photos/mug'}"
    )
    assert edge_run(*arguments, "--label", "cup", "--count", "2", "--json") == 0
    document = json.loads(capsys.readouterr().out)
    assert document == {"label": "cup", "folder": str(tmp_path / "photos/cup"), "kept": 2, "blurred": 0, "similar": 1}
    assert sorted(folder.name for folder in (tmp_path / "photos").iterdir()) == ["cup", "mug"]
    assert [len(list((tmp_path / "photos" / label).iterdir())) for label in ("cup", "mug")] == [2, 3]


def test_capture_says_why_nothing_was_kept_and_ends_by_a_signal(plays: Any, tmp_path: Path, capsys: Output) -> None:
    opener = plays(endless(lambda: os.kill(os.getpid(), signal.SIGINT)))
    arguments = ("capture", "--label", "mug", "-o", str(tmp_path / "photos"), "--every", "0.001")
    assert edge_run(*arguments) == 130
    out = capsys.readouterr().out
    assert "0 kept" in out
    assert "hold still, add light, or lower --sharpness" in out
    assert not (tmp_path / "photos").exists()
    until(lambda: opener.readers[0].closed)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--label", "../up"), "A label must be the name of a folder"),
        (("--label", "test"), "must not be one of"),
        (("--label", "mug", "--count", "0"), "--count must be above 0"),
        (("--label", "mug", "--every", "-1"), "--every must be above 0"),
        (("--label", "mug", "--quality", "0"), "quality must be between 1 and 100"),
        (("--label", "mug", "--source", "usb:99"), "no /dev/video99"),
    ],
)
def test_wrong_use_of_capture_is_one_line(
    tmp_path: Path, arguments: Sequence[str], message: str, capsys: Output
) -> None:
    assert edge_run("capture", "-o", str(tmp_path / "photos"), *arguments) == 2
    captured = capsys.readouterr()
    assert (captured.out, captured.err.count("\n")) == ("", 1)
    assert message in captured.err
    assert not (tmp_path / "photos").exists()


def test_a_status_line_is_refreshed_on_a_terminal_and_fits_it(monkeypatch: pytest.MonkeyPatch) -> None:
    import io

    from edge_sdk_runtime.cli.status_line import StatusLine

    terminal = io.StringIO()
    monkeypatch.setattr(terminal, "isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", "20")
    now = iter([0.0, 0.0, 0.01, 0.2])
    line = StatusLine(terminal, lambda: next(now))
    for text in ("first " * 9, "never", "last"):
        line.show(lambda text=text: text)  # type: ignore[misc]
    line.end()
    line.end()
    assert terminal.getvalue() == f"\r{('first ' * 9)[:19]}\x1b[K\rlast\x1b[K\n"


def test_fakes_ship_with_the_runtime() -> None:
    reader = FakeReader(red(1))
    assert reader.read().image.shape == (10, 15, 3)


def test_other_verbs_do_not_wait_for_cameras() -> None:
    script = (
        "import sys; from edge_sdk_runtime.cli import main\n"
        "try: main.main(['--version'])\n"
        "except SystemExit: pass\n"
        "print([name for name in sys.modules if name.startswith(('edge_sdk_runtime.cameras', 'edge_sdk_runtime.preview', 'http'))])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=120)
    assert done.stdout.splitlines()[-1] == "[]"


@pytest.mark.parametrize("verb", ["camera", "capture"])
def test_help_is_0(verb: str, capsys: Output) -> None:
    with pytest.raises(SystemExit) as info:
        edge_run(verb, "--help")
    assert info.value.code == 0
    assert "--source ADDRESS" in capsys.readouterr().out

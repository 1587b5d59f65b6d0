import contextlib
import http.client
import itertools
import json
import re
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import cv2
import numpy as np
import pytest

from edge_sdk_runtime import Classification, UsageError
from edge_sdk_runtime.cameras import CameraCounts, Frame
from edge_sdk_runtime.errors import PreviewError
from edge_sdk_runtime.live import Seen
from edge_sdk_runtime.preview import Preview, PreviewAddress, PreviewState
from edge_sdk_runtime.preview import picture as picture_module
from edge_sdk_runtime.preview.picture import PictureMaker, encode
from edge_sdk_runtime.timing import StageClock

STAGES = ("preprocess", "classify")
LABELS = ("red <b>", "green", "bläu")
COLORS = ((20, 20, 200), (10, 200, 30), (200, 30, 10))  # BGR, by class


def seen(sequence: int, size: tuple[int, int] = (48, 64), score: float = 0.75, index: int = 0) -> Seen:
    scores = np.roll(np.array([score, 0.2, 0.05], np.float32), index)
    durations = (2_000_000, 3_000_000 + sequence)
    result = Classification(LABELS[index], score, index, scores, LABELS, STAGES, durations, 7_000_000)
    frame = Frame(np.full((*size, 3), COLORS[index], np.uint8), 1, sequence)
    return Seen(frame, result, 29.5, CameraCounts(10, 4, 1, 0))


@contextlib.contextmanager
def playing(state: PreviewState, interval_s: float, size: tuple[int, int] = (48, 64)) -> Iterator[None]:
    """A source that shows the classes in turn, the number of frames being the class's index modulo three."""
    stopped = threading.Event()

    def play() -> None:
        for sequence in itertools.count():
            if stopped.wait(interval_s):
                return
            state.clock.record((2_000_000, 3_000_000))
            state.publish(seen(sequence, size, index=sequence % 3))

    player = threading.Thread(target=play)
    player.start()
    try:
        yield
    finally:
        stopped.set()
        player.join()


@pytest.fixture
def state(tmp_path: Path) -> PreviewState:
    clock = StageClock(STAGES)
    for i in range(20):
        clock.record((2_000_000, 3_000_000 + i))
    return PreviewState("colours", "usb:0", clock, root=tmp_path)


@pytest.fixture
def preview(state: PreviewState) -> Iterator[Preview]:
    state.publish(seen(5))
    with Preview(state, PreviewAddress.parse("127.0.0.1:0")) as running:
        yield running


def get(
    preview: Preview, path: str, host: str | None = None, method: str = "GET"
) -> tuple[http.client.HTTPResponse, bytes]:
    port = urlsplit(preview.url).port
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    connection.request(method, path, headers={"Host": host} if host else {})
    answer = connection.getresponse()
    content = answer.read()
    connection.close()
    return answer, content


def test_the_page_brings_everything_and_asks_nobody_else(preview: Preview) -> None:
    answer, content = get(preview, "/")
    text = content.decode()
    assert (answer.status, answer.headers["Content-Type"]) == (200, "text/html; charset=utf-8")
    assert not re.search(r"(src|href)\s*=\s*[\"'](?!data:)", text)
    assert not re.search(r"https?://(?!www\.w3\.org/2000/svg)", text)
    assert not re.search(r"\son[a-z]+\s*=|\sstyle\s*=", text)
    policy = answer.headers["Content-Security-Policy"]
    assert policy.startswith("default-src 'none'; ")
    assert "unsafe" not in policy and "http" not in policy
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.headers["Server"] == "edge-run"


def test_the_document_has_scores_stages_and_counts(preview: Preview) -> None:
    answer, content = get(preview, "/state.json")
    document = json.loads(content)
    assert answer.headers["Content-Type"] == "application/json"
    assert (document["bundle"], document["source"], document["waiting"]) == ("colours", "usb:0", False)
    assert (document["label"], document["score"], document["sequence"]) == (LABELS[0], 0.75, 5)
    assert [label for label, _ in document["scores"]] == list(LABELS)
    assert (document["fps"], document["dropped"], document["reconnects"]) == (29.5, 4, 1)
    assert document["capture_age_ns"] == 7_000_000
    assert [stage["stage"] for stage in document["stages"]] == [*STAGES, "total"]
    first, second, total = document["stages"]
    assert (first["p50_ns"], second["p95_ns"], total["last_ns"]) == (2_000_000, 3_000_005, 5_000_005)
    for stage in document["stages"]:
        assert sum(stage["counts"]) == 20
        assert len(stage["counts"]) == len(document["bucket_bounds_ns"]) + 1


def test_a_throttled_board_is_told(state: PreviewState, tmp_path: Path) -> None:
    zone = tmp_path / "sys/class/thermal/thermal_zone0"
    zone.mkdir(parents=True)
    (zone / "temp").write_text("81200\n")
    flags = tmp_path / "sys/devices/platform/soc/soc:firmware"
    flags.mkdir(parents=True)
    (flags / "get_throttled").write_text("50005\n")
    board = state.document()["board"]
    assert board["temperature_c"] == 81.2
    assert any("under-voltage" in word for word in board["throttled"])
    assert board["throttled_since_start"]


def test_before_the_first_frame_there_is_a_document_and_no_picture(
    state: PreviewState, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(picture_module, "_WAIT_S", 0.01)
    with Preview(state, PreviewAddress.parse(":0")) as preview:
        assert json.loads(get(preview, "/state.json")[1])["waiting"] is True
        answer, content = get(preview, "/frame.jpg")
        assert (answer.status, content) == (204, b"")


def test_a_score_that_is_no_number_is_still_json(state: PreviewState) -> None:
    state.publish(seen(1, score=float("nan")))
    assert state.document()["score"] is None
    json.dumps(state.document(), allow_nan=False)


def test_the_picture_is_a_jpeg_of_the_latest_frame(preview: Preview) -> None:
    answer, content = get(preview, "/frame.jpg")
    assert (answer.headers["Content-Type"], answer.headers["X-Sequence"]) == ("image/jpeg", "5")
    image = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR)
    assert image.shape == (48, 64, 3)
    assert np.abs(image.reshape(-1, 3).mean(axis=0) - COLORS[0]).max() < 6


def test_a_picture_and_what_is_said_of_it_are_of_one_frame_while_frames_go_by(
    preview: Preview, state: PreviewState, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown = set()
    monkeypatch.setattr(preview._server.pictures, "_interval_s", 0.01)
    with playing(state, 0.001):
        for _ in range(20):
            answer, content = get(preview, f"/frame.jpg?after={max(shown, default=5)}")
            said = json.loads(answer.headers["X-Classification"])
            shown.add(said["sequence"])
            assert answer.headers["X-Sequence"] == str(said["sequence"])
            image = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR)
            color = int(np.abs(np.array(COLORS) - image.reshape(-1, 3).mean(axis=0)).max(axis=1).argmin())
            assert said["label"] == LABELS[color] == LABELS[said["sequence"] % 3]
            assert said["scores"][0] == [LABELS[color], 0.75] and said["score"] == 0.75
    assert len(shown) == 20


def test_what_is_said_with_a_picture_is_what_the_document_says_of_that_frame(
    preview: Preview, state: PreviewState
) -> None:
    state.publish(seen(8, index=2))
    said = json.loads(get(preview, "/frame.jpg?after=5")[0].headers["X-Classification"])
    document = json.loads(get(preview, "/state.json")[1])
    assert said == {name: document[name] for name in said}
    assert (said["label"], said["classes"], said["capture_age_ns"]) == ("bläu", 3, 7_000_000)


@pytest.mark.parametrize("after", ["5x", "-3", "", "99999999999999999999", "٣"])
def test_any_number_to_come_after_is_answered(preview: Preview, after: str) -> None:
    answer, _ = get(preview, f"/frame.jpg?after={after.encode().hex() if not after.isascii() else after}")
    assert answer.status == 200


def test_a_frame_that_was_shown_is_not_sent_again(preview: Preview, state: PreviewState) -> None:
    asked = threading.Event()

    def publish() -> None:
        asked.wait()
        state.publish(seen(6))

    publisher = threading.Thread(target=publish)
    publisher.start()
    asked.set()
    assert get(preview, "/frame.jpg?after=5")[0].headers["X-Sequence"] == "6"
    publisher.join()


def test_large_frames_are_shrunk_for_the_wire_and_others_left_alone() -> None:
    shapes = [
        cv2.imdecode(np.frombuffer(encode(np.zeros((*size, 3), np.uint8)), np.uint8), cv2.IMREAD_COLOR).shape
        for size in ((1080, 1920), (3000, 10), (48, 64))
    ]
    assert shapes == [(360, 640, 3), (640, 2, 3), (48, 64, 3)]


def test_pictures_are_made_once_for_all_who_look_and_only_when_somebody_does(
    state: PreviewState, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[int] = []
    monkeypatch.setattr(picture_module, "encode", lambda frame: made.append(1) or b"jpeg")
    maker = PictureMaker(state, interval_s=3600)
    for sequence in range(50):
        state.publish(seen(sequence))
    assert made == []
    assert {maker.newer(-1).sequence for _ in range(10)} == {49}  # type: ignore[union-attr]
    state.publish(seen(50))
    assert maker.newer(-1).sequence == 49  # type: ignore[union-attr]
    assert len(made) == 1


def test_on_loopback_only_loopback_names_are_answered(preview: Preview) -> None:
    """A web page that points a name of its own at 127.0.0.1 gets nothing."""
    for host in ("localhost:8080", "127.0.0.1", "[::1]:80"):
        assert get(preview, "/state.json", host)[0].status == 200
    for host in ("evil.example", "evil.example:8080", "127.0.0.1.evil.example"):
        answer, content = get(preview, "/state.json", host)
        assert answer.status == 403
        assert b"colours" not in content


@pytest.fixture
def open_preview(state: PreviewState) -> Iterator[Preview]:
    state.publish(seen(5))
    with Preview(state, PreviewAddress("0.0.0.0", 0)) as running:
        yield running


def test_on_other_interfaces_nothing_is_answered_without_the_token(open_preview: Preview, state: PreviewState) -> None:
    token = urlsplit(open_preview.url).path
    assert re.fullmatch(r"/[\w-]{20,}/", token)
    for path in ("", "state.json", "frame.jpg", "metrics"):
        assert get(open_preview, token + path, "pi.local:8080")[0].status == 200
        for wrong in (
            "/",
            "/" + "x" * (len(token) - 2) + "/",
            token[:-2] + "/",
            token.upper() + "x/",
            "/ü/".encode().hex(),
        ):
            assert get(open_preview, wrong + path)[0].status == 403
    with Preview(state, PreviewAddress("0.0.0.0", 0)) as another:
        assert urlsplit(another.url).path != token


def test_nothing_else_is_served(preview: Preview) -> None:
    assert get(preview, "/../../etc/passwd")[0].status == 404
    assert get(preview, "/page.html")[0].status == 404
    assert get(preview, "/", method="POST")[0].status == 501


def test_metrics_are_those_of_the_classifier(preview: Preview) -> None:
    answer, content = get(preview, "/metrics")
    assert answer.headers["Content-Type"].startswith("text/plain; version=0.0.4")
    assert b'stage="total"' in content


def test_more_callers_than_a_small_board_bears_are_hung_up_on(preview: Preview) -> None:
    port = urlsplit(preview.url).port
    idle = [socket.create_connection(("127.0.0.1", port), timeout=30) for _ in range(40)]
    for connection in idle:
        connection.close()
    assert threading.active_count() < 30
    assert get_when_free(preview).status == 200


def get_when_free(preview: Preview) -> http.client.HTTPResponse:
    for _ in range(400):
        try:
            return get(preview, "/")[0]
        except (ConnectionError, http.client.HTTPException):
            threading.Event().wait(0.05)
    raise AssertionError("the preview never had a free place again")


def test_a_port_in_use_is_one_line_with_another_one(preview: Preview, state: PreviewState) -> None:
    port = urlsplit(preview.url).port
    with pytest.raises(
        PreviewError, match=rf"Received: 127.0.0.1:{port}, which is in use. Choose another one, such as :"
    ):
        Preview(state, PreviewAddress("127.0.0.1", port or 0))


def test_an_address_of_another_machine_is_refused(state: PreviewState) -> None:
    with pytest.raises(PreviewError, match=r"must listen on an address of this machine. Received: 192.0.2.1:8080"):
        Preview(state, PreviewAddress("192.0.2.1", 8080))


def test_closing_frees_the_port(state: PreviewState) -> None:
    with Preview(state, PreviewAddress.parse(":0")) as preview:
        port = urlsplit(preview.url).port
    with Preview(state, PreviewAddress("127.0.0.1", port or 0)):
        pass


@pytest.mark.parametrize(
    ("text", "host", "port", "loopback"),
    [
        (":8080", "127.0.0.1", 8080, True),
        ("localhost:80", "localhost", 80, True),
        ("127.1.2.3:1", "127.1.2.3", 1, True),
        ("[::1]:8080", "::1", 8080, True),
        ("0.0.0.0:8080", "0.0.0.0", 8080, False),
        ("[::]:0", "::", 0, False),
        ("pi.local:8080", "pi.local", 8080, False),
    ],
)
def test_addresses(text: str, host: str, port: int, loopback: bool) -> None:
    address = PreviewAddress.parse(text)
    assert (address.host, address.port, address.is_loopback) == (host, port, loopback)


@pytest.mark.parametrize("text", ["", "8080", ":", ":http", ":65536", ":-1", "::1:8080", "host"])
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match=r"A preview must be \[HOST\]:PORT"):
        PreviewAddress.parse(text)


def test_the_address_to_type_is_one_that_other_devices_can_reach() -> None:
    assert PreviewAddress("::1", 0).url(8080, "/") == "http://[::1]:8080/"
    host = urlsplit(PreviewAddress("0.0.0.0", 0).url(8080, "/token/")).hostname
    assert host and host != "0.0.0.0"

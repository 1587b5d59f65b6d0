import json
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from edge_sdk_runtime import BundleError, UsageError, affinity, batch
from edge_sdk_runtime.bundle import GOLDEN
from edge_sdk_runtime.cli import main
from edge_sdk_runtime.interpreters import ENVIRONMENT_VARIABLE
from edge_sdk_runtime.interpreters.tflite import LITERT
from tests.runtime.helpers import changed, expected_scores, npy, npz, plain, prototypes, real_bundle

Output = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def _no_choice_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(ENVIRONMENT_VARIABLE, raising=False)


@pytest.fixture
def bundle(tmp_path: Path) -> str:
    path = tmp_path / "colours.edge"
    real_bundle().write(path)
    return str(path)


@pytest.fixture
def red(tmp_path: Path) -> str:
    return photo(tmp_path / "red.png", 255, 0, 0)


@pytest.fixture
def sky(tmp_path: Path) -> str:
    return photo(tmp_path / "Hímmel über.png", 20, 90, 250)


def photo(path: Path, *color: int) -> str:
    path.write_bytes(cv2.imencode(".png", plain(color[0], color[1], color[2]))[1].tobytes())
    return str(path)


def edge_run(*arguments: str) -> int:
    return main.main(arguments)


def one_error_line(output: Output) -> str:
    captured = output.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("edge-run: ")
    assert captured.err.count("\n") == 1
    return captured.err.strip()


def test_classify_prints_label_score_and_time_per_stage(bundle: str, red: str, sky: str, capsys: Output) -> None:
    assert edge_run("classify", bundle, red, sky) == 0
    captured = capsys.readouterr()
    header, first, second = captured.out.splitlines()
    assert header.split() == ["image", "label", "score", "preprocess", "embed", "similarity", "head", "total"]
    assert first.split()[:3] == [red, "red", f"{expected_scores(255, 0, 0)[0]:.3f}"]
    assert second.startswith(sky)
    assert "blue" in second
    assert first.split()[4::2][0] in ("ns", "µs", "ms", "s")
    assert captured.err == ""


def test_classify_shows_the_top_classes(bundle: str, sky: str, capsys: Output) -> None:
    assert edge_run("classify", bundle, sky, "--top", "3") == 0
    _, *rows = capsys.readouterr().out.splitlines()
    scores = expected_scores(20, 90, 250)
    assert rows[0].removeprefix(sky).split()[:2] == ["blue", f"{scores[2]:.3f}"]
    assert [row.split() for row in rows[1:]] == [["green", f"{scores[1]:.3f}"], ["red", f"{scores[0]:.3f}"]]


@pytest.mark.parametrize("form", [None, "staged", "fused"])
def test_classify_prints_json_that_a_program_can_read(
    bundle: str, red: str, sky: str, capsys: Output, form: str | None
) -> None:
    extra = ["--form", form] if form else []
    assert edge_run("classify", bundle, red, sky, "--json", "--top", "2", *extra) == 0
    documents: list[dict[str, Any]] = json.loads(capsys.readouterr().out)
    assert [(document["image"], document["label"]) for document in documents] == [(red, "red"), (sky, "blue")]
    for document, color in zip(documents, [(255, 0, 0), (20, 90, 250)], strict=True):
        scores = expected_scores(*color)
        assert document["score"] == pytest.approx(scores.max(), abs=1e-6)
        best = np.argsort(-scores, kind="stable")[:2]
        assert [entry["label"] for entry in document["top"]] == [("red", "green", "blue")[i] for i in best]
        assert [entry["score"] for entry in document["top"]] == pytest.approx(scores[best].tolist(), abs=1e-6)
        stages = ["preprocess", "classify"] if form == "fused" else ["preprocess", "embed", "similarity", "head"]
        assert list(document["stages_ns"]) == stages
        assert document["total_ns"] == sum(document["stages_ns"].values())


def test_an_unreadable_image_does_not_stop_the_others(
    bundle: str, red: str, sky: str, tmp_path: Path, capsys: Output
) -> None:
    (tmp_path / "broken.jpg").write_bytes(b"not a picture")
    broken, absent = str(tmp_path / "broken.jpg"), str(tmp_path / "absent.png")
    assert edge_run("classify", bundle, red, broken, absent, sky, "--json") == 2
    captured = capsys.readouterr()
    assert [document["image"] for document in json.loads(captured.out)] == [red, sky]
    errors = captured.err.splitlines()
    assert len(errors) == 2
    assert errors[0].startswith("edge-run: An image file must")
    assert broken in errors[0]
    assert absent in errors[1]


def test_only_unreadable_images_print_nothing(bundle: str, tmp_path: Path, capsys: Output) -> None:
    assert edge_run("classify", bundle, str(tmp_path / "absent.png")) == 2
    assert "absent.png" in one_error_line(capsys)


@pytest.mark.parametrize(
    ("extra", "message"),
    [
        (("--top", "0"), "--top must be at least 1. Received: 0."),
        (("--threads", "0"), "threads must be at least 1. Received: 0."),
        (("--interpreter", "onnx"), "litert, tflite-runtime. Received: 'onnx'"),
    ],
)
def test_arguments_out_of_range_are_one_line(
    bundle: str, red: str, capsys: Output, extra: Sequence[str], message: str
) -> None:
    assert edge_run("classify", bundle, red, *extra) == 2
    assert message in one_error_line(capsys)


def test_an_interpreter_that_is_not_installed_names_its_command(bundle: str, red: str, capsys: Output) -> None:
    assert edge_run("classify", bundle, red, "--interpreter", "tflite-runtime") == 2
    assert one_error_line(capsys).endswith("Run: pip install tflite-runtime==2.14.0 'numpy<2'")


@pytest.mark.parametrize("verb", [("info",), ("verify",), ("classify",)])
def test_a_missing_bundle_is_one_line(verb: tuple[str, ...], tmp_path: Path, capsys: Output) -> None:
    images = ("photo.png",) if verb == ("classify",) else ()
    assert edge_run(*verb, str(tmp_path / "absent.edge"), *images) == 2
    assert "absent.edge (No such file or directory). Check the path." in one_error_line(capsys)


@pytest.mark.parametrize("verb", ["info", "verify"])
def test_a_truncated_bundle_is_one_line(verb: str, bundle: str, capsys: Output) -> None:
    Path(bundle).write_bytes(Path(bundle).read_bytes()[:999])
    assert edge_run(verb, bundle) == 2
    assert "colours.edge, 999 bytes" in one_error_line(capsys)


def test_debug_shows_where_an_error_comes_from(bundle: str, red: str, tmp_path: Path) -> None:
    with pytest.raises(BundleError):
        edge_run("info", "--debug", str(tmp_path / "absent.edge"))
    with pytest.raises(UsageError):
        edge_run("classify", bundle, red, "--top", "0", "--debug")


def test_an_interruption_is_130(bundle: str, red: str, capsys: Output, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(batch, "read_image", interrupt)
    assert edge_run("classify", bundle, red) == 130
    assert capsys.readouterr() == ("", "Interrupted.\n")


def test_a_termination_before_the_end_is_143_and_cleans_up(
    bundle: str, red: str, tmp_path: Path, capsys: Output, monkeypatch: pytest.MonkeyPatch
) -> None:
    def terminate(*_: object) -> None:
        os.kill(os.getpid(), signal.SIGTERM)
        raise AssertionError("it should have ended here")

    before = signal.getsignal(signal.SIGTERM)
    monkeypatch.setattr(batch.Classifier, "classify", terminate)
    assert edge_run("classify", bundle, red, "--trace", str(tmp_path / "trace.json")) == 143
    assert capsys.readouterr() == ("", "")
    json.loads((tmp_path / "trace.json").read_text())
    assert signal.getsignal(signal.SIGTERM) == before


def test_a_process_that_ignores_sigterm_goes_on(bundle: str, red: str, capsys: Output) -> None:
    before = signal.signal(signal.SIGTERM, signal.SIG_IGN)
    try:
        assert edge_run("classify", bundle, red) == 0
        assert signal.getsignal(signal.SIGTERM) == signal.SIG_IGN
    finally:
        signal.signal(signal.SIGTERM, before)


@pytest.mark.parametrize("verb", ["classify", "bench"])
def test_processors_are_chosen_alike_by_every_verb(verb: str, bundle: str, red: str, capsys: Output) -> None:
    images = [red] if verb == "classify" else []
    assert edge_run(verb, bundle, *images, "--cpus", "9999") == 2
    assert "must be among those that this process may use" in one_error_line(capsys)
    assert edge_run(verb, bundle, *images, "--cpus", "one") == 2
    assert "Received: 'one'. Write 0,1 or 0-3." in one_error_line(capsys)


def test_processors_are_chosen_before_the_bundle_is_loaded(
    bundle: str, red: str, capsys: Output, monkeypatch: pytest.MonkeyPatch
) -> None:
    chosen: list[Sequence[int]] = []
    monkeypatch.setattr(affinity, "use_processors", chosen.append)
    assert edge_run("classify", str(Path(bundle).with_name("absent.edge")), red, "--cpus", "0-1,5") == 2
    assert chosen == [(0, 1, 5)]


def test_info_says_what_a_bundle_holds(bundle: str, capsys: Output) -> None:
    assert edge_run("info", bundle) == 0
    text = capsys.readouterr().out
    for part in (
        "3: red, green, blue",
        "6 × 4 rgb, stretch, area",
        "staged (default), fused",
        "75.00% of 8 held-out images (plain frames)",
        "12 parameters, 96 multiply-accumulates",
        "encoder.tflite",
        "golden.npz",
    ):
        assert part in text


def test_info_as_json_is_the_manifest(bundle: str, capsys: Output) -> None:
    assert edge_run("info", bundle, "--json") == 0
    assert json.loads(capsys.readouterr().out) == json.loads(real_bundle().manifest.to_json())


def test_verify_passes_with_status_0(bundle: str, capsys: Output) -> None:
    assert edge_run("verify", bundle) == 0
    captured = capsys.readouterr()
    header, *rows, verdict = captured.out.splitlines()
    assert header.split() == ["form", "stage", "difference", "tolerance"]
    assert len(rows) == 6
    assert all(row.endswith("ok") for row in rows)
    assert verdict == f"Verified: 4 golden frames, litert {LITERT.version()}."
    assert captured.err == ""


@pytest.fixture
def altered(tmp_path: Path) -> str:
    """A bundle whose prototypes are not those that its golden vectors were made with."""
    path = tmp_path / "altered.edge"
    changed(real_bundle(), {"prototypes.npy": npy(prototypes() * np.float32(1.1))}).write(path)
    return str(path)


def test_verify_names_the_first_stage_that_differs_with_status_1(altered: str, capsys: Output) -> None:
    assert edge_run("verify", altered) == 1
    *_, verdict = capsys.readouterr().out.splitlines()
    assert verdict.endswith("staged similarity is the first stage that differs.")


@pytest.mark.parametrize("sound", [True, False])
def test_verify_as_json(bundle: str, altered: str, capsys: Output, sound: bool) -> None:
    assert edge_run("verify", bundle if sound else altered, "--json") == (0 if sound else 1)
    document = json.loads(capsys.readouterr().out)
    assert (document["passed"], document["frames"]) == (sound, 4)
    passed = {(check["form"], check["stage"]): check["passed"] for check in document["checks"]}
    assert passed["staged", "embed"]
    assert passed["staged", "similarity"] is sound
    assert passed["fused", "scores"]


def test_verify_as_json_is_json_even_where_results_are_not_numbers(tmp_path: Path, capsys: Output) -> None:
    arrays = real_bundle().read_arrays(GOLDEN)
    broken = {**arrays, "expected_scores": arrays["expected_scores"] * np.float32("nan")}
    path = tmp_path / "nan.edge"
    changed(real_bundle(), {GOLDEN: npz(broken)}).write(path)
    assert edge_run("verify", str(path), "--json") == 1

    def refuse(constant: str) -> None:
        raise AssertionError(constant)

    document = json.loads(capsys.readouterr().out, parse_constant=refuse)
    assert [check["difference"] for check in document["checks"] if not check["passed"]] == [None, None]


def test_verify_without_golden_vectors_is_wrong_input(bundle: str, capsys: Output) -> None:
    members = real_bundle().members()
    del members[GOLDEN]
    type(real_bundle()).build(real_bundle().manifest, members).write(bundle)
    assert edge_run("verify", bundle) == 2
    assert "no golden.npz" in one_error_line(capsys)


@pytest.mark.parametrize("arguments", [(), ("fly",), ("classify",), ("info", "a", "b"), ("verify", "a", "--top", "3")])
def test_wrong_use_is_2(arguments: Sequence[str], capsys: Output) -> None:
    with pytest.raises(SystemExit) as info:
        edge_run(*arguments)
    assert info.value.code == 2
    assert "usage: edge-run" in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [("--help",), ("classify", "--help"), ("info", "-h"), ("verify", "-h")])
def test_help_is_0(arguments: Sequence[str], capsys: Output) -> None:
    with pytest.raises(SystemExit) as info:
        edge_run(*arguments)
    assert info.value.code == 0
    assert "usage: edge-run" in capsys.readouterr().out


def test_the_module_runs_as_a_program_and_a_pipe_may_close(bundle: str) -> None:
    """The reader of the output has left before the first byte, as `head` does."""
    reader, writer = os.pipe()
    os.close(reader)
    try:
        done = subprocess.run(
            [sys.executable, "-m", "edge_sdk_runtime", "info", bundle],
            stdout=writer,
            stderr=subprocess.PIPE,
            check=False,
            timeout=60,
        )
    finally:
        os.close(writer)
    assert (done.returncode, done.stderr) == (0, b"")


def test_a_folder_stands_for_its_images_in_order(
    bundle: str, red: str, sky: str, tmp_path: Path, capsys: Output
) -> None:
    folder = tmp_path / "photos"
    folder.mkdir()
    for name, image in (("b.png", red), ("a.PNG", sky), ("notes.txt", red)):
        (folder / name).write_bytes(Path(image).read_bytes())
    assert edge_run("classify", bundle, str(folder), red, "--json") == 0
    found = [(Path(entry["image"]).name, entry["label"]) for entry in json.loads(capsys.readouterr().out)]
    assert found == [("a.PNG", "blue"), ("b.png", "red"), (Path(red).name, "red")]


def test_a_folder_without_images_is_refused(bundle: str, tmp_path: Path, capsys: Output) -> None:
    (tmp_path / "empty").mkdir()
    assert edge_run("classify", bundle, str(tmp_path / "empty")) == 2
    assert "A folder must hold image files. Received: " in capsys.readouterr().err

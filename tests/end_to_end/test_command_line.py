"""The commands as a person types them, wrong input included: one clear line, the right exit status, nothing half-written."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path

import cv2
import keras
import numpy as np
import pytest

from edge_sdk.cli.main import main
from edge_sdk_runtime import Bundle
from edge_sdk_runtime.cli.main import main as edge_run
from tests.end_to_end.bundles import digits_bundle, write_digit


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder per class, as a person brings it: two easy classes in colour."""
    folder = tmp_path_factory.mktemp("photos")
    rng = np.random.default_rng(0)
    for label, colour in (("blue mug", (200, 60, 40)), ("tasse été", (40, 60, 200))):
        (folder / label).mkdir()
        for i in range(20):
            noise = rng.integers(-40, 40, (24, 32, 3))
            image = np.clip(np.array(colour) + noise, 0, 255).astype(np.uint8)
            (folder / label / f"{i:02}.png").write_bytes(cv2.imencode(".png", image)[1].tobytes())
    return folder


def lines(text: str) -> list[str]:
    return [line for line in text.splitlines() if line.strip()]


def refused(arguments: Sequence[object], capfd: pytest.CaptureFixture[str]) -> str:
    """The one line with which a command refuses; anything else fails."""
    assert main([str(argument) for argument in arguments]) == 2
    out, err = capfd.readouterr()
    errors = [line for line in lines(err) if line.startswith("edge-sdk: ")]
    assert len(errors) == 1, err
    assert "Traceback" not in out + err
    assert "Received: " in errors[0]
    return errors[0]


def test_from_folder_to_classified_picture(photos: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    model, bundle = tmp_path / "mugs.keras", tmp_path / "mugs.edge"
    train = ["train", photos, "-o", model, "--size", 16, "--epochs", 3, "--width", 8, "--embedding", 8]
    assert main([str(part) for part in train]) == 0
    recipe = tmp_path / "half.toml"
    recipe.write_text('[[pass]]\nkind = "prune"\nfraction = 0.5\nrecover = { epochs = 2, min_steps = 0 }\n')
    compress = ["compress", model, "--data", photos, "--recipe", recipe, "-o", bundle, "--json"]
    capfd.readouterr()
    assert main([str(part) for part in compress]) == 0
    document = json.loads(capfd.readouterr().out)
    assert [each["kind"] for each in document["passes"]] == ["prune"]
    assert (document["quantization"], document["input_range"]) == (None, None)
    assert main(["evaluate", str(bundle), "--data", str(photos), "--json"]) == 0
    assert json.loads(capfd.readouterr().out)["accuracy"] == 1.0
    assert edge_run(["classify", str(bundle), str(photos / "tasse été" / "00.png")]) == 0
    assert "tasse été" in capfd.readouterr().out
    page = tmp_path / "report.html"
    assert main(["report", str(bundle), str(bundle), "--data", str(photos), "-o", str(page)]) == 0
    assert "tasse été" in page.read_text(encoding="utf-8")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["half.toml", "mugs.edge", "mugs.keras", "report.html"]


def test_a_model_of_another_tool_is_compressed_too(
    photos: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    keras.utils.set_random_seed(0)
    image = keras.Input((16, 16, 3))
    x = keras.layers.Conv2D(8, 3, activation="relu")(image)
    x = keras.layers.GlobalAveragePooling2D()(x)
    model = keras.Model(image, keras.layers.Dense(2)(x))
    from edge_sdk.data import load_images, prepare
    from edge_sdk_runtime import PreprocessSpec, ResizeMode

    train = prepare(load_images(photos).train, PreprocessSpec(16, 16, ResizeMode.STRETCH))
    model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    model.fit(train.x / np.float32(255), train.y, epochs=60, verbose=0)
    path = tmp_path / "plain.keras"
    with pytest.warns(DeprecationWarning, match="copy keyword"):
        model.save(path)
    compress = ["compress", path, "--data", photos, "--recipe", "int8", "-o", tmp_path / "plain.edge"]
    assert main([str(part) for part in compress]) == 0
    assert "--input-range to be sure" in capfd.readouterr().out  # two plain colours are told apart under any range
    dynamic = tmp_path / "dynamic.toml"
    dynamic.write_text('[[pass]]\nkind = "quantize"\nmode = "dynamic-int8"\n')
    compress[5] = dynamic
    assert main([str(part) for part in (*compress, "--input-range", "0..1")]) == 0
    told = capfd.readouterr().out
    assert "Pixels taken" not in told
    assert "It runs on ai-edge-litert 1.0.0 and later.\nNot on tflite-runtime 2.14.0: FULLY_CONNECTED " in told
    assert "For that, quantize with mode = 'dynamic-int8-tensor'." in told
    assert main([str(part) for part in (*compress, "--runtime", "ai-edge-litert", "--target", "armv7", "--json")]) == 0
    document = json.loads(capfd.readouterr().out)
    assert document["requires"] == {"ai-edge-litert": "1.0.0", "tflite-runtime": "2.13.0"}
    assert document["input_range"] in ("0..255", "0..1", "-1..1") and document["passes"] == []
    account = document["quantization"]
    assert account["mode"] == "dynamic-int8-tensor"
    assert 0 < account["tflite_bytes"] < account["tflite_bytes_before"]
    assert edge_run(["verify", str(tmp_path / "plain.edge")]) == 0


def test_evaluate_answers_no_with_status_1(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    path, bundle = tmp_path / "digits.edge", digits_bundle()
    shifted = io.BytesIO()
    np.save(shifted, np.roll(bundle.read_arrays("prototypes.npy")[""], 1, axis=0))
    Bundle.build(bundle.manifest, {**bundle.members(), "prototypes.npy": shifted.getvalue()}).write(path)
    evaluate = ["evaluate", str(path), "--data", "digits", "--limit", "10", "--min-accuracy"]
    assert main([*evaluate, "0.5"]) == 1
    assert "below 50.00%" in capfd.readouterr().err
    assert main([*evaluate, "0"]) == 0


def test_bad_images_among_good_ones_are_named_and_counted(
    photos: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "mixed"
    for source in photos.rglob("*.png"):
        target = folder / source.relative_to(photos)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(source.read_bytes())
    (folder / "blue mug" / "empty.jpg").write_bytes(b"")
    (folder / "blue mug" / "cut.png").write_bytes((photos / "blue mug" / "00.png").read_bytes()[:200])
    arguments = ["train", str(folder), "-o", str(tmp_path / "m.keras"), "--size", "16", "--epochs", "1"]
    assert main(arguments) == 0
    err = capfd.readouterr().err
    assert "Skipped 2 unreadable images" in err and "empty.jpg" in err and "cut.png" in err
    assert "--strict" in err
    assert main([*arguments, "--strict"]) == 2


@pytest.mark.parametrize("make", ["nothing", "empty", "one-class", "file"])
def test_folders_that_cannot_be_learnt_from(
    make: str, photos: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    source = tmp_path / "data"
    if make == "empty":
        source.mkdir()
    elif make == "one-class":
        (source / "only").mkdir(parents=True)
        (source / "only" / "a.png").write_bytes((photos / "blue mug" / "00.png").read_bytes())
    elif make == "file":
        source.write_text("hello")
    refused(["train", source, "-o", tmp_path / "m.keras"], capfd)
    assert not (tmp_path / "m.keras").exists()


def test_models_that_are_no_classifier(photos: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    text = tmp_path / "text.keras"
    text.write_text("no model")
    assert "text.keras" in refused(["compress", text, "--data", photos, "-o", tmp_path / "x.edge"], capfd)
    path = tmp_path / "regression.keras"
    with pytest.warns(DeprecationWarning, match="copy keyword"):
        keras.Sequential([keras.Input((5,)), keras.layers.Dense(1)]).save(path)
    assert "[None, 5]" in refused(["compress", path, "--data", photos, "-o", tmp_path / "x.edge"], capfd)
    assert not (tmp_path / "x.edge").exists()


@pytest.mark.parametrize(
    ("recipe", "named"),
    [
        ('[[pass]]\nkind = "prune"\nfractoin = 0.5', "fractoin"),
        ('[[pass]]\nkind = "prune"\nfraction = 1.5', "1.5"),
        ('[[pass]]\nkind = "shrink"', "shrink"),
        ("[[pass", "recipe.toml"),
    ],
)
def test_recipes_with_mistakes(
    recipe: str, named: str, photos: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "recipe.toml"
    path.write_text(recipe)
    error = refused(
        ["compress", tmp_path / "m.keras", "--data", photos, "--recipe", path, "-o", tmp_path / "x.edge"], capfd
    )
    assert named in error


def test_a_runtime_that_does_not_exist(photos: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    wanted = ["--runtime", "tflite-runtime==2.14.0", "--runtime", "tflite-runtime==3.0.0"]
    compress = ["compress", tmp_path / "m.keras", "--data", photos, *wanted, "-o", tmp_path / "x.edge"]
    error = refused(compress, capfd)
    assert "must be one of tflite-runtime==2.13.0, 2.14.0; ai-edge-litert==1.0.0," in error
    assert "Received: 'tflite-runtime==3.0.0'" in error


def test_bundles_that_are_damaged_or_too_new(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    path, image = tmp_path / "digits.edge", tmp_path / "digit.png"
    write_digit(image)
    content = digits_bundle().to_bytes()
    damaged = {
        "truncated": content[: len(content) // 2],
        "altered": content.replace(digits_bundle().read("encoder.tflite")[-64:], bytes(64)),
        "newer": content.replace(b'"schema_version": "1.2"', b'"schema_version": "9.0"'),
        "no bundle": b"hello",
    }
    for what, altered in damaged.items():
        assert altered != content, what
        path.write_bytes(altered)
        assert edge_run(["classify", str(path), str(image)]) == 2
        out, err = capfd.readouterr()
        assert len(lines(err)) == 1 and out == "", what
        assert refused(["evaluate", path, "--data", "digits"], capfd)


def test_a_full_disk_leaves_nothing_behind(photos: Path, tmp_path: Path) -> None:
    """A limit on file size makes writing fail as a full disk does."""
    script = (
        "import resource, signal, sys; signal.signal(signal.SIGXFSZ, signal.SIG_IGN);"
        "from edge_sdk.cli.main import main; import keras;"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000));"
        "sys.exit(main(sys.argv[1:]))"
    )
    arguments = ["train", str(photos), "-o", str(tmp_path / "m.keras"), "--size", "16", "--epochs", "1"]
    finished = subprocess.run([sys.executable, "-c", script, *arguments], capture_output=True, text=True, check=False)
    assert finished.returncode == 2, finished.stderr
    assert "Traceback" not in finished.stderr
    assert list(tmp_path.iterdir()) == []


def test_interrupting_leaves_nothing_behind(photos: Path, tmp_path: Path) -> None:
    arguments = ["train", str(photos), "-o", str(tmp_path / "m.keras"), "--size", "64", "--epochs", "10000"]
    # Whoever runs the tests in the background may have had SIGINT ignored, which a child inherits.
    script = (
        "import signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler);"
        "from edge_sdk.cli.main import main; sys.exit(main(sys.argv[1:]))"
    )
    command = [sys.executable, "-c", script, *arguments]
    with subprocess.Popen(
        command, stderr=subprocess.PIPE, text=True, env={**os.environ, "TTY_COMPATIBLE": "1"}
    ) as process:
        time.sleep(12)  # importing TensorFlow takes some of it; whatever is being done then has to stop cleanly
        process.send_signal(signal.SIGINT)
        try:
            _, err = process.communicate(timeout=60)
        finally:
            process.kill()
    assert process.returncode == 130, err
    assert "Interrupted" in err and "Traceback" not in err
    assert list(tmp_path.iterdir()) == []


def test_debug_shows_the_traceback(tmp_path: Path) -> None:
    from edge_sdk.errors import DataError

    with pytest.raises(DataError):
        main(["train", str(tmp_path / "nothing"), "-o", str(tmp_path / "m.keras"), "--debug"])


def test_versions(capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capfd.readouterr().out == f"edge-sdk {metadata.version('edge-sdk')}\n"
    with pytest.raises(SystemExit) as leaving:
        edge_run(["--version"])
    assert leaving.value.code == 0
    assert capfd.readouterr().out == f"edge-run {metadata.version('edge-sdk-runtime')}\n"


def test_class_names_that_no_file_could_carry(photos: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "data"
    for label in (os.fsdecode(b"caf\xe9"), "tea"):
        (folder / label).mkdir(parents=True)
        for source in (photos / "blue mug").iterdir():
            (folder / label / source.name).write_bytes(source.read_bytes())
    assert "Rename that folder" in refused(["train", folder, "-o", tmp_path / "m.keras"], capfd)


def test_images_that_a_bundle_learnt_from_are_never_counted(tmp_path: Path) -> None:
    from edge_sdk.data import load_images
    from edge_sdk.report.measure import load_again

    bundle = digits_bundle()  # of 60 digits per class, split by seed 0
    learnt = load_images("digits", limit=60)
    again = load_again("digits", bundle, strict=False, progress=None).at_most(5)
    assert set(again.test.names) < set(learnt.test.names)
    assert not set(again.test.names) & (set(learnt.train.names) | set(learnt.validation.names))

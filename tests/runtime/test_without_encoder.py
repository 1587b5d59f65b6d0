"""Bundles whose embedding is the image itself: nothing of theirs needs an interpreter."""

import dataclasses
import json
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from edge_sdk_runtime import (
    Bundle,
    BundleCorruptError,
    Classifier,
    Color,
    InterpreterError,
    InterpreterUnavailableError,
    PreprocessSpec,
    Similarity,
    UsageError,
    similarity_features,
    verify,
)
from edge_sdk_runtime.bench import BenchPlan, bench
from edge_sdk_runtime.cli import main
from edge_sdk_runtime.interpreters import ENVIRONMENT_VARIABLE, TensorInfo, choose_interpreter, interpreter_for
from edge_sdk_runtime.interpreters.none import NUMPY, FlattenedImage
from edge_sdk_runtime.manifest import StagedForm
from edge_sdk_runtime.pipelines import make_pipeline
from tests.runtime.helpers import (
    FAKE_FILES,
    SPEC,
    changed,
    fake_plug,
    head,
    make_bundle,
    make_manifest,
    npy,
    plain,
    with_golden,
)
from tests.runtime.teach.helpers import YELLOW, flat, frames

STAGED = StagedForm(None, "prototypes.npy", (0, 1, 2), Similarity.COSINE, "head.npz")
COLORS = [(255, 0, 0), (20, 250, 90), (0, 0, 1), (0, 0, 0), (77, 77, 77)]


def pixel_prototypes(spec: PreprocessSpec = SPEC) -> np.ndarray:
    """A red, a green and a blue image, flattened; all alike where there is but one channel."""
    images = np.zeros((3, *spec.shape), np.float32)
    for channel, image in enumerate(images):
        image[..., min(channel, spec.channels - 1)] = 1
    return images.reshape(3, -1)


def pixel_bundle(**changes: object) -> Bundle:
    """Three colours told apart by their pixels, with golden vectors."""
    manifest = dataclasses.replace(make_manifest(fused=None, staged=STAGED, interpreters=()), **changes)  # type: ignore[arg-type]
    table = pixel_prototypes(manifest.preprocess)
    return with_golden(Bundle.build(manifest, {"prototypes.npy": npy(table), "head.npz": head().to_bytes()}), NUMPY)


BUNDLE = pixel_bundle()


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("pixels") / "pixels.edge"
    BUNDLE.write(path)
    return path


@pytest.mark.parametrize("measure", Similarity)
@pytest.mark.parametrize("color", [Color.RGB, Color.GRAY])
def test_the_embedding_is_the_image_row_by_row(measure: Similarity, color: Color) -> None:
    bundle = pixel_bundle(
        staged=dataclasses.replace(STAGED, similarity=measure), preprocess=PreprocessSpec(6, 4, color=color)
    )
    noise = np.random.default_rng(0).integers(0, 256, (9, 13, 3), np.uint8)
    with Classifier(bundle) as classifier:
        assert classifier.interpreter is NUMPY
        for frame in (*(plain(*each) for each in COLORS), noise):
            trace = classifier.pipeline.trace(frame)
            image = trace["preprocess"]
            assert image.shape == bundle.manifest.preprocess.shape
            np.testing.assert_array_equal(trace["embed"], (image.reshape(-1) / 255).astype(np.float32))
            features = similarity_features(
                trace["embed"][np.newaxis], pixel_prototypes(bundle.manifest.preprocess), measure
            )
            np.testing.assert_allclose(trace["similarity"], features[0], atol=1e-6)
            result = classifier.classify(frame)
            assert result.stages == ("preprocess", "embed", "similarity", "head")
            np.testing.assert_allclose(result.scores, head()(features[0]), atol=1e-5)


def test_a_read_bundle_is_the_written_one(path: Path) -> None:
    manifest = Bundle.open(path).manifest
    assert manifest.staged == STAGED
    assert (manifest.models, manifest.default_models, manifest.models_of("staged")) == ((), (), ())
    assert json.loads(manifest.to_json())["staged"]["encoder"] is None


def test_verification_names_numpy_and_finds_what_differs() -> None:
    verification = verify(Bundle.from_bytes(BUNDLE.to_bytes()))
    assert verification.passed
    assert verification.interpreter == f"numpy {np.__version__}"
    assert [check.stage for check in verification.checks] == ["preprocess", "embed", "similarity", "scores"]
    table = pixel_prototypes()
    table[0] += np.linspace(0, 1, table.shape[1])
    failure = verify(changed(BUNDLE, {"prototypes.npy": npy(table)})).first_failure
    assert failure is not None and failure.stage == "similarity"


NONE_INSTALLED = """
import sys
class Without:  # a finder to which no interpreter is installed
    def __init__(self, finder):
        self.finder = finder
    def find_spec(self, name, *rest):
        absent = name.partition(".")[0] in ("ai_edge_litert", "tflite_runtime")
        return None if absent else self.finder.find_spec(name, *rest)
sys.meta_path[:] = map(Without, sys.meta_path)
"""

CLASSIFY = """
from edge_sdk_runtime import Classifier, InterpreterUnavailableError, choose_interpreter
from edge_sdk_runtime.cli import main
try:
    choose_interpreter()
except InterpreterUnavailableError:
    print("none installed")
path, image = sys.argv[1:]
with Classifier.load(path) as classifier:
    print(classifier.interpreter.name)
sys.exit(main.main(["classify", path, image]) or main.main(["verify", path]) or main.main(["info", path]))
"""

TEACH = """
from edge_sdk_runtime.cli import main
path, folder = sys.argv[1:]
sys.exit(
    main.main(["teach", path, "--label", "yellow", "--images", folder]) or main.main(["verify", path])
    or main.main(["classify", path, folder + "/0.png"]) or main.main(["forget", path, "red"])
)
"""


def test_everything_works_where_no_interpreter_is_installed(path: Path, tmp_path: Path) -> None:
    image = tmp_path / "green.png"
    cv2.imwrite(str(image), plain(0, 250, 0))
    done = subprocess.run(
        [sys.executable, "-c", NONE_INSTALLED + CLASSIFY, str(path), str(image)],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert (done.returncode, done.stderr) == (0, ""), done.stdout
    assert done.stdout.startswith("none installed\nnumpy\n")
    for part in ("green", f"Verified: 4 golden frames, numpy {np.__version__}.", "it holds no model"):
        assert part in done.stdout


def test_classes_are_taught_where_no_interpreter_is_installed(tmp_path: Path) -> None:
    bundle = tmp_path / "colours.edge"
    flat().write(bundle)
    for number, frame in enumerate(frames(YELLOW, 6)):
        cv2.imwrite(str(tmp_path / f"{number}.png"), frame)
    done = subprocess.run(
        [sys.executable, "-c", NONE_INSTALLED + TEACH, str(bundle), str(tmp_path)],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    assert f"Verified: 4 golden frames, numpy {np.__version__}." in done.stdout and "yellow" in done.stdout
    assert Bundle.open(bundle).manifest.labels == ("green", "blue", "yellow")


def test_what_is_named_does_not_matter_where_nothing_is_loaded(
    path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(ENVIRONMENT_VARIABLE, "tflite-runtime")
    assert verify(Bundle.open(path)).passed
    with Classifier.load(path, interpreter="litert", threads=2) as classifier:
        assert classifier.interpreter is NUMPY
    assert main.main(["info", str(path)]) == 0
    assert "NumPy alone" in capsys.readouterr().out


def test_models_still_need_an_interpreter() -> None:
    assert interpreter_for(()) is interpreter_for((), "litert") is NUMPY
    assert interpreter_for(("head.tflite",)) is choose_interpreter()
    plug = fake_plug()
    assert interpreter_for(("head.tflite",), plug) is plug
    with pytest.raises(InterpreterUnavailableError, match="Received: 'onnx'"):
        interpreter_for(("head.tflite",), "onnx")
    with pytest.raises(InterpreterError, match=r"NumPy runs no \.tflite model\. Received: one of 3 bytes"):
        NUMPY.load(b"abc", 1)
    assert (NUMPY.installed(), NUMPY.version(), NUMPY.release()) == (True, np.__version__, None)


def test_a_head_may_be_a_model_beside_it_and_so_may_a_fused_form() -> None:
    staged = dataclasses.replace(STAGED, head="head.tflite")
    manifest = make_manifest(staged=staged)
    files = {**FAKE_FILES, "prototypes.npy": npy(pixel_prototypes())}
    del files["encoder.tflite"]
    bundle = Bundle.build(manifest, files)
    assert bundle.manifest.models == ("classifier.tflite", "head.tflite")
    assert (bundle.manifest.models_of("staged"), bundle.manifest.models_of("fused")) == (
        ("head.tflite",),
        ("classifier.tflite",),
    )
    pipeline = make_pipeline(bundle, "staged", fake_plug(), 1)
    features = similarity_features(
        plain(9, 200, 9, (4, 6)).reshape(1, -1) / np.float32(255), pixel_prototypes(), Similarity.COSINE
    )
    np.testing.assert_allclose(pipeline.run(plain(9, 200, 9))[0], head()(features[0]), atol=1e-6)


def test_a_bench_measures_it(path: Path) -> None:
    (measured,) = bench(BenchPlan(str(path), runs=20, rounds=1, warm_up=0, frame=(30, 20))).measurements
    assert measured.interpreter == f"numpy {np.__version__}"
    assert list(measured.stages) == ["preprocess", "embed", "similarity", "head", "total"]


def test_prototypes_of_another_width_are_refused() -> None:
    bundle = changed(BUNDLE, {"prototypes.npy": npy(np.ones((3, 9), np.float32))})
    with pytest.raises(
        BundleCorruptError, match=r"encoder's output must be float32 \[1, 9\]\. Received: float32 \[1, 72\]"
    ):
        make_pipeline(bundle, "staged", NUMPY, 1)
    with pytest.raises(UsageError, match="Received: 'both'"):
        Classifier(make_bundle(staged=STAGED), form="both")


def test_a_closed_one_says_so() -> None:
    encoder = FlattenedImage((2, 3, 1))
    assert (encoder.input, encoder.output) == (TensorInfo((1, 2, 3, 1), "uint8"), TensorInfo((1, 6), "float32"))
    encoder.input_view()[...] = 51
    encoder.invoke()
    np.testing.assert_allclose(encoder.output_view(), 0.2)
    encoder.close()
    for call in (encoder.input_view, encoder.invoke, encoder.output_view):
        with pytest.raises(InterpreterError, match="closed interpreter"):
            call()

"""The same bundles on LiteRT and on tflite-runtime 2.14, with the NumPy and the OpenCV that each takes.

Bundles are written here once; one process in the other environment opens them all.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from edge_sdk.compress import card_for, compress
from edge_sdk.image_sets import Splits
from edge_sdk_converters.errors import CompatibilityError
from edge_sdk_converters.prune.config import PruneConfig
from edge_sdk_converters.quantize import QuantizeConfig, QuantizeMode, quantize
from edge_sdk_converters.quantize.places import layer_names, read_places
from edge_sdk_converters.recipe import Recipe, Step
from edge_sdk_converters.recover.config import RecoverConfig
from edge_sdk_converters.stages import layers_after_encoder
from edge_sdk_converters.tflite import export_tflite
from edge_sdk_runtime import Bundle, Classifier, verify
from edge_sdk_runtime.gate import parse_runtime
from edge_sdk_runtime.manifest import FusedForm, Manifest, Measured, Tolerances
from tests.converters.helpers import GRAY_8, assert_one_line
from tests.tflite_environment import PYTHON, needs_tflite_runtime

OLD = parse_runtime("tflite-runtime==2.14.0")

TOLERANCES = {
    QuantizeMode.FLOAT32: 1e-5,  # sums in another order
    QuantizeMode.FLOAT16: 1e-5,  # the same weights, computed with in float32
    QuantizeMode.WEIGHTS_INT8: 1e-5,  # likewise
    QuantizeMode.DYNAMIC_INT8_TENSOR: 0.02,  # activations are rounded anew for every image, by each in its own way
    # A sum between two steps is rounded up by one and down by the other; the head magnifies a step of the embedding.
    QuantizeMode.STATIC_INT8: 0.08,
    QuantizeMode.STATIC_INT16: 1e-3,  # likewise, with 256 times as many steps
}
"""How far the scores of both runtimes may be apart; on average a twentieth of that."""
REFUSED = (QuantizeMode.DYNAMIC_INT8, QuantizeMode.WEIGHTS_INT4, QuantizeMode.DYNAMIC_INT4)

_OPEN_ALL = """
import json, sys
import numpy as np
from edge_sdk_runtime import Classifier, EdgeRuntimeError, verify
frames, said = np.load(sys.argv[1]), {}
for path in sys.argv[2:]:
    try:
        with Classifier.load(path) as classifier:
            said[path] = [classifier.classify(frame).scores.tolist() for frame in frames]
            if "golden.npz" in classifier.bundle.manifest.files:
                said[path + " verified"] = verify(classifier.bundle).passed
    except EdgeRuntimeError as error:
        said[path] = f"{type(error).__name__}: {error}"
print(json.dumps(said))
"""


def bundle_of(model: bytes, labels: tuple[str, ...]) -> Bundle:
    """A classifier without golden vectors."""
    measured = Measured(None, 0, "", None, None, len(model))
    manifest = Manifest(
        "digits", labels, GRAY_8, "fused", measured, Tolerances(0, 0, 0, 0), fused=FusedForm("m.tflite")
    )
    return Bundle.build(manifest, {"m.tflite": model})


@pytest.fixture(scope="module")
def bundles(classifier: keras.Model, digits: Splits) -> dict[str, Bundle]:
    """One in every mode by that mode's name; float behind the encoder, as the writer does it."""
    exported = export_tflite(classifier)
    images = np.stack([digits.train[i][..., :1] for i in range(32)])
    after = [name for name in layers_after_encoder(classifier) if name in layer_names(read_places(exported))]
    return {
        mode.value: bundle_of(quantize(exported, QuantizeConfig(mode), images, after), digits.labels)
        for mode in QuantizeMode
    }


@pytest.fixture(scope="module")
def compressed_for_old(plain: keras.Model, digits: Splits) -> Bundle:
    """What `compress --runtime tflite-runtime==2.14.0` makes of a recipe of dynamic int8."""
    recipe = Recipe("dynamic", steps=(Step(QuantizeConfig(QuantizeMode.DYNAMIC_INT8)),))
    return compress(plain, card_for(plain, digits), digits, recipe, name="digits", runtimes=(OLD,)).bundle


@pytest.fixture(scope="module")
def frames(digits: Splits) -> np.ndarray:
    return np.stack([digits.test[i] for i in range(40)])


@pytest.fixture(scope="module")
def on_old(
    bundles: dict[str, Bundle],
    compressed_for_old: Bundle,
    frames: np.ndarray,
    tmp_path_factory: pytest.TempPathFactory,
) -> Mapping[str, Any]:
    """What tflite-runtime answers to every bundle: scores `[frames, classes]`, or an error."""
    folder = tmp_path_factory.mktemp("bundles")
    np.save(folder / "frames.npy", frames)
    paths = {name: folder / f"{name}.edge" for name in (*bundles, "compressed")}
    for name, bundle in {**bundles, "compressed": compressed_for_old}.items():
        bundle.write(paths[name])
    command = [str(PYTHON), "-c", _OPEN_ALL, str(folder / "frames.npy"), *map(str, paths.values())]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    return {str(Path(path).relative_to(folder)).replace(".edge", ""): answer for path, answer in said.items()}


def here(bundle: Bundle, frames: np.ndarray) -> np.ndarray:
    with Classifier(bundle, interpreter="litert") as classifier:
        return np.stack([classifier.classify(frame).scores for frame in frames])


@needs_tflite_runtime
@pytest.mark.parametrize("mode", TOLERANCES, ids=lambda mode: mode.value)
def test_the_same_bundle_gives_the_same_answers(
    mode: QuantizeMode, bundles: dict[str, Bundle], on_old: Mapping[str, Any], frames: np.ndarray
) -> None:
    answers = on_old[mode.value]
    assert isinstance(answers, list), answers
    apart = np.abs(np.array(answers) - here(bundles[mode.value], frames))
    assert apart.max() <= TOLERANCES[mode]
    assert apart.mean() <= TOLERANCES[mode] / 20


@needs_tflite_runtime
@pytest.mark.parametrize("mode", REFUSED, ids=lambda mode: mode.value)
def test_what_it_would_refuse_or_get_wrong_is_refused_in_our_words(
    mode: QuantizeMode, on_old: Mapping[str, Any]
) -> None:
    assert on_old[mode.value].startswith(
        "ModelUnsupportedError: Every operator of m.tflite must run on tflite-runtime 2.14.0. Received: "
    )
    assert "edge-sdk compress --runtime tflite-runtime==2.14.0" in on_old[mode.value]


def test_every_mode_is_judged_here() -> None:
    assert {*TOLERANCES, *REFUSED} == set(QuantizeMode)


def test_compression_for_a_runtime_says_so(compressed_for_old: Bundle) -> None:
    assert compressed_for_old.manifest.requires == {"tflite-runtime": "2.13.0", "ai-edge-litert": "1.0.0"}
    assert verify(compressed_for_old, "litert").passed


@needs_tflite_runtime
def test_compression_for_a_runtime_runs_there(
    compressed_for_old: Bundle, on_old: Mapping[str, Any], frames: np.ndarray
) -> None:
    assert on_old["compressed verified"] is True
    np.testing.assert_allclose(on_old["compressed"], here(compressed_for_old, frames), rtol=0, atol=0.02)


def test_a_recipe_that_the_runtime_cannot_run_is_refused_before_it_trains(plain: keras.Model, digits: Splits) -> None:
    steps = (Step(PruneConfig(), RecoverConfig(epochs=10_000)), Step(QuantizeConfig(QuantizeMode.WEIGHTS_INT4)))
    recipe = Recipe("int4", steps=steps)
    with pytest.raises(CompatibilityError, match=r"DEQUANTIZE int4 .* refuses.* mode = 'weights-int8'") as caught:
        compress(plain, card_for(plain, digits), digits, recipe, name="digits", runtimes=(OLD,))
    assert_one_line(caught.value)


@needs_tflite_runtime
def test_the_device_s_command_runs_there(tmp_path: Path) -> None:
    done = subprocess.run([PYTHON.with_name("edge-run"), "doctor"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "tflite-runtime  2.14.0, chosen" in done.stdout
    assert done.stdout.endswith("Healthy: tflite-runtime ran the built-in model.\n")

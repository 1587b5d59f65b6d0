"""Small bundles whose every result is known: three colours, told apart by the mean of each channel.

The encoder gives the mean red, green and blue of the model input, 0 to 1; the prototypes are pure red, green and blue; the
head multiplies by `GAIN` and takes the softmax. The same function exists as fakes and as real .tflite files.
"""

from __future__ import annotations

import dataclasses
import functools
import io
import struct
from collections.abc import Mapping
from typing import Any

import numpy as np

from edge_sdk_runtime import Bundle, Interpolation, Manifest, MlpHead, PreprocessSpec, ResizeMode, Similarity
from edge_sdk_runtime.bundle import GOLDEN
from edge_sdk_runtime.interpreters import InterpreterPlug, TensorInfo
from edge_sdk_runtime.interpreters.fake import FakeInterpreter, FakePlug
from edge_sdk_runtime.interpreters.tflite import LITERT
from edge_sdk_runtime.manifest import FusedForm, Measured, StagedForm, Tolerances
from edge_sdk_runtime.pipelines import make_pipeline
from edge_sdk_runtime.verify import GoldenVectors

LABELS = ("red", "green", "blue")
SPEC = PreprocessSpec(6, 4, ResizeMode.STRETCH, Interpolation.AREA)
GAIN = 4.0

FAKE_FILES = {"encoder.tflite": b"an encoder", "classifier.tflite": b"a classifier", "head.tflite": b"a head"}


def softmax(logits: np.ndarray) -> np.ndarray:
    """The definition, in double precision."""
    powers = np.exp(logits.astype(np.float64) - logits.max())
    return powers / powers.sum()


def plain(red: int, green: int, blue: int, shape: tuple[int, int] = (10, 15)) -> np.ndarray:
    """A frame of one colour."""
    return np.full((*shape, 3), (blue, green, red), np.uint8)


def expected_features(red: int, green: int, blue: int) -> np.ndarray:
    """What the encoder makes of a plain frame, and the dot product with the prototypes leaves as it is."""
    return np.array([red, green, blue]) / 255


def expected_scores(red: int, green: int, blue: int) -> np.ndarray:
    """What both forms make of a plain frame."""
    return softmax(GAIN * expected_features(red, green, blue))


def prototypes() -> np.ndarray:
    return np.eye(3, dtype=np.float32)


def head() -> MlpHead:
    return MlpHead((GAIN * np.eye(3, dtype=np.float32),), (np.zeros(3, np.float32),))


def fake_plug(**functions: Any) -> FakePlug:
    """Fakes for `FAKE_FILES`; `encoder`, `classifier` and `head` may be other functions."""

    def means(image: np.ndarray) -> np.ndarray:
        return image.mean(axis=(1, 2)) / 255

    chosen = {
        "encoder": means,
        "classifier": lambda image: softmax(GAIN * means(image)[0])[np.newaxis],
        "head": lambda features: softmax(GAIN * features[0])[np.newaxis],
        **functions,
    }
    image, three = TensorInfo((1, *SPEC.shape), "uint8"), TensorInfo((1, 3), "float32")
    return FakePlug(
        {
            FAKE_FILES[f"{name}.tflite"]: FakeInterpreter(function, three if name == "head" else image, three)
            for name, function in chosen.items()
        }
    )


def npy(array: np.ndarray) -> bytes:
    file = io.BytesIO()
    np.save(file, array, allow_pickle=False)
    return file.getvalue()


def npz(arrays: Mapping[str, np.ndarray]) -> bytes:
    file = io.BytesIO()
    np.savez_compressed(file, allow_pickle=False, **arrays)
    return file.getvalue()


def make_manifest(head_name: str = "head.npz", **changes: Any) -> Manifest:
    """The manifest of the colour bundle; its files are listed by `Bundle.build`."""
    manifest = Manifest(
        name="colours",
        labels=LABELS,
        preprocess=SPEC,
        default_form="staged",
        measured=Measured(0.75, 8, "plain frames", 12, 96, 20),
        tolerances=Tolerances(preprocess=1.0, embed=1e-3, similarity=1e-3, scores=1e-3),
        staged=StagedForm("encoder.tflite", "prototypes.npy", (0, 1, 2), Similarity.DOT, head_name),
        fused=FusedForm("classifier.tflite"),
        interpreters=("fake 0",),
        provenance={"recipe": "none"},
    )
    return dataclasses.replace(manifest, **changes)


def make_bundle(files: Mapping[str, bytes] = FAKE_FILES, head_name: str = "head.npz", **changes: Any) -> Bundle:
    """The colour bundle without golden vectors, from fake model files or real ones."""
    manifest = make_manifest(head_name, **changes)
    members = {"head.npz": head().to_bytes(), "prototypes.npy": npy(prototypes()), **files}
    staged = {manifest.staged.encoder, manifest.staged.prototypes, manifest.staged.head} if manifest.staged else set()
    fused = {manifest.fused.classifier} if manifest.fused else set()
    return Bundle.build(manifest, {name: content for name, content in members.items() if name in staged | fused})


def changed(bundle: Bundle, members: Mapping[str, bytes] | None = None, **changes: Any) -> Bundle:
    """The bundle with other members and manifest values, its hashes made again."""
    return Bundle.build(dataclasses.replace(bundle.manifest, **changes), {**bundle.members(), **(members or {})})


def with_golden(bundle: Bundle, plug: InterpreterPlug) -> Bundle:
    """The bundle with the golden vectors of two plain frames and a noisy one."""
    noise = np.random.default_rng(5).integers(0, 256, (9, 7, 3), np.uint8)
    pipeline = make_pipeline(bundle, bundle.manifest.default_form, plug, threads=1)
    golden = GoldenVectors.record(pipeline, [plain(250, 10, 10), plain(0, 200, 90), noise])
    pipeline.close()
    return changed(bundle, {GOLDEN: npz(golden.arrays())})


@functools.cache
def tflite_files() -> dict[str, bytes]:
    """`FAKE_FILES` as real models, exported once for all tests, the classifier with its metadata."""
    import keras

    from edge_sdk_converters.metadata import add_metadata, classifier_metadata
    from edge_sdk_converters.tflite import export_tflite

    def dense() -> keras.layers.Dense:
        return keras.layers.Dense(
            3, activation="softmax", kernel_initializer=keras.initializers.Identity(GAIN), bias_initializer="zeros"
        )

    image = keras.Input(SPEC.shape, dtype="uint8")
    means = keras.layers.GlobalAveragePooling2D()(keras.layers.Rescaling(1 / 255)(image))
    features = keras.Input((3,))
    models = {
        "encoder.tflite": keras.Model(image, means),
        "classifier.tflite": keras.Model(image, dense()(means)),
        "head.tflite": keras.Model(features, dense()(features)),
    }
    files = {name: export_tflite(model) for name, model in models.items()}
    described = add_metadata(files["classifier.tflite"], classifier_metadata("colours", LABELS, SPEC))
    return {**files, "classifier.tflite": described}


@functools.cache
def real_bundle() -> Bundle:
    """The colour bundle as LiteRT runs it, golden vectors and all."""
    return with_golden(make_bundle(tflite_files()), LITERT)


def jpeg_segment(marker: int, payload: bytes) -> bytes:
    """One JPEG segment: marker, length, payload."""
    return bytes((0xFF, marker)) + struct.pack(">H", len(payload) + 2) + payload


def jpeg_with(jpeg: bytes, *segments: bytes) -> bytes:
    """A JPEG file with segments put in right after its start."""
    return jpeg[:2] + b"".join(segments) + jpeg[2:]


def exif_segment(orientation: int, thumbnail: bytes = b"") -> bytes:
    """An APP1 segment with an orientation tag and, where given, a thumbnail after it (EXIF 2.3, section 4.5)."""
    entries = [struct.pack("<HHIHH", 0x0112, 3, 1, orientation, 0)]
    first = struct.pack("<H", len(entries)) + b"".join(entries)
    second_at = 8 + len(first) + 4
    if not thumbnail:
        return jpeg_segment(0xE1, b"Exif\0\0II*\0" + struct.pack("<I", 8) + first + struct.pack("<I", 0))
    thumbnail_at = second_at + 2 + 2 * 12 + 4
    second = struct.pack("<H", 2)
    second += struct.pack("<HHII", 0x0201, 4, 1, thumbnail_at) + struct.pack("<HHII", 0x0202, 4, 1, len(thumbnail))
    second += struct.pack("<I", 0)
    tiff = b"II*\0" + struct.pack("<I", 8) + first + struct.pack("<I", second_at) + second + thumbnail
    return jpeg_segment(0xE1, b"Exif\0\0" + tiff)

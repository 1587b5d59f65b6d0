"""Bundles that can be taught: the three colours with a feature memory, told by the means of their channels or by their pixels."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from edge_sdk_runtime import Bundle, MlpHead, Similarity
from edge_sdk_runtime.bundle import GOLDEN
from edge_sdk_runtime.interpreters import InterpreterPlug
from edge_sdk_runtime.interpreters.none import NUMPY
from edge_sdk_runtime.manifest import UnknownRule
from edge_sdk_runtime.memory import MEMORY, FeatureMemory
from edge_sdk_runtime.mlp_training import MlpTraining, train_mlp
from edge_sdk_runtime.pipelines import StagedPipeline, make_pipeline
from edge_sdk_runtime.similarity import similarity_features
from edge_sdk_runtime.teach.calibration import own_distances
from tests.runtime.helpers import changed, fake_plug, make_bundle, npy, plain, with_golden

COLOURS = {"red": (220, 30, 30), "green": (30, 220, 30), "blue": (30, 30, 220)}
YELLOW, CYAN, GREY = (220, 220, 30), (30, 220, 220), (120, 120, 120)
PLUG = fake_plug()


def frames(colour: tuple[int, int, int], count: int, seed: int = 0) -> list[np.ndarray]:
    """Plain frames of about one colour, each a little different from the others."""
    rng = np.random.default_rng((seed, *colour))
    return [plain(*np.clip(rng.normal(colour, 12), 0, 255).astype(int)) for _ in range(count)]


def teachable(measure: Similarity = Similarity.COSINE, **changes: Any) -> Bundle:
    """The colours told by the means of their channels, which a fake encoder gives; for `PLUG`."""
    return _teachable(make_bundle(fused=None), PLUG, measure, changes)


def flat(**changes: Any) -> Bundle:
    """The colours told by the pixels themselves, which needs no interpreter."""
    staged = dataclasses.replace(make_bundle().manifest.staged, encoder=None, prototype_labels=(0,))
    empty = {"prototypes.npy": npy(np.eye(1, 72, dtype=np.float32)), "head.npz": _head(1).to_bytes()}
    return _teachable(make_bundle(empty, staged=staged, fused=None), NUMPY, Similarity.COSINE, changes)


def _head(features: int) -> MlpHead:
    return MlpHead((np.ones((features, 3), np.float32),), (np.zeros(3, np.float32),))


def _teachable(bundle: Bundle, plug: InterpreterPlug, measure: Similarity, changes: dict[str, Any]) -> Bundle:
    embeddings = np.concatenate([embedded(bundle, plug, frames(colour, 16, 1)) for colour in COLOURS.values()])
    memory = FeatureMemory.rounded(embeddings, np.repeat(np.arange(3), 16))
    means = np.stack([memory.embeddings[memory.labels == label].mean(axis=0) for label in range(3)])
    features = similarity_features(memory.embeddings, means, measure)
    head = train_mlp(features, memory.labels, 3, MlpTraining(hidden=(8,), epochs=60))
    members = {"prototypes.npy": npy(means), "head.npz": head.to_bytes(), MEMORY: memory.to_bytes()}
    staged = dataclasses.replace(bundle.manifest.staged, prototype_labels=(0, 1, 2), similarity=measure, memory=MEMORY)
    farthest = [float(own_distances(memory)[memory.labels == label].max()) for label in range(3)]
    rule = UnknownRule(tuple(1.2 * distance for distance in farthest))
    taught = changed(bundle, members, **{"staged": staged, "unknown": rule, **changes})
    return with_golden(taught, plug)


def embedded(bundle: Bundle, plug: InterpreterPlug, images: list[np.ndarray]) -> np.ndarray:
    """Embeddings of frames, `float32 [N, D]`."""
    pipeline = make_pipeline(bundle, "staged", plug, threads=1)
    assert isinstance(pipeline, StagedPipeline)
    found = np.stack([pipeline.embed(image) for image in images])
    pipeline.close()
    return found


def without_memory(bundle: Bundle) -> Bundle:
    """The bundle as it would be without `memory.npz`."""
    members = {name: content for name, content in bundle.members().items() if name != MEMORY}
    staged = dataclasses.replace(bundle.manifest.staged, memory=None)
    return Bundle.build(dataclasses.replace(bundle.manifest, staged=staged, unknown=None), members)


__all__ = [
    "COLOURS",
    "CYAN",
    "GOLDEN",
    "GREY",
    "PLUG",
    "YELLOW",
    "embedded",
    "flat",
    "frames",
    "teachable",
    "without_memory",
]

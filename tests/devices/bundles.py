"""Bundles that need no interpreter: three colours told apart by their pixels, so that a device needs NumPy and OpenCV alone."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from edge_sdk_runtime import Bundle, Similarity
from edge_sdk_runtime.bundle import GOLDEN
from edge_sdk_runtime.interpreters.none import NUMPY
from edge_sdk_runtime.manifest import StagedForm
from edge_sdk_runtime.pipelines import make_pipeline
from edge_sdk_runtime.verify import GoldenVectors
from tests.runtime.helpers import SPEC, head, make_manifest, npy, npz, plain


def colour_bundle(broken: bool = False, **changes: Any) -> Bundle:
    """A bundle with golden vectors; a broken one is whole, but expects other scores than it gives."""
    staged = StagedForm(None, "prototypes.npy", (0, 1, 2), Similarity.COSINE, "head.npz")
    manifest = dataclasses.replace(make_manifest(fused=None, staged=staged, interpreters=()), **changes)
    images = np.zeros((3, *SPEC.shape), np.float32)
    for channel, image in enumerate(images):
        image[..., channel] = 1
    bundle = Bundle.build(manifest, {"prototypes.npy": npy(images.reshape(3, -1)), "head.npz": head().to_bytes()})
    pipeline = make_pipeline(bundle, "staged", NUMPY, threads=1)
    arrays = GoldenVectors.record(pipeline, [plain(250, 10, 10), plain(0, 200, 90)]).arrays()
    pipeline.close()
    if broken:
        arrays["expected_scores"] = arrays["expected_scores"][:, ::-1]
    return Bundle.build(bundle.manifest, {**bundle.members(), GOLDEN: npz(arrays)})

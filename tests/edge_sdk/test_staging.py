"""Embeddings that do not fit in memory give what embeddings that do would."""

from __future__ import annotations

import numpy as np
import pytest

from edge_sdk.data import Prepared
from edge_sdk.learn import staging as module
from edge_sdk.learn.encoder import flattened_encoder
from edge_sdk.learn.staging import Embedded
from edge_sdk_runtime import Color, PreprocessSpec, Similarity


def test_public_names() -> None:
    assert sorted(module.__all__) == ["Embedded", "staged_classifier"]


def test_parts_give_what_the_whole_does(monkeypatch: pytest.MonkeyPatch) -> None:
    encoder = flattened_encoder(PreprocessSpec(4, 4, color=Color.GRAY))
    x = np.random.default_rng(0).integers(0, 256, (12, 4, 4, 1), dtype=np.uint8)
    images = Prepared(x, np.repeat([0, 1], 6).astype(np.int64), ("a", "b"))
    whole = Embedded(encoder, images)
    monkeypatch.setattr(module, "_AT_ONCE_BYTES", 4 * 16 * 6)
    parts = Embedded(encoder, images)
    one, other = (each.prototypes(2, 0, Similarity.COSINE) for each in (whole, parts))
    np.testing.assert_allclose(one.vectors, other.vectors, atol=1e-6)
    assert one.labels == other.labels == (0, 0, 1, 1)
    measures = [each.features(one.vectors, Similarity.EUCLIDEAN) for each in (whole, parts)]
    np.testing.assert_allclose(*measures, atol=1e-6)
    np.testing.assert_array_equal(whole.of_class(1), parts.of_class(1))
    assert parts.of_class(99).shape == (0, 16)

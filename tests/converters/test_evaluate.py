"""A bundle measured with the runtime."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_sdk.compress import CompressedBundle
from edge_sdk.image_sets import Splits
from edge_sdk_converters import evaluate as module
from edge_sdk_converters.evaluate import Evaluation, embed, evaluate
from edge_sdk_runtime import Classifier, UsageError

pairs = st.lists(st.tuples(st.integers(0, 2), st.integers(0, 2)), min_size=1)


def test_public_names() -> None:
    assert sorted(module.__all__) == ["Evaluation", "Frames", "embed", "evaluate"]


@given(pairs=pairs)
def test_accuracy_and_confusion_count_the_same_pairs(pairs: list[tuple[int, int]]) -> None:
    targets, predictions = np.array(pairs, np.int64).T
    evaluation = Evaluation(("a", "b", "c"), targets, predictions, {})
    assert evaluation.accuracy == sum(one == other for one, other in pairs) / len(pairs)
    assert evaluation.confusion.sum() == len(pairs)
    for true in range(3):
        for predicted in range(3):
            assert evaluation.confusion[true, predicted] == pairs.count((true, predicted))


def test_a_bundle_is_measured_as_a_device_would_run_it(compressed: CompressedBundle, digits: Splits) -> None:
    told: list[tuple[int, int]] = []
    evaluation = evaluate(
        compressed.bundle,
        digits.test,
        digits.test.targets,
        progress=lambda done, planned: told.append((done, planned)),
    )
    count = len(digits.test)
    assert told == [(done, count) for done in range(1, count + 1)]
    assert evaluation.labels == digits.labels
    assert evaluation.accuracy == compressed.bundle.manifest.measured.accuracy
    with Classifier(compressed.bundle) as classifier:
        expected = [classifier.classify(digits.test[i]).class_index for i in range(count)]
    np.testing.assert_array_equal(evaluation.predictions, expected)
    assert set(evaluation.latency) == {"preprocess", "embed", "similarity", "head", "unknown", "total"}


def test_embeddings_are_the_encoders(compressed: CompressedBundle, digits: Splits) -> None:
    frames = [digits.test[i] for i in range(3)]
    embeddings = embed(compressed.bundle, frames)
    assert (embeddings.shape, embeddings.dtype) == ((3, 16), np.float32)
    with Classifier(compressed.bundle) as classifier:
        np.testing.assert_array_equal(embeddings[1], classifier.pipeline.trace(frames[1])["embed"])


def test_a_form_that_the_bundle_lacks_is_refused(compressed: CompressedBundle, digits: Splits) -> None:
    with pytest.raises(UsageError, match="form must be one the bundle holds: staged"):
        evaluate(compressed.bundle, digits.test, digits.test.targets, form="fused")

"""One small trained classifier for the end-to-end tests, made once."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import cv2

from edge_sdk_runtime import Bundle


@lru_cache(maxsize=1)
def digits_bundle() -> Bundle:
    """An int8 bundle of handwritten digits, trained briefly."""
    from edge_sdk.compress import compress
    from edge_sdk.data import load_images
    from edge_sdk.learn.train import TrainConfig, default_spec, train_classifier
    from edge_sdk_converters.recipe import BUILT_IN

    splits = load_images("digits", limit=60)
    trained = train_classifier(splits, default_spec(splits, None), TrainConfig(epochs=8, width=8, embedding=16))
    prepared = (trained.train, trained.validation)
    return compress(trained.model, trained.card, splits, BUILT_IN["int8"], name="digits", prepared=prepared).bundle


def write_digit(path: Path) -> str:
    """A held-out digit that the bundle gets right, as a file; returns its label."""
    from edge_sdk.data import load_images
    from edge_sdk_runtime import Classifier

    test = load_images("digits", limit=60).test
    with Classifier(digits_bundle()) as classifier:
        for i in range(len(test)):
            if classifier.classify(test[i]).class_index == test.targets[i]:
                cv2.imwrite(str(path), test[i])
                return test.labels[int(test.targets[i])]
    raise AssertionError("the bundle gets no digit right")

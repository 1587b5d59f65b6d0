"""What several test files share and nobody wants to wait for twice: digits, and one tiny classifier that has learnt them."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    import keras

    from edge_sdk.compress import CompressedBundle
    from edge_sdk.image_sets import Splits
    from edge_sdk.learn.train import Trained
    from edge_sdk_converters.learning import LearningData

# As the command line does: the same numbers twice, and no notes of TensorFlow's among what a command says.
os.environ.setdefault("TF_DETERMINISTIC_OPS", "1")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
if "PYTEST_XDIST_WORKER" in os.environ:  # one of several processes that share the processors
    for _name in ("TF_NUM_INTRAOP_THREADS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        os.environ.setdefault(_name, "1")

# Keras and TensorFlow take seconds to import, and most of the runtime's tests need neither: every fixture imports its own.


@pytest.fixture(autouse=True, scope="session")
def _model_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Rebuilt models are kept beside the other files of the tests, not in a person's cache."""
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("EDGE_SDK_CACHE", str(tmp_path_factory.mktemp("model-cache")))
        yield


@pytest.fixture(scope="session")
def digits() -> Splits:
    """60 handwritten digits of each class, 8×8 grey: 420 to learn from, 60 to validate with, 120 to test with."""
    from edge_sdk.data import load_images

    return load_images("digits", limit=60)


@pytest.fixture(scope="session")
def trained(digits: Splits) -> Trained:
    """A staged classifier of the digits with 6,000 weights; leave it as it is."""
    from edge_sdk.learn.train import TrainConfig, train_classifier

    assert digits.spec is not None
    return train_classifier(digits, digits.spec, TrainConfig(epochs=8, width=8, embedding=16))


@pytest.fixture(scope="session")
def data(trained: Trained) -> LearningData:
    """The digits that `trained` learnt from, without augmentation."""
    from edge_sdk.learn.train import examples
    from edge_sdk_converters.learning import LearningData

    return LearningData(examples(trained.train), examples(trained.validation))


@pytest.fixture(scope="session")
def classifier(trained: Trained, data: LearningData) -> keras.Model:
    """`trained` under the contract, nested models inlined; leave it as it is."""
    from edge_sdk_converters.source import adopt

    return adopt(trained.model, data.validation, 10).model


@pytest.fixture(scope="session")
def plain(data: LearningData) -> keras.Model:
    """A convolution and a dense layer that give logits for digits scaled to 0..1; leave it as it is."""
    import keras
    from keras import layers

    from edge_sdk_converters.training import Examples, FitConfig, fit

    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            layers.Conv2D(8, 3, activation="relu"),
            layers.Flatten(),
            layers.Dense(10, name="logits"),
        ],
        name="plain",
    )
    train, validation = (Examples(part.x.astype("float32") / 255, part.y) for part in (data.train, data.validation))
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    fit(model, train, validation, FitConfig(5, 1e-2, seed=1), loss=loss)
    return model


@pytest.fixture(scope="session")
def compressed(trained: Trained, digits: Splits) -> CompressedBundle:
    """`trained` after the recipe small with short recoveries."""
    from edge_sdk.compress import compress
    from edge_sdk_converters.recipe import BUILT_IN
    from tests.converters.helpers import hurried

    return compress(trained.model, trained.card, digits, hurried(BUILT_IN["small"]), name="digits")

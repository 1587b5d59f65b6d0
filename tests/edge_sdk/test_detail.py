import keras
import numpy as np
import pytest

from edge_sdk.errors import DataError
from edge_sdk.learn import detail as module
from edge_sdk.learn.detail import check_detail, with_detail
from edge_sdk.learn.encoder import build_encoder
from edge_sdk_converters.training import predict
from edge_sdk_runtime import Color, PreprocessSpec

SPEC = PreprocessSpec(16, 12, color=Color.GRAY)
IMAGES = np.random.default_rng(0).integers(0, 256, (40, 12, 16, 1), np.uint8)


@pytest.fixture(scope="module")
def encoder() -> keras.Model:
    keras.utils.set_random_seed(0)
    return build_encoder(SPEC, embedding=6, width=4)


def test_public_names() -> None:
    assert module.__all__ == ["check_detail", "with_detail"]


def test_the_embedding_stays_and_principal_components_stand_beside_it(encoder: keras.Model) -> None:
    wider = with_detail(encoder, IMAGES, width=5, weight=0.5)
    embeddings, before = predict(wider, IMAGES), predict(encoder, IMAGES)
    np.testing.assert_allclose(embeddings[:, :6], before, rtol=1e-4, atol=1e-5)
    components = embeddings[:, 6:].astype(np.float64)
    covariance = np.cov(components.T)
    np.testing.assert_allclose(covariance, np.diag(np.diag(covariance)), atol=1e-3 * covariance.max())
    assert (np.diff(np.diag(covariance)) <= 0).all()
    lengths = [np.linalg.norm(part, axis=1).mean() for part in (components, before)]
    assert lengths[0] == pytest.approx(0.5 * lengths[1], rel=0.01)


def test_the_same_images_give_the_same_network(encoder: keras.Model) -> None:
    one, other = (with_detail(encoder, IMAGES, width=5, seed=3) for _ in range(2))
    for first, second in zip(one.get_weights(), other.get_weights(), strict=True):
        np.testing.assert_array_equal(first, second)


@pytest.mark.parametrize("width", [0, 40, 4000])
def test_more_components_than_images_are_refused(encoder: keras.Model, width: int) -> None:
    with pytest.raises(DataError, match=r"Detail must be at least 1 wide.*of 40 images\. Ask for less"):
        with_detail(encoder, IMAGES, width=width)


def test_more_components_than_images_they_are_taken_from_are_refused_before_training() -> None:
    image = keras.Input((16, 16, 1))
    large = keras.layers.Conv2D(130, 3, padding="same")(image)  # 2,080 averages
    small = keras.layers.Conv2D(2, 3, strides=4)(keras.layers.ReLU()(large))
    encoder = keras.Model(image, keras.layers.Flatten()(small))
    check_detail(encoder, 10_000, 1_999)
    with pytest.raises(DataError, match=r"Received: 2050 of 2000 images"):
        check_detail(encoder, 10_000, 2_050)


def test_a_network_that_does_not_shrink_images_is_refused() -> None:
    image = keras.Input((8, 8, 1), dtype="uint8")
    flat = keras.Model(image, keras.layers.Dense(4)(keras.layers.Flatten()(keras.layers.Rescaling(1 / 255)(image))))
    with pytest.raises(DataError, match="a layer whose activations are twice as large as the last ones"):
        with_detail(flat, IMAGES[:, :8, :8])

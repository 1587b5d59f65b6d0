"""Any network becomes an encoder, with the pixels it was made for."""

from __future__ import annotations

from pathlib import Path

import keras
import numpy as np
import pytest
from keras import layers

from edge_sdk.errors import DataError
from edge_sdk.learn import backbone as module
from edge_sdk.learn.backbone import application_names, encoder_from
from edge_sdk.learn.kinds import Weights
from edge_sdk_converters.source import InputRange
from edge_sdk_runtime import Color, PreprocessSpec

SPEC = PreprocessSpec(32, 32)
IMAGES = np.random.default_rng(0).integers(0, 256, (2, 32, 32, 3), dtype=np.uint8)


def outputs(model: keras.Model, images: np.ndarray) -> np.ndarray:
    return np.asarray(keras.ops.convert_to_numpy(model(images, training=False)))


def own(*first: keras.Layer, side: int | None = 32, dtype: str = "float32", flat: bool = False) -> keras.Model:
    image = keras.Input((side, side, 3), dtype=dtype)
    x = image
    for layer in first:
        x = layer(x)
    x = layers.BatchNormalization(momentum=0.99, name="norm")(layers.Conv2D(4, 3, name="conv")(x))
    return keras.Model(image, layers.Flatten()(x) if flat else x, name="mine")


def test_public_names() -> None:
    assert sorted(module.__all__) == ["application_names", "encoder_from"]
    assert {"MobileNetV2", "ResNet50", "EfficientNetB0"} <= set(application_names())


def test_applications_see_the_pixels_they_were_made_for() -> None:
    """VGG16 was made for BGR with each channel's mean taken away; ours reads RGB and computes the same."""
    keras.utils.set_random_seed(0)
    encoder = encoder_from("VGG16", SPEC, embedding=8)
    assert encoder.inputs[0].dtype == "uint8" and encoder.output_shape == (None, 8)
    keras.utils.set_random_seed(0)
    network = keras.applications.VGG16(include_top=False, weights=None, input_shape=(32, 32, 3))
    features = outputs(network, keras.applications.vgg16.preprocess_input(IMAGES.astype(np.float32))).mean(axis=(1, 2))
    kernel, bias = encoder.get_layer("embedding").get_weights()
    np.testing.assert_allclose(outputs(encoder, IMAGES), features @ kernel + bias, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize(
    ("name", "scales", "offsets"),
    [
        ("MobileNetV2", [1 / 127.5] * 3, [-1.0] * 3),
        ("EfficientNetB0", [1.0] * 3, [0.0] * 3),
        ("DenseNet121", [1 / 255 / s for s in (0.229, 0.224, 0.225)], [-0.485 / 0.229, -0.456 / 0.224, -0.406 / 0.225]),
    ],
)
def test_scalings_are_those_published(name: str, scales: list[float], offsets: list[float]) -> None:
    found = module._published_scaling(getattr(keras.applications, name), 3)
    np.testing.assert_allclose(found[0], scales, rtol=1e-5)
    np.testing.assert_allclose(found[1], offsets, rtol=1e-5, atol=1e-6)
    assert not found[2]


@pytest.mark.parametrize(
    ("input_range", "first", "scaled"),
    [
        (InputRange.UNIT, (), lambda x: x / 255),
        (InputRange.SIGNED, (), lambda x: x / 127.5 - 1),
        (InputRange.PIXELS, (), lambda x: x),
        (None, (layers.Rescaling(1 / 255),), lambda x: x),
    ],
)
def test_own_models_get_the_pixels_stated_or_found(
    input_range: InputRange | None, first: tuple, scaled: object
) -> None:
    model = own(*first)
    encoder = encoder_from(model, SPEC, embedding=5, input_range=input_range)
    features = outputs(model, scaled(IMAGES.astype(np.float32))).mean(axis=(1, 2))  # type: ignore[operator]
    kernel, bias = encoder.get_layer("embedding").get_weights()
    np.testing.assert_allclose(outputs(encoder, IMAGES), features @ kernel + bias, rtol=1e-3, atol=1e-3)


def test_own_models_stay_untouched_and_learn_their_statistics_fast() -> None:
    model = own(side=None, dtype="uint8")
    encoder = encoder_from(model, SPEC, embedding=5)
    assert (model.get_layer("norm").momentum, encoder.get_layer("norm").momentum) == (0.99, 0.9)
    encoder.get_layer("conv").set_weights([np.zeros_like(each) for each in encoder.get_layer("conv").get_weights()])
    assert model.get_layer("conv").get_weights()[0].any()


def test_vectors_need_no_pooling_and_encoders_are_saved(tmp_path: Path) -> None:
    encoder = encoder_from(own(flat=True), SPEC, embedding=5, input_range=InputRange.UNIT)
    assert not [layer for layer in encoder.layers if "pool" in layer.name]
    with pytest.warns(DeprecationWarning, match="copy keyword"):
        encoder.save(tmp_path / "encoder.keras")
    np.testing.assert_array_equal(
        outputs(keras.saving.load_model(tmp_path / "encoder.keras"), IMAGES), outputs(encoder, IMAGES)
    )


@pytest.mark.parametrize(
    ("backbone", "options", "message"),
    [
        ("MobileNetV9", {}, "must be one of .*MobileNetV2.*Received: 'MobileNetV9'"),
        ("InceptionV3", {}, "InceptionV3 must take images of 32 × 32 × 3"),
        (own(), {}, "must be stated .*Received: Conv2D as the first layer of 'mine'"),
        (own(side=16), {}, r"must be \[batch, 32, 32, 3\]"),
        (own(dtype="uint8"), {"input_range": InputRange.UNIT}, "scales its pixels itself"),
        (own(layers.Rescaling(1.0)), {"embedding": 1}, "embedding must be at least 2"),
        (
            keras.Sequential([keras.Input((32, 32, 3)), layers.Flatten(), layers.Dense(3, "softmax")]),
            {},
            "class probabilities",
        ),
    ],
)
def test_what_cannot_become_an_encoder_is_refused(backbone: keras.Model | str, options: dict, message: str) -> None:
    with pytest.raises(DataError, match=message):
        encoder_from(backbone, SPEC, **options)


def test_weights_that_do_not_fit_the_images_are_refused() -> None:
    with pytest.raises(DataError, match="weights='none'"):
        encoder_from("MobileNetV2", PreprocessSpec(32, 32, color=Color.GRAY), weights=Weights.IMAGENET)

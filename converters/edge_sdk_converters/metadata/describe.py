"""What TFLite Metadata tells of an image classifier, and what it tells of one under the SDK's contract."""

from __future__ import annotations

from dataclasses import dataclass

from edge_sdk_runtime import Color, PreprocessSpec

__all__ = ["ClassScores", "ImageInput", "ModelMetadata", "classifier_metadata"]


@dataclass(frozen=True)
class ImageInput:
    """The image that goes in.

    Attributes:
        name: Of the input, as generated code calls it.
        description: For a person.
        color: What its channels mean; None where the file does not tell.
        width: Of the image in pixels; None where the file leaves that to the tensor's shape.
        height: Likewise.
        mean: What is taken away from pixels of 0 to 255 before they go in, of all channels or of each; empty where the file
            does not tell.
        std: What they are divided by afterwards, likewise.
    """

    name: str
    description: str
    color: Color | None
    width: int | None
    height: int | None
    mean: tuple[float, ...]
    std: tuple[float, ...]


@dataclass(frozen=True)
class ClassScores:
    """The scores that come out.

    Attributes:
        name: Of the output, as generated code calls it.
        description: For a person.
        labels: Class names in the order of the scores; none where the file has none.
    """

    name: str
    description: str
    labels: tuple[str, ...]


@dataclass(frozen=True)
class ModelMetadata:
    """What a .tflite file of an image classifier says of itself.

    Attributes:
        name: What the model is called.
        description: For a person.
        version: Of the model, as its maker counts; empty where the file does not tell.
        image: Its only input.
        scores: Its only output.
        min_parser_version: The oldest release of the metadata's schema that has all the fields that are used.
    """

    name: str
    description: str
    version: str
    image: ImageInput
    scores: ClassScores
    min_parser_version: str = "1.0.0"


def classifier_metadata(
    name: str, labels: tuple[str, ...], preprocess: PreprocessSpec, version: str = "1"
) -> ModelMetadata:
    """Metadata of a classifier under the SDK's contract: pixels as they are in, probabilities out.

    Scaling is inside the model and its `uint8` input has no scale, so that the standard's (x − mean) / std is x itself.

    Args:
        name: What the model is called.
        labels: Class names in the order of the scores.
        preprocess: What is done to a frame before the model sees it. The standard has no field for how frames are fitted and
            shrunk, so that it is told in words.
        version: Of the model.
    """
    image = ImageInput(
        name="image",
        description="Pixels of 0 to 255 as they are: the model scales them. Learnt from frames fitted by "
        f"{preprocess.resize.value}, shrunk by {preprocess.interpolation.value}.",
        color=preprocess.color,
        width=preprocess.width,
        height=preprocess.height,
        mean=(0.0,),
        std=(1.0,),
    )
    scores = ClassScores("probability", "Of each class; together 1.", labels)
    return ModelMetadata(name, f"Image classifier with {len(labels)} classes, by Edge SDK.", version, image, scores)

"""The metadata's own flatbuffer: ModelMetadata ↔ the tables of `metadata_schema.fbs`, whose field numbers stand here.

The schema is https://github.com/google-ai-edge/mediapipe/blob/master/mediapipe/tasks/metadata/metadata_schema.fbs. All that is
written has been in it since 1.0.0.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import flatbuffers
import numpy as np

from edge_sdk_runtime import Color

from .describe import ClassScores, ImageInput, ModelMetadata
from .layout import Flatbuffer

__all__ = ["IDENTIFIER", "LABELS", "labels_file", "read_tables", "write_tables"]

IDENTIFIER = b"M001"
"""Bytes 4 to 7 of metadata."""
LABELS = "labels.txt"
"""The file with the labels, in the archive behind the model."""

_INPUTS, _OUTPUTS = 2, 3  # fields of SubGraphMetadata
_AXIS_LABELS = 2  # of AssociatedFileType
_FEATURE_PROPERTIES, _IMAGE_PROPERTIES = 1, 2  # of ContentProperties
_NORMALIZATION = 1  # of ProcessUnitOptions
_COLORS = {Color.RGB: 1, Color.GRAY: 2}  # of ColorSpaceType

_Field = Callable[[Any, int], None]


def write_tables(metadata: ModelMetadata) -> bytes:
    """The metadata as a flatbuffer; equal metadata gives equal bytes.

    Args:
        metadata: What to write; the labels are a file of their own, to which it refers.
    """
    builder = flatbuffers.Builder(1024)
    image, scores = _write_image(builder, metadata.image), _write_scores(builder, metadata.scores)
    graph = _table(builder, {_INPUTS: _tables(builder, image), _OUTPUTS: _tables(builder, scores)})
    root = _table(
        builder,
        {
            0: _text(builder, metadata.name),
            1: _text(builder, metadata.description),
            2: _text(builder, metadata.version),
            3: _tables(builder, graph),
            7: _text(builder, metadata.min_parser_version),
        },
    )
    builder.Finish(root, IDENTIFIER)
    return bytes(builder.Output())


def _write_image(builder: Any, image: ImageInput) -> int:
    properties = {}
    if image.width and image.height:
        properties[1] = _reference(_table(builder, {0: _size(image.width), 1: _size(image.height)}))
    if image.color:
        properties[0] = _byte(_COLORS[image.color])
    content = _table(builder, {1: _reference(_table(builder, properties)), 0: _byte(_IMAGE_PROPERTIES)})
    stats = _table(builder, {0: _floats(builder, (255.0,)), 1: _floats(builder, (0.0,))})
    return _write_tensor(builder, image, content, stats, _write_normalization(builder, image))


def _write_normalization(builder: Any, image: ImageInput) -> dict[int, _Field]:
    if not image.mean:
        return {}
    options = _table(builder, {0: _floats(builder, image.mean), 1: _floats(builder, image.std)})
    return {4: _tables(builder, _table(builder, {1: _reference(options), 0: _byte(_NORMALIZATION)}))}


def _write_scores(builder: Any, scores: ClassScores) -> int:
    content = _table(builder, {1: _reference(_table(builder, {})), 0: _byte(_FEATURE_PROPERTIES)})
    stats = _table(builder, {0: _floats(builder, (1.0,)), 1: _floats(builder, (0.0,))})
    return _write_tensor(builder, scores, content, stats, _write_file(builder) if scores.labels else {})


def _write_file(builder: Any) -> dict[int, _Field]:
    return {6: _tables(builder, _table(builder, {0: _text(builder, LABELS), 2: _byte(_AXIS_LABELS)}))}


def _write_tensor(
    builder: Any, tensor: ImageInput | ClassScores, content: int, stats: int, others: Mapping[int, _Field]
) -> int:
    texts = {0: _text(builder, tensor.name), 1: _text(builder, tensor.description)}
    return _table(builder, {**texts, 3: _reference(content), 5: _reference(stats), **others})


def _table(builder: Any, fields: Mapping[int, _Field]) -> int:
    """Where a table with these fields stands; what they refer to has to be written before."""
    builder.StartObject(max(fields, default=-1) + 1)
    for slot, write in fields.items():
        write(builder, slot)
    return int(builder.EndObject())


def _reference(place: int) -> _Field:
    return lambda builder, slot: builder.PrependUOffsetTRelativeSlot(slot, place, 0)


def _byte(number: int) -> _Field:
    return lambda builder, slot: builder.PrependUint8Slot(slot, number, 0)


def _size(number: int) -> _Field:
    return lambda builder, slot: builder.PrependUint32Slot(slot, number, 0)


def _text(builder: Any, text: str) -> _Field:
    return _reference(builder.CreateString(text))


def _floats(builder: Any, numbers: Sequence[float]) -> _Field:
    return _reference(builder.CreateNumpyVector(np.asarray(numbers, np.float32)))


def _tables(builder: Any, table: int) -> _Field:
    """A vector of one table: models under the contract have one graph with one input and one output."""
    builder.StartVector(4, 1, 4)
    builder.PrependUOffsetTRelative(table)
    return _reference(builder.EndVector())


def labels_file(content: bytes) -> str:
    """Name of the file with the labels of the first output's classes; empty where there is none.

    Args:
        content: The flatbuffer.

    Raises:
        ValueError: It is not written as the schema says; `struct.error` means the same.
    """
    held = Flatbuffer(content, IDENTIFIER)
    files = held.tables(_tensor(held, _OUTPUTS), 6)
    return next((held.text(file, 0) for file in files if held.number(file, 2, "B") == _AXIS_LABELS), "")


def read_tables(content: bytes, labels: tuple[str, ...]) -> ModelMetadata:
    """Metadata from its flatbuffer, by whomever it was written.

    Args:
        content: The flatbuffer.
        labels: What the file that it refers to holds.

    Raises:
        ValueError: It is not written as the schema says; `struct.error` means the same.
    """
    held = Flatbuffer(content, IDENTIFIER)
    name, description, version, parser = (held.text(held.root, field) for field in (0, 1, 2, 7))
    output = _tensor(held, _OUTPUTS)
    scores = ClassScores(held.text(output, 0), held.text(output, 1), labels)
    return ModelMetadata(name, description, version, _read_image(held, _tensor(held, _INPUTS)), scores, parser)


def _tensor(held: Flatbuffer, field: int) -> int:
    """The first input or output of the first graph."""
    tensors = [tensor for graph in held.tables(held.root, 3)[:1] for tensor in held.tables(graph, field)]
    if not tensors:
        raise ValueError(f"metadata of no {'input' if field == _INPUTS else 'output'}")
    return tensors[0]


def _read_image(held: Flatbuffer, tensor: int) -> ImageInput:
    color, width, height = _read_properties(held, held.table(tensor, 3))
    mean, std = _read_normalization(held, held.tables(tensor, 4))
    return ImageInput(held.text(tensor, 0), held.text(tensor, 1), color, width, height, mean, std)


def _read_properties(held: Flatbuffer, content: int | None) -> tuple[Color | None, int | None, int | None]:
    """Colour, width and height of an image, as far as the file tells."""
    is_image = content is not None and held.number(content, 0, "B") == _IMAGE_PROPERTIES
    properties = held.table(content, 1) if is_image and content is not None else None
    if properties is None:
        return None, None, None
    colors = {code: color for color, code in _COLORS.items()}
    size = held.table(properties, 1)
    width, height = (held.number(size, field, "<I") if size is not None else 0 for field in (0, 1))
    return colors.get(held.number(properties, 0, "B")), width or None, height or None


def _read_normalization(held: Flatbuffer, units: list[int]) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Means and standard deviations; none where the file has none."""
    options = [held.table(unit, 1) for unit in units if held.number(unit, 0, "B") == _NORMALIZATION]
    first = options[0] if options else None
    return ((), ()) if first is None else (held.floats(first, 0), held.floats(first, 1))

"""Metadata of exported classifiers: what is written is read back, and the model computes what it did before."""

from __future__ import annotations

import dataclasses
import io
import zipfile

import flatbuffers
import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_sdk_converters import metadata as module
from edge_sdk_converters.errors import ModelError
from edge_sdk_converters.metadata import ClassScores, ModelMetadata, add_metadata, classifier_metadata, read_metadata
from edge_sdk_converters.pack import pack
from edge_sdk_converters.quantize import QuantizeConfig, QuantizeMode, quantize
from edge_sdk_converters.tflite import export_tflite
from edge_sdk_runtime import Bundle, BundleCorruptError, Color, Manifest, PreprocessSpec
from edge_sdk_runtime.codec import unpack
from edge_sdk_runtime.manifest import FusedForm, Measured, Tolerances
from edge_sdk_runtime.operators import read_operators
from tests.converters.helpers import GRAY_8, assert_one_line, plain_network, run_tflite
from tests.converters.pack.files import tflite_of

LABELS = ("blue mug", "Tasse à café", "日本語")
SPEC = PreprocessSpec(6, 6)
METADATA = classifier_metadata("mugs", LABELS, SPEC)
WEIGHTS = {"kernel": np.arange(600, dtype=np.float32), "bias": np.arange(7, dtype=np.int8)}

texts = st.text(st.characters(exclude_categories=("Cs",)), max_size=30)
labels = st.lists(texts.filter(lambda text: text.strip() and not {"\n", "\r"} & {*text}), max_size=8).map(tuple)


@pytest.fixture(scope="module")
def exported() -> bytes:
    return export_tflite(plain_network())


@pytest.fixture(scope="module")
def images() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (8, 6, 6, 3), np.uint8)


def buffers_behind(weights: bytes) -> bytes:
    """A file that keeps a buffer behind its flatbuffer, as the quantizer writes large ones."""
    content = bytearray(tflite_of({"kernel": np.zeros(0, np.int8)}))
    parsed = schema.ModelT.InitFromPackedBuf(bytes(content), 0)
    parsed.buffers[1].data, parsed.buffers[1].offset, parsed.buffers[1].size = None, 1, 1
    builder = flatbuffers.Builder(1024)
    builder.Finish(parsed.Pack(builder), b"TFL3")
    content = builder.Output()
    content += bytes(-len(content) % 16)
    table = schema.Model.GetRootAs(content, 0).Buffers(1)._tab
    for field, number in ((6, len(content)), (8, len(weights))):
        place = table.Pos + table.Offset(field)
        content[place : place + 8] = number.to_bytes(8, "little")
    return bytes(content) + weights


def test_public_names() -> None:
    assert sorted(module.__all__) == [
        "ClassScores",
        "ImageInput",
        "ModelMetadata",
        "add_metadata",
        "classifier_metadata",
        "read_metadata",
    ]


def test_a_classifier_under_the_contract_takes_pixels_as_they_are() -> None:
    assert (METADATA.name, METADATA.version, METADATA.min_parser_version) == ("mugs", "1", "1.0.0")
    image, scores = METADATA.image, METADATA.scores
    assert (image.color, image.width, image.height, image.mean, image.std) == (Color.RGB, 6, 6, (0.0,), (1.0,))
    assert "center-crop" in image.description and "fast-area" in image.description
    assert (scores.name, scores.labels) == ("probability", LABELS)
    assert classifier_metadata("digits", LABELS, GRAY_8).image.color is Color.GRAY


@pytest.mark.parametrize("mode", [QuantizeMode.FLOAT32, QuantizeMode.STATIC_INT8])
def test_a_model_computes_what_it_did_before(mode: QuantizeMode, exported: bytes, images: np.ndarray) -> None:
    plain = quantize(exported, QuantizeConfig(mode), images)
    described = add_metadata(plain, METADATA)
    np.testing.assert_array_equal(run_tflite(described, images), run_tflite(plain, images))
    assert read_operators(described) == read_operators(plain)
    assert read_metadata(described) == METADATA and read_metadata(plain) is None


def test_the_file_has_what_the_standard_asks_for(exported: bytes) -> None:
    described = add_metadata(exported, METADATA)
    before, after = (schema.Model.GetRootAs(content, 0) for content in (exported, described))
    names = [after.Metadata(index).Name() for index in range(after.MetadataLength())]
    assert names == [*(before.Metadata(index).Name() for index in range(before.MetadataLength())), b"TFLITE_METADATA"]
    held = after.Buffers(after.Metadata(len(names) - 1).Buffer()).DataAsNumpy().tobytes()
    assert held[4:8] == b"M001"
    assert after.Description() == before.Description() and after.Version() == before.Version() == 3
    assert after.SignatureDefsLength() == before.SignatureDefsLength() == 1
    with zipfile.ZipFile(io.BytesIO(described)) as archive:
        (entry,) = archive.infolist()
        assert (entry.filename, entry.compress_type) == ("labels.txt", zipfile.ZIP_STORED)
        assert archive.read(entry).decode().split("\n") == list(LABELS)
        assert described[entry.header_offset :].startswith(b"PK\3\4"), "readers count from the file's start"


def test_weights_stay_where_they_are_aligned(exported: bytes) -> None:
    def alignments(content: bytes) -> list[int]:
        model = schema.Model.GetRootAs(content, 0)
        held = [model.Buffers(index) for index in range(model.BuffersLength())]
        return [buffer._tab.Vector(buffer._tab.Offset(4)) % 16 for buffer in held if buffer.DataLength()]

    described = alignments(add_metadata(exported, METADATA))
    assert described == [*alignments(exported), 0]


def test_buffers_behind_the_flatbuffer_move_into_it() -> None:
    weights = np.random.default_rng(0).bytes(1001)
    plain = buffers_behind(weights)
    assert schema.Model.GetRootAs(plain, 0).Buffers(1).Offset() > 1
    described = add_metadata(plain, METADATA)
    buffer = schema.Model.GetRootAs(described, 0).Buffers(1)
    assert (buffer.Offset(), buffer.DataAsNumpy().tobytes()) == (0, weights)
    assert buffer._tab.Vector(buffer._tab.Offset(4)) % 16 == 0
    assert read_metadata(described) == METADATA


def test_it_costs_a_kilobyte_and_the_labels(exported: bytes) -> None:
    many = tuple(f"class {index}" for index in range(1000))
    described = add_metadata(exported, classifier_metadata("many", many, SPEC))
    assert len(described) - len(exported) < 1100 + len("\n".join(many))


def test_equal_input_gives_equal_bytes() -> None:
    assert len({add_metadata(tflite_of(WEIGHTS), METADATA) for _ in range(2)}) == 1


@settings(max_examples=40)
@given(texts, texts, texts, labels, st.integers(0, 3), st.lists(st.floats(width=32, allow_nan=False), max_size=3))
def test_whatever_is_written_is_read_back(
    name: str, description: str, version: str, labels: tuple[str, ...], side: int, mean: list[float]
) -> None:
    image = dataclasses.replace(
        METADATA.image,
        description=description,
        color=(None, *Color)[side % 3],
        width=side or None,
        height=2 * side or None,
        mean=tuple(mean),
        std=tuple(mean),
    )
    metadata = ModelMetadata(name, description, version, image, ClassScores(version, name, labels))
    assert read_metadata(add_metadata(tflite_of({}), metadata)) == metadata


@pytest.mark.parametrize("label", ["", " ", "two\nlines", "two\rlines", "\ud800"])
def test_a_label_that_no_file_of_labels_can_hold_is_refused(label: str) -> None:
    with pytest.raises(ModelError, match=r"one line of Unicode text.* Received: .* Rename that class") as caught:
        add_metadata(tflite_of({}), classifier_metadata("mugs", ("cup", label), SPEC))
    assert_one_line(caught.value)


def test_metadata_is_given_once() -> None:
    described = add_metadata(tflite_of({}), METADATA)
    with pytest.raises(ModelError, match="Received: a file that has TFLITE_METADATA") as caught:
        add_metadata(described, METADATA)
    assert_one_line(caught.value)


@pytest.mark.parametrize("content", [b"", b"no model", b"\xff\xff\0\0TFL3", b"\x08\0\0\0TFL3" + b"\xff" * 40])
def test_what_is_no_model_is_refused(content: bytes) -> None:
    for attempt in (lambda: add_metadata(content, METADATA), lambda: read_metadata(content)):
        with pytest.raises(ModelError, match=f"whole .tflite file. Received: {len(content)} bytes") as caught:
            attempt()
        assert_one_line(caught.value)


def test_damage_is_one_kind_of_error() -> None:
    described = bytearray(add_metadata(tflite_of({}), METADATA))
    rng = np.random.default_rng(0)
    refused = 0
    for place in rng.integers(8, len(described), 400):
        damaged = described.copy()
        damaged[place] ^= int(rng.integers(1, 256))
        try:
            read_metadata(bytes(damaged))
        except ModelError as error:
            assert_one_line(error)
            refused += 1
    assert refused > 40


def test_metadata_whose_labels_are_gone_is_refused() -> None:
    described = add_metadata(tflite_of({}), METADATA)
    with pytest.raises(ModelError, match="an archive behind the model that holds its labels") as caught:
        read_metadata(described[: described.index(b"PK\3\4")])
    assert_one_line(caught.value)


def test_a_bundle_that_was_cut_off_is_not_taken_for_the_archive_in_its_classifier() -> None:
    described = add_metadata(tflite_of(WEIGHTS), METADATA)
    measured = Measured(None, 0, "", None, None, len(described))
    fused = FusedForm("classifier.tflite")
    manifest = Manifest("mugs", LABELS, SPEC, "fused", measured, Tolerances(0, 0, 0, 0), fused=fused)
    content = Bundle.build(manifest, {fused.classifier: described}).to_bytes()
    end = content.index(described) + len(described)
    for length in (end, end + 1, end - 22, len(content) - 1):
        with pytest.raises(BundleCorruptError) as caught:
            Bundle.from_bytes(content[:length])
        assert_one_line(caught.value)


def test_a_packed_model_s_metadata_is_rebuilt() -> None:
    described = add_metadata(tflite_of(WEIGHTS), METADATA)
    packed = pack(described)
    assert {tensor.name for tensor in packed.tensors} == {"kernel"}
    assert read_metadata(unpack(packed.content)) == METADATA

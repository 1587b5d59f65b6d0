import dataclasses
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_sdk_runtime import (
    BundleCorruptError,
    BundleVersionError,
    Color,
    Interpolation,
    Manifest,
    PreprocessSpec,
    ResizeMode,
    Similarity,
    UsageError,
)
from edge_sdk_runtime.manifest import (
    SCHEMA_VERSION,
    FileEntry,
    FusedForm,
    Measured,
    StagedForm,
    TaughtClass,
    Tolerances,
    UnknownRule,
)
from tests.runtime.helpers import LABELS, make_manifest

texts = st.text(max_size=20)
sizes = st.integers(0, 2**40)
tolerances = st.floats(0, 1e6)
specs = st.builds(
    PreprocessSpec,
    st.integers(1, 4096),
    st.integers(1, 4096),
    st.sampled_from(ResizeMode),
    st.sampled_from(Interpolation),
    st.sampled_from(Color),
)
staged_forms = st.builds(
    StagedForm, st.none() | texts, texts, st.lists(st.integers(0, 1)).map(tuple), st.sampled_from(Similarity), texts
)
measurements = st.builds(
    Measured, st.none() | st.floats(0, 1), sizes, texts, st.none() | sizes, st.none() | sizes, sizes
)


@st.composite
def manifests(draw: st.DrawFn) -> Manifest:
    forms = draw(st.sampled_from([("staged",), ("fused",), ("staged", "fused")]))
    labels = tuple(draw(st.lists(texts, min_size=2, max_size=5)))
    staged = draw(staged_forms) if "staged" in forms else None
    tells = staged is not None and draw(st.booleans())
    if staged and (tells or draw(st.booleans())):
        staged = dataclasses.replace(staged, memory=draw(texts.filter(bool)))
    thresholds = st.lists(st.floats(1e-3, 1e3), min_size=len(labels), max_size=len(labels)).map(tuple)
    return Manifest(
        name=draw(texts),
        labels=labels,
        preprocess=draw(specs),
        default_form=draw(st.sampled_from(forms)),
        measured=draw(measurements),
        tolerances=draw(st.builds(Tolerances, tolerances, tolerances, tolerances, tolerances)),
        staged=staged,
        fused=draw(st.builds(FusedForm, texts)) if "fused" in forms else None,
        interpreters=tuple(draw(st.lists(texts, max_size=3))),
        requires=draw(st.dictionaries(texts, texts, max_size=2)),
        provenance=draw(st.dictionaries(texts, texts, max_size=4)),
        files=draw(st.dictionaries(texts, st.builds(FileEntry, sizes, texts), max_size=4)),
        unknown=draw(st.builds(UnknownRule, thresholds)) if tells else None,
        version=draw(st.integers(1, 99)),
        taught=tuple(
            draw(st.lists(st.builds(TaughtClass, texts, sizes, sizes, st.none() | st.floats(0, 1)), max_size=2))
        ),
    )


@given(manifests())
def test_reads_what_it_wrote(manifest: Manifest) -> None:
    text = manifest.to_json()
    read = Manifest.from_json(text)
    assert read == manifest
    assert read.to_json() == text


@given(manifests())
def test_is_strict_json(manifest: Manifest) -> None:
    def refuse(constant: str) -> None:
        raise AssertionError(constant)

    assert json.loads(manifest.to_json(), parse_constant=refuse)["schema_version"] == "1.2"


@given(manifests(), st.randoms())
def test_equal_manifests_are_equal_text_whatever_the_order(manifest: Manifest, random: Any) -> None:
    def shuffled(mapping: Any) -> dict[str, Any]:
        items = list(mapping.items())
        random.shuffle(items)
        return dict(items)

    other = dataclasses.replace(manifest, provenance=shuffled(manifest.provenance), files=shuffled(manifest.files))
    assert other.to_json() == manifest.to_json()


def document() -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads(make_manifest().to_json())
    return loaded


def test_forms_and_models_are_named_in_order() -> None:
    manifest = make_manifest("head.tflite")
    assert manifest.forms == ("staged", "fused")
    assert manifest.models == ("classifier.tflite", "encoder.tflite", "head.tflite")
    assert make_manifest().models == ("classifier.tflite", "encoder.tflite")
    assert make_manifest(fused=None).models == ("encoder.tflite",)


@pytest.mark.parametrize("version", ["2.0", "2", "17.3.1"])
def test_newer_major_versions_are_refused_with_the_command_that_helps(version: str) -> None:
    with pytest.raises(
        BundleVersionError,
        match=rf"schema 1\. Received: schema {version}\. Run: pip install --upgrade edge-sdk-runtime$",
    ):
        Manifest.from_json(json.dumps({"schema_version": version, "all": "else is new"}))


def test_newer_minor_versions_may_add_keys_everywhere() -> None:
    newer = document()
    newer["schema_version"] = f"{SCHEMA_VERSION[0]}.{SCHEMA_VERSION[1] + 7}"
    for part in (newer, *(newer[key] for key in ("preprocess", "staged", "fused", "measured", "tolerances"))):
        part["added later"] = {"anything": [1, None]}
    assert Manifest.from_json(json.dumps(newer)) == make_manifest()


SINCE_1_2 = ("unknown", "version", "taught")


@pytest.mark.parametrize("key", sorted(set(document()) - {"requires", *SINCE_1_2}))
def test_a_missing_key_is_named(key: str) -> None:
    incomplete = document()
    del incomplete[key]
    with pytest.raises(BundleCorruptError, match=f"no '{key}'"):
        Manifest.from_json(json.dumps(incomplete))


def test_a_bundle_of_schema_1_0_says_nothing_of_runtimes() -> None:
    older = document()
    del older["requires"]
    assert Manifest.from_json(json.dumps(older)).requires == {}


def test_a_bundle_of_schema_1_1_was_never_taught() -> None:
    older = document()
    del older["staged"]["memory"]
    for key in SINCE_1_2:
        del older[key]
    manifest = Manifest.from_json(json.dumps(older))
    assert manifest == make_manifest()
    assert (manifest.unknown, manifest.version, manifest.taught) == (None, 1, ())


@pytest.mark.parametrize(
    ("memory", "rule"),
    [
        (None, UnknownRule((0.5, 0.5, 0.5))),
        ("memory.npz", UnknownRule((0.5, 0.5))),
        ("memory.npz", UnknownRule((0.5, 0.0, 0.5))),
    ],
)
def test_telling_unknown_images_needs_a_memory_and_a_threshold_per_label(memory: str | None, rule: UnknownRule) -> None:
    staged = dataclasses.replace(make_manifest().staged, memory=memory)
    with pytest.raises(UsageError, match=r"Telling unknown images needs .*\. Received: .*\. Write the bundle again\."):
        make_manifest(staged=staged, unknown=rule)


@pytest.mark.parametrize(
    ("part", "key"),
    [
        (part, key)
        for part in ("preprocess", "staged", "fused", "measured", "tolerances")
        for key in document()[part]
        if key != "memory"
    ],
)
def test_a_missing_nested_key_is_named(part: str, key: str) -> None:
    incomplete = document()
    del incomplete[part][key]
    with pytest.raises(BundleCorruptError, match=f"no '{key}'"):
        Manifest.from_json(json.dumps(incomplete))


@pytest.mark.parametrize(
    ("part", "value"),
    [
        ("schema_version", "one"),
        ("schema_version", None),
        ("labels", ["only one"]),
        ("labels", None),
        ("preprocess", []),
        ("preprocess", {"width": 0, "height": 4, "resize": "stretch", "interpolation": "area", "color": "rgb"}),
        ("preprocess", {"width": 4, "height": 4, "resize": "squash", "interpolation": "area", "color": "rgb"}),
        ("default_form", "both"),
        ("staged", "encoder.tflite"),
        ("staged", None),
        ("fused", []),
        ("measured", None),
        ("tolerances", {"preprocess": "wide", "embed": 0, "similarity": 0, "scores": 0}),
        ("files", ["encoder.tflite"]),
        ("files", {"encoder.tflite": {"size_bytes": "many", "sha256": ""}}),
        ("provenance", "none"),
    ],
)
def test_values_of_the_wrong_kind_are_refused(part: str, value: Any) -> None:
    with pytest.raises(BundleCorruptError, match=r"must follow the bundle schema\. Received: .*Copy the bundle again"):
        Manifest.from_json(json.dumps({**document(), part: value}))


@pytest.mark.parametrize("number", ["1e999", "NaN", "Infinity", "-Infinity", f"1{'0' * 400}"])
def test_numbers_beyond_floating_point_are_refused(number: str) -> None:
    text = make_manifest().to_json().replace('"embed": 0.001', f'"embed": {number}')
    assert number in text
    with pytest.raises(BundleCorruptError, match="must follow the bundle schema"):
        Manifest.from_json(text)


@pytest.mark.parametrize("text", ["", "{", "null", "[]", "7", '"text"', "{}", "[" * 100_000])
def test_what_is_no_manifest_is_refused(text: str) -> None:
    with pytest.raises(BundleCorruptError):
        Manifest.from_json(text)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | texts,
    lambda values: st.lists(values, max_size=3) | st.dictionaries(texts, values, max_size=3),
    max_leaves=8,
)


@given(st.sampled_from(sorted(document())), json_values)
def test_any_value_anywhere_is_read_or_refused(key: str, value: Any) -> None:
    try:
        read = Manifest.from_json(json.dumps({**document(), key: value}))
    except (BundleCorruptError, BundleVersionError):
        return
    assert Manifest.from_json(read.to_json()) == read


@given(st.text(max_size=200))
def test_any_text_is_refused(text: str) -> None:
    with pytest.raises(BundleCorruptError):
        Manifest.from_json(text)


def test_a_classifier_needs_two_labels() -> None:
    with pytest.raises(UsageError, match=r"at least 2 labels\. Received: 1"):
        make_manifest(labels=("only",), staged=None, default_form="fused")


def test_the_default_form_must_be_there() -> None:
    with pytest.raises(UsageError, match=r"staged, fused\. Received: 'both'"):
        make_manifest(default_form="both")
    with pytest.raises(UsageError, match="holds: none"):
        make_manifest(staged=None, fused=None)


@pytest.mark.parametrize("label", [-1, len(LABELS)])
def test_prototypes_belong_to_classes(label: int) -> None:
    staged = make_manifest().staged
    assert staged is not None
    with pytest.raises(UsageError, match=r"class index below 3. Received: \[0, 1, "):
        make_manifest(staged=dataclasses.replace(staged, prototype_labels=(0, 1, label)))

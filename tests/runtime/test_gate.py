"""The gate: what is known of releases, what it finds in models, and what it says of them."""

from __future__ import annotations

import dataclasses
import functools
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_sdk_converters.probe.graph import Graph
from edge_sdk_runtime import (
    Bundle,
    BundleCorruptError,
    BundleError,
    Classifier,
    InterpreterError,
    ModelUnsupportedError,
    UsageError,
    releases,
    signatures,
)
from edge_sdk_runtime import gate as module
from edge_sdk_runtime.gate import (
    Runtime,
    Trouble,
    admit,
    check_operators,
    current_runtimes,
    known_runtimes,
    oldest_runtimes,
    parse_runtime,
    signature_of,
)
from edge_sdk_runtime.interpreters.fake import FakePlug
from edge_sdk_runtime.interpreters.tflite import LITERT, TFLITE_RUNTIME
from edge_sdk_runtime.operators import Operator, Tensor, read_operators
from edge_sdk_runtime.packages import promised
from tests.runtime.helpers import make_bundle

OLD, NEW = Runtime("tflite-runtime", "2.14.0"), Runtime("ai-edge-litert", "2.3.0")
ANY = Tensor("net_1/x_1/X", "float32", (1, 4))
OUT = (Tensor("net_1/hidden_1/MatMul", "float32", (1, 3)),)


def dense(weights: str = "int8", scales: int = 3, version: int = 1, data: str = "float32") -> Operator:
    kernel = Tensor("net_1/hidden_1/MatMul", weights, (3, 4), True, 1.0, scales)
    return Operator("FULLY_CONNECTED", version, (Tensor("net_1/x_1/X", data, (1, 4)), kernel, None), OUT)


def addition(*scales: float, power_of_two: bool = True, name: str = "ADD", kind: str = "int16") -> Operator:
    first, second, last = (Tensor("net_1/add_1/Add", kind, (1, 4), scale=scale, scales=1) for scale in scales)
    return Operator(name, 1, (first, second), (last,), power_of_two=power_of_two)


@functools.cache
def dense_model() -> bytes:
    """A hybrid fully connected operator with a scale per row."""
    graph = Graph()
    taken, given = graph.tensor((1, 4)), graph.tensor((1, 3))
    kernel = graph.tensor((3, 4), "int8", bytes(12), np.ones(3, np.float32))
    graph.operator("FULLY_CONNECTED", [taken, kernel, -1], given, "FullyConnectedOptions")
    return graph.file([taken], [given])


def test_public_names() -> None:
    names = ["Finding", "Runtime", "Trouble", "admit", "check_operators", "current_runtimes", "known_runtimes"]
    assert sorted(module.__all__) == [*names, "oldest_runtimes", "parse_runtime", "signature_of"]
    known = ["Package", "Runtime", "Trouble", "current_runtimes", "known_packages", "known_runtimes", "parse_runtime"]
    assert sorted(releases.__all__) == [*known, "version_numbers"]
    assert sorted(signatures.__all__) == ["dequantized_types", "signature_of"]


def test_the_data_names_its_source_and_fits_itself() -> None:
    document = json.loads(Path(module.__file__).with_name("releases.json").read_text(encoding="utf-8"))
    assert "wheels" in document["source"]
    for package in document["packages"].values():
        listed = package["releases"]
        assert listed == sorted(listed, key=lambda release: tuple(map(int, release.split("."))))
        for changes in package["operators"].values():
            assert list(changes) == [release for release in listed if release in changes]
        for ranges in (*package["refused"].values(), *package["wrong"].values()):
            assert all(listed.index(first) <= listed.index(last) for first, last in ranges)


def test_both_packages_are_known_with_their_newest() -> None:
    assert {runtime.package for runtime in known_runtimes()} == {LITERT.distribution, TFLITE_RUNTIME.distribution}
    assert OLD in current_runtimes()
    assert set(current_runtimes()) <= set(known_runtimes())


@pytest.mark.parametrize(
    "text", ["tflite-runtime==2.14.0", "tflite-runtime==2.14", "tflite-runtime", " tflite-runtime == 2.14.0 "]
)
def test_a_release_is_named_as_pip_does(text: str) -> None:
    assert parse_runtime(text) == OLD


@pytest.mark.parametrize(
    "text", ["tflite", "tflite-runtime==2.99.0", "tflite-runtime==x", "", "==2.14.0", "tflite-runtime=2.14.0"]
)
def test_an_unknown_release_is_refused_with_those_known(text: str) -> None:
    with pytest.raises(UsageError, match=r"tflite-runtime==2\.13\.0, 2\.14\.0; ai-edge-litert==1\.0\.0, ") as caught:
        parse_runtime(text)
    assert f"Received: {text!r}" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("version", range(1, 11))
def test_versions_that_a_release_has_pass(version: int) -> None:
    assert check_operators([dense("float32", 0, version)], OLD) == ()


def test_a_version_that_a_release_lacks_is_found_with_layer_and_the_oldest_that_has_it() -> None:
    (finding,) = check_operators([dense("float32", 0, 12)], OLD)
    assert (finding.operator, finding.version, finding.layer, finding.offered) == (
        "FULLY_CONNECTED",
        12,
        "hidden",
        "1 to 10",
    )
    assert finding.trouble is Trouble.ABSENT
    assert finding.since == (Runtime("ai-edge-litert", "1.0.0"),)
    assert finding.received == "FULLY_CONNECTED version 12 in layer 'hidden', of which it has 1 to 10"
    assert finding.runs_on == "ai-edge-litert 1.0.0 and later"
    assert check_operators([dense("float32", 0, 12)], NEW) == ()


def test_a_version_that_began_later_than_one() -> None:
    assert check_operators([Operator("BROADCAST_TO", 1, (ANY,), OUT)], NEW)
    assert not check_operators([Operator("BROADCAST_TO", 2, (ANY,), OUT)], NEW)


def test_custom_operators_are_in_no_release() -> None:
    for runtime in known_runtimes():
        (finding,) = check_operators([Operator("FlexErf", 1, (ANY,), OUT, custom=True)], runtime)
        assert (finding.trouble, finding.offered, finding.runs_on) == (Trouble.ABSENT, "none", "no release known here")


def test_the_builtin_custom_operators_are_in_every_release() -> None:
    detection = Operator("TFLite_Detection_PostProcess", 1, (ANY,), OUT, custom=True)
    assert not any(check_operators([detection], runtime) for runtime in known_runtimes())


@pytest.mark.parametrize(
    ("operator", "trouble"),
    [
        (dense("int8", 3), Trouble.WRONG),
        (dense("int8", 1), None),
        (dense("int8", 3, data="int8"), None),
        (dense("int4", 3, data="int8"), Trouble.REFUSED),
        (Operator("DEQUANTIZE", 1, (Tensor("w", "int4", (3, 4), True, 1.0, 3),), OUT), Trouble.REFUSED),
        (Operator("DEQUANTIZE", 1, (Tensor("w", "float16", (3, 4), True),), OUT), None),
        (Operator("GELU", 1, (Tensor("x", "int16", (1, 4)),), OUT), Trouble.REFUSED),
        (addition(1 / 32767, 2 / 32767, 4 / 32767), Trouble.REFUSED),
    ],
)
def test_element_types_decide_where_versions_do_not(operator: Operator, trouble: Trouble | None) -> None:
    found = [finding.trouble for finding in check_operators([operator], OLD)]
    assert found == ([trouble] if trouble else [])


def test_weights_behind_a_dequantize_name_their_own_type() -> None:
    stored = Tensor("net_1/conv_1/depthwise", "float16", (1, 3, 3, 8), True)
    plain = Tensor("net_1/conv_1/depthwise_dequant", "float32", (1, 3, 3, 8))
    image = Tensor("net_1/x_1/X", "float32", (1, 5, 5, 8))
    bias = Tensor("net_1/conv_1/bias", "float32", (8,), True)
    operators = [
        Operator("DEQUANTIZE", 1, (stored,), (plain,)),
        Operator("DEPTHWISE_CONV_2D", 1, (image, plain, bias), (image,)),
    ]
    bad = [str(runtime) for runtime in known_runtimes() if check_operators(operators, runtime)]
    assert bad == [f"ai-edge-litert {release}" for release in ("1.1.1", "1.1.2", "1.2.0", "1.3.0")]
    assert oldest_runtimes(operators) == {"tflite-runtime": "2.13.0", "ai-edge-litert": "1.4.0"}


def test_grouped_convolutions_are_told_apart() -> None:
    image = Tensor("x", "float32", (1, 5, 5, 8))
    whole, grouped = (Tensor("w", "int8", (8, 3, 3, n), True, 1.0, 8) for n in (8, 2))
    assert signature_of(Operator("CONV_2D", 1, (image, whole), OUT)) == "CONV_2D float32×int8 per channel"
    assert signature_of(Operator("CONV_2D", 1, (image, grouped), OUT)) == "grouped CONV_2D float32×int8 per channel"


@pytest.mark.parametrize(
    ("operator", "bad"),
    [
        (addition(1 / 32767, 2 / 32767, 4 / 32767), True),  # neither input has the output's scale
        (addition(4 / 32767, 1 / 32767, 1 / 32767), True),  # an input's scale is larger
        (addition(1 / 32767, 2 / 32767, 2 / 32767), False),
        (addition(1 / 32767, 1 / 32767, 1 / 32767), False),
        (addition(1.1 / 32767, 2 / 32767, 4 / 32767), False),  # not near a power of two
        (addition(1 / 32767, 2 / 32767, 4 / 32767, power_of_two=False), False),
        (addition(1 / 32767, 2 / 32767, 4 / 32767, kind="int8"), False),
        (addition(1 / 32767, 2 / 32767, 4 / 32767, name="SUB"), True),
    ],
)
def test_sixteen_bit_sums_need_scales_that_can_be_shifted(operator: Operator, bad: bool) -> None:
    assert ("powers of two" in signature_of(operator)) is bad
    assert bool(check_operators([operator], NEW)) is bad


@pytest.mark.parametrize("place", [0, 1, 2])
def test_sums_without_scales_are_no_shifted_ones(place: int) -> None:
    tensors = [Tensor("x", "int16", (1, 4), scale=None if i == place else 2.0**-15, scales=1) for i in range(3)]
    operator = Operator("ADD", 1, tuple(tensors[:2]), (tensors[2],), power_of_two=True)
    assert signature_of(operator) == "ADD int16"


def test_findings_are_one_per_layer_and_reason() -> None:
    assert len(check_operators([dense(), dense(), dense("int8", 3, version=3)], OLD)) == 2


operators = st.builds(
    Operator,
    st.sampled_from(["CONV_2D", "FULLY_CONNECTED", "ADD", "DEQUANTIZE", "SOFTMAX", "CAST", "GELU", "Strange"]),
    st.integers(1, 14),
    st.lists(
        st.none()
        | st.builds(
            Tensor,
            st.just("n_1/l_1/Op"),
            st.sampled_from(["float32", "int8", "int16", "int4"]),
            st.just((1, 4)),
            st.booleans(),
            st.just(0.5),
            st.integers(0, 3),
        ),
        max_size=3,
    ).map(tuple),
    st.just(OUT),
)


@given(st.lists(operators, max_size=5))
@settings(max_examples=100, deadline=None, derandomize=True)
def test_the_oldest_release_is_where_findings_end(held: Sequence[Operator]) -> None:
    oldest = oldest_runtimes(held)
    for runtime in known_runtimes():
        later = [each for each in known_runtimes() if each.package == runtime.package]
        tail = later[later.index(runtime) :]
        runs = not any(check_operators(held, each) for each in tail)
        begins = (
            runtime.package in oldest
            and tail[0] in later[later.index(Runtime(runtime.package, oldest[runtime.package])) :]
        )
        assert runs is begins


def test_an_unsupported_model_is_refused_in_one_line_with_both_ways_out() -> None:
    with pytest.raises(ModelUnsupportedError) as caught:
        admit(dense_model(), "classifier.tflite", OLD)
    assert isinstance(caught.value, BundleError) and isinstance(caught.value, InterpreterError)
    assert str(caught.value) == (
        "Every operator of classifier.tflite must run on tflite-runtime 2.14.0. Received: FULLY_CONNECTED float32×int8 per "
        "channel in layer 't1', which it computes wrongly (it runs on ai-edge-litert 1.0.0 and later). Run: pip install "
        "--upgrade 'ai-edge-litert>=1.0.0', or write the bundle with edge-sdk compress --runtime tflite-runtime==2.14.0"
    )


@pytest.mark.parametrize(
    ("installed", "refused"),
    [
        (OLD, True),
        (NEW, False),
        (Runtime("tflite-runtime", "2.13.1"), True),  # between two that both do not run it
        (Runtime("tflite-runtime", "2.1.0"), True),  # older than all known ones
        (Runtime("tflite-runtime", "2.15.0"), False),  # newer: who knows
        (Runtime("tflite-runtime", "2.14.0.post1"), True),
        (Runtime("another", "1.0"), False),
    ],
)
def test_only_what_is_known_not_to_run_is_refused(installed: Runtime, refused: bool) -> None:
    if refused:
        with pytest.raises(ModelUnsupportedError):
            admit(dense_model(), "a model", installed)
    else:
        admit(dense_model(), "a model", installed)


@pytest.mark.parametrize(
    ("requires", "expected"),
    [
        ({}, False),
        ({"ai-edge-litert": "1.0.0"}, False),
        ({"tflite-runtime": "2.14"}, True),
        ({"tflite-runtime": "2.15.0"}, False),
    ],
)
def test_a_bundle_promises_its_own_package_from_a_release_on(requires: dict[str, str], expected: bool) -> None:
    assert promised(OLD, requires) == expected


def test_what_is_no_model_is_refused_before_an_interpreter_meets_it() -> None:
    with pytest.raises(BundleCorruptError, match=r"whole \.tflite file"):
        admit(b"no model", "classifier.tflite", OLD)


def test_the_crafted_model_is_what_it_is_said_to_be() -> None:
    (operator,) = read_operators(dense_model())
    assert signature_of(operator) == signature_of(dense())


def test_the_installed_interpreter_is_known() -> None:
    release = LITERT.release()
    assert release is not None
    assert (release.package, release.version) == (LITERT.distribution, LITERT.version())
    assert release in known_runtimes()
    assert TFLITE_RUNTIME.release() is None


def test_a_bundle_is_refused_before_its_model_is_loaded() -> None:
    class Plug(FakePlug):
        def release(self) -> Runtime:  # type: ignore[override]
            return OLD

    bundle = make_bundle({"classifier.tflite": dense_model()}, staged=None, default_form="fused")
    with pytest.raises(ModelUnsupportedError, match=r"Every operator of classifier\.tflite must run on tflite-runtime"):
        Classifier(bundle, interpreter=Plug({}))
    known = dataclasses.replace(bundle.manifest, requires={"tflite-runtime": "2.13.0"})
    with pytest.raises(InterpreterError, match="A fake must be given an interpreter"):  # it got as far as loading
        Classifier(Bundle.build(known, bundle.members()), interpreter=Plug({}))

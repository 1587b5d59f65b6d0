from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_sdk.cli.main import main
from edge_sdk_converters.probe.graph import Graph
from edge_sdk_devices.costs import LayerCost, bundle_costs, model_costs
from edge_sdk_devices.errors import CostError, ProfileError
from edge_sdk_devices.hardware import Arithmetic
from edge_sdk_devices.profile import load_profile
from edge_sdk_devices.roofline import BoundBy, lower_bound, peak_macs_per_s
from edge_sdk_runtime.errors import BundleCorruptError
from tests.devices.boards import layer, round_profile
from tests.runtime.bench.boards import colour_bundle

SLOW = settings(max_examples=40, deadline=None, derandomize=True)
LAYERS = st.lists(
    st.builds(layer, st.integers(0, 50_000), st.integers(0, 5_000), output_bytes=st.integers(0, 5_000)),
    min_size=1,
    max_size=6,
)


def one_operator(
    name: str, inputs: list[tuple[tuple[int, ...], str, bool]], output: tuple[int, ...], kind: str = "float32"
) -> LayerCost:
    """What a file with one operator costs; inputs are shape, element type, and whether their values are in the file."""
    graph = Graph()
    sizes = {"float32": 4, "int32": 4, "int8": 1}
    made = [
        graph.tensor(shape, of, bytes(int(np.prod(shape)) * sizes[of]) if constant else None)
        for shape, of, constant in inputs
    ]
    graph.operator(name, made, result := graph.tensor(output, kind))
    return model_costs(graph.file([made[0]], [result]))[0]


IMAGE = (1, 8, 6, 3)


@pytest.mark.parametrize(
    ("name", "inputs", "output", "macs"),
    [
        ("CONV_2D", [(IMAGE, "float32", False), ((16, 3, 5, 3), "float32", True)], (1, 4, 3, 16), 4 * 3 * 16 * 3 * 5 * 3),
        ("CONV_2D", [((1, 8, 6, 4), "float32", False), ((8, 3, 3, 2), "float32", True)], (1, 8, 6, 8), 48 * 8 * 9 * 2),
        ("DEPTHWISE_CONV_2D", [(IMAGE, "float32", False), ((1, 3, 3, 6), "float32", True)], (1, 8, 6, 6), 48 * 6 * 9),
        ("FULLY_CONNECTED", [((1, 20), "float32", False), ((7, 20), "float32", True)], (1, 7), 140),
        ("TRANSPOSE_CONV", [((4,), "int32", True), ((5, 2, 2, 3), "float32", True), (IMAGE, "float32", False)],
         (1, 16, 12, 5), 8 * 6 * 3 * 2 * 2 * 5),
        ("CONV_3D", [((1, 4, 4, 4, 2), "float32", False), ((2, 2, 2, 2, 5), "float32", True)], (1, 3, 3, 3, 5), 27 * 5 * 16),
        ("BATCH_MATMUL", [((2, 3, 4), "float32", False), ((2, 4, 5), "float32", False)], (2, 3, 5), 2 * 3 * 4 * 5),
        ("BATCH_MATMUL", [((2, 4, 3), "float32", False), ((2, 4, 5), "float32", False)], (2, 3, 5), 2 * 3 * 4 * 5),
        ("ADD", [(IMAGE, "float32", False), (IMAGE, "float32", False)], IMAGE, 0),
    ],
)  # fmt: skip
def test_multiply_accumulates_are_counted_from_the_file(
    name: str, inputs: list[tuple[tuple[int, ...], str, bool]], output: tuple[int, ...], macs: int
) -> None:
    assert one_operator(name, inputs, output).macs == macs


def test_bytes_and_arithmetic_come_from_the_tensors() -> None:
    float32 = one_operator("FULLY_CONNECTED", [((1, 20), "float32", False), ((7, 20), "float32", True)], (1, 7))
    assert (float32.weight_bytes, float32.input_bytes, float32.output_bytes) == (560, 80, 28)
    assert float32.arithmetic is Arithmetic.FLOAT32
    hybrid = one_operator("FULLY_CONNECTED", [((1, 20), "float32", False), ((7, 20), "int8", True)], (1, 7))
    assert (hybrid.weight_bytes, hybrid.arithmetic) == (140, Arithmetic.INT8)


def test_a_constant_that_two_operators_read_comes_from_memory_once() -> None:
    graph = Graph()
    image, weights = graph.tensor((1, 4)), graph.tensor((4, 4), data=bytes(64))
    between, out = graph.tensor((1, 4)), graph.tensor((1, 4))
    graph.operator("FULLY_CONNECTED", [image, weights, -1], between)
    graph.operator("FULLY_CONNECTED", [between, weights, -1], out)
    assert [cost.weight_bytes for cost in model_costs(graph.file([image], [out]))] == [64, 0]


def test_what_cannot_be_counted_is_refused() -> None:
    with pytest.raises(CostError, match=r"must not branch.*Received: WHILE"):
        one_operator("WHILE", [((1,), "float32", False)], (1,))
    with pytest.raises(CostError, match=r"CONV_2D must have the tensors.*Received: 1 inputs"):
        one_operator("CONV_2D", [(IMAGE, "float32", False)], IMAGE)
    with pytest.raises(BundleCorruptError):
        model_costs(b"no model")
    with pytest.raises(CostError, match=r"form must be one the bundle holds: staged, fused\. Received: 'both'"):
        bundle_costs(colour_bundle(), "both")


def test_a_staged_bundle_counts_what_numpy_does_too() -> None:
    staged = bundle_costs(colour_bundle(), "staged")
    assert [(cost.name, cost.macs) for cost in staged if cost.every_core] == [("similarity", 9), ("head 1", 9)]
    assert len(bundle_costs(colour_bundle(), "fused")) == 4


def test_compute_bounds_a_layer_with_many_products_and_memory_one_with_many_weights() -> None:
    costs = [layer(macs=10_000), layer(weight_bytes=101_024)]
    bound = lower_bound(costs, round_profile(), 1)
    assert [each.bound_by for each in bound.layers] == [BoundBy.COMPUTE, BoundBy.MEMORY]
    assert [each.seconds for each in bound.layers] == pytest.approx([10e-6, 100e-6]), (
        "1,024 of its bytes stay in the cache"
    )
    assert (bound.seconds, bound.bound_by, bound.macs) == (pytest.approx(110e-6), BoundBy.MEMORY, 10_000)


def test_what_stays_in_the_cache_costs_nothing() -> None:
    bound = lower_bound([layer(weight_bytes=1_000), layer(output_bytes=1_000)], round_profile())
    assert bound.seconds == 0 and {each.bound_by for each in bound.layers} == {BoundBy.NOTHING}


def test_int8_and_threads_raise_the_peak_as_far_as_there_are_cores() -> None:
    profile = round_profile(cores=4)
    assert peak_macs_per_s(profile, Arithmetic.INT8, 1) == 4e9
    assert peak_macs_per_s(profile, Arithmetic.FLOAT32, 3) == 3e9
    assert peak_macs_per_s(profile, Arithmetic.FLOAT32, 64) == 4e9
    assert lower_bound([layer(macs=4_000, every_core=True)], profile, 1).seconds == pytest.approx(1e-6)


@SLOW
@given(LAYERS, st.integers(1, 8), st.integers(1, 4), st.floats(0.1, 10))
def test_more_of_anything_never_makes_the_bound_higher(
    costs: list[LayerCost], threads: int, cache_kb: int, bandwidth: float
) -> None:
    def seconds(threads: int, cache_kb: int, bandwidth: float) -> float:
        return lower_bound(costs, round_profile(bandwidth, cache_kb), threads).seconds * (1 - 1e-12)

    reference = lower_bound(costs, round_profile(bandwidth, cache_kb), threads).seconds
    assert seconds(threads + 1, cache_kb, bandwidth) <= reference
    assert seconds(threads, cache_kb + 1, bandwidth) <= reference
    assert seconds(threads, cache_kb, bandwidth * 2) <= reference


@SLOW
@given(LAYERS, st.data())
def test_no_choice_of_what_the_cache_keeps_is_faster_than_the_bound(
    costs: list[LayerCost], data: st.DataObject
) -> None:
    """The weights that a cache of 1 KiB keeps from one image to the next may be chosen in any way."""
    left, least = 1024, 0.0
    for cost in costs:
        kept = data.draw(st.integers(0, min(left, cost.weight_bytes)))
        left -= kept
        traffic = cost.weight_bytes - kept + max(0, cost.output_bytes - 1024)
        least += max(cost.macs / 1e9, traffic / 1e9)
    assert lower_bound(costs, round_profile(), 1).seconds <= least * (1 + 1e-12)


@SLOW
@given(LAYERS)
def test_layers_add_up(costs: list[LayerCost]) -> None:
    bound = lower_bound(costs, round_profile(), 1)
    assert bound.seconds == pytest.approx(sum(each.seconds for each in bound.layers))
    assert all(each.seconds >= each.cost.macs / 1e9 for each in bound.layers)


def test_a_bound_says_that_it_is_an_estimate_and_what_it_leaves_out() -> None:
    words = str(lower_bound([layer(macs=1_000_000)], round_profile(), 1))
    assert words.startswith("at least 1 ms with 1 thread (an estimate, the roofline's lower bound: ")
    assert "nothing measured" in words and "memory not counted" not in words
    assert "memory not counted" in str(lower_bound([layer(macs=1)], round_profile(bandwidth_gb_s=None), 1))


def test_without_sources_there_is_no_bound() -> None:
    with pytest.raises(
        ProfileError, match=r"needs cores, clock_mhz and a roofline\. Received: the profile jetson-xavier-nx"
    ):
        lower_bound([layer(1)], load_profile("jetson-xavier-nx"))
    with pytest.raises(ProfileError, match=r"threads must be at least 1\. Received: 0"):
        lower_bound([layer(1)], round_profile(), 0)
    unclocked = dataclasses.replace(round_profile(), cpu=dataclasses.replace(round_profile().cpu, clock_mhz=None))
    with pytest.raises(ProfileError, match="the profile round"):
        lower_bound([layer(1)], unclocked)


def test_the_command_lists_and_shows(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bundle = tmp_path / "colours.edge"
    colour_bundle().write(bundle)
    assert main(["devices", "list"]) == 0
    assert "raspberry-pi-zero-2-w  Raspberry Pi Zero 2 W" in capsys.readouterr().out
    assert main(["devices", "show", "raspberry-pi-4", "--bundle", str(bundle), "--threads", "2"]) == 0
    shown = capsys.readouterr().out
    assert "~/edge/bin/pip install -c constraints-raspberry-pi-os-trixie-64.txt edge-sdk-runtime" in shown
    assert f"{bundle}: at least " in shown and " with 2 threads (an estimate, " in shown
    assert main(["devices", "show", "jetson-nano", "--constraints", "4"]) == 0
    assert capsys.readouterr().out == load_profile("jetson-nano").systems[0].constraints_text()


def test_the_command_speaks_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bundle = tmp_path / "colours.edge"
    colour_bundle().write(bundle)
    assert main(["devices", "list", "--json"]) == 0
    assert {each["name"] for each in json.loads(capsys.readouterr().out)} >= {"jetson-nano", "iphone", "x86-64"}
    assert main(["devices", "show", "--bundle", str(bundle), "--form", "staged", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["lower_bound"]["estimate"] is True and document["lower_bound"]["seconds"] > 0
    assert document["cpu"]["cores"] >= 1, "without a name it is this machine"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["devices", "show", "pi"], "A device must be one of"),
        (
            ["devices", "show", "raspberry-pi-4", "--constraints", "windows"],
            "A system of raspberry-pi-4 must be one of",
        ),
        (["compress", "m.keras", "--data", "digits", "-o", "m.edge", "--target", "pi"], "A device must be one of"),
    ],
)
def test_the_command_refuses_in_one_line(
    arguments: list[str],
    words: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(arguments) == 2
    said = capsys.readouterr().err
    assert said.startswith("edge-sdk: ") and words in said and said.count("\n") == 1
    assert not list(tmp_path.iterdir())

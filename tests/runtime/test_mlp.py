import tracemalloc
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_sdk_runtime import BundleCorruptError, MlpHead, UsageError
from edge_sdk_runtime.mlp import CompiledMlp
from tests.runtime.helpers import npy, npz, softmax


def random_head(widths: list[int], seed: int = 0, scale: float = 1.0) -> MlpHead:
    rng = np.random.default_rng(seed)
    pairs = list(pairwise(widths))
    return MlpHead(
        tuple(rng.normal(0, scale, pair).astype(np.float32) for pair in pairs),
        tuple(rng.normal(0, scale, pair[1]).astype(np.float32) for pair in pairs),
    )


def plainly(head: MlpHead, features: np.ndarray) -> np.ndarray:
    """The definition in double precision, one sample."""
    hidden = features.astype(np.float64)
    for index, (kernel, bias) in enumerate(zip(head.kernels, head.biases, strict=True)):
        hidden = hidden @ kernel.astype(np.float64) + bias
        if index < len(head.kernels) - 1:
            hidden = np.where(hidden > 0, hidden, 0)
    return softmax(hidden)


@given(st.lists(st.integers(1, 9), min_size=2, max_size=5), st.integers(0, 99))
def test_follows_its_definition(widths: list[int], seed: int) -> None:
    head = random_head(widths, seed)
    batch = np.random.default_rng(seed).normal(size=(4, widths[0])).astype(np.float32)
    scores = head(batch)
    assert (head.inputs, head.outputs) == (widths[0], widths[-1])
    assert scores.dtype == np.float32
    np.testing.assert_allclose(scores, [plainly(head, row) for row in batch], rtol=0, atol=1e-4)
    np.testing.assert_allclose(scores.sum(axis=1), 1, rtol=0, atol=1e-6)
    for row, alone in zip(scores, batch, strict=True):
        assert head(alone).shape == (widths[-1],)
        np.testing.assert_allclose(head(alone), row, rtol=0, atol=1e-5)


@settings(max_examples=50, deadline=None, derandomize=True)
@given(st.lists(st.integers(1, 40), min_size=2, max_size=5), st.integers(0, 99))
def test_a_compiled_head_scores_as_the_head(widths: list[int], seed: int) -> None:
    head = random_head(widths, seed)
    compiled, out = CompiledMlp(head), np.empty(widths[-1], np.float32)
    for features in np.random.default_rng(seed).normal(size=(3, widths[0])).astype(np.float32):
        before = features.copy()
        compiled.into(features, out)
        np.testing.assert_allclose(out, head(features), rtol=0, atol=1e-6)
        np.testing.assert_array_equal(features, before)


def test_a_compiled_head_of_many_classes_with_large_scores() -> None:
    head = random_head([16, 64, 1000], scale=6)
    compiled, out = CompiledMlp(head), np.empty(1000, np.float32)
    features = np.random.default_rng(1).normal(0, 50, 16).astype(np.float32)
    compiled.into(features, out)
    np.testing.assert_allclose(out, head(features), rtol=0, atol=1e-6)
    np.testing.assert_allclose(out.sum(), 1, rtol=0, atol=1e-6)


def test_a_compiled_head_allocates_next_to_nothing() -> None:
    compiled, features, out = (
        CompiledMlp(random_head([8, 64, 64, 100])),
        np.ones(8, np.float32),
        np.empty(100, np.float32),
    )
    compiled.into(features, out)
    tracemalloc.start()
    before, _ = tracemalloc.get_traced_memory()
    compiled.into(features, out)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak - before <= 512  # one layer's result alone would be 256 bytes and an array's 112 around them


def test_a_compiled_head_tells_numbers_that_are_none() -> None:
    out = np.empty(2, np.float32)
    CompiledMlp(random_head([3, 2])).into(np.array([1, np.nan, 0], np.float32), out)
    assert np.isnan(out).all()


@pytest.mark.parametrize("widths", [[3, 2], [3, 4, 2]])
def test_features_stay_as_they_are(widths: list[int]) -> None:
    features = np.array([1, -2, 3], np.float32)
    random_head(widths)(features)
    assert features.tolist() == [1, -2, 3]


def test_weights_stay_as_they_are() -> None:
    head = random_head([3, 4, 2])
    before = head.to_bytes()
    head(np.ones(3, np.float32))
    assert head.to_bytes() == before


def test_large_scores_do_not_overflow() -> None:
    head = MlpHead((np.array([[1e30, -1e30]], np.float32),), (np.zeros(2, np.float32),))
    assert head(np.ones(1, np.float32)).tolist() == [1, 0]
    assert head(-np.ones(1, np.float32)).tolist() == [0, 1]


@given(st.lists(st.integers(1, 6), min_size=2, max_size=4))
def test_reads_what_it_wrote(widths: list[int]) -> None:
    head = random_head(widths)
    read = MlpHead.from_bytes(head.to_bytes())
    assert len(read.kernels) == len(head.kernels)
    for one, other in zip((*read.kernels, *read.biases), (*head.kernels, *head.biases), strict=True):
        assert one.dtype == np.float32
        np.testing.assert_array_equal(one, other)
    assert read.to_bytes() == head.to_bytes()


def test_many_layers_keep_their_order() -> None:
    head = random_head([2] * 13)
    read = MlpHead.from_bytes(head.to_bytes())
    np.testing.assert_array_equal(read(np.ones(2, np.float32)), head(np.ones(2, np.float32)))


@pytest.mark.parametrize(
    ("kernels", "biases", "message"),
    [
        ([], [], "0 kernels, 0 biases"),
        ([(2, 3)], [], "1 kernels, 0 biases"),
        ([(2, 3)], [(2,)], r"Layer 0 .*\[2, out\].*Received: \[2, 3\] and \[2\]"),
        ([(2, 3)], [(1, 3)], "Layer 0"),
        ([(2, 3), (4, 2)], [(3,), (2,)], r"Layer 1 .*\[3, out\].*Received: \[4, 2\]"),
        ([(2,)], [()], "Layer 0"),
        ([()], [()], "Layer 0"),
        ([(1, 2, 3)], [(2, 3)], "Layer 0"),
    ],
)
def test_refuses_layers_that_do_not_fit(
    kernels: list[tuple[int, ...]], biases: list[tuple[int, ...]], message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        MlpHead(
            tuple(np.zeros(shape, np.float32) for shape in kernels),
            tuple(np.zeros(shape, np.float32) for shape in biases),
        )


KERNEL, BIAS = np.eye(2, dtype=np.float32), np.zeros(2, np.float32)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"text",
        b"PK\x03\x04",
        npz({}),
        npy(KERNEL),
        npz({"kernel_0": KERNEL}),
        npz({"kernel_1": KERNEL, "bias_1": BIAS}),
        npz({"kernel_0": KERNEL, "bias_0": BIAS, "kernel_2": KERNEL, "bias_2": BIAS}),
        npz({"kernel_0": KERNEL, "bias_0": BIAS[:1]}),
        npz({"kernel_0": np.array("weights"), "bias_0": BIAS}),
        npz({"kernel_0": KERNEL, "bias_0": BIAS})[:-30],
        random_head([3, 3]).to_bytes()[:-1],
    ],
)
def test_refuses_files_that_hold_no_head(content: bytes) -> None:
    with pytest.raises(BundleCorruptError, match=r"[Hh]ead must .*Received: .*again"):
        MlpHead.from_bytes(content)

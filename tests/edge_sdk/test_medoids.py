"""Medoids are points of the data that stand for the others."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_sdk.learn import medoids as module
from edge_sdk.learn.medoids import k_medoids


def cost(points: np.ndarray, medoids: np.ndarray) -> float:
    return float(np.square(points[:, None] - points[medoids][None]).sum(axis=2).min(axis=1).sum())


def test_public_names() -> None:
    assert module.__all__ == ["k_medoids"]


@settings(max_examples=40, deadline=None, derandomize=True)
@given(seed=st.integers(0, 2**32), points=st.integers(2, 30), data=st.data())
def test_no_member_of_a_cluster_would_serve_it_better(seed: int, points: int, data: st.DataObject) -> None:
    count = data.draw(st.integers(1, points))
    x = np.random.default_rng(seed).normal(size=(points, 3)).astype(np.float32)
    found = k_medoids(x, count, seed)
    assert found.dtype == np.int64 and len(set(found)) == count and (np.diff(found) > 0).all()
    np.testing.assert_array_equal(found, k_medoids(x, count, seed))
    owners = np.square(x[:, None] - x[found][None]).sum(axis=2).argmin(axis=1)
    for own, medoid in enumerate(found):
        members = np.flatnonzero(owners == own)
        best = min(cost(x[members], np.array([place])) for place in range(len(members)))
        assert cost(x[members], np.flatnonzero(members == medoid)) <= best * (1 + 1e-5) + 1e-9


def test_clusters_are_found() -> None:
    rng = np.random.default_rng(0)
    centres = 10 * rng.normal(size=(4, 5))
    x = (np.repeat(centres, 20, axis=0) + 0.1 * rng.normal(size=(80, 5))).astype(np.float32)
    assert sorted(found // 20 for found in k_medoids(x, 4)) == [0, 1, 2, 3]


def test_one_medoid_is_next_to_the_mean() -> None:
    x = np.random.default_rng(1).normal(size=(50, 4)).astype(np.float32)
    assert k_medoids(x, 1)[0] == np.linalg.norm(x - x.mean(axis=0), axis=1).argmin()

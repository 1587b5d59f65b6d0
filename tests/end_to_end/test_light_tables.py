"""Finished trainings of the LightLayers tables are found again by what decides them, and by nothing else."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks import light_tables
from benchmarks.light_tables import CIFAR, GRAY, TABLES, Cell, Method, Result, keep_result, kept_result
from edge_sdk_runtime.cache import CACHE_VARIABLE


def test_a_kept_result_is_found_again_for_the_same_cell_only(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "cache"))
    cell, result = Cell(GRAY, Method.LIGHT, 2), Result(4392, 0.97, 12.5, "a note")
    assert kept_result(cell) is None
    keep_result(cell, result)
    assert kept_result(cell) == result
    others = (Cell(GRAY, Method.LIGHT, 3), Cell(GRAY, Method.CONV, 0), Cell(replace(GRAY, epochs=9), Method.LIGHT, 2))
    assert [kept_result(other) for other in (*others, Cell(CIFAR, Method.LIGHT, 2))] == [None] * 4
    monkeypatch.setattr(light_tables, "CODE", "another")
    assert kept_result(cell) is None


def test_tables_have_every_published_row() -> None:
    assert [(setting.data, len(rows)) for setting, rows in TABLES] == [
        ("mnist", 8),
        ("fashion_mnist", 8),
        ("cifar10", 7),
        ("cifar100", 7),
    ]
    assert [row.name for row in TABLES[2][1]][:3] == ["Conv2D", "SeparableConv2D", "Light k=1"]

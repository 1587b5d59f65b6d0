"""Networks that benchmarks train, kept between runs and checkouts: an interrupted benchmark goes on where it was.

A cache is lost with its machine. The folder `kept` beside this module holds copies of some of its files, which are found before the
cache is asked; delete one in both places to learn it anew.
"""

from __future__ import annotations

import hashlib
import json
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edge_sdk_devices.errors import EdgeSdkError
from edge_sdk_runtime.cache import CACHE_VARIABLE, cache_status
from edge_sdk_runtime.files import write_atomically, written_atomically

if TYPE_CHECKING:
    import keras
    from numpy.typing import NDArray

__all__ = ["MissingNeedError", "NothingKeptError", "cache", "kept", "kept_array", "kept_row"]


_OF_REPOSITORY = Path(__file__).parent / "kept"


class MissingNeedError(EdgeSdkError):
    """What a benchmark needs is not there; the message says how to get it."""


class NothingKeptError(MissingNeedError):
    """Nothing can be kept: hours of training would be lost."""


def cache() -> Path:
    """The folder `benchmarks` in the SDK's cache, made where it is missing; delete it to train everything anew.

    Raises:
        NothingKeptError: The cache cannot be written to.
    """
    found = cache_status()
    if found.folder is None or found.problem:
        raise NothingKeptError(
            f"Trained networks must be kept between runs. Received: {found.folder} ({found.problem}). "
            f"Set {CACHE_VARIABLE} to a folder that can be written to."
        )
    folder = found.folder / "benchmarks"
    folder.mkdir(exist_ok=True)
    return folder


def kept(name: str, settings: Mapping[str, Any], train: Callable[[], keras.Model]) -> keras.Model:
    """A trained network, from the cache where one of the same settings is there.

    Args:
        name: What it is called.
        settings: Everything that decides what comes out; another value is another network.
        train: Trains it.
    """
    import keras

    path = _place(f"{name}-{_digest(settings)}.keras")
    if path.exists():
        return keras.models.load_model(path, compile=False)  # the loss it learnt with is of no use here
    model = train()
    unfinished = path.with_name(f".unfinished-{path.name}")
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "__array__ implementation", DeprecationWarning)  # Keras 3.15 on NumPy 2.4
        model.save(unfinished)
    unfinished.replace(path)
    return model


def kept_row(name: str, settings: Mapping[str, Any], measure: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """A row that takes minutes of training, from the cache where one of the same settings is there.

    Args:
        name: What it is called.
        settings: Everything that decides what comes out; another value is another row.
        measure: Gives the row; its values are what JSON can hold.
    """
    path = cache() / f"{name}-{_digest(settings)}.json"
    if path.exists():
        found: dict[str, Any] = json.loads(path.read_bytes())
        return found
    row = measure()
    write_atomically(path, json.dumps(row).encode())
    return row


def kept_array(name: str, settings: Mapping[str, Any], make: Callable[[], NDArray[Any]]) -> NDArray[Any]:
    """An array that takes minutes of training, from the cache where one of the same settings is there.

    Args:
        name: What it is called.
        settings: Everything that decides what comes out; another value is another array.
        make: Makes it.
    """
    import numpy as np

    path = _place(f"{name}-{_digest(settings)}.npy")
    if path.exists():
        found: NDArray[Any] = np.load(path, allow_pickle=False)
        return found
    array = make()
    with written_atomically(path) as file:
        np.save(file, array)
    return array


def _place(name: str) -> Path:
    """Where a file lies: in this repository, else in the cache, whether it is there or not."""
    own = _OF_REPOSITORY / name
    return own if own.exists() else cache() / name


def _digest(settings: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()[:12]

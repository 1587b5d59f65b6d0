"""Networks that benchmarks train, kept between runs: an interrupted benchmark goes on where it was."""

from __future__ import annotations

import hashlib
import json
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import keras

__all__ = ["CACHE", "kept"]

CACHE = Path(__file__).parent / ".cache"
"""Delete it to train everything anew."""


def kept(name: str, settings: Mapping[str, Any], train: Callable[[], keras.Model]) -> keras.Model:
    """A trained network, from the cache where one of the same settings is there.

    Args:
        name: What it is called.
        settings: Everything that decides what comes out; another value is another network.
        train: Trains it.
    """
    import keras

    digest = hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()[:12]
    path = CACHE / f"{name}-{digest}.keras"
    if path.exists():
        return keras.models.load_model(path, compile=False)  # the loss it learnt with is of no use here
    model = train()
    CACHE.mkdir(exist_ok=True)
    unfinished = path.with_name(f".unfinished-{path.name}")
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "__array__ implementation", DeprecationWarning)  # Keras 3.15 on NumPy 2.4
        model.save(unfinished)
    unfinished.replace(path)
    return model

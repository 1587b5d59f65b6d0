"""Selection of a data set that is divided over machines: each writes what its selector remembers, and one merges the files."""

from __future__ import annotations

import dataclasses
import hashlib
import io
import json
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from edge_sdk_runtime.files import write_atomically

from ...errors import DataError
from .base import Selector, Strategy
from .select import SelectionConfig, make_selector

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

__all__ = ["Part", "fingerprint", "merge_parts", "parse_part", "read_part", "write_part"]

_HEADER, _NAMES, _CANDIDATES = "part", "names", "candidates"


@dataclass(frozen=True, eq=False)
class Part:
    """One of several parts of a data set, seen.

    Attributes:
        number: Which part, from 1.
        parts: How many there are.
        data: Fingerprint of the whole data set and what it was embedded with, the same for all parts.
        samples: Samples of the whole data set.
        config: How samples are chosen.
        selector: What remembers the part.
        names: Names of the selector's candidates, by index.
    """

    number: int
    parts: int
    data: str
    samples: int
    config: SelectionConfig
    selector: Selector
    names: Mapping[int, str]

    @property
    def rows(self) -> range:
        """The samples of this part."""
        return range(self.samples * (self.number - 1) // self.parts, self.samples * self.number // self.parts)


def parse_part(text: str) -> tuple[int, int]:
    """Understand "2/4".

    Returns:
        Which part, from 1, and how many there are.

    Raises:
        DataError: It is nothing like that.
    """
    number, _, parts = text.partition("/")
    if not (number.isdecimal() and parts.isdecimal() and 1 <= int(number) <= int(parts)):
        raise DataError(f"A part must be written as NUMBER/PARTS, such as 2/4. Received: {text}. Number them from 1.")
    return int(number), int(parts)


def fingerprint(names: Sequence[str], embedded_by: str) -> str:
    """What tells data sets apart: a hash of the images' names, in order, and of what embeds them.

    Args:
        names: Of all images to choose from.
        embedded_by: Such as a hash of the model's file.
    """
    digest = hashlib.sha256(embedded_by.encode())
    for name in names:
        digest.update(name.encode("utf-8", "surrogateescape") + b"\n")
    return digest.hexdigest()[:16]


def write_part(path: str | Path, part: Part) -> None:
    """Write a part, atomically.

    Args:
        path: A `.npz` file.
        part: What was seen.
    """
    header = {
        "number": part.number,
        "parts": part.parts,
        "data": part.data,
        "samples": part.samples,
        "config": dataclasses.asdict(part.config),
    }
    candidates = part.selector.candidates
    names = json.dumps([part.names[int(index)] for index in candidates])
    arrays = {
        _HEADER: np.frombuffer(json.dumps(header).encode(), np.uint8),
        _NAMES: np.frombuffer(names.encode(), np.uint8),
        _CANDIDATES: candidates,
        **{f"state/{name}": array for name, array in part.selector.state().items()},
    }
    content = io.BytesIO()
    np.savez(content, **arrays)  # type: ignore[arg-type]  # NumPy's stub takes the first for an option
    write_atomically(path, content.getvalue())


def read_part(path: str | Path) -> Part:
    """Read a part.

    Raises:
        DataError: The file holds none.
    """
    try:
        with Path(path).open("rb") as content, np.load(content, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
        header: dict[str, Any] = json.loads(arrays[_HEADER].tobytes())
        names = json.loads(arrays[_NAMES].tobytes())
        strategy = Strategy(header["config"].pop("strategy"))
        config = SelectionConfig(strategy, **header.pop("config"))
        selector = make_selector(config)
        selector.restore({name.removeprefix("state/"): a for name, a in arrays.items() if name.startswith("state/")})
        by_index = dict(zip(arrays[_CANDIDATES].tolist(), names, strict=True))
        return Part(config=config, selector=selector, names=by_index, **header)
    except (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile) as error:
        raise DataError(
            f"A part must be a file that edge-sdk select --part wrote. Received: {path} ({error}). Write it again."
        ) from error


def merge_parts(paths: Sequence[str | Path]) -> tuple[NDArray[np.int64], tuple[str, ...]]:
    """Choose from all parts together, exactly as from the whole data set at once.

    Args:
        paths: Every part, in any order.

    Returns:
        The chosen samples, `int64 [k]`, in order of choice, and their names.

    Raises:
        DataError: A part is missing, there twice, or of other data or other options.
    """
    parts = [read_part(path) for path in paths]
    _check_complete(parts, paths)
    first, *others = parts
    names = dict(first.names)
    for other in others:
        first.selector.merge(other.selector)
        names.update(other.names)
    chosen = first.selector.result(min(first.config.count, first.selector.available))
    return chosen, tuple(names[int(index)] for index in chosen)


def _check_complete(parts: Sequence[Part], paths: Sequence[str | Path]) -> None:
    for part, path in zip(parts, paths, strict=True):
        if (part.parts, part.data, part.samples) != (parts[0].parts, parts[0].data, parts[0].samples):
            raise DataError(
                f"Parts must be of the same data, embedded by the same model. Received: {path} and {paths[0]}, which differ. "
                "Run every part with the same data, --seed, --limit and --model."
            )
    found = sorted(part.number for part in parts)
    if found != list(range(1, parts[0].parts + 1)):
        raise DataError(
            f"Parts 1 to {parts[0].parts} must be there, each once. Received: {', '.join(map(str, found))}. "
            "Add what is missing, leave out what is there twice."
        )

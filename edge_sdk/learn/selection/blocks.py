"""What every selector does first: blocks of vectors are checked, cut into pieces of bounded size, and their rows numbered."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ...errors import DataError

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Piece", "check_labels", "npy_blocks", "pieces", "rows_at_once"]

_VALUES_AT_ONCE = 2**21
"""8 MiB of float32: enough that NumPy's overhead disappears, little enough that memory stays flat."""


@dataclass(frozen=True, eq=False)
class Piece:
    """Some rows of a block.

    Attributes:
        rows: `float32 [M, D]`, finite.
        indices: `int64 [M]`, the sample that each row belongs to.
        labels: `int64 [M]`, class index of each, or None where none were given.
        lowest: `float32 [D]`, the least value of each column.
    """

    rows: NDArray[np.float32]
    indices: NDArray[np.int64]
    labels: NDArray[np.int64] | None
    lowest: NDArray[np.float32]


def pieces(
    block: NDArray[Any],
    first_index: int | NDArray[np.int64],
    labels: NDArray[np.int64] | None = None,
    width: int | None = None,
) -> Iterator[Piece]:
    """Check a block and cut it.

    Args:
        block: Real numbers `[M, D]`, an array or a memory-mapped one; compared as float32.
        first_index: The index of the first row, the following ones count on; or the index of every row, `int64 [M]`.
        labels: Class index of every row, `int64 [M]`.
        width: D of the blocks before; None for the first.

    Yields:
        Pieces of at most 8 MiB, in order.

    Raises:
        DataError: The block is no such array, holds NaN or infinity, or labels or indices do not belong to it.
    """
    _check_block(block, width)
    indices = _indices(first_index, len(block))
    if labels is not None:
        labels = check_labels(labels, len(block))
    step = rows_at_once(block.shape[1])
    for start in range(0, len(block), step):
        part = slice(start, start + step)
        rows = np.ascontiguousarray(block[part], np.float32)
        lowest = _lowest(rows, indices[part])
        yield Piece(rows, indices[part], None if labels is None else labels[part], lowest)


def rows_at_once(width: int) -> int:
    """Rows of a piece, for vectors of this width."""
    return max(1, _VALUES_AT_ONCE // max(1, width))


def check_labels(labels: NDArray[Any], rows: int) -> NDArray[np.int64]:
    """Class indices as int64.

    Raises:
        DataError: They are not one integer from 0 for each row.
    """
    given = np.asarray(labels)
    if given.shape != (rows,) or given.dtype.kind not in "iu" or (rows and given.min() < 0):
        raise DataError(
            f"Labels must be one class index from 0 for each of {rows} rows. Received: {given.dtype} {list(given.shape)}. "
            "Pass int64 [rows]."
        )
    return given.astype(np.int64, copy=False)


def npy_blocks(path: str | Path, rows: int | None = None) -> Iterator[NDArray[Any]]:
    """The rows of a `.npy` file in blocks, read one after the other; no more than one block is in memory.

    Unlike the pages of a memory-mapped array, what was read is not counted to the process afterwards.

    Args:
        path: A file with a two-dimensional array in C order.
        rows: Rows per block; None for blocks of 8 MiB of float32.

    Raises:
        DataError: It holds no such array, or ends too early.
    """
    with Path(path).open("rb") as file:
        shape, dtype = _header(file, path)
        step = rows or rows_at_once(shape[1])
        for start in range(0, shape[0], step):
            count = min(step, shape[0] - start) * shape[1]
            block = np.fromfile(file, dtype, count)
            if len(block) < count:
                raise DataError(
                    f"A .npy file must hold all of its {shape[0]} rows. Received: {path}, which ends after "
                    f"{start + len(block) // max(1, shape[1])}. Write it again."
                )
            yield block.reshape(-1, shape[1])


def _header(file: Any, path: str | Path) -> tuple[tuple[int, ...], np.dtype[Any]]:
    try:
        version = np.lib.format.read_magic(file)
        reader = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, in_columns, dtype = reader(file)
    except ValueError as error:
        raise DataError(
            f"Embeddings must be in a .npy file. Received: {path} ({error}). Write it with numpy.save()."
        ) from error
    if len(shape) != 2 or in_columns or dtype.hasobject:
        raise DataError(
            f"A .npy file of embeddings must hold real numbers [N, D] in C order. Received: {dtype} {list(shape)} in {path}. "
            "Write numpy.ascontiguousarray(embeddings)."
        )
    return shape, dtype


def _check_block(block: NDArray[Any], width: int | None) -> None:
    if getattr(block, "ndim", 0) != 2 or block.dtype.kind not in "fiu" or not block.shape[1]:
        kind = f"{block.dtype} {list(block.shape)}" if isinstance(block, np.ndarray) else type(block).__name__
        raise DataError(
            f"A block must be an array of real numbers [rows, width]. Received: {kind}. Pass one vector a row."
        )
    if width is not None and block.shape[1] != width:
        raise DataError(
            f"All blocks must be as wide as the first, {width}. Received: {list(block.shape)}. Use one encoder for all of them."
        )


def _indices(first_index: int | NDArray[np.int64], rows: int) -> NDArray[np.int64]:
    if isinstance(first_index, np.ndarray):
        indices = first_index.astype(np.int64, copy=False)
    else:
        indices = np.arange(first_index, first_index + rows, dtype=np.int64)
    if indices.shape != (rows,) or (rows and indices.min() < 0):
        raise DataError(
            f"Indices must be 0 or greater, one for each of {rows} rows. Received: {list(indices.shape)}"
            f"{f' from {indices.min()}' if indices.size else ''}. Pass the index of the first row."
        )
    return indices


def _lowest(rows: NDArray[np.float32], indices: NDArray[np.int64]) -> NDArray[np.float32]:
    """The least value of each column; NaN and infinity cannot hide from the two reductions."""
    lowest: NDArray[np.float32] = rows.min(axis=0)
    if not (np.isfinite(lowest).all() and np.isfinite(rows.max(axis=0)).all()):
        row = int(np.flatnonzero(~np.isfinite(rows).all(axis=1))[0])
        raise DataError(
            f"Vectors to select by must be finite. Received: NaN or infinity in that of sample {indices[row]}. "
            "Leave the sample out, or mend the encoder."
        )
    return lowest

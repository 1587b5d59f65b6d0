"""Plain arrays from the bytes of .npy and .npz files: nothing is unpickled, and nothing larger than the file is allocated."""

from __future__ import annotations

import io
from tokenize import TokenError
from typing import TYPE_CHECKING

import numpy as np

from .archive import ArchiveError, unzip
from .errors import BundleCorruptError

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["load_arrays"]

_HEADERS = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
_ZIP_START = b"PK"


def load_arrays(content: bytes, name: str) -> dict[str, NDArray[np.generic]]:
    """Arrays of an .npz file by name, or the one of an .npy file under the key `""`.

    Args:
        content: The whole file.
        name: What to call it in an error.

    Raises:
        BundleCorruptError: The file is damaged, or holds anything but booleans and real numbers.
    """
    try:
        if not content.startswith(_ZIP_START):
            return {"": _array(content)}
        members = unzip(content, compressed=True)
        return {member.removesuffix(".npy"): _array(array) for member, array in members.items()}
    except (ArchiveError, ValueError, TypeError, SyntaxError, TokenError, OverflowError) as error:
        reason = str(error).split("\n", maxsplit=1)[0]
        raise BundleCorruptError(
            f"{name} must hold plain arrays. Received: {reason}. Copy or write the bundle again."
        ) from error


def _array(content: bytes) -> NDArray[np.generic]:
    file = io.BytesIO(content)
    version = np.lib.format.read_magic(file)
    if version not in _HEADERS:
        raise ValueError(f"an .npy file of version {version}")
    shape, fortran_order, dtype = _HEADERS[version](file)
    if dtype.kind not in "biuf":
        raise ValueError(f"elements of type {dtype}")
    if any(side < 0 for side in shape):
        raise ValueError(f"an array of shape {shape}")
    flat = np.frombuffer(content, dtype, offset=file.tell())
    return flat.reshape(shape, order="F" if fortran_order else "C").copy()

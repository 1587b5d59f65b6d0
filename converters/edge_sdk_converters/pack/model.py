"""A .tflite file → a packed model, with an account of every tensor, and the proof that it comes back byte for byte."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from edge_sdk_runtime.codec import unpack
from edge_sdk_runtime.codec.container import FORMAT_VERSION, FREE_BYTES, MAGIC, MAX_GROWTH
from edge_sdk_runtime.codec.streams import Method

from ..errors import ModelError, ProofError
from .fields import number
from .runs import Run, find_runs
from .streams import CodedStream, shortest
from .tensors import CodedTensor, code_tensor

__all__ = ["SHORTEST_RUN", "Packed", "PackedTensor", "pack"]

SHORTEST_RUN = 48
_THRESHOLDS = (SHORTEST_RUN, 192)
"""Shorter buffers stay in the skeleton; which length pays depends on how they compress there, so both are tried."""


@dataclass(frozen=True)
class PackedTensor:
    """How a tensor is stored.

    Attributes:
        name: Of the tensor in the .tflite file.
        shape: Its shape.
        coding: How its elements are told, such as `"gaps, 16 values"`.
        coders: What codes each of its streams: huffman, deflate, lzma, stored or repeat.
        plain_bytes: Its size in the .tflite file.
        packed_bytes: Its size in the packed file: streams, palette and entry in the directory.
        stream_bytes: Of that, the coded streams.
        bound_bytes: First-order entropy of the streams' symbols: what no code for single symbols can be shorter than.
    """

    name: str
    shape: tuple[int, ...]
    coding: str
    coders: tuple[str, ...]
    plain_bytes: int
    packed_bytes: int
    stream_bytes: int
    bound_bytes: float


@dataclass(frozen=True)
class Packed:
    """A packed model.

    Attributes:
        content: The packed file.
        plain_bytes: Length of the .tflite file.
        skeleton_bytes: Length of that file without its tensors.
        packed_skeleton_bytes: What the skeleton is stored in.
        tensors: How each tensor is stored, in the order of the file.
    """

    content: bytes
    plain_bytes: int
    skeleton_bytes: int
    packed_skeleton_bytes: int
    tensors: tuple[PackedTensor, ...]

    @property
    def size_bytes(self) -> int:
        """Length of the packed file."""
        return len(self.content)

    @property
    def bound_bytes(self) -> float:
        """First-order entropy of all coded streams together."""
        return sum(tensor.bound_bytes for tensor in self.tensors)

    @property
    def stream_bytes(self) -> int:
        """What those streams are stored in."""
        return sum(tensor.stream_bytes for tensor in self.tensors)


def pack(tflite: bytes) -> Packed:
    """Pack a .tflite file; `edge_sdk_runtime.codec.unpack` gives it back byte for byte, which is tried before this returns.

    Args:
        tflite: The whole file, of any quantization.

    Raises:
        ModelError: It is no .tflite file, or so empty that no runtime would rebuild it.
        ProofError: It does not come back.
    """
    coded = [_coded(tflite, run) for run in find_runs(tflite, SHORTEST_RUN)]
    choices = {tuple(each for each in coded if each.run.size_bytes >= least) for least in _THRESHOLDS}
    packed = min((_assemble(tflite, chosen) for chosen in sorted(choices, key=len)), key=lambda each: each.size_bytes)
    _check(tflite, packed)
    return packed


def _check(tflite: bytes, packed: Packed) -> None:
    if len(tflite) > max(FREE_BYTES, MAX_GROWTH * packed.size_bytes):
        raise ModelError(
            f"A model of more than {FREE_BYTES} bytes must not shrink more than {MAX_GROWTH}-fold, since no runtime would rebuild it. "
            f"Received: {len(tflite)} bytes that pack into {packed.size_bytes}. Remove its empty layers."
        )
    if unpack(packed.content) != tflite:
        raise ProofError(
            f"A packed model must be rebuilt byte for byte. Received: {len(tflite)} bytes that come back altered. "
            "Store it plain, and report the model."
        )


def _coded(tflite: bytes, run: Run) -> CodedTensor:
    return code_tensor(tflite[run.offset : run.offset + run.size_bytes], run)


def _assemble(tflite: bytes, chosen: Sequence[CodedTensor]) -> Packed:
    parts, entries, end = [], [], 0
    for tensor in chosen:
        parts.append(tflite[end : tensor.run.offset])
        entries.append(number(len(parts[-1])) + tensor.entry)
        end = tensor.run.offset + tensor.run.size_bytes
    skeleton = shortest(b"".join([*parts, tflite[end:]]), Method.LZMA_AFTER_SKELETONS)
    content = _header(tflite, skeleton) + number(len(chosen)) + b"".join(entries)
    content += skeleton.content + b"".join(tensor.content for tensor in chosen)
    reports = tuple(_report(tensor, entry) for tensor, entry in zip(chosen, entries, strict=True))
    return Packed(content, len(tflite), skeleton.plain_bytes, len(skeleton.content), reports)


def _header(tflite: bytes, skeleton: CodedStream) -> bytes:
    start = MAGIC + bytes([FORMAT_VERSION]) + hashlib.sha256(tflite).digest()
    return start + number(len(tflite)) + number(skeleton.plain_bytes) + skeleton.entry


def _report(tensor: CodedTensor, entry: bytes) -> PackedTensor:
    run = tensor.run
    return PackedTensor(
        run.name,
        run.shape,
        tensor.coding,
        tuple(stream.coder for stream in tensor.streams),
        run.size_bytes,
        len(entry) + len(tensor.content),
        sum(len(stream.content) for stream in tensor.streams),
        tensor.bound_bytes,
    )

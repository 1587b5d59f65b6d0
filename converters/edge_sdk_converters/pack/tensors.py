"""Every form that may suit a tensor, and the shortest of them."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edge_sdk_runtime.codec.tensors import COLUMNS_BIT, Element

from .fields import number
from .forms import Form, places_forms, values_forms
from .runs import Run
from .streams import CodedStream, shortest

__all__ = ["CodedTensor", "code_tensor"]

_LARGE = 1 << 20
"""From here on tables are not coded column by column, which takes longer to undo."""

_TRIED, _TRIED_WHERE_LARGE, _LARGE_BYTES = 16, 3, 1 << 14
"""Forms that are really coded, best estimates first: those know no order and no tables, which decide where all are short."""

_Elements = NDArray[np.unsignedinteger]
_EVERYWHERE = Form(0, b"", b"", (), 0.0, "")


@dataclass(frozen=True)
class CodedTensor:
    """A tensor as it is stored.

    Attributes:
        run: Where it was.
        entry: Its entry in the directory, without the bytes to skip before it.
        content: Streams and palette.
        coding: The form, for a person.
        streams: The coded streams.
        bound_bytes: First-order entropy of what the streams tell, in bytes.
    """

    run: Run
    entry: bytes
    content: bytes
    coding: str
    streams: tuple[CodedStream, ...]
    bound_bytes: float


@dataclass(frozen=True)
class _Draft:
    """A form of places and one of values, in one order."""

    columns: int
    parts: tuple[Form, Form]

    @property
    def estimate_bytes(self) -> float:
        return sum(part.estimate_bytes for part in self.parts)


def code_tensor(content: bytes, run: Run) -> CodedTensor:
    """Store a tensor in the forms that promise to be short, and keep the shortest.

    Args:
        content: Its bytes in the .tflite file.
        run: Where it was, and of what width and shape.
    """
    elements = _elements(content, run.element)
    drafts = sorted(_drafts(elements, run), key=lambda draft: draft.estimate_bytes)
    known: dict[bytes, CodedStream] = {}
    count = _TRIED if drafts[0].estimate_bytes < _LARGE_BYTES else _TRIED_WHERE_LARGE
    tried = [_coded(draft, run, len(elements), known) for draft in drafts[:count]]
    return min(tried, key=lambda coded: len(coded.entry) + len(coded.content))


def _elements(content: bytes, element: Element) -> _Elements:
    """The bytes as unsigned numbers of their width; two to a byte where that is half a byte, the lower first."""
    if element is not Element.HALF_BYTE:
        return np.frombuffer(content, f"<u{element.bytes}")
    whole = np.frombuffer(content, np.uint8)
    return np.stack([whole & 15, whole >> 4], axis=1).ravel()


def _drafts(elements: _Elements, run: Run) -> Iterator[_Draft]:
    for columns in _orders(run.shape):
        ordered = elements.reshape(-1, columns).T.ravel() if columns else elements
        yield from (_Draft(columns, (_EVERYWHERE, values)) for values in values_forms(ordered, run.element))
        if elements.any() and not elements.all():
            forms = places_forms(ordered), values_forms(ordered[ordered != 0], run.element)
            yield from (_Draft(columns, pair) for pair in itertools.product(*forms))


def _orders(shape: tuple[int, ...]) -> Iterator[int]:
    """Row lengths of the tables that a tensor may be coded column by column as; 0 for the order of the file."""
    yield 0
    count = math.prod(shape)
    if count < _LARGE:
        lengths = {math.prod(shape[axis:]) for axis in range(1, len(shape))}
        yield from sorted(length for length in lengths if 1 < length < count)


def _coded(draft: _Draft, run: Run, elements: int, known: dict[bytes, CodedStream]) -> CodedTensor:
    for plain in itertools.chain.from_iterable(part.streams for part in draft.parts):
        if plain not in known:
            known[plain] = shortest(plain)
    bits = run.element | (COLUMNS_BIT if draft.columns else 0) | draft.parts[0].bits | draft.parts[1].bits
    entry = bytes([bits]) + number(elements) + (number(draft.columns) if draft.columns else b"")
    content = b""
    streams: tuple[CodedStream, ...] = ()
    for part in draft.parts:
        coded = tuple(known[plain] for plain in part.streams)
        entry += part.fields + b"".join(stream.entry for stream in coded)
        content += part.raw + b"".join(stream.content for stream in coded)
        streams += coded
    words = ", ".join(part.words for part in draft.parts if part.words)
    return CodedTensor(run, entry, content, words, streams, sum(part.bound_bytes for part in draft.parts))

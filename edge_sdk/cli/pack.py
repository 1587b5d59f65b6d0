"""`edge-sdk pack`: any .tflite file → a packed one."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from .console import command, say
from .options import Json, Output

if TYPE_CHECKING:
    from edge_sdk_converters.pack import Packed

__all__ = ["pack"]


def pack(
    model: Annotated[Path, typer.Argument(help="A .tflite file, of any quantization.", show_default=False)],
    output: Output,
    as_json: Json = False,
) -> None:
    """Entropy-code the weights of a .tflite file; edge-run unpack gives it back byte for byte.

    Bundles with --storage coded hold such files and unpack them by themselves. It pays where weights are zero or shared.
    """
    from edge_sdk_converters.pack import pack as run
    from edge_sdk_runtime.files import write_atomically

    packed = run(model.read_bytes())
    write_atomically(output, packed.content)
    if as_json:
        say(json.dumps(_document(packed, output), ensure_ascii=False, indent=2))
    else:
        _show(packed, output)


def _document(packed: Packed, output: Path) -> dict[str, object]:
    return {
        "packed": str(output),
        "plain_bytes": packed.plain_bytes,
        "packed_bytes": packed.size_bytes,
        "skeleton_bytes": packed.skeleton_bytes,
        "packed_skeleton_bytes": packed.packed_skeleton_bytes,
        "tensors": [dataclasses.asdict(tensor) for tensor in packed.tensors],
    }


def _show(packed: Packed, output: Path) -> None:
    from edge_sdk_runtime.cli.text import format_bytes, format_table

    rows = [("tensor", "shape", "coding", "plain", "packed", "entropy bound")]
    rows += [
        (
            tensor.name if len(tensor.name) <= 40 else f"{tensor.name[:39]}…",
            " × ".join(map(str, tensor.shape)),
            f"{tensor.coding} ({', '.join(tensor.coders) or 'no stream'})",
            format_bytes(tensor.plain_bytes),
            format_bytes(tensor.packed_bytes),
            format_bytes(round(tensor.bound_bytes)),
        )
        for tensor in packed.tensors
    ]
    sizes = f"{format_bytes(packed.plain_bytes)} → {format_bytes(packed.size_bytes)}"
    say(
        *([format_table(rows)] if packed.tensors else []),
        f"{output} is written: {sizes}, {packed.plain_bytes / packed.size_bytes:.1f}×. On the device:",
        f"  {command('edge-run')} unpack {output} -o MODEL.tflite",
    )

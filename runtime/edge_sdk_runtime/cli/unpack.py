"""`edge-run unpack`: a packed model → the .tflite file it was made from."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from ..files import written_atomically
from .text import format_bytes

__all__ = ["add_parser"]


def add_parser(verbs: Any, common: argparse.ArgumentParser) -> None:
    """Add the verb to the command."""
    parser = verbs.add_parser("unpack", parents=[common], help="rebuild the .tflite file of a packed model")
    parser.add_argument("model", help="a file that edge-sdk pack wrote")
    parser.add_argument("-o", "--output", required=True, metavar="FILE", help="the .tflite file to write")
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    from ..codec import PackedModel  # what no other verb needs is not imported for them

    packed = PackedModel.read(Path(options.model).read_bytes())
    with written_atomically(options.output) as file:
        packed.write_to(file.write)
    if options.json:
        print(json.dumps({"model": options.output, "size_bytes": packed.size_bytes, "sha256": packed.sha256}, indent=2))
    else:
        sizes = f"{format_bytes(packed.packed_bytes)} → {format_bytes(packed.size_bytes)}"
        print(f"{options.output} is written: {sizes}, SHA-256 {packed.sha256}.")
    return 0

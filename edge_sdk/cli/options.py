"""Options that several verbs share, described once."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

__all__ = ["Data", "Json", "Limit", "Output", "Seed", "Strict"]

Data = Annotated[
    str,
    typer.Option(
        "--data",
        help="A folder with one folder per class, an .npz file, or digits, mnist, fashion_mnist, cifar10.",
        show_default=False,
    ),
]
Strict = Annotated[bool, typer.Option("--strict", help="Refuse unreadable images instead of skipping and naming them.")]
Limit = Annotated[int | None, typer.Option("--limit", min=3, help="Use at most so many images of each class.")]
Seed = Annotated[int, typer.Option("--seed", min=0, help="Of the split and of everything random.")]
Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON on standard output.")]
Output = Annotated[Path, typer.Option("--output", "-o", help="The file to write.", show_default=False)]

"""`edge-run forget`: a class out of a bundle, on the device itself."""

from __future__ import annotations

import argparse
from typing import Any

__all__ = ["add_parser"]


def add_parser(verbs: Any, common: argparse.ArgumentParser) -> None:
    """Add the verb to the command."""
    parser = verbs.add_parser("forget", parents=[common], help="take a class out of a bundle")
    parser.add_argument("bundle", help="an .edge file; the version before it stays beside it")
    parser.add_argument("label", metavar="NAME", help="the class, whoever taught it")
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    from ..teach import forget_file
    from .teach_text import as_json, as_text

    taught = forget_file(options.bundle, options.label, interpreter=options.interpreter)
    print(as_json(options.bundle, taught) if options.json else as_text(options.bundle, taught))
    return 0

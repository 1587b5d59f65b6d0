"""The option `--cpus` of the verbs that classify."""

from __future__ import annotations

import argparse

__all__ = ["add_cpus_option", "use_chosen_cpus"]


def add_cpus_option(parser: argparse._ActionsContainer, *other_names: str) -> None:
    """Add it to a verb, or to a group of its options.

    Args:
        parser: Where it is added.
        other_names: What the verb calls it too.
    """
    parser.add_argument(
        "--cpus", *other_names, metavar="N[,N…]", help="processors to run on, as 2,3 or 2-3 (default: all)"
    )


def use_chosen_cpus(options: argparse.Namespace) -> None:
    """Keep to the processors that were named; call it before a bundle is loaded, so that its threads begin there.

    Raises:
        UsageError: One of them is not to be had.
    """
    if options.cpus is not None:
        from ..affinity import parse_processors, use_processors

        use_processors(parse_processors(options.cpus))

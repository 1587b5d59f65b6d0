"""`python -m benchmarks`: every benchmark in full, then the page that shows them all."""

from __future__ import annotations

import argparse
import importlib
import subprocess
import sys
from collections.abc import Sequence

from .harness import run_quickly
from .page import write_page

BENCHMARKS = (
    "demo",
    "overhead",
    "area_resize",
    "cold_start",
    "fresh_frames",
    "codec_speed",
    "against_peers",
    "roofline",
    "soak",
    "gate",
    "quantization",
    "shrink_latency",
    "light_path",
    "lightlayers",
    "spatial_pairs",
    "activation_pruning",
    "deep_compression",
    "imageem_binary",
    "imageem_multiclass",
    "teaching",
    "selection_scale",
    "sample_selection",
    "newcomer",
    "deploy_interruptions",
    "pi_journey",
    "phone_page",
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run benchmarks in full, then write the page; or their quick forms, which are not recorded."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Run benchmarks.")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"one of {', '.join(BENCHMARKS)} (default: all)")
    parser.add_argument("--quick", action="store_true", help="a small form of each, in one process; not recorded")
    options = parser.parse_args(arguments)
    unknown = sorted(set(options.names) - set(BENCHMARKS))
    if unknown:
        parser.error(f"NAME must be one of {', '.join(BENCHMARKS)}. Received: {', '.join(unknown)}.")
    names = options.names or BENCHMARKS
    try:
        return _quick(names) if options.quick else _full(names)
    except KeyboardInterrupt:  # a benchmark of its own process has said so
        return 130


def _quick(names: Sequence[str]) -> int:
    """One process for all: to import TensorFlow takes longer than most of them."""
    for name in names:
        run_quickly(name, importlib.import_module(f"benchmarks.{name}").measure)
    return 0


def _full(names: Sequence[str]) -> int:
    """Each in a process of its own: none shall see what another imported."""
    failed = [
        name for name in names if subprocess.run([sys.executable, "-m", f"benchmarks.{name}"], check=False).returncode
    ]
    write_page()
    if failed:
        sys.stderr.write(f"These benchmarks did not finish: {', '.join(failed)}\n")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())

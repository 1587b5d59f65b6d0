"""`python -m benchmarks`: every benchmark in full, then the page that shows them all."""

from __future__ import annotations

import subprocess
import sys

from .page import write_page

BENCHMARKS = (
    "demo",
    "overhead",
    "area_resize",
    "cold_start",
    "fresh_frames",
    "codec_speed",
    "against_peers",
    "soak",
    "gate",
    "quantization",
    "shrink_latency",
    "light_path",
    "lightlayers",
    "spatial_pairs",
    "activation_pruning",
    "deep_compression",
    "newcomer",
)


def main() -> int:
    """Run each benchmark in a process of its own: none shall see what another imported."""
    failed = [
        name
        for name in BENCHMARKS
        if subprocess.run([sys.executable, "-m", f"benchmarks.{name}"], check=False).returncode
    ]
    write_page()
    if failed:
        sys.stderr.write(f"These benchmarks did not finish: {', '.join(failed)}\n")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())

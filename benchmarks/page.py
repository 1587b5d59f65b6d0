"""`benchmarks/README.md`, generated from the recorded results: `python -m benchmarks.page`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from edge_sdk_runtime.files import write_atomically

from .harness import RESULTS

__all__ = ["page", "write_page"]

_HEAD = """# Benchmarks

One script per claim. `make bench` runs them all; `python -m benchmarks.NAME` runs one, `--quick` in seconds and without
recording. Full runs are recorded in `results/` as JSON and as a table, and this page is generated from those records by
`python -m benchmarks.page`. Ratios come from one run that holds both sides; latencies are medians after warm-up; sizes are raw
files. `kept/` holds answers of a network that took half an hour to learn; without them, the same code learns it anew.
"""


def page(records: list[dict[str, Any]]) -> str:
    """The page as Markdown: every figure with its goal, the published value, and why a goal is missed."""
    return "\n".join([_HEAD, *(_section(record) for record in records)])


def write_page(folder: Path = RESULTS) -> None:
    """Read the records and write the page beside their folder."""
    records = [json.loads(path.read_text(encoding="utf-8")) for path in sorted(folder.glob("*.json"))]
    write_atomically(folder.parent / "README.md", page(records).encode())


def _section(record: dict[str, Any]) -> str:
    machine = record["machine"]
    lines = [
        f"## {record['benchmark']}",
        "",
        f"{record['data']}. {record['date']}, {machine['cpu']}, {machine['cores']} cores, seed {record['seed']}.",
        "",
        "| figure | value | goal | met | published |",
        "|---|---|---|---|---|",
        *(_line(figure) for figure in record["figures"]),
        "",
    ]
    lines += [f"- **{figure['name']}**: {figure['why']}" for figure in record["figures"] if figure["why"]]
    lines += [f"- {note}" for note in record["notes"]]
    return "\n".join(lines) + "\n"


def _line(figure: dict[str, Any]) -> str:
    met = {True: "yes", False: "**no**", None: ""}[figure["met"]]
    value = f"{figure['value']:.4g} {figure['unit']}".strip()
    return f"| {figure['name']} | {value} | {figure['goal']} | {met} | {figure['published']} |"


if __name__ == "__main__":
    write_page()

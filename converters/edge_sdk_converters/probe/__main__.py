"""`python -m edge_sdk_converters.probe PYTHON[:FOLDER] …`: ask releases again and write the table that the gate reads.

Every argument is a Python with NumPy, and after a colon the folder where `pip install --target` put a release. The table is
made of these alone, so all that it shall hold are asked at once. Twenty releases take about two minutes.
"""

from __future__ import annotations

import sys
from pathlib import Path

from edge_sdk_runtime import gate
from edge_sdk_runtime.files import write_atomically

from .ask import Environment, ask
from .table import release_table, table_text


def main(places: list[str]) -> int:
    """Ask every place, write the table, say what was asked."""
    answers = []
    for place in places:
        python, _, folder = place.partition(":")
        answers.append(ask(Environment(Path(python), Path(folder) if folder else None)))
        sys.stdout.write(f"{answers[-1].runtime}: {len(answers[-1].versions)} operators\n")
    target = Path(gate.__file__).with_name("releases.json")
    write_atomically(target, table_text(release_table(answers)).encode())
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

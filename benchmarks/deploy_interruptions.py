"""Whether what is deployed works after `deploy` was killed at random moments: every kill is followed by `edge-run verify`.

Two bundles take turns. Half of the kills meet the workstation's process alone, as a closed laptop does, the other half whatever it
has started as well, as a power cut does. EDGE_SDK_BENCH_TARGET names another device than a folder of this machine, such as
`emulated:FILE`; there the workstation's side alone is killed, connections and all.
"""

from __future__ import annotations

import contextlib
import io
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_sdk_devices.deploy import Deployment, DeployPlan, deploy
from edge_sdk_devices.deploy.plan import ROOT
from edge_sdk_devices.deploy.probe import probe
from edge_sdk_devices.deploy.remote import Remote
from edge_sdk_devices.transports import ShellTransport, open_transport
from edge_sdk_runtime import Bundle, MlpHead, PreprocessSpec, Similarity
from edge_sdk_runtime.bundle import GOLDEN
from edge_sdk_runtime.interpreters.none import NUMPY
from edge_sdk_runtime.manifest import Manifest, Measured, StagedForm, Tolerances
from edge_sdk_runtime.pipelines import make_pipeline
from edge_sdk_runtime.verify import GoldenVectors

from .harness import Outcome, at_least, at_most, command

_SEED = 7
_NAME = "interrupted"
_TARGET = "EDGE_SDK_BENCH_TARGET"
_FRESH_EVERY = 5
"""Every so many deployments make their environment anew where one is made at all: to be killed while pip works."""
_DEPLOY = """
import sys
from pathlib import Path
from edge_sdk_devices.deploy import DeployPlan, deploy
from edge_sdk_devices.transports import open_transport
path, name, target, environment, fresh = sys.argv[1:]
with open_transport(target) as transport:
    deploy(DeployPlan(Path(path), name, environment=environment, fresh=fresh == "fresh"), transport)
"""


def measure(quick: bool) -> Outcome:
    """Kill deployments at moments that are evenly spread over as long as one takes, and look what is left."""
    kills, chance = 3 if quick else 40, random.Random(_SEED)
    named = os.environ.get(_TARGET, "")
    with tempfile.TemporaryDirectory() as folder:
        bundles = [_bundle(Path(folder) / f"{number}.edge", number) for number in range(2)]
        target = named or f"local:{folder}/home"
        with open_transport(target) as transport:
            environment = "" if named else sys.prefix
            first, lasts = _timed(bundles[0], transport, environment)
            rows: list[dict[str, Any]] = []
            while sum(row["in time"] for row in rows) < kills:
                bundle = bundles[(len(rows) + 1) % 2]
                rows.append(_kill(len(rows), bundle, target, transport, first, lasts, chance, alone=bool(named)))
            after, again = _timed(bundles[len(rows) % 2], transport, environment)
        in_time = [row for row in rows if row["in time"]]
        worked = sum(row["works"] for row in in_time)
        figures = [
            at_least("kills after which what is deployed verifies", worked, kills),
            at_most("left behind after the next deployment, files", _left(transport, after), 0),
        ]
    notes = [f"Undisturbed: {lasts:.2f} s at first, {again:.2f} s at the end{_mark(first)}."]
    notes += [f"{len(rows) - kills} deployments were done before their kill; they are not among the {kills}."]
    notes += [f"{sum(row['switched'] for row in in_time)} of the kills came after the switch to the other bundle."]
    return Outcome(f"{kills} kills, {first.board}{_mark(first)}", figures, rows, _SEED, notes)


def _mark(deployed: Deployment) -> str:
    return " (EMULATED)" if deployed.emulated else ""


def _timed(bundle: Path, transport: ShellTransport, environment: str) -> tuple[Deployment, float]:
    begun = time.perf_counter()
    done = deploy(DeployPlan(bundle, _NAME, environment=environment), transport)
    return done, time.perf_counter() - begun


def _kill(
    number: int,
    bundle: Path,
    target: str,
    transport: ShellTransport,
    first: Deployment,
    lasts: float,
    chance: random.Random,
    *,
    alone: bool,
) -> dict[str, Any]:
    """Start a deployment, kill it after a random time, and verify what is current."""
    moment, everything = chance.uniform(0, lasts), bool(number % 2) and not alone
    fresh = alone and number % _FRESH_EVERY == 0
    environment = "" if alone else first.environment
    before = _current(transport, first)
    arguments = [str(bundle), _NAME, target, environment, "fresh" if fresh else ""]
    process = subprocess.Popen(
        [sys.executable, "-c", _DEPLOY, *arguments], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(moment)
    came_in_time = process.poll() is None
    for victim in (*(_descendants(process.pid) if everything else ()), process.pid):
        with contextlib.suppress(ProcessLookupError):
            os.kill(victim, signal.SIGKILL)
    process.wait()
    after = _current(transport, first)
    return {
        "killed after s": round(moment, 3),
        "killed": "all processes" if everything else "the workstation's",
        "in time": came_in_time,
        "switched": after != before,
        "works": _works(transport, first),
    }


def _descendants(process: int) -> list[int]:
    """The processes that a process has started, and theirs, deepest first."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            parent = int(entry.read_text().rpartition(")")[2].split()[1])
            children.setdefault(parent, []).append(int(entry.parent.name))
    found = [process]
    for each in found:
        found += children.get(each, [])
    return found[:0:-1]


def _current(transport: ShellTransport, first: Deployment) -> str:
    return transport.run(f'readlink "$HOME/{ROOT[2:]}/bundles/{first.name}/current"').text.strip()


def _works(transport: ShellTransport, first: Deployment) -> bool:
    """Whether the current bundle verifies in the environment that its release names."""
    current = f'"$HOME/{ROOT[2:]}/bundles/{first.name}/current"'
    # The path of the environment itself: Python finds its packages beside the program that it is started as.
    line = f'cd -P {current} && "$(readlink -f environment)"/bin/python -m edge_sdk_runtime verify {first.name}.edge'
    return transport.run(line).status == 0


def _left(transport: ShellTransport, after: Deployment) -> int:
    """Parts of files, and files on their way, that are left."""
    remote = Remote(transport, probe(transport).python)
    assert remote.bundle_state(after.name).current == after.release
    found = transport.run(f'cd "$HOME/{ROOT[2:]}" && find . -name "*.part" -o -path "./incoming/*"')
    return len(found.text.split())


def _bundle(path: Path, number: int) -> Path:
    """A bundle without models that expects its own results; half a megabyte, so that it is some time on its way."""
    spec, chance = PreprocessSpec(64, 64), np.random.default_rng(_SEED + number)
    staged = StagedForm(None, "prototypes.npy", tuple(range(10)), Similarity.COSINE, "head.npz")
    manifest = Manifest(
        name=_NAME,
        labels=tuple(f"class {index}" for index in range(10)),
        preprocess=spec,
        default_form="staged",
        measured=Measured(None, 0, "none", None, None, 0),
        tolerances=Tolerances(1.0, 1e-3, 1e-3, 1e-3),
        staged=staged,
        version=number + 1,
    )
    head = MlpHead((np.eye(10, dtype=np.float32),), (np.zeros(10, np.float32),))
    table = chance.random((10, int(np.prod(spec.shape)))).astype(np.float32)
    members = {"prototypes.npy": _npy(table), "head.npz": head.to_bytes()}
    bundle = Bundle.build(manifest, members)
    pipeline = make_pipeline(bundle, "staged", NUMPY, threads=1)
    golden = GoldenVectors.record(pipeline, [])
    pipeline.close()
    arrays = io.BytesIO()
    np.savez_compressed(arrays, **golden.arrays())  # type: ignore[arg-type]
    members[GOLDEN] = arrays.getvalue()
    Bundle.build(manifest, members).write(path)
    return path


def _npy(array: NDArray[np.float32]) -> bytes:
    file = io.BytesIO()
    np.save(file, array, allow_pickle=False)
    return file.getvalue()


if __name__ == "__main__":
    sys.exit(command("deploy_interruptions", measure))

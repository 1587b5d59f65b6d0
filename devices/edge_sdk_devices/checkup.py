"""What is wrong with a device, seen from the workstation: the machine, its Python, its disk, what is deployed, and `edge-run doctor`."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from .deploy.probe import Probe, probe
from .deploy.remote import BundleState, Remote, State
from .transports import ShellTransport

__all__ = ["Checkup", "check_up"]


@dataclass(frozen=True)
class Checkup:
    """What was found.

    Attributes:
        address: The device.
        emulated: Whether it is an emulation.
        probe: What it is.
        state: What is deployed there; None where no Python can tell.
        environment: Path of the environment that was examined; empty where there is none.
        diagnosis: What `edge-run doctor --json` says there; None where there is no environment.
        troubles: What is wrong, one line each with its fix; empty for a healthy device.
    """

    address: str
    emulated: bool
    probe: Probe
    state: State | None
    environment: str
    diagnosis: dict[str, Any] | None
    troubles: tuple[str, ...]

    @property
    def healthy(self) -> bool:
        """Whether nothing is wrong."""
        return not self.troubles

    def rows(self) -> list[tuple[str, str]]:
        """As a table: what, and how it is."""
        facts, rows = self.probe.facts, [("device", self.address)]
        rows += [("emulated", "yes: its times mean nothing for any board")] if self.emulated else []
        rows += [
            ("board", facts.model or self.probe.profile.title),
            ("system", f"{facts.system or 'Linux'}, {facts.machine}, {facts.bits}-bit, glibc {facts.glibc or 'none'}"),
            ("Python", f"{facts.python or 'none'}{f' ({self.probe.python})' if self.probe.python else ''}"),
            ("memory", f"{facts.cores} processors, {facts.memory_bytes / 1e9:.2g} GB"),
            ("free disk", f"{self.probe.free_bytes / 1e9:.3g} GB"),
        ]
        for name, bundle in (self.state.bundles if self.state else {}).items():
            rows.append((f"bundle {name}", _bundle_words(bundle)))
        if self.diagnosis:
            parts = [*self.diagnosis["parts"], *self.diagnosis["interpreters"]]
            rows += [(str(part["name"]), str(part["version"] or part["detail"])) for part in parts]
        return rows


def check_up(transport: ShellTransport) -> Checkup:
    """Examine a device.

    Args:
        transport: The way to it.

    Raises:
        DeviceError: It cannot be reached, or was lost.
        ProfileError: The SDK knows nothing of such machines.
    """
    found = probe(transport)
    if found.system is None:
        return Checkup(transport.address, transport.emulated, found, None, "", None, (found.trouble,))
    remote = Remote(transport, found.python)
    state = remote.state()
    environment = _environment(state)
    diagnosis, troubles = _diagnosis(remote, environment) if environment else (None, ())
    own = tuple(_own_troubles(found, state, transport.address))
    return Checkup(transport.address, transport.emulated, found, state, environment, diagnosis, (*own, *troubles))


def _environment(state: State) -> str:
    used = (bundle.releases.get(bundle.current) for bundle in state.bundles.values())
    return next((release["environment"] for release in used if release), "")


def _diagnosis(remote: Remote, environment: str) -> tuple[dict[str, Any] | None, tuple[str, ...]]:
    done = remote.edge_run(environment, "doctor", "--json")
    try:
        diagnosis = dict(json.loads(done.text))
    except ValueError:
        return None, (
            f"The environment must work. Received: {done.reason} in {environment}. Deploy again with --fresh.",
        )
    parts = {part["name"]: part for part in (*diagnosis["parts"], *diagnosis["interpreters"])}
    return diagnosis, tuple(_part_trouble(parts[name]) for name in diagnosis["troubles"])


def _part_trouble(part: dict[str, Any]) -> str:
    mend = f" Run there: {part['mend']}" if part.get("mend") else ""
    return f"{part['name']} must work. Received: {part['detail']}.{mend}"


def _own_troubles(found: Probe, state: State, address: str) -> list[str]:
    troubles = []
    if not found.complete:
        troubles.append(
            "Python must be able to make environments. Received: no ensurepip. Run there: sudo apt install python3-venv"
        )
    if found.free_bytes < 50_000_000:
        troubles.append(f"The disk must have room. Received: {found.free_bytes / 1e6:.0f} MB free. Free some space.")
    for name, bundle in state.bundles.items():
        if bundle.current and not bundle.intact(bundle.current):
            troubles.append(
                f"A deployed bundle must be what was sent. Received: an altered {name}. Run: edge-sdk deploy {name}.edge {address}"
            )
    return troubles


def _bundle_words(bundle: BundleState) -> str:
    current = bundle.releases.get(bundle.current)
    if current is None:
        return "not deployed"
    before = f"; before it {bundle.previous}" if bundle.previous else ""
    return f"release {bundle.current}, deployed {current['deployed']}{before}"

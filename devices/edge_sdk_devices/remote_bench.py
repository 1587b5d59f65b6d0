"""`edge-run bench` on a device, its report read here; what an emulation measured never passes for a board's."""

from __future__ import annotations

import json
import secrets
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edge_sdk_runtime import Bundle
from edge_sdk_runtime.bench import BenchReport
from edge_sdk_runtime.bench.text import EMULATED, report_text

from .deploy.plan import ROOT, bundle_name
from .deploy.probe import probe
from .deploy.remote import BundleState, Remote
from .errors import DeployError, DeviceError
from .transports import ShellTransport

__all__ = ["EMULATED", "RemoteReport", "bench_on"]


@dataclass(frozen=True)
class RemoteReport:
    """What was measured on a device.

    Attributes:
        address: The device.
        emulated: Whether it is an emulation.
        report: As `edge-run bench` gives it.
    """

    address: str
    emulated: bool
    report: BenchReport

    def document(self) -> dict[str, Any]:
        """As JSON. An emulation's has the report one level down, so that `edge-run bench --compare` refuses it."""
        if self.emulated:
            return {
                "emulated": True,
                "statement": EMULATED,
                "device": self.address,
                "report": self.report.document(),
            }
        return {"emulated": False, "device": self.address, **self.report.document()}

    def __str__(self) -> str:
        """The tables of `edge-run bench`, and where they come from."""
        head, text = EMULATED if self.emulated else f"measured on {self.address}", report_text(self.report)
        foot = self.emulated and not text.endswith(EMULATED)  # a board that knows that it is emulated says so itself
        return "\n\n".join([head, text, *([EMULATED] if foot else [])])


def bench_on(
    bundle: Path, transport: ShellTransport, options: Sequence[str] = (), name: str = "", timeout: float = 1800
) -> RemoteReport:
    """Measure a bundle on a device that has an environment, that of this bundle's deployment or of another's.

    Args:
        bundle: An .edge file of this machine; carried there for the time being where it is not what is deployed.
        transport: The way to the device.
        options: What `edge-run bench` takes besides.
        name: What it is called on the device; its file's name without the ending where empty.
        timeout: Seconds that all of it may take.

    Raises:
        BundleError: The file is no bundle.
        DeployError: Nothing is deployed there.
        DeviceError: The device cannot be reached, was lost, or cannot measure.
        ProfileError: The runtime cannot run there.
    """
    Bundle.open(bundle)
    found = probe(transport)
    found.usable_system  # noqa: B018  says why nothing can run there
    remote = Remote(transport, found.python)
    state = _state(remote, bundle_name(bundle, name))
    folder = f"{ROOT}/incoming/bench-{secrets.token_hex(4)}"  # of an interruption, the next deployment takes it away
    path = f"{folder}/{bundle.name}"
    transport.put(bundle.read_bytes(), f"{found.home}/{path[2:]}")
    try:
        environment = state.releases[state.current]["environment"]
        done = remote.edge_run(environment, "bench", path, "--json", *options, timeout=timeout)
    finally:
        transport.run(f'rm -rf "$HOME/{folder[2:]}"')
    if done.status:
        raise DeviceError(
            f"A bundle must be measurable on the device. Received: {done.reason.removeprefix('edge-run: ')} "
            f"({transport.address})"
        )
    return RemoteReport(transport.address, transport.emulated, _report(done.text))


def _state(remote: Remote, name: str) -> BundleState:
    """The deployment whose environment is used: that of this bundle, else any."""
    bundles = {key: each for key, each in remote.state().bundles.items() if each.current in each.releases}
    if not bundles:
        raise DeployError(
            f"A device must have the runtime before it measures. Received: nothing deployed on {remote.transport.address}. "
            f"Run: edge-sdk deploy {name}.edge {remote.transport.address}"
        )
    return bundles.get(name) or next(iter(bundles.values()))


def _report(text: str) -> BenchReport:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "report.json"
        path.write_text(json.dumps(json.loads(text.strip().splitlines()[-1])), encoding="utf-8")
        return BenchReport.read(path)

"""Back to the release before."""

from __future__ import annotations

from ..errors import DeployError
from ..transports import ShellTransport
from .plan import ROOT
from .probe import probe
from .remote import Remote
from .service import restart_service

__all__ = ["check_release", "roll_back"]


def roll_back(transport: ShellTransport, name: str) -> str:
    """Make the release before the current one the current one again; once more goes forward again.

    Args:
        transport: The way to the device.
        name: What the bundle is called there.

    Returns:
        The release that is current now.

    Raises:
        DeployError: There is none, or it does not verify; nothing is changed.
        DeviceError: The device cannot be reached, or was lost.
    """
    found = probe(transport)
    found.usable_system  # noqa: B018  says why nothing can run there
    remote = Remote(transport, found.python)
    state = remote.bundle_state(name)
    if not state.previous or not state.intact(state.previous) or state.previous == state.current:
        raise DeployError(
            f"There must be a release before the current one. Received: none of {name} on {transport.address}. Deploy another bundle."
        )
    check_release(remote, name, state.previous, state.releases[state.previous]["environment"])
    remote.act("switch", "The release must become the current one", name=name, release=state.previous, why="rollback")
    restart_service(transport, name)
    return state.previous


def check_release(remote: Remote, name: str, release: str, environment: str) -> str:
    """Repeat the golden vectors of a release on the device.

    Returns:
        The last line that `edge-run verify` prints.

    Raises:
        DeployError: They are not reproduced, or the bundle does not run at all.
    """
    done = remote.edge_run(environment, "verify", f"{ROOT}/bundles/{name}/releases/{release}/{name}.edge")
    if done.status:
        lines = done.text.strip().splitlines()
        said = lines[-1] if done.status == 1 and lines else done.reason.removeprefix("edge-run: ")
        raise DeployError(f"A bundle must verify on the device. Received: {said} ({remote.transport.address})")
    return done.text.strip().splitlines()[-1]

"""`deploy`: every step may be interrupted, and the whole be done again.

probe → environment → release brought → verified there → link switched → service started again → what is old taken away. Until the
link is switched, by one rename, nothing that was deployed before is touched; after it, the release is verified and whole.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from edge_sdk_runtime import Bundle
from edge_sdk_runtime.gate import admit

from ..errors import DeployError
from ..transports import ShellTransport
from .environment import prepare_environment
from .plan import ROOT, DeployPlan
from .probe import Probe, probe
from .release import Release, stage
from .remote import BundleState, Remote
from .rollback import check_release
from .service import install_service, lingers, restart_service

__all__ = ["Deployment", "deploy"]


@dataclass(frozen=True)
class Deployment:
    """What a deployment did.

    Attributes:
        address: The device.
        emulated: Whether it is an emulation.
        board: What it is.
        name: What the bundle is called there.
        release: The release that is current now.
        before: The one that was current before; empty where none was.
        path: The bundle on the device.
        environment: The environment that it runs in.
        verified: What `edge-run verify` said there.
        changed: Whether anything had to be done; False where all of it was there.
        lingers: Whether the service goes on when nobody is logged in; None where there is no service.
    """

    address: str
    emulated: bool
    board: str
    name: str
    release: str
    before: str
    path: str
    environment: str
    verified: str
    changed: bool
    lingers: bool | None = None


def _quiet(what: str) -> None:
    del what


def deploy(plan: DeployPlan, transport: ShellTransport, told: Callable[[str], None] = _quiet) -> Deployment:
    """Install a bundle on a device, verified; what was deployed before goes on until then, and where this fails.

    Args:
        plan: What, and how.
        transport: The way to the device.
        told: Is told what is being done.

    Raises:
        BundleError: The file is no bundle, or the device's interpreter is known not to run it.
        DeviceError: The device cannot be reached, was lost, or is full.
        DeployError: The runtime cannot be installed there, or the bundle does not verify there.
        ProfileError: The runtime cannot run on such a device; says what to do.
    """
    bundle = Bundle.open(plan.bundle)
    found = probe(transport)
    told(f"{transport.address} is {_board(found)}")
    if not plan.environment:
        _check_interpreter(bundle, found)
    found.usable_system  # noqa: B018  says why nothing can run there
    remote = Remote(transport, found.python)
    state = remote.state()
    before = state.bundles.get(plan.bundle_name)
    environment = prepare_environment(plan, found, state, remote, told)
    release = Release(plan.bundle_name, plan.bundle.read_bytes(), environment)
    brought = stage(release, before, found, remote)
    told(f"release {release.digest} {'is brought' if brought else 'is there'}; verifying it")
    verified = _verified(release, before, remote)
    if plan.service:  # before the switch: where it cannot be installed, nothing is changed
        install_service(transport, release.name, plan.service)
    switched = _switch(release, before, remote)
    lasting = _serve(plan, release, before, remote, restart=switched)
    if brought or switched:
        remote.act("prune", "What is old must be removable")
    return Deployment(
        transport.address,
        transport.emulated,
        _board(found),
        release.name,
        release.digest,
        before.current if before else "",
        f"{found.home}/{ROOT[2:]}/bundles/{release.name}/current/{release.name}.edge",
        environment,
        verified,
        brought or switched,
        lasting,
    )


def _board(found: Probe) -> str:
    return f"{found.facts.model or found.profile.title}, {found.facts.system or 'Linux'}, Python {found.facts.python}"


def _check_interpreter(bundle: Bundle, found: Probe) -> None:
    """Refuse what the interpreter of that system is known not to run, before anything is done there."""
    runtime = found.usable_system.runtime
    for name in bundle.manifest.models if runtime else ():
        if runtime and name.endswith(".tflite"):
            admit(bundle.read(name), name, runtime)


def _verified(release: Release, before: BundleState | None, remote: Remote) -> str:
    """What `edge-run verify` says; a release that does not verify is taken away, and what was before goes on."""
    try:
        return check_release(remote, release.name, release.digest, release.environment)
    except DeployError as error:
        current = before.current if before else ""
        if current == release.digest:
            raise DeployError(
                f"{error}. It is what is deployed already: its environment may be damaged. Run it again with --fresh."
            ) from error
        reason = str(error).replace("\n", " ")
        remote.act(
            "discard",
            "What was refused must be removable",
            name=release.name,
            release=release.digest,
            reason=reason,
        )
        goes_on = f"release {current} goes on" if current else "nothing was deployed"
        raise DeployError(f"{error}; {goes_on}. Run edge-sdk doctor {remote.transport.address}") from error


def _switch(release: Release, before: BundleState | None, remote: Remote) -> bool:
    if before and before.current == release.digest:
        return False
    remote.act("switch", "The release must become the current one", name=release.name, release=release.digest)
    return True


def _serve(
    plan: DeployPlan, release: Release, before: BundleState | None, remote: Remote, *, restart: bool
) -> bool | None:
    """Start the service, new or old; where it does not stay, the release before takes its place again."""
    if not (plan.service or restart):
        return None
    try:
        return lingers(remote.transport) if restart_service(remote.transport, release.name) else None
    except DeployError as error:
        current = before.current if before else ""
        if not current or current == release.digest:
            raise
        remote.act("switch", "The release before must come back", name=release.name, release=current, why="rollback")
        restart_service(remote.transport, release.name)
        raise DeployError(f"{error}; release {current} is back") from error

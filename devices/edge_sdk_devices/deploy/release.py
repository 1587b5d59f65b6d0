"""One version of a bundle on a device, together with the environment that it was verified with."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from .plan import ROOT
from .probe import Probe
from .remote import BundleState, Remote

__all__ = ["Release", "stage"]


@dataclass(frozen=True)
class Release:
    """A bundle and its environment.

    Attributes:
        name: What the bundle is called on the device.
        content: The .edge file.
        environment: Path of the environment on the device.
    """

    name: str
    content: bytes
    environment: str

    @property
    def sha256(self) -> str:
        """Hash of the bundle."""
        return hashlib.sha256(self.content).hexdigest()

    @property
    def digest(self) -> str:
        """What the release is called: another bundle or environment is another release."""
        return hashlib.sha256(f"{self.sha256} {self.environment}".encode()).hexdigest()[:16]


def stage(release: Release, state: BundleState | None, found: Probe, remote: Remote) -> bool:
    """Bring a release to a device, whole; nothing uses it yet.

    Args:
        release: What to bring.
        state: What is deployed of this bundle; None where nothing is.
        found: What the device is.
        remote: Actions on it.

    Returns:
        Whether it had to be brought; False where it is there.

    Raises:
        DeviceError: The disk is full, or the device was lost; nothing is left of it, or what the next deployment takes away.
    """
    if state and state.intact(release.digest):
        return False
    incoming = f"{ROOT}/incoming/{release.digest}.edge"
    remote.transport.put(release.content, f"{found.home}/{incoming[2:]}")
    remote.act(
        "stage",
        "The bundle must be storable",
        name=release.name,
        release=release.digest,
        sha256=release.sha256,
        incoming=incoming,
        environment=release.environment,
    )
    return True

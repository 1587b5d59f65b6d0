"""What is to be deployed, and how."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from ..errors import DeployError

__all__ = ["ROOT", "DeployPlan", "Service", "bundle_name"]

ROOT = "~/.local/share/edge-sdk"
"""The folder on the device that holds everything that is deployed."""
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


@dataclass(frozen=True)
class Service:
    """A camera service that runs for as long as the device does.

    Attributes:
        source: The camera's address, as `edge-run camera --source` takes it.
        preview: Where a page with the picture is served, as `edge-run camera --preview` takes it; none where empty.
    """

    source: str = "usb:0"
    preview: str = ""

    def __post_init__(self) -> None:
        for name, value in (("source", self.source), ("preview", self.preview)):
            if any(ord(character) < 32 for character in value):
                raise DeployError(f"{name} must be one line of text. Received: {value!r}. Mend it.")


@dataclass(frozen=True)
class DeployPlan:
    """What is to be deployed, and how.

    Attributes:
        bundle: An .edge file of this machine.
        name: What it is called on the device; its file's name without the ending where empty.
        wheelhouse: A folder of wheels to carry along; the device then asks no package index.
        offline: Whether the device has no package index: what it needs is fetched here, and carried along.
        environment: A Python environment of the device to use as it is, such as `"~/edge"`; one is made where empty.
        fresh: Whether to make the environment anew although there is one.
        system_packages: Whether the environment sees the system's own packages, as picamera2 needs.
        service: A camera service to start; None leaves a service that is there as it is, and starts it again.
    """

    bundle: Path
    name: str = ""
    wheelhouse: Path | None = None
    offline: bool = False
    environment: str = ""
    fresh: bool = False
    system_packages: bool = False
    service: Service | None = None

    def __post_init__(self) -> None:
        bundle_name(self.bundle, self.name)
        if self.environment and (self.wheelhouse or self.offline or self.fresh or self.system_packages):
            raise DeployError(
                "An environment that is used as it is takes nothing else. Received: more options for it. "
                "Leave the environment out, or the other options."
            )

    @property
    def bundle_name(self) -> str:
        """What the bundle is called on the device."""
        return bundle_name(self.bundle, self.name)


def bundle_name(bundle: str | Path, name: str = "") -> str:
    """What a bundle is called on a device.

    Args:
        bundle: Its file.
        name: Another name; the file's without its ending where empty.

    Raises:
        DeployError: The name cannot be that of a folder everywhere.
    """
    found = name or Path(bundle).name.removesuffix(".edge")
    if not _NAME.fullmatch(found):
        raise DeployError(
            "A name must be letters, digits, '.', '_' or '-', at most 64, and begin with a letter or digit. "
            f"Received: {found!r}. Give another one with --name."
        )
    return found

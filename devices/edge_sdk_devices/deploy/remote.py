"""The workstation's side of what a deployment does on the device."""

from __future__ import annotations

import json
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import DeployError, DeviceError
from ..transports import Result, ShellTransport
from .plan import ROOT

__all__ = ["BundleState", "Remote", "State"]

_PROGRAM = Path(__file__).with_name("on_device.py")


@dataclass(frozen=True)
class BundleState:
    """What is deployed of one bundle.

    Attributes:
        current: The release that is used; empty where there is none.
        previous: The one before it; empty where there is none.
        releases: Every release: `sha256` of its bundle, `found` as it is now, `deployed` when, and the path of its `environment`.
    """

    current: str
    previous: str
    releases: dict[str, dict[str, str]]

    def intact(self, release: str) -> bool:
        """Whether a release is there, and its bundle is what was sent."""
        record = self.releases.get(release)
        return record is not None and record["found"] == record["sha256"]


@dataclass(frozen=True)
class State:
    """What is deployed on a device.

    Attributes:
        environments: Names of those that are whole.
        bundles: By name.
    """

    environments: tuple[str, ...]
    bundles: dict[str, BundleState]


class Remote:
    """Actions on a device, one process of its Python each.

    Args:
        transport: The way to it.
        python: The Python that runs them.
    """

    def __init__(self, transport: ShellTransport, python: str) -> None:
        self.transport = transport
        self._python = python

    def act(self, action: str, rule: str, timeout: float = 120, **request: Any) -> dict[str, Any]:
        """Do an action of `on_device`.

        Args:
            action: Its name.
            rule: What must be so, for the error.
            timeout: Seconds that it may take.
            request: Its values.

        Raises:
            DeviceError: It failed, or the device was lost.
        """
        text = json.dumps({"root": ROOT, **request})
        command = f"{shlex.quote(self._python)} -I -S - {action} {shlex.quote(text)}"
        done = self.transport.run(command, _PROGRAM.read_bytes(), timeout)
        lines = self.transport.check(done, rule).text.strip().splitlines()
        if not lines:
            raise DeviceError(f"{rule}. Received: no answer from {self.transport.address}. Run the same command again.")
        return dict(json.loads(lines[-1]))

    def state(self) -> State:
        """What is deployed."""
        answer = self.act("state", "What is deployed must be readable")
        bundles = {name: BundleState(**entry) for name, entry in answer["bundles"].items()}
        return State(tuple(answer["environments"]), bundles)

    def edge_run(self, environment: str, *arguments: str, timeout: float = 300) -> Result:
        """Run `edge-run` of an environment; its exit status is the caller's to judge.

        Args:
            environment: The environment's path.
            arguments: What follows `edge-run`; a leading `~` stands for the home folder.
            timeout: Seconds that it may take.
        """
        words = " ".join(map(home_quoted, arguments))
        python = home_quoted(f"{environment}/bin/python")
        return self.transport.run(f"{python} -m edge_sdk_runtime {words}", timeout=timeout)

    def bundle_state(self, name: str) -> BundleState:
        """What is deployed of one bundle.

        Raises:
            DeployError: Nothing is.
        """
        bundles = self.state().bundles
        if name not in bundles or not bundles[name].current:
            there = ", ".join(bundles) or "nothing"
            raise DeployError(
                f"The bundle must be deployed. Received: {name!r}; {there} is, on {self.transport.address}. "
                f"Run: edge-sdk deploy {name}.edge {self.transport.address}"
            )
        return bundles[name]


def home_quoted(word: str) -> str:
    """A word of a shell command; a leading `~/` goes on to mean the home folder."""
    return f'"$HOME"/{shlex.quote(word[2:])}' if word.startswith("~/") else shlex.quote(word)

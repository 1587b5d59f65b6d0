"""Releases of the interpreters, and what each of them has and computes rightly, as their wheels told when they were asked."""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any

from .errors import UsageError
from .packages import Runtime, version_numbers

__all__ = [
    "Package",
    "Runtime",
    "Trouble",
    "current_runtimes",
    "known_packages",
    "known_runtimes",
    "parse_runtime",
    "version_numbers",
]


class Trouble(str, Enum):
    """Why a release does not run an operator."""

    ABSENT = "absent"
    """It does not have the operator in that version; the model does not load."""
    REFUSED = "refused"
    """It has the operator, not with these element types; the model does not load, or fails when it runs."""
    WRONG = "wrong"
    """It loads the model and gives wrong answers, or crashes."""


@dataclass(frozen=True)
class Package:
    """What is known of one package.

    Attributes:
        releases: Its releases, oldest first.
        operators: By operator, the first and last version from a release on.
        troubles: By release, what its kernels refuse or get wrong, by signature.
    """

    releases: tuple[str, ...]
    operators: Mapping[str, Mapping[str, tuple[int, int]]]
    troubles: Mapping[str, Mapping[str, Trouble]]

    def offered(self, operator: str, release: str) -> tuple[int, int] | None:
        """First and last version of an operator in a release; None where it has none."""
        changes = self.operators.get(operator, {})
        known = [version for version in self.releases[: self.releases.index(release) + 1] if version in changes]
        return changes[known[-1]] if known else None

    def trouble(self, operator: str, version: int, signature: str, release: str) -> Trouble | None:
        """What a release does with an operator that it does not run; None where nothing of the kind is known."""
        offered = self.offered(operator, release)
        if offered is None or not offered[0] <= version <= offered[1]:
            return Trouble.ABSENT
        return self.troubles.get(release, {}).get(signature)


def known_runtimes() -> tuple[Runtime, ...]:
    """Every release that the gate knows, oldest first within each package."""
    return tuple(Runtime(name, release) for name, package in known_packages().items() for release in package.releases)


def current_runtimes() -> tuple[Runtime, ...]:
    """The newest release of each package."""
    return tuple(Runtime(name, package.releases[-1]) for name, package in known_packages().items())


def parse_runtime(text: str) -> Runtime:
    """A release as a person names it: `tflite-runtime==2.14.0`, or a package alone for its newest.

    Raises:
        UsageError: No such package or release is known.
    """
    name, _, version = text.partition("==")
    package = known_packages().get(name.strip())
    wanted = version_numbers(version)
    if package and not version.strip():
        return Runtime(name.strip(), package.releases[-1])
    for release in package.releases if package else ():
        if wanted == version_numbers(release):
            return Runtime(name.strip(), release)
    known = "; ".join(f"{name}=={', '.join(each.releases)}" for name, each in known_packages().items())
    raise UsageError(f"A runtime must be one of {known}. Received: {text!r}. Choose one of them.")


@functools.cache
def known_packages() -> dict[str, Package]:
    """Every package that the gate knows, by name."""
    document = json.loads(Path(__file__).with_name("releases.json").read_text(encoding="utf-8"))
    return {name: _package(table) for name, table in document["packages"].items()}


def _package(table: Mapping[str, Any]) -> Package:
    operators = {
        operator: {release: (first, last) for release, (first, last) in changes.items()}
        for operator, changes in table["operators"].items()
    }
    releases = table["releases"]
    troubles: dict[str, dict[str, Trouble]] = {release: {} for release in releases}
    for trouble in (Trouble.REFUSED, Trouble.WRONG):
        for signature, ranges in table[trouble.value].items():
            for first, last in ranges:
                for release in releases[releases.index(first) : releases.index(last) + 1]:
                    troubles[release][signature] = trouble
    return Package(tuple(releases), operators, troubles)

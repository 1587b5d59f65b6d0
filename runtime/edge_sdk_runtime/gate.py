"""Whether a release of an interpreter can run a model: known before it is loaded, and said in words that help.

`releases.json` holds what the releases registered and which element types their kernels refuse or get wrong, all of it asked
from the released wheels. A model's operators, versions and element types are read from its file and compared with that.

Version numbers alone do not tell. A quantizer that leaves them as they were gives a FULLY_CONNECTED of version 1 whose weights
have a scale per channel: tflite-runtime 2.14 loads it and answers as if all those weights were zero.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from .errors import ModelUnsupportedError
from .operators import Operator, read_operators
from .releases import (
    Package,
    Runtime,
    Trouble,
    current_runtimes,
    known_packages,
    known_runtimes,
    parse_runtime,
    version_numbers,
)
from .signatures import dequantized_types, signature_of

__all__ = [
    "Finding",
    "Runtime",
    "Trouble",
    "admit",
    "check_operators",
    "current_runtimes",
    "known_runtimes",
    "oldest_runtimes",
    "parse_runtime",
    "signature_of",
]


@dataclass(frozen=True)
class Finding:
    """An operator that a release does not run.

    Attributes:
        runtime: The release.
        operator: The operator's name.
        version: The version that the model asks for.
        layer: The layer it came from; empty where the file does not tell.
        signature: The operator with its element types.
        trouble: What the release does with it.
        since: The oldest release of each package from which on all known ones run it.
        offered: The versions that the release has, such as `"1 to 10"`, or `"none"`.
    """

    runtime: Runtime
    operator: str
    version: int
    layer: str
    signature: str
    trouble: Trouble
    since: tuple[Runtime, ...]
    offered: str

    @property
    def asked(self) -> str:
        """What the model asks for: operator, version or element types, and layer."""
        what = (
            f"{self.operator} version {self.version}"
            if self.trouble is Trouble.ABSENT
            else self.signature  # the version is there, and says nothing
        )
        return f"{what} in layer '{self.layer}'" if self.layer else what

    @property
    def received(self) -> str:
        """What the release does with it, in a few words."""
        if self.trouble is Trouble.ABSENT:
            return f"{self.asked}, of which it has {self.offered}"
        return f"{self.asked}, which it {'refuses' if self.trouble is Trouble.REFUSED else 'computes wrongly'}"

    @property
    def runs_on(self) -> str:
        """Where the operator does run."""
        return " or ".join(f"{runtime} and later" for runtime in self.since) or "no release known here"


def check_operators(operators: Sequence[Operator], runtime: Runtime) -> tuple[Finding, ...]:
    """What a release cannot run of a model.

    Args:
        operators: All of the model's, by `read_operators`.
        runtime: One of `known_runtimes`.

    Returns:
        One finding per operator and layer; none where it runs the model.
    """
    package = known_packages()[runtime.package]
    made_by = dequantized_types(operators)
    findings = [
        Finding(
            runtime,
            operator.name,
            operator.version,
            operator.layer,
            signature,
            trouble,
            _since(operator, signature),
            _range(package.offered(operator.name, runtime.version)),
        )
        for operator in operators
        if (
            trouble := package.trouble(
                operator.name, operator.version, signature := signature_of(operator, made_by), runtime.version
            )
        )
    ]
    return tuple(dict.fromkeys(findings))


def oldest_runtimes(operators: Sequence[Operator]) -> dict[str, str]:
    """The oldest release of each package from which on all known ones run a model.

    Args:
        operators: All of the model's.

    Returns:
        Package → release; a package none of whose newest releases runs it is left out.
    """
    made_by = dequantized_types(operators)
    asked = dict.fromkeys((operator.name, operator.version, signature_of(operator, made_by)) for operator in operators)
    oldest = {}
    for name, package in known_packages().items():
        good = _good_tail(package, list(asked))
        if good:
            oldest[name] = good[0]
    return oldest


def admit(model: bytes, name: str, installed: Runtime) -> None:
    """Refuse a model that the installed interpreter is known not to run, before it is loaded.

    Args:
        model: A whole .tflite file.
        name: What to call it in an error.
        installed: The release; of one between two known ones only what both cannot run is refused, of one newer than all
            known ones nothing.

    Raises:
        ModelUnsupportedError: It is known not to run, or to give wrong answers.
        BundleCorruptError: It is no .tflite file.
    """
    judged = _at_best(installed)
    findings = check_operators(read_operators(model), judged) if judged else ()
    if findings:
        raise _unsupported(name, installed, findings)


def _unsupported(name: str, runtime: Runtime, findings: Sequence[Finding]) -> ModelUnsupportedError:
    """The error that tells what a release cannot run of a model, where it does run, and what to do."""
    first, more = findings[0], len(findings) - 1
    others = f" and {more} more" if more else ""
    install = next(
        (f"Run: pip install --upgrade '{each.package}>={each.version}', or write" for each in first.since), "Write"
    )
    return ModelUnsupportedError(
        f"Every operator of {name} must run on {runtime}. Received: {first.received}{others} (it runs on "
        f"{first.runs_on}). {install} the bundle with edge-sdk compress --runtime {runtime.package}=={first.runtime.version}"
    )


def _since(operator: Operator, signature: str) -> tuple[Runtime, ...]:
    tails = {
        name: _good_tail(package, [(operator.name, operator.version, signature)])
        for name, package in known_packages().items()
    }
    return tuple(Runtime(name, tail[0]) for name, tail in tails.items() if tail)


def _good_tail(package: Package, asked: Sequence[tuple[str, int, str]]) -> list[str]:
    """The newest releases in a row that run all of these operators, versions and signatures, oldest first."""
    good: list[str] = []
    for release in reversed(package.releases):
        if any(package.trouble(*each, release) for each in asked):
            break
        good.insert(0, release)
    return good


def _at_best(installed: Runtime) -> Runtime | None:
    """The oldest known release that has all that the installed one can have; None where it may have more than any."""
    later = (
        each
        for each in known_runtimes()
        if each.package == installed.package and version_numbers(each.version) >= version_numbers(installed.version)
    )
    return next(later, None)


def _range(offered: tuple[int, int] | None) -> str:
    return "none" if offered is None else f"{offered[0]} to {offered[1]}"

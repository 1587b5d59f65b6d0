"""The answers of many releases as the one table that the gate reads."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from edge_sdk_runtime.gate import Trouble

from .ask import Answers

__all__ = ["release_table", "table_text"]

_SOURCE = (
    "Asked from the released wheels for x86-64 Linux by edge_sdk_converters.probe: every builtin operator in every version, and "
    "every kernel that quantized image classifiers use, against float32. The registrations are those of each release's "
    "register.cc (tensorflow/lite/core/kernels, tflite/core/kernels)."
)
_ORDER = ("tflite-runtime", "ai-edge-litert")


def release_table(answers: Iterable[Answers]) -> dict[str, Any]:
    """Put answers together.

    Args:
        answers: Of any releases, in any order; of each package, those of a later release change what the earlier ones say.

    Returns:
        What `releases.json` holds: per package its releases in order, per operator the versions it has from a release on, and
        per trouble the ranges of releases that have it, by the operator's signature.
    """
    asked = sorted(answers, key=lambda each: (_ORDER.index(each.runtime.package), _numbers(each.runtime.version)))
    packages = {name: [each for each in asked if each.runtime.package == name] for name in _ORDER}
    return {
        "source": _SOURCE,
        "packages": {name: _package(releases) for name, releases in packages.items() if releases},
    }


def table_text(table: Mapping[str, Any]) -> str:
    """The table as JSON with an operator or a signature to a line, so that a change of it can be read."""
    lines = [f'{{"source": {json.dumps(table["source"])},', '"packages": {']
    for name, package in table["packages"].items():
        lines.append(f'{json.dumps(name)}: {{"releases": {json.dumps(package["releases"])},')
        for part in ("operators", "refused", "wrong"):
            rows = [f"  {json.dumps(key, ensure_ascii=False)}: {json.dumps(row)}" for key, row in package[part].items()]
            lines += [f"{json.dumps(part)}: {{", ",\n".join(rows), "}" if part == "wrong" else "},"]
        lines.append("},")
    lines[-1] = "}"
    return "\n".join([*lines, "}}", ""])


def _package(releases: list[Answers]) -> dict[str, Any]:
    operators: dict[str, dict[str, list[int]]] = {}
    troubles: dict[Trouble, dict[str, list[str]]] = {Trouble.REFUSED: {}, Trouble.WRONG: {}}
    last: dict[str, list[int]] = {}
    for answers in releases:
        version = answers.runtime.version
        for name, (first, highest) in sorted(answers.versions.items()):
            if last.get(name) != [first, highest]:
                last[name] = operators.setdefault(name, {})[version] = [first, highest]
        for signature, trouble in answers.troubles.items():
            troubles[trouble].setdefault(signature, []).append(version)
    return {
        "releases": [each.runtime.version for each in releases],
        "operators": dict(sorted(operators.items())),
        **{kind.value: _ranges(releases, troubles[kind]) for kind in (Trouble.REFUSED, Trouble.WRONG)},
    }


def _ranges(releases: list[Answers], troubles: Mapping[str, list[str]]) -> dict[str, list[list[str]]]:
    """Releases in a row as the first and the last of them."""
    order = [each.runtime.version for each in releases]
    ranges: dict[str, list[list[str]]] = {}
    for signature, bad in sorted(troubles.items()):
        rows = ranges.setdefault(signature, [])
        for version in bad:
            before = order.index(version) - 1
            if rows and before >= 0 and rows[-1][1] == order[before]:
                rows[-1][1] = version
            else:
                rows.append([version, version])
    return ranges


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(map(int, version.split(".")))

"""`edge-run doctor`: what is wrong with this device, and the one command that mends it."""

from __future__ import annotations

import argparse
import dataclasses
import json
from typing import Any

from ..doctor import Diagnosis, PartCheck, diagnose
from ..remedies import Cause
from .text import format_table

__all__ = ["add_parser"]


def add_parser(verbs: Any, common: argparse.ArgumentParser) -> None:
    """Add the verb to the command."""
    parser = verbs.add_parser(
        "doctor", parents=[common], help="what is wrong with this device, and the one command that mends it"
    )
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    diagnosis = diagnose(options.interpreter)
    print(_as_json(diagnosis) if options.json else _as_text(diagnosis))
    return 0 if diagnosis.healthy else 1


def _as_json(diagnosis: Diagnosis) -> str:
    document = {
        "healthy": diagnosis.healthy,
        **dataclasses.asdict(diagnosis),
        "troubles": [check.name for check in diagnosis.troubles],
    }
    return json.dumps(document, indent=2, ensure_ascii=False)


def _as_text(diagnosis: Diagnosis) -> str:
    rows = [
        ("system", diagnosis.system),
        *([("board", diagnosis.board)] if diagnosis.board else []),
        *((check.name, _word(check)) for check in diagnosis.parts),
        *((check.name, f"{_word(check)}, {_role(check, diagnosis)}") for check in diagnosis.interpreters),
        ("cache", diagnosis.cache),
    ]
    return "\n".join([format_table(rows), "", *_verdict(diagnosis)])


def _word(check: PartCheck) -> str:
    if check.works:
        return check.version or "works"
    kind = "" if check.cause in (None, Cause.MISSING, Cause.FAILED) else f"{check.cause.value}: "
    return f"{check.version} {kind}{check.detail}".strip()


def _role(check: PartCheck, diagnosis: Diagnosis) -> str:
    if check == diagnosis.interpreter:
        return f"chosen: {diagnosis.reason}"
    return "not chosen: another comes first" if check.works else "not chosen"


def _verdict(diagnosis: Diagnosis) -> list[str]:
    if diagnosis.healthy:
        return [f"Healthy: {diagnosis.interpreter.name} ran the built-in model."]
    lines = []
    for check in diagnosis.troubles:
        lines.append(
            f"{check.name} must work. Received: {check.detail}." + (f" Run: {check.mend}" if check.mend else "")
        )
    if diagnosis.troubles == (diagnosis.interpreter,) and diagnosis.interpreter.cause is Cause.MISSING:
        lines.append("Bundles that hold no model run all the same: edge-run info says which do.")
    return lines

"""`edge-run verify`: repeat the bundle's golden vectors on this device."""

from __future__ import annotations

import argparse
import json
from typing import Any

from ..bundle import Bundle
from ..verify import Verification, verify
from .text import format_table, json_number

__all__ = ["add_parser"]


def add_parser(verbs: Any, common: argparse.ArgumentParser) -> None:
    """Add the verb to the command."""
    parser = verbs.add_parser(
        "verify", parents=[common], help="prove that this device computes what the workstation did"
    )
    parser.add_argument("bundle", help="an .edge file")
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    verification = verify(Bundle.open(options.bundle), options.interpreter)
    print(_as_json(verification) if options.json else _as_text(verification))
    return 0 if verification.passed else 1


def _as_json(verification: Verification) -> str:
    document = {
        "passed": verification.passed,
        "interpreter": verification.interpreter,
        "frames": verification.frames,
        "checks": [
            {**vars(check), "difference": json_number(check.difference), "passed": check.passed}
            for check in verification.checks
        ],
    }
    return json.dumps(document, indent=2)


def _as_text(verification: Verification) -> str:
    rows = [("form", "stage", "difference", "tolerance", "")]
    rows += [
        (c.form, c.stage, f"{c.difference:.3g}", f"{c.tolerance:.3g}", "ok" if c.passed else "DIFFERS")
        for c in verification.checks
    ]
    first = verification.first_failure
    verdict = (
        f"Verified: {verification.frames} golden frames, {verification.interpreter}."
        if first is None
        else f"Not verified with {verification.interpreter}: {first.form} {first.stage} is the first stage that differs."
    )
    return f"{format_table(rows)}\n{verdict}"

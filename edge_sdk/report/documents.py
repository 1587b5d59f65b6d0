"""What the passes and the quantization of a recipe did, for a program to read."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from edge_sdk_runtime.cli.text import json_number

if TYPE_CHECKING:
    from edge_sdk_converters.pipeline import PassReport
    from edge_sdk_converters.quantize.plan import Quantization

__all__ = ["passes_document", "quantization_document"]


def passes_document(reports: Sequence[PassReport]) -> list[dict[str, Any]]:
    """One entry per pass, in order: the network before and after it, accuracies from 0 to 1, sizes in bytes."""
    return [dataclasses.asdict(report) for report in reports]


def quantization_document(account: Quantization | None) -> dict[str, Any] | None:
    """What quantizing costs and buys: accuracies on the validation images from 0 to 1, sizes in bytes, ratios in decibels.

    Where single layers were measured, `sensitivities` has an entry for each; its `snr_db` is None where nothing changes. None for
    a bundle that stays in float32.
    """
    if account is None:
        return None
    layers = [
        {
            "layer": each.name,
            "mode": each.mode.value,
            "operators": list(each.operators),
            "snr_db": json_number(each.snr_db),
            "accuracy": each.accuracy,
        }
        for each in account.sensitivities
    ]
    return {
        "mode": account.config.mode.value,
        "accuracy_before": account.accuracy_before,
        "accuracy": account.accuracy,
        "tflite_bytes_before": account.tflite_bytes_before,
        "tflite_bytes": account.tflite_bytes,
        "float_layers": list(account.float_layers),
        "without_form": list(account.without_form),
        "unfolded_norms": list(account.unfolded_norms),
        "sensitivities": layers,
    }

import json
import math

from edge_sdk.report.documents import passes_document, quantization_document
from edge_sdk_converters.quantize import QuantizeConfig, QuantizeMode
from edge_sdk_converters.quantize.plan import Quantization
from edge_sdk_converters.quantize.sensitivity import LayerSensitivity
from tests.edge_sdk.test_tables import PASSES


def test_passes_say_what_was_before_and_after() -> None:
    first, second = json.loads(json.dumps(passes_document(PASSES), allow_nan=False))
    assert (first["kind"], first["details"], second["kind"]) == ("factorize", ["dense: rank 8"], "prune")
    assert first["before"] == {"parameters": 23_002, "macs": 5, "accuracy": 0.98, "tflite_bytes": 97_000}
    assert (first["accuracy_before_recovery"], first["after"]["accuracy"]) == (0.9, 0.97)


def test_quantization_says_what_it_costs_and_buys_in_plain_json() -> None:
    account = Quantization(
        config=QuantizeConfig(QuantizeMode.STATIC_INT8),
        float_layers=("last",),
        accuracy_before=0.91,
        accuracy=0.9,
        tflite_bytes_before=60_000,
        tflite_bytes=20_000,
        sensitivities=(LayerSensitivity("last", QuantizeMode.STATIC_INT8, ("FULLY_CONNECTED",), math.inf, 0.9),),
        without_form=("leaky",),
        unfolded_norms=("norm",),
        ranges={},
    )
    document = quantization_document(account)
    assert json.loads(json.dumps(document, allow_nan=False)) == {
        "mode": "static-int8",
        "accuracy_before": 0.91,
        "accuracy": 0.9,
        "tflite_bytes_before": 60_000,
        "tflite_bytes": 20_000,
        "float_layers": ["last"],
        "without_form": ["leaky"],
        "unfolded_norms": ["norm"],
        "sensitivities": [
            {
                "layer": "last",
                "mode": "static-int8",
                "operators": ["FULLY_CONNECTED"],
                "snr_db": None,
                "accuracy": 0.9,
            }
        ],
    }


def test_a_bundle_in_float32_has_no_account() -> None:
    assert quantization_document(None) is None

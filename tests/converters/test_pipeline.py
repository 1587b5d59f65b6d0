"""Recipes carried out on a tiny classifier, and what their reports say."""

from __future__ import annotations

import re
from pathlib import Path

import keras
import numpy as np
import pytest

from edge_sdk.compress import CompressedBundle
from edge_sdk_converters import learning, passes, pipeline
from edge_sdk_converters.cluster.config import ClusterConfig
from edge_sdk_converters.cost import count_macs, count_parameters, layer_macs
from edge_sdk_converters.errors import ModelError
from edge_sdk_converters.factorize.config import FactorizeConfig, Method, RankRule
from edge_sdk_converters.graph import trace
from edge_sdk_converters.keras_file import load_keras
from edge_sdk_converters.learning import LearningData, PassContext
from edge_sdk_converters.passes import ClusterPass, CyclePass, FactorizePass, PrunePass, SparsifyPass, pass_for
from edge_sdk_converters.pipeline import Figures, run_recipe
from edge_sdk_converters.prune.config import ActivationCycleConfig, PruneConfig
from edge_sdk_converters.quantize import AwareConfig, QuantizeConfig, QuantizeMode
from edge_sdk_converters.recipe import BUILT_IN, Recipe, Step
from edge_sdk_converters.recover.config import RecoverConfig
from edge_sdk_converters.source import accuracy
from edge_sdk_converters.sparsify.config import SparsifyConfig
from edge_sdk_converters.tflite import export_tflite
from tests.converters.helpers import assert_one_line, plain_network, weights_kept


def figures_of(model: keras.Model, data: LearningData) -> Figures:
    return Figures(
        count_parameters(model), count_macs(model), accuracy(model, data.validation), len(export_tflite(model))
    )


def test_public_names() -> None:
    assert sorted(pipeline.__all__) == ["Compressed", "Figures", "PassReport", "run_recipe"]
    assert sorted(passes.__all__) == [
        "ClusterPass",
        "CyclePass",
        "FactorizePass",
        "Pass",
        "PassOutcome",
        "PrunePass",
        "SparsifyPass",
        "pass_for",
    ]
    assert sorted(learning.__all__) == ["LearningData", "PassContext", "Told"]


def test_every_configuration_has_its_pass() -> None:
    assert pass_for(PruneConfig()) == PrunePass(PruneConfig())
    assert pass_for(FactorizeConfig()) == FactorizePass(FactorizeConfig())
    assert pass_for(ActivationCycleConfig()) == CyclePass(ActivationCycleConfig())
    assert pass_for(SparsifyConfig()) == SparsifyPass(SparsifyConfig())
    assert pass_for(ClusterConfig()) == ClusterPass(ClusterConfig())
    with pytest.raises(TypeError, match=r"factorize, prune, cycle, sparsify or cluster\. Received: QuantizeConfig"):
        pass_for(QuantizeConfig())


def test_small_is_smaller_in_every_figure(compressed: CompressedBundle, data: LearningData) -> None:
    result = compressed.compressed
    assert [report.kind for report in result.reports] == ["prune", "factorize"]
    first, last = result.reports
    assert first.before == result.original and first.after == last.before
    assert last.after == figures_of(result.model, data)
    for before, after in ((result.original, first.after), (first.after, last.after)):
        assert after.parameters < before.parameters
        assert after.macs < before.macs
    # In a network this small two thin layers take as much room in the file as the one they replace: their operators count.
    assert last.after.tflite_bytes < 0.8 * result.original.tflite_bytes
    for report in result.reports:
        changed = [line for line in report.details if "keeps its channels: " not in line]
        assert changed and all("→" in line for line in changed)
        assert 0 <= report.accuracy_before_recovery <= 1


def test_recovery_recovers(compressed: CompressedBundle) -> None:
    prune = compressed.compressed.reports[0]
    assert prune.after.accuracy > prune.accuracy_before_recovery


def test_the_original_stays_as_it_was(compressed: CompressedBundle, classifier: keras.Model) -> None:
    """`classifier` was adopted from the same model, and no recipe has seen it."""
    one, other = compressed.adopted.model.get_weights(), classifier.get_weights()
    assert all(map(np.array_equal, one, other))
    assert compressed.compressed.model is not compressed.adopted.model


def test_a_recipe_of_nothing_gives_the_model_back(classifier: keras.Model, data: LearningData) -> None:
    result = run_recipe(classifier, BUILT_IN["none"], data)
    assert result.model is classifier and result.reports == ()
    assert result.quantization is None and not result.quantize.quantizes


def test_quantization_is_accounted_for(compressed: CompressedBundle) -> None:
    account = compressed.compressed.quantization
    assert account is not None and account.config == compressed.compressed.quantize == BUILT_IN["small"].quantize
    assert account.accuracy_before == compressed.compressed.reports[-1].after.accuracy
    assert account.tflite_bytes < account.tflite_bytes_before == compressed.compressed.reports[-1].after.tflite_bytes
    assert account.details[0].startswith("static-int8: ") and account.ranges == {}


def test_a_network_is_fine_tuned_for_its_quantization(classifier: keras.Model, data: LearningData) -> None:
    config = QuantizeConfig(QuantizeMode.STATIC_INT8, 32, aware=AwareConfig(epochs=1, min_steps=0))
    told: list[tuple[str, int, int]] = []
    with weights_kept(classifier):
        result = run_recipe(
            classifier, Recipe("aware", steps=(Step(config),)), data, progress=lambda *what: told.append(what)
        )
    assert ("quantize: fine-tune", 1, 1) in told
    assert result.quantization is not None and "stem_act" in result.quantization.ranges
    assert not {"hidden", "scores", "similarity"} & set(result.quantization.ranges)  # they run in float32
    assert result.quantization.accuracy >= result.quantization.accuracy_before - 0.1
    assert count_parameters(result.model) < count_parameters(classifier)  # no batch normalisation is left


def test_a_saved_model_is_quantized_or_refused_but_never_rewritten(tmp_path: Path, data: LearningData) -> None:
    plain_network(classes=10, side=8, channels=1).export(tmp_path / "saved", verbose=False)
    opaque, _ = load_keras(tmp_path / "saved")
    result = run_recipe(opaque, BUILT_IN["int8"], data)
    assert (result.model, result.original, result.reports) == (opaque, None, ())
    assert result.quantization is not None and result.quantize.mode is QuantizeMode.STATIC_INT8
    aware = QuantizeConfig(QuantizeMode.STATIC_INT8, aware=AwareConfig())
    with pytest.raises(ModelError, match=r"recipe tuned with aware fine-tuning\. Use --recipe int8"):
        run_recipe(opaque, Recipe("tuned", steps=(Step(aware),)), data)
    with pytest.raises(ModelError, match=r"recipe small with prune, factorize\. Use --recipe int8") as caught:
        run_recipe(opaque, BUILT_IN["small"], data)
    assert_one_line(caught.value)


def test_the_other_passes_report_what_they_did(classifier: keras.Model, data: LearningData) -> None:
    """In rounds, then scattered zeros that the recovery after them keeps."""
    quick = RecoverConfig(epochs=1, min_steps=0)
    cycle = ActivationCycleConfig(threshold=0.6, rounds=1, min_channels=4, training=quick)
    recipe = Recipe("both", steps=(Step(cycle), Step(SparsifyConfig(sparsity=0.5, schedule="one-shot"), quick)))
    told: list[tuple[str, int, int]] = []
    with weights_kept(classifier):
        result = run_recipe(classifier, recipe, data, progress=lambda *what: told.append(what))
    rounds, sparse = result.reports
    assert [rounds.kind, sparse.kind] == ["cycle", "sparsify"]
    assert rounds.details[0].startswith("round 1: ") and "channels" in rounds.details[0]
    assert rounds.after.parameters < rounds.before.parameters
    assert sparse.after.parameters == sparse.before.parameters
    assert all("weights are zero" in line for line in sparse.details)
    kernels = [weight.numpy() for weight in result.model.weights if weight.name == "kernel"]
    zeros = sum(int((kernel == 0).sum()) for kernel in kernels)
    assert zeros >= 0.49 * sum(kernel.size for kernel in kernels)
    assert ("cycle: round", 0, 1) in told and any(what == "sparsify: recover" for what, _, _ in told)


def test_factorization_tells_what_was_predicted_and_measured(classifier: keras.Model, data: LearningData) -> None:
    widest = max(trace(classifier).calls, key=layer_macs).layer.name
    config = FactorizeConfig(Method.SPATIAL, RankRule.GIVEN, ranks={widest: (1,)}, latency=True, samples=32)
    outcome = FactorizePass(config).apply(classifier, PassContext(data, classifier))
    *_, change, whole = outcome.details
    assert re.fullmatch(rf"{widest}: spatial, rank 1, .* multiply-accumulates, error .*%, \d+ → \d+ µs", change)
    assert re.fullmatch(r"one image, float32: \d+ → \d+ µs measured, \d+ µs predicted", whole)

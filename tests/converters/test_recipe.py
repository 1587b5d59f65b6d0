"""Recipes as dataclasses and as TOML."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_sdk_converters import recipe as module
from edge_sdk_converters.budget import Budget
from edge_sdk_converters.cluster.config import ClusterBudget, ClusterConfig, Form, Init
from edge_sdk_converters.errors import RecipeError
from edge_sdk_converters.factorize.config import FactorizeConfig, Method, RankRule
from edge_sdk_converters.prune.config import ActivationCycleConfig, Criterion, PruneConfig, Unknown
from edge_sdk_converters.quantize import AwareConfig, QuantizeConfig, QuantizeMode
from edge_sdk_converters.recipe import BUILT_IN, Recipe, Step, load_recipe
from edge_sdk_converters.recover.config import RecoverConfig
from edge_sdk_converters.sparsify.config import Decay, Scope, SparsifyConfig

shares = st.floats(0.01, 0.99)
counts = st.integers(1, 10_000)
names = st.lists(st.text(), max_size=3).map(tuple)
recoveries = st.builds(
    RecoverConfig,
    epochs=counts,
    min_steps=st.integers(0, 1000),
    learning_rate=st.floats(1e-9, 1e3),
    distillation=st.floats(0, 1),
    temperature=st.floats(1e-9, 1e3),
    patience=st.integers(0, 50),
    batch_size=counts,
)
budgets = st.builds(
    Budget, parameters=st.none() | shares, macs=shares, latency=st.none() | shares, accuracy_drop=st.none() | shares
)
rewriting = st.one_of(
    st.builds(FactorizeConfig, energy=shares, min_saving=shares, multiple=counts, skip=names),
    st.builds(FactorizeConfig, rank=st.just(RankRule.AUTO), method=st.sampled_from(Method), budget=budgets),
    st.builds(
        FactorizeConfig,
        rank=st.just(RankRule.GIVEN),
        ranks=st.dictionaries(st.text(), st.lists(counts, min_size=1, max_size=2).map(tuple), min_size=1, max_size=3),
        data_aware=st.none() | st.booleans(),
    ),
    st.builds(
        PruneConfig,
        fraction=shares,
        criterion=st.sampled_from(Criterion),
        min_channels=counts,
        layer_fraction=shares,
        unknown=st.sampled_from(Unknown),
        multiple=counts,
        skip=names,
    ),
    st.builds(PruneConfig, budget=budgets),
    st.builds(ActivationCycleConfig, threshold=shares, distorted=st.booleans(), rounds=counts, training=recoveries),
    st.builds(SparsifyConfig, sparsity=shares, scope=st.sampled_from(Scope), decay=st.sampled_from(Decay)),
    st.builds(SparsifyConfig, pattern=st.just("2:4"), training=recoveries),
    st.builds(
        ClusterConfig,
        form=st.sampled_from([Form.WEIGHTS, Form.KERNELS]),
        layers=st.dictionaries(st.text(), st.integers(1, 8), max_size=2),
        init=st.sampled_from(Init),
        bias_bits=st.integers(0, 8),
        budget=st.none() | st.builds(ClusterBudget, bytes=counts, accuracy_drop=st.none() | shares),
    ),
)
integer_modes = st.sampled_from([mode for mode in QuantizeMode if mode.weight_bits])
last_steps = st.builds(
    Step,
    st.builds(QuantizeConfig, mode=st.sampled_from(QuantizeMode), calibration_images=counts)
    | st.builds(
        QuantizeConfig,
        mode=integer_modes,
        layers=st.dictionaries(st.text(), st.sampled_from(QuantizeMode), max_size=2),
        sensitivity=st.booleans(),
        accuracy_drop=st.none() | shares,
        aware=st.none() | st.builds(AwareConfig, epochs=counts),
    ),
    st.none(),
)
rewriting_steps = st.lists(st.builds(Step, rewriting, st.none() | recoveries), max_size=4).map(tuple)
recipes = st.builds(
    lambda name, description, steps, last: Recipe(name, description, steps + last),
    st.text(),
    st.text(),
    rewriting_steps,
    st.lists(last_steps, max_size=1).map(tuple),
)

PRUNE = '[[pass]]\nkind = "prune"\n'
QUANTIZE = '[[pass]]\nkind = "quantize"\n'


def test_public_names() -> None:
    assert sorted(module.__all__) == ["BUILT_IN", "PassConfig", "Recipe", "Step", "load_recipe"]


def test_built_in_recipes_have_these_names() -> None:
    assert list(BUILT_IN) == ["none", "int8", "small", "smallest", "fast"]
    assert all(recipe.name == name and recipe.description for name, recipe in BUILT_IN.items())


@pytest.mark.parametrize("name", BUILT_IN)
def test_built_in_recipes_survive_toml(name: str) -> None:
    assert Recipe.from_toml(BUILT_IN[name].to_toml()) == BUILT_IN[name] == load_recipe(name)


@settings(deadline=None)
@given(recipe=recipes)
def test_every_recipe_survives_toml(recipe: Recipe) -> None:
    assert Recipe.from_toml(recipe.to_toml()) == recipe


def test_a_recipe_as_a_person_writes_it(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(
        f'{PRUNE}fraction = 0.5\ncriterion = "batch-norm"\nskip = ["stem"]\nrecover = {{ epochs = 8, temperature = 3 }}\n'
        f'{QUANTIZE}mode = "static-int8"\n'
    )
    prune = PruneConfig(0.5, Criterion.BATCH_NORM, skip=("stem",))
    steps = (
        Step(prune, RecoverConfig(epochs=8, temperature=3.0)),
        Step(QuantizeConfig(QuantizeMode.STATIC_INT8)),
    )
    recipe = load_recipe(str(path))
    assert recipe == Recipe("mine", "", steps)
    assert [step.kind for step in recipe.steps] == ["prune", "quantize"]
    assert recipe.rewrites == steps[:1]
    assert recipe.quantize == steps[1].config


def test_a_recipe_that_says_nothing_leaves_the_model_in_float32() -> None:
    recipe = Recipe.from_toml("", "nothing.toml")
    assert recipe == Recipe("nothing")
    assert recipe.rewrites == ()
    assert recipe.quantize.mode is QuantizeMode.FLOAT32


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("name = ", "must be TOML"),
        ("passes = []", r"Keys must be among name, description, storage, pass\. Received: passes"),
        ("name = 5", "name must be of type str.*Received: 5"),
        ("description = true", "description must be of type str.*Received: True"),
        ("pass = 3", "pass must be a list of tables"),
        ('[pass]\nkind = "prune"', "pass must be a list of tables"),
        (
            "[[pass]]",
            "kind must be one of factorize, prune, cycle, sparsify, cluster, quantize.*None in here.toml, pass 1",
        ),
        ('[[pass]]\nkind = "distil"', "kind must be one of.*'distil'"),
        ('[[pass]]\nkind = ["prune"]', r"kind must be one of.*\['prune'\]"),
        (f"{PRUNE}ratio = 0.5", "Keys must be among fraction, .*Received: ratio in here.toml, pass 1"),
        (f'{PRUNE}fraction = "half"', "fraction must be of type float.*'half'"),
        (f"{PRUNE}fraction = true", "fraction must be of type float.*True"),
        (f"{PRUNE}multiple = true", "multiple must be of type int.*True"),
        (f"{PRUNE}multiple = 4.0", r"multiple must be of type int.*4\.0"),
        (f"{PRUNE}skip = 'stem'", "skip must be a list of strings.*'stem'"),
        (f"{PRUNE}skip = [1]", "skip must be a list of strings.*1"),
        (f"{PRUNE}fraction = 1", r"fraction must be above 0 and below 1.*here\.toml, pass 1"),
        (f"{PRUNE}fraction = nan", "fraction must be above 0 and below 1"),
        (f'{PRUNE}criterion = "l9"', "criterion must be one of l1, batch-norm.*'l9'"),
        (f"{PRUNE}recover = true", "recover must be a table"),
        (f"{PRUNE}recover = {{ epoch = 3 }}", "Received: epoch in here.toml, pass 1, recover"),
        (f"{PRUNE}recover = {{ epochs = 0 }}", "epochs and batch_size must be at least 1"),
        (f"{PRUNE}recover = {{ distillation = 1.5 }}", "distillation must be between 0 and 1"),
        (f"{PRUNE}recover = {{ temperature = nan }}", "temperature and learning_rate must be above 0"),
        (f"{PRUNE}recover = {{ learning_rate = inf }}", "temperature and learning_rate must be above 0"),
        (f'{QUANTIZE}mode = "int9"', "mode must be one of float32, float16, dynamic-int8.*'int9'"),
        (f"{QUANTIZE}mode = 8", "mode must be one of"),
        (f"{QUANTIZE}calibration_images = 0", "calibration_images must be at least 1"),
        (f"{QUANTIZE}{PRUNE}", "quantize must be the last pass"),
        (f"{QUANTIZE}{QUANTIZE}", "quantize must be the last pass"),
        (f"{QUANTIZE}recover = {{}}", "quantize takes no recovery"),
    ],
)
def test_what_is_no_recipe_is_refused(text: str, message: str) -> None:
    with pytest.raises(RecipeError, match=message) as caught:
        Recipe.from_toml(text, "here.toml")
    assert "Received: " in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["tiny", "missing.toml", "."])
def test_neither_a_name_nor_a_file_is_refused(name: str) -> None:
    with pytest.raises(RecipeError, match=r"one of none, int8, small, smallest, fast or a TOML file.*Received: "):
        load_recipe(name)


def test_a_file_that_is_not_text_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "image.toml"
    path.write_bytes(b"\xff\xd8\xff\xe0")
    with pytest.raises(RecipeError, match=r"image\.toml"):
        load_recipe(str(path))


def test_modes_may_be_given_by_name() -> None:
    assert QuantizeConfig("dynamic-int8").mode is QuantizeMode.DYNAMIC_INT8  # type: ignore[arg-type]
    with pytest.raises(RecipeError, match="mode must be one of"):
        QuantizeConfig("int9")  # type: ignore[arg-type]


@pytest.mark.parametrize(("images", "epochs"), [(1, 30), (64, 30), (65, 29), (1217, 30), (6400, 6), (1_000_000, 6)])
def test_recovery_lasts_longer_on_few_images(images: int, epochs: int) -> None:
    assert RecoverConfig(epochs=6, min_steps=600, batch_size=64).epochs_for(images) == epochs


def test_recipes_are_read_without_keras_or_tensorflow() -> None:
    program = "import sys, edge_sdk_converters.recipe; print([m for m in ('keras', 'tensorflow') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"

"""The compression plan: passes in the order in which they run, as frozen dataclasses and as TOML that a person writes.

```toml
name = "mine"
description = "half the channels, then int8"

[[pass]]
kind = "prune"
fraction = 0.5
recover = { epochs = 8 }

[[pass]]
kind = "quantize"
mode = "static-int8"
```
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tomli_w

from .cluster.config import ClusterConfig
from .config_tables import as_table, check_keys, from_table, read_value
from .errors import RecipeError
from .factorize.config import FactorizeConfig, Method
from .pack.config import Storage, parse_storage
from .prune.config import ActivationCycleConfig, PruneConfig, Unknown
from .quantize import QuantizeConfig, QuantizeMode
from .recover.config import RecoverConfig
from .sparsify.config import SparsifyConfig

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

__all__ = ["BUILT_IN", "PassConfig", "Recipe", "Step", "load_recipe"]

PassConfig = FactorizeConfig | PruneConfig | ActivationCycleConfig | SparsifyConfig | ClusterConfig | QuantizeConfig
"""What a pass can be asked to do."""

_KINDS: dict[str, type[PassConfig]] = {
    "factorize": FactorizeConfig,
    "prune": PruneConfig,
    "cycle": ActivationCycleConfig,
    "sparsify": SparsifyConfig,
    "cluster": ClusterConfig,
    "quantize": QuantizeConfig,
}


@dataclass(frozen=True)
class Step:
    """One pass and the recovery after it.

    Attributes:
        config: What the pass is asked to do; its type says which pass it is.
        recover: Fine-tuning after the pass, or None for none.
    """

    config: PassConfig
    recover: RecoverConfig | None = None

    @property
    def kind(self) -> str:
        """Name of the pass, as a TOML recipe writes it."""
        return next(kind for kind, config_type in _KINDS.items() if isinstance(self.config, config_type))


@dataclass(frozen=True)
class Recipe:
    """A compression plan.

    Attributes:
        name: What it is called.
        description: What it buys, in a sentence.
        steps: Passes in the order in which they run; a quantize pass is the last.
        storage: How the bundle stores the models.
    """

    name: str
    description: str = ""
    steps: tuple[Step, ...] = ()
    storage: Storage = Storage.PLAIN

    def __post_init__(self) -> None:
        object.__setattr__(self, "storage", parse_storage(self.storage))
        for step in self.steps[:-1]:
            if isinstance(step.config, QuantizeConfig):
                raise RecipeError(
                    f"quantize must be the last pass, since it works on the exported file. Received: {self.name} with "
                    f"passes {', '.join(each.kind for each in self.steps)}. Move it to the end."
                )
        if self.steps and isinstance(self.steps[-1].config, QuantizeConfig) and self.steps[-1].recover:
            raise RecipeError(
                f"quantize takes no recovery, since an exported file cannot be trained. Received: {self.name} with recover. "
                "Recover after the pass before it, or write aware = { epochs = 2 } in the quantize pass."
            )

    @property
    def quantize(self) -> QuantizeConfig:
        """How the exported file is quantized; as float32 where the recipe does not say."""
        last = self.steps[-1].config if self.steps else None
        return last if isinstance(last, QuantizeConfig) else QuantizeConfig()

    @property
    def rewrites(self) -> tuple[Step, ...]:
        """The passes that rewrite the Keras model: all but quantize."""
        return tuple(step for step in self.steps if not isinstance(step.config, QuantizeConfig))

    def to_toml(self) -> str:
        """The recipe as TOML; `from_toml` gives an equal recipe back."""
        passes = [_pass_table(step) for step in self.steps]
        storage = {} if self.storage is Storage.PLAIN else {"storage": self.storage.value}
        return tomli_w.dumps({"name": self.name, "description": self.description, **storage, "pass": passes})

    @classmethod
    def from_toml(cls, text: str, source: str = "recipe") -> Recipe:
        """Read a recipe.

        Args:
            text: TOML.
            source: What to call it in an error.

        Raises:
            RecipeError: It is no TOML, has an unknown key, or a value that cannot be.
        """
        try:
            document = tomllib.loads(text)
        except tomllib.TOMLDecodeError as error:
            raise RecipeError(f"A recipe must be TOML. Received: {source} ({error}). Mend that line.") from error
        check_keys(document, ("name", "description", "storage", "pass"), source)
        passes = document.get("pass", [])
        if not isinstance(passes, list) or not all(isinstance(entry, dict) for entry in passes):
            raise RecipeError(f"pass must be a list of tables. Received: {source}. Begin every pass with [[pass]].")
        steps = tuple(_step(entry, f"{source}, pass {number}") for number, entry in enumerate(passes, 1))
        name = read_value(str, document.get("name", Path(source).stem), f"{source}: name")
        description = read_value(str, document.get("description", ""), f"{source}: description")
        storage = read_value(Storage, document.get("storage", Storage.PLAIN.value), f"{source}: storage")
        return cls(name, description, steps, storage)


def load_recipe(name_or_path: str) -> Recipe:
    """A built-in recipe by name, or one from a TOML file.

    Raises:
        RecipeError: There is neither, or the file is not a recipe.
    """
    if name_or_path in BUILT_IN:
        return BUILT_IN[name_or_path]
    path = Path(name_or_path)
    try:
        return Recipe.from_toml(path.read_text(encoding="utf-8"), str(path))
    except (OSError, UnicodeDecodeError) as error:
        raise RecipeError(
            f"A recipe must be one of {', '.join(BUILT_IN)} or a TOML file. Received: {name_or_path}. Choose one, or check the path."
        ) from error


def _pass_table(step: Step) -> dict[str, Any]:
    recover = {"recover": as_table(step.recover)} if step.recover else {}
    return {"kind": step.kind, **as_table(step.config), **recover}


def _step(entry: Mapping[str, Any], where: str) -> Step:
    options = dict(entry)
    kind, recover = options.pop("kind", None), options.pop("recover", None)
    if not isinstance(kind, str) or kind not in _KINDS:
        raise RecipeError(
            f"kind must be one of {', '.join(_KINDS)}. Received: {kind!r} in {where}. Choose one of them."
        )
    config = from_table(_KINDS[kind], options, where)
    return Step(config, None if recover is None else from_table(RecoverConfig, recover, f"{where}, recover"))


_INT8 = Step(QuantizeConfig(QuantizeMode.STATIC_INT8))

BUILT_IN: Mapping[str, Recipe] = {
    recipe.name: recipe
    for recipe in (
        Recipe("none", "The model as it is, in float32: what every other recipe is compared with."),
        Recipe("int8", "Weights and activations in int8: a quarter of the size, faster, nothing rewritten.", (_INT8,)),
        Recipe(
            "small",
            "A third of the channels removed, layers factorized, int8: small and fast, for a point or two of accuracy.",
            (
                Step(PruneConfig(fraction=0.3, unknown=Unknown.KEEP), RecoverConfig(epochs=8)),
                Step(FactorizeConfig(Method.TUCKER, energy=0.8), RecoverConfig(epochs=8)),
                _INT8,
            ),
        ),
        Recipe(
            "smallest",
            "Half of the channels removed in two rounds, layers factorized hard, int8, stored coded: for the tightest storage.",
            (
                Step(PruneConfig(fraction=0.3, unknown=Unknown.KEEP), RecoverConfig(epochs=10)),
                Step(PruneConfig(fraction=0.3, unknown=Unknown.KEEP), RecoverConfig(epochs=10)),
                Step(FactorizeConfig(Method.TUCKER, energy=0.7), RecoverConfig(epochs=10)),
                _INT8,
            ),
            Storage.CODED,
        ),
        Recipe(
            "fast",
            "Half of the channels removed, int8, no layer split in two: for the lowest latency.",
            (Step(PruneConfig(fraction=0.5, multiple=8, unknown=Unknown.KEEP), RecoverConfig(epochs=10)), _INT8),
        ),
    )
}
"""The recipes that come with the SDK."""

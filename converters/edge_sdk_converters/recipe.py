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

import dataclasses
import sys
import typing
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any

import tomli_w

from .errors import RecipeError
from .factorize.config import FactorizeConfig
from .prune.config import PruneConfig
from .quantize import QuantizeConfig, QuantizeMode
from .recover.config import RecoverConfig

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

__all__ = ["BUILT_IN", "PassConfig", "Recipe", "Step", "load_recipe"]

PassConfig = FactorizeConfig | PruneConfig | QuantizeConfig
"""What a pass can be asked to do."""

_KINDS: dict[str, type[PassConfig]] = {"factorize": FactorizeConfig, "prune": PruneConfig, "quantize": QuantizeConfig}


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
        """Name of the pass: `factorize`, `prune` or `quantize`."""
        return next(kind for kind, config_type in _KINDS.items() if isinstance(self.config, config_type))


@dataclass(frozen=True)
class Recipe:
    """A compression plan.

    Attributes:
        name: What it is called.
        description: What it buys, in a sentence.
        steps: Passes in the order in which they run; a quantize pass is the last.
    """

    name: str
    description: str = ""
    steps: tuple[Step, ...] = ()

    def __post_init__(self) -> None:
        for step in self.steps[:-1]:
            if isinstance(step.config, QuantizeConfig):
                raise RecipeError(
                    f"quantize must be the last pass, since it works on the exported file. Received: {self.name} with "
                    f"passes {', '.join(each.kind for each in self.steps)}. Move it to the end."
                )
        if self.steps and isinstance(self.steps[-1].config, QuantizeConfig) and self.steps[-1].recover:
            raise RecipeError(
                f"quantize takes no recovery, since an exported file cannot be trained. Received: {self.name} with recover. "
                "Recover after the pass before it."
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
        passes = [{"kind": step.kind, **_plain(step.config), **_recover(step)} for step in self.steps]
        return tomli_w.dumps({"name": self.name, "description": self.description, "pass": passes})

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
        _check_keys(document, ("name", "description", "pass"), source)
        passes = document.get("pass", [])
        if not isinstance(passes, list) or not all(isinstance(entry, dict) for entry in passes):
            raise RecipeError(f"pass must be a list of tables. Received: {source}. Begin every pass with [[pass]].")
        steps = tuple(_step(entry, f"{source}, pass {number}") for number, entry in enumerate(passes, 1))
        name = _value(str, document.get("name", Path(source).stem), f"{source}: name")
        return cls(name, _value(str, document.get("description", ""), f"{source}: description"), steps)


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


def _step(entry: Mapping[str, Any], where: str) -> Step:
    options = dict(entry)
    kind, recover = options.pop("kind", None), options.pop("recover", None)
    if not isinstance(kind, str) or kind not in _KINDS:
        raise RecipeError(
            f"kind must be one of {', '.join(_KINDS)}. Received: {kind!r} in {where}. Choose one of them."
        )
    config = _read(_KINDS[kind], options, where)
    return Step(config, None if recover is None else _read(RecoverConfig, recover, f"{where}, recover"))


def _read(config_type: Any, options: Any, where: str) -> Any:
    """A configuration from a TOML table, every key and type checked against the dataclass."""
    if not isinstance(options, dict):
        raise RecipeError(f"{where} must be a table. Received: {options!r}. Write {{ key = value }}.")
    hints = typing.get_type_hints(config_type)
    _check_keys(options, hints, where)
    values = {key: _value(hints[key], value, f"{where}: {key}") for key, value in options.items()}
    try:
        return config_type(**values)
    except RecipeError as error:
        raise RecipeError(f"{error} ({where})") from None


def _value(hint: Any, value: Any, where: str) -> Any:
    if isinstance(hint, type) and issubclass(hint, Enum):
        names = [member.value for member in hint]
        if value not in names:
            raise RecipeError(f"{where} must be one of {', '.join(names)}. Received: {value!r}. Choose one of them.")
        return hint(value)
    expected = typing.get_origin(hint) or hint
    if expected is tuple:
        if not isinstance(value, list) or not all(isinstance(entry, str) for entry in value):
            raise RecipeError(f'{where} must be a list of strings. Received: {value!r}. Write ["one", "two"].')
        return tuple(value)
    if expected is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if not isinstance(value, expected) or (expected is int and isinstance(value, bool)):
        raise RecipeError(f"{where} must be of type {expected.__name__}. Received: {value!r}. Mend the value.")
    return value


def _check_keys(table: Mapping[str, Any], known: Any, where: str) -> None:
    unknown = sorted(set(table) - set(known))
    if unknown:
        raise RecipeError(
            f"Keys must be among {', '.join(known)}. Received: {', '.join(unknown)} in {where}. Mend the spelling."
        )


def _recover(step: Step) -> dict[str, Any]:
    return {"recover": _plain(step.recover)} if step.recover else {}


def _plain(config: Any) -> dict[str, Any]:
    values = dataclasses.asdict(config)
    return {
        key: value.value if isinstance(value, Enum) else list(value) if isinstance(value, tuple) else value
        for key, value in values.items()
    }


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
                Step(PruneConfig(fraction=0.3), RecoverConfig(epochs=8)),
                Step(FactorizeConfig(energy=0.8), RecoverConfig(epochs=8)),
                _INT8,
            ),
        ),
        Recipe(
            "smallest",
            "Half of the channels removed in two rounds, layers factorized hard, int8: for the tightest storage.",
            (
                Step(PruneConfig(fraction=0.3), RecoverConfig(epochs=10)),
                Step(PruneConfig(fraction=0.3), RecoverConfig(epochs=10)),
                Step(FactorizeConfig(energy=0.7), RecoverConfig(epochs=10)),
                _INT8,
            ),
        ),
        Recipe(
            "fast",
            "Half of the channels removed, int8, no layer split in two: for the lowest latency.",
            (Step(PruneConfig(fraction=0.5, multiple=8), RecoverConfig(epochs=10)), _INT8),
        ),
    )
}
"""The recipes that come with the SDK."""

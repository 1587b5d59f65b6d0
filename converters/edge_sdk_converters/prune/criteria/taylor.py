"""Units without which the loss would hardly change matter least."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import keras
import numpy as np

from ...errors import ModelError
from ...graph import rebuild
from ...training import predict, without_tracing_notes
from ..readers import readers
from .criterion import require_images

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ..calibration import Calibration
    from ..channels import Analysis

__all__ = ["FirstOrderTaylor"]

_BATCH = 16
_NOISE = ("rate", "stddev")
"""What dropout and noise layers are set by; the loss is measured without them."""


class FirstOrderTaylor:
    """Squared first-order estimate of what the loss changes when a unit is removed, mean over batches.

    Molchanov et al., "Importance Estimation for Neural Network Pruning" (2019), with a gate: every place that reads a unit
    reads it times g = 1, and removal is the step to g = 0, so that the change is estimated by ∂loss/∂g. Tied channels have
    one gate. The loss is cross-entropy on labels. No back end's gradient is called: the gates are the only trainable
    weights, and the optimizer sums what it is given in the place of a step.
    """

    needs_images = True
    estimates_loss = True
    refits = False

    def scores(self, analysis: Analysis, calibration: Calibration | None = None) -> NDArray[np.float64]:
        """Judge every unit; see `ChannelCriterion.scores`.

        Raises:
            ModelError: The model is no classifier.
        """
        images = require_images(calibration, "taylor")
        gates = keras.Variable(np.ones(analysis.count, np.float32), name="gates")
        model = _gated(analysis, gates)
        optimizer = _SquaredGradients()
        model.compile(optimizer, _loss(model, images.x), jit_compile=False)
        with without_tracing_notes():
            model.fit(images.x, images.y, batch_size=_BATCH, epochs=1, shuffle=False, verbose=0)
        batches = -(-len(images.x) // _BATCH)
        return np.asarray(optimizer.sums[0].numpy(), np.float64) / batches


class _Gate(keras.layers.Layer):
    """Multiplies every channel by the gate of its unit, and those without a unit by 1."""

    def __init__(self, gates: keras.Variable, units: NDArray[np.int64], name: str) -> None:
        super().__init__(name=name)
        self.gates = gates
        self._indices = np.where(units >= 0, units, gates.shape[0]).astype(np.int32)

    def call(self, inputs: Any, training: bool | None = None) -> Any:
        del training
        factors = keras.ops.concatenate([self.gates, keras.ops.ones((1,), self.gates.dtype)])
        return inputs * keras.ops.cast(keras.ops.take(factors, self._indices), inputs.dtype)

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        return input_shape


class _SquaredGradients(keras.optimizers.Optimizer):
    """Adds up squared gradients and leaves the variables alone."""

    def __init__(self) -> None:
        super().__init__(learning_rate=0.0, name="squared_gradients")
        self.sums: list[keras.Variable] = []

    def build(self, variables: list[keras.Variable]) -> None:
        if not self.built:
            super().build(variables)
            self.sums = [self.add_variable_from_reference(variable, "sum") for variable in variables]

    def update_step(self, gradient: Any, variable: keras.Variable, learning_rate: Any) -> None:
        del learning_rate
        self.assign_add(self.sums[self._get_variable_index(variable)], keras.ops.square(gradient))


def _gated(analysis: Analysis, gates: keras.Variable) -> keras.Model:
    """The network with a gate before every reader; nothing but the gates learns."""
    units = {id(reader.layer): reader.units for reader in readers(analysis)}
    copies: list[tuple[keras.Layer, keras.Layer]] = []

    def replace(layer: keras.Operation) -> list[keras.Layer] | None:
        config = layer.get_config() if isinstance(layer, keras.Layer) else {}
        still = {key: 0.0 for key in _NOISE if key in config}
        if id(layer) not in units:
            return [type(layer).from_config({**config, **still})] if still else None
        copy = type(layer).from_config(config)
        copies.append((layer, copy))
        return [_Gate(gates, units[id(layer)], f"gates_before_{layer.name}"), copy]

    model = rebuild(analysis.graph, replace)
    for layer, copy in copies:
        copy.set_weights(layer.get_weights())
    for layer in model.layers:
        layer.trainable = isinstance(layer, _Gate)
    return model


def _loss(model: keras.Model, x: NDArray[Any]) -> keras.losses.Loss:
    """Cross-entropy on probabilities or logits, whichever the model gives."""
    if len(model.outputs) != 1 or len(model.outputs[0].shape) != 2:
        shapes = ", ".join(str(list(output.shape)) for output in model.outputs)
        raise ModelError(
            f"criterion 'taylor' needs a classifier with output [batch, classes]. Received: '{model.name}' with {shapes}. "
            "Choose criterion 'thinet'."
        )
    rows = predict(model, x[:64])
    probabilities = bool((rows >= 0).all()) and np.allclose(rows.sum(axis=1), 1, atol=1e-3)
    return keras.losses.SparseCategoricalCrossentropy(from_logits=not probabilities)

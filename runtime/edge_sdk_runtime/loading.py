"""What a pipeline is made of, read from a bundle: models that the interpreter is not known to get wrong, prototypes, a head."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from .bundle import Bundle
from .errors import BundleCorruptError, UsageError
from .interpreters import Interpreter, InterpreterPlug
from .manifest import StagedForm
from .packages import promised
from .similarity import CompiledSimilarity

if TYPE_CHECKING:
    from .mlp import MlpHead
    from .preprocess import PreprocessSpec
    from .unknown import CompiledUnknown

__all__ = ["flattened_image", "load_head", "load_model", "load_similarity", "load_unknown"]


def load_model(bundle: Bundle, name: str, plug: InterpreterPlug, threads: int) -> Interpreter:
    """Load a model that the interpreter is not known to refuse or get wrong.

    Args:
        bundle: The bundle.
        name: The model's member.
        plug: What loads it.
        threads: Threads it runs on, at least 1.

    Raises:
        BundleCorruptError: The member is not what it should be.
        ModelUnsupportedError: The installed interpreter is known not to run it.
        InterpreterError: The interpreter refuses it.
    """
    content, release = bundle.read(name), plug.release()
    if release and not promised(release, bundle.manifest.requires):
        from .gate import admit  # with its tables 5 ms; what the bundle promises needs no look at the model

        admit(content, name, release)
    return plug.load(content, threads)


def load_head(bundle: Bundle, name: str, plug: InterpreterPlug) -> Interpreter | MlpHead:
    """Load a head, which is a model or a few arrays; see `load_model`."""
    if name.endswith(".tflite"):
        return load_model(bundle, name, plug, 1)
    from .mlp import MlpHead  # the fused form has no head

    return MlpHead.from_bytes(bundle.read(name))


def load_similarity(bundle: Bundle, form: StagedForm) -> CompiledSimilarity:
    """Make the comparison with a bundle's prototypes ready.

    Raises:
        BundleCorruptError: They are not as many as the manifest says, or none.
    """
    arrays = bundle.read_arrays(form.prototypes)
    table = arrays.get("", np.empty(0))
    if table.ndim != 2 or len(table) != len(form.prototype_labels):
        raise BundleCorruptError(
            f"{form.prototypes} must hold one row for each of {len(form.prototype_labels)} prototype labels. "
            f"Received: {list(table.shape)}. Write the bundle again."
        )
    try:
        return CompiledSimilarity(table.astype(np.float32), form.similarity)
    except UsageError as error:
        raise BundleCorruptError(f"{form.prototypes}: {error}") from error


def load_unknown(bundle: Bundle, width: int) -> CompiledUnknown | None:
    """A bundle's rule for unknown images; see `CompiledUnknown.of`."""
    if bundle.manifest.unknown is None:
        return None
    from .unknown import CompiledUnknown  # not every bundle tells unknown images

    return CompiledUnknown.of(bundle, width)


def flattened_image(spec: PreprocessSpec) -> Interpreter:
    """What stands in the encoder's place where the image itself is the embedding."""
    from .interpreters.none import FlattenedImage  # nearly every bundle has an encoder

    return FlattenedImage(spec.shape)

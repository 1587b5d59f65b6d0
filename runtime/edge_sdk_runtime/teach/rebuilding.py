"""A bundle put together anew around what it has learnt, and proven before anybody gets it."""

from __future__ import annotations

import dataclasses
import io
from typing import TYPE_CHECKING, Any

import numpy as np

from ..bundle import GOLDEN, Bundle
from ..errors import VerificationError
from ..manifest import Manifest, Measured, TaughtClass, UnknownRule
from ..memory import MEMORY
from ..pipelines import make_pipeline
from ..verify import GoldenVectors, verify

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from ..interpreters import InterpreterPlug
    from ..mlp import MlpHead
    from .knowledge import Knowledge

__all__ = ["rebuilt"]

_HEAD = "head.npz"
_MEASURED_BEFORE = "measured_before_teaching"


def rebuilt(bundle: Bundle, knowledge: Knowledge, records: tuple[TaughtClass, ...], plug: InterpreterPlug) -> Bundle:
    """The next version of a bundle: the same encoder, other classes.

    The fused form goes, since its graph holds the old classes. The golden vectors keep their frames and the embeddings that the
    workstation expects of them; similarities and scores are what this device makes of them with the new prototypes and head.

    Args:
        bundle: The version before.
        knowledge: What the next one knows, its head trained.
        records: What was taught on devices, this time included.
        plug: The interpreter.

    Raises:
        VerificationError: The new bundle does not reproduce its golden vectors here.
    """
    draft = _draft(bundle, knowledge, records, plug)
    golden = _golden(bundle, draft, plug)
    members = {**draft.members(), GOLDEN: _npz(golden.arrays())}
    opened = Bundle.from_bytes(Bundle.build(draft.manifest, members).to_bytes(), bundle.manifest.name)
    verification = verify(opened, plug)
    failure = verification.first_failure
    if failure:
        raise VerificationError(
            f"A bundle that was taught must reproduce its golden vectors. Received: {failure.form} {failure.stage} differs by "
            f"{failure.difference:.3g} with {verification.interpreter}, {failure.tolerance:.3g} allowed. Run: edge-run verify "
            "on the bundle as it was."
        )
    return opened


def _draft(bundle: Bundle, knowledge: Knowledge, records: tuple[TaughtClass, ...], plug: InterpreterPlug) -> Bundle:
    manifest = bundle.manifest
    form = manifest.staged
    assert form is not None
    assert knowledge.head is not None
    replaced = {GOLDEN, form.head, manifest.fused.classifier if manifest.fused else ""}
    members = {name: content for name, content in bundle.members().items() if name not in replaced}
    members[form.prototypes] = knowledge.prototypes_bytes()
    members[_HEAD] = knowledge.head.to_bytes()
    members[form.memory or MEMORY] = knowledge.memory.to_bytes()
    taught = dataclasses.replace(form, prototype_labels=knowledge.prototype_labels, head=_HEAD)
    rule = manifest.unknown
    changed = dataclasses.replace(
        manifest,
        labels=knowledge.labels,
        staged=taught,
        fused=None,
        default_form="staged",
        measured=_measured(bundle, knowledge),
        interpreters=(f"{plug.name} {plug.version()}",),
        provenance=_provenance(manifest),
        unknown=UnknownRule(knowledge.thresholds) if rule else None,
        version=manifest.version + 1,
        taught=records,
    )
    return Bundle.build(changed, members)


def _golden(bundle: Bundle, draft: Bundle, plug: InterpreterPlug) -> GoldenVectors:
    known = GoldenVectors.of(bundle)
    pipeline = make_pipeline(draft, "staged", plug, threads=1)
    try:
        found = GoldenVectors.record(pipeline, known.frames[:-1])
    finally:
        pipeline.close()
    kept = {stage: rows for stage, rows in known.expected.items() if stage in ("preprocess", "embed")}
    return GoldenVectors(found.frames, {**found.expected, **kept})


def _measured(bundle: Bundle, knowledge: Knowledge) -> Measured:
    """No accuracy: nobody measured the new classes. Weights and work follow from what was there and what changed."""
    manifest, form = bundle.manifest, bundle.manifest.staged
    assert form is not None
    entry = manifest.files.get(form.encoder or "")
    size = 0 if entry is None else entry.rebuilt.size_bytes if entry.rebuilt else entry.size_bytes
    parameters, macs = manifest.measured.parameters, manifest.measured.macs
    if form.head.endswith(".npz") and knowledge.head:
        from ..mlp import MlpHead

        old = MlpHead.from_bytes(bundle.read(form.head))
        table = (len(knowledge.prototypes) - len(form.prototype_labels)) * knowledge.prototypes.shape[1]
        change, multiplied = (new - before for new, before in zip(_sizes(knowledge.head), _sizes(old), strict=True))
        parameters = None if parameters is None else parameters + table + change
        macs = None if macs is None else macs + table + multiplied
    else:
        parameters = macs = None
    return Measured(None, 0, "", parameters, macs, size)


def _sizes(head: MlpHead) -> tuple[int, int]:
    """A head's weights, and how many of them multiply."""
    multiplied = sum(kernel.size for kernel in head.kernels)
    return multiplied + sum(bias.size for bias in head.biases), multiplied


def _provenance(manifest: Manifest) -> dict[str, str]:
    """Where the bundle came from, with the accuracy that was measured before the first teaching."""
    accuracy, images = manifest.measured.accuracy, manifest.measured.images
    if accuracy is None:
        return dict(manifest.provenance)
    before = f"{accuracy:.2%} of {images} held-out images ({manifest.measured.data})"
    return {**manifest.provenance, _MEASURED_BEFORE: before}


def _npz(arrays: Mapping[str, NDArray[np.generic]]) -> bytes:
    file = io.BytesIO()
    pairs: dict[str, Any] = dict(arrays)  # no allow_pickle: NumPy 1 would store it as one more array
    np.savez_compressed(file, **pairs)
    return file.getvalue()

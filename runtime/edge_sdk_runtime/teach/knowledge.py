"""What a staged bundle knows of its classes, as something that can be added to and taken from."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from ..errors import UsageError
from ..memory import FeatureMemory
from ..mlp import MlpHead
from ..similarity import Similarity, similarity_features

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ..bundle import Bundle

__all__ = ["Knowledge"]

_REMEMBERED = 64


class Knowledge(NamedTuple):
    """Everything between the encoder and the scores.

    Attributes:
        labels: Class names.
        memory: Examples of every class.
        prototypes: `float32 [P, D]`.
        prototype_labels: Class index of each of the P prototypes.
        similarity: How embeddings and prototypes are compared.
        head: Features `[P]` → probabilities `[classes]`; None where the bundle's is a model that cannot be trained here.
        thresholds: Per class, what `CompiledUnknown` compares with; empty where unknown images are not told.
    """

    labels: tuple[str, ...]
    memory: FeatureMemory
    prototypes: NDArray[np.float32]
    prototype_labels: tuple[int, ...]
    similarity: Similarity
    head: MlpHead | None
    thresholds: tuple[float, ...] = ()

    @classmethod
    def of(cls, bundle: Bundle) -> Knowledge:
        """What a bundle knows.

        Raises:
            UsageError: It cannot be taught: it has no staged form, or no feature memory.
            BundleCorruptError: Its parts are not what they should be.
        """
        manifest = bundle.manifest
        form = manifest.staged
        if form is None:
            raise UsageError(
                "A bundle that is taught needs the staged form: encoder, prototypes, head. "
                f"Received: {manifest.name}, which has the fused form alone. Run: edge-sdk compress MODEL --data DATA --form staged"
            )
        if form.memory is None:
            raise UsageError(
                "A bundle that is taught needs a feature memory, or the old classes would be forgotten. "
                f"Received: {manifest.name} without one. Write it again without --no-memory: edge-sdk compress MODEL --data DATA"
            )
        return cls(
            manifest.labels,
            FeatureMemory.of(bundle),
            bundle.read_arrays(form.prototypes)[""].astype(np.float32),
            form.prototype_labels,
            form.similarity,
            MlpHead.from_bytes(bundle.read(form.head)) if form.head.endswith(".npz") else None,
            manifest.unknown.thresholds if manifest.unknown else (),
        )

    def features(self, embeddings: NDArray[np.float32]) -> NDArray[np.float32]:
        """Similarities to the prototypes, `float32 [N, P]`."""
        return similarity_features(embeddings, self.prototypes, self.similarity)

    def predictions(self, embeddings: NDArray[np.float32]) -> NDArray[np.int64]:
        """Most probable class indices, `int64 [N]`, by a head that there is."""
        assert self.head is not None
        best: NDArray[np.int64] = self.head(self.features(embeddings)).argmax(axis=1)
        return best

    def accuracy(self, memory: FeatureMemory) -> float | None:
        """Share of remembered examples that are classified rightly, 0 to 1; None where there are none."""
        if not len(memory.labels):
            return None
        return float((self.predictions(memory.embeddings) == memory.labels).mean())

    def class_index(self, label: str) -> int:
        """The class index of a label, or that of the next class where it is new."""
        return self.labels.index(label) if label in self.labels else len(self.labels)

    def shown(self, label: str, embeddings: NDArray[np.float32]) -> Knowledge:
        """With examples of a class remembered, new or known.

        Args:
            label: The class.
            embeddings: Its examples, `float32 [N, D]`.
        """
        added = FeatureMemory.rounded(embeddings, np.full(len(embeddings), self.class_index(label)))
        labels = self.labels if label in self.labels else (*self.labels, label)
        return self._replace(labels=labels, memory=self.memory.joined(added))

    def with_prototypes(self, label: str, prototypes: NDArray[np.float32]) -> Knowledge:
        """With prototypes of a class added, `float32 [k, D]`; the head does not know of them yet."""
        return self._replace(
            prototypes=np.concatenate((self.prototypes, prototypes)),
            prototype_labels=(*self.prototype_labels, *[self.class_index(label)] * len(prototypes)),
        )

    def remembering(self, seed: int) -> Knowledge:
        """With a memory that does not grow with every picture: of each class at most 64 examples, drawn at random."""
        return self._replace(memory=self.memory.at_most(_REMEMBERED, seed))

    def without(self, label: str) -> Knowledge:
        """With a class taken out of everything, the head included."""
        index = self.class_index(label)
        kept = np.array([own != index for own in self.prototype_labels])
        head = self.head and _without(self.head, ~kept, index, self.features(self.memory.embeddings))
        return Knowledge(
            tuple(own for own in self.labels if own != label),
            self.memory.without(index),
            self.prototypes[kept],
            tuple(own - (own > index) for own in self.prototype_labels if own != index),
            self.similarity,
            head,
            tuple(threshold for own, threshold in enumerate(self.thresholds) if own != index),
        )

    def prototypes_bytes(self) -> bytes:
        """The prototypes as a .npy file."""
        file = io.BytesIO()
        np.save(file, self.prototypes, allow_pickle=False)
        return file.getvalue()


def _without(head: MlpHead, gone: NDArray[np.bool_], output: int, features: NDArray[np.float32]) -> MlpHead:
    """A head that reads fewer features and scores one class less.

    In the place of a feature that is gone stands what the others say of it, by linear regression on the remembered examples; so the
    scores of the other classes stay nearly what they were, and the head need not learn again from the few that are remembered.
    """
    left = np.column_stack((features[:, ~gone], np.ones(len(features)))).astype(np.float64)
    slopes = np.linalg.lstsq(left, features[:, gone].astype(np.float64), rcond=1e-4)[0]
    kernels, biases = list(head.kernels), list(head.biases)
    stand_in = (slopes @ kernels[0][gone]).astype(np.float32)
    kernels[0], biases[0] = kernels[0][~gone] + stand_in[:-1], biases[0] + stand_in[-1]
    kernels[-1], biases[-1] = np.delete(kernels[-1], output, axis=1), np.delete(biases[-1], output)
    return MlpHead(tuple(kernels), tuple(biases))

"""ImageEm, experiment 5.1: cats and dogs of CIFAR-10, 9,000 images to learn from, 1,000 to choose by, 2,000 test images used once.

The rival is a plain convolutional network on the same images, with the same random changes to them. The literal pipeline is the
paper's: one autoencoder per class in the published layouts, similarity to class embeddings, an MLP; and the same with flattened
pixels. The learned encoder saw the training images of all ten classes, with what two networks say of them, one of which ImageNet had
taught before (the paper's embeddings, too, were learnt from larger collections); never a validation or test image.
"""

from __future__ import annotations

import sys

from .harness import Outcome, command
from .imageem import Experiment, Published, outcome

EXPERIMENT = Experiment((3, 5), ("imageem-binary-2", "imageem-binary-1"), autoencoder_epochs=4, cnn_epochs=25)
"""Cat and dog; autoencoder 1 of the paper is the dog's, 2 the cat's."""
_QUICK = Experiment((3, 5), (), 0, 0, code_prototypes=(1,), pixel_prototypes=(), choices=(1,))
_PUBLISHED = Published(88.5, 83, 3.8)


def measure(quick: bool) -> Outcome:
    """Train what is not kept, measure every bundle on the test images, then time all in turn."""
    if quick:
        return outcome(_QUICK, _PUBLISHED, "digits 3 and 5", quick=True)
    return outcome(EXPERIMENT, _PUBLISHED, "CIFAR-10, cat and dog", quick=False)


if __name__ == "__main__":
    sys.exit(command("imageem_binary", measure))

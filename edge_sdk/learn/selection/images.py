"""Choosing among the images of a data set: embedded block by block, seen by a selector, named at the end."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from ...data import prepare
from ..embedding_autoencoder import EmbeddingAutoencoderConfig, train_embedding_autoencoder
from .base import Selector, Strategy, no_basis
from .embed import Embedder
from .hashing import hashed
from .select import SelectionConfig, make_selector

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from edge_sdk_runtime import PreprocessSpec

    from ...image_sets import ImageSet, Splits

__all__ = ["autoencoder_embedder", "see_images", "select_images"]

_LEARNT_FROM = 50_000
"""Images that an autoencoder learns from, at most; more of them teach it nothing new and do not fit into memory for ever."""
_NOT_LOOKED_AT = 2**16

Told = Callable[[str, int, int], None]


def select_images(
    images: ImageSet, config: SelectionConfig, embedder: Embedder | None = None, told: Told | None = None
) -> NDArray[np.int64]:
    """Choose images of a set.

    Args:
        images: To choose from.
        config: The strategy and how many.
        embedder: What images are chosen by; None for the random strategy, which does not look at them.
        told: Told what is being done, and how far.

    Returns:
        `int64 [k]`, positions in the set in order of choice; all where there are fewer than asked for.

    Raises:
        DataError: The strategy needs an embedder.
    """
    selector = make_selector(config)
    see_images(selector, images, range(len(images)), config.strategy, embedder, told)
    choosing = (lambda done, planned: told("choose", done, planned)) if told else None
    return selector.result(min(config.count, selector.available), choosing)


def see_images(
    selector: Selector,
    images: ImageSet,
    rows: range,
    strategy: Strategy,
    embedder: Embedder | None = None,
    told: Told | None = None,
) -> None:
    """Show some of a set's images to a selector.

    Args:
        selector: What remembers them.
        images: The whole set.
        rows: Consecutive positions in it.
        strategy: The selector's.
        embedder: What images are chosen by; None for the random strategy.
        told: Told how many are embedded.

    Raises:
        DataError: The strategy needs an embedder.
    """
    if strategy is not Strategy.RANDOM and embedder is None:
        raise no_basis(strategy)
    done = rows.start
    for block in embedder.blocks(images, rows) if embedder else _nothing(rows):
        selector.add(block, done, images.targets[done : done + len(block)])
        done += len(block)
        if told:
            told("embed", done - rows.start, len(rows))


def autoencoder_embedder(
    splits: Splits, spec: PreprocessSpec, config: EmbeddingAutoencoderConfig | None = None, told: Told | None = None
) -> Embedder:
    """An embedder that knows no labels: the published autoencoder, trained on at most 50,000 of the training images.

    Args:
        splits: The data; validation and test images are not looked at.
        spec: What is done to every image before; at least as large as the piece that is encoded.
        config: Layout and training; those of the paper where None.
        told: Told what is being done.

    Raises:
        DataError: The images are smaller than the piece that is encoded.
    """
    config = config or EmbeddingAutoencoderConfig(flip=splits.flips)
    order = np.argsort(hashed(np.arange(len(splits.train)), config.seed))
    reading = (lambda done, planned: told("images", done, planned)) if told else None
    learnt_from = prepare(splits.train.take(np.sort(order[:_LEARNT_FROM])), spec, reading)
    training = (lambda done, planned: told("autoencoder", done, planned)) if told else None
    trained = train_embedding_autoencoder(learnt_from.x, config, training)
    return Embedder(trained.encoder, spec, "code of an autoencoder")


def _nothing(rows: range) -> Iterator[NDArray[np.float32]]:
    for start in range(0, len(rows), _NOT_LOOKED_AT):
        yield np.zeros((min(_NOT_LOOKED_AT, len(rows) - start), 1), np.float32)

"""Which images are learnt from, chosen by and tested on: decided per class, by the seed alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from .errors import DataError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from .image_sets import ImageSet

__all__ = ["TEST_SHARE", "VALIDATION_SHARE", "at_most", "check_counts", "check_labels", "divide", "stratified"]

TEST_SHARE = 0.2
VALIDATION_SHARE = 0.1


def stratified(targets: NDArray[np.int64], shares: tuple[float, ...], seed: int) -> tuple[NDArray[np.int64], ...]:
    """Deal images out so that every part has its share of every class.

    Of a class with n images, a part with share s gets round(s · n), at least one unless s is 0. The images of one class do
    not influence how another is dealt.

    Args:
        targets: `int64 [N]`, class index of each image.
        shares: The share of each part, 0 to 1; what is left over makes the first part.
        seed: 0 or greater; the same seed deals the same way.

    Returns:
        Ascending `int64` indices of what is left over and then of each part; together every index once.
    """
    parts: list[list[NDArray[np.int64]]] = [[] for _ in range(len(shares) + 1)]
    for members in _shuffled_classes(targets, seed):
        sizes = [max(1, round(share * len(members))) if share else 0 for share in shares]
        *dealt, rest = np.split(members, np.cumsum(sizes))
        for part, some in zip(parts, (rest, *dealt), strict=True):
            part.append(some)
    return tuple(_ascending(part) for part in parts)


def at_most(targets: NDArray[np.int64], limit: int | None, seed: int) -> NDArray[np.int64]:
    """Choose at most so many images of each class.

    Args:
        targets: `int64 [N]`, class index of each image.
        limit: The most per class; None for all.
        seed: 0 or greater; the same seed chooses the same images.

    Returns:
        Ascending `int64` indices of the chosen images.
    """
    return _ascending([members[:limit] for members in _shuffled_classes(targets, seed)])


def divide(
    name: str, train: ImageSet, validation: ImageSet | None, test: ImageSet | None, seed: int
) -> tuple[ImageSet, ImageSet, ImageSet]:
    """Complete what the data brings to training, validation and test images, each in an order fixed by the seed.

    Args:
        name: What to call the data in an error.
        train: The training images, out of which missing parts are taken.
        validation: The validation images; None to take 10 % of each class, at least one image.
        test: The test images; None to take 20 % of each class, at least one image.
        seed: 0 or greater.

    Returns:
        Training, validation and test images.

    Raises:
        DataError: A class has too few images for every part to have one.
    """
    missing = [part for part, images in (("validation", validation), ("testing", test)) if images is None]
    purposes = " plus ".join(["training", *missing])
    check_counts(train, 1 + len(missing), purposes, name)
    shares = (VALIDATION_SHARE if validation is None else 0.0, TEST_SHARE if test is None else 0.0)
    rest, for_validation, for_test = (train.take(part) for part in stratified(train.targets, shares, seed))
    if validation is not None:
        check_counts(validation, 1, "validation", name)
        for_validation = validation
    if test is not None:
        check_counts(test, 1, "testing", name)
        for_test = test
    rng = np.random.default_rng(seed)
    first, second, third = (part.take(rng.permutation(len(part))) for part in (rest, for_validation, for_test))
    return first, second, third


def check_counts(images: ImageSet, needed: int, purpose: str, name: str) -> None:
    """Refuse a class with too few images.

    Args:
        images: The images to count.
        needed: The fewest a class may have.
        purpose: What the images are for, as in "training plus testing".
        name: What to call the data.

    Raises:
        DataError: Names the classes that have too few.
    """
    few = [f"{count} of '{label}'" for label, count in zip(images.labels, images.counts, strict=True) if count < needed]
    if few:
        more = f" and {len(few) - 5} more classes" if len(few) > 5 else ""
        raise DataError(
            f"Every class needs at least {needed} readable {'image' if needed == 1 else 'images'} for {purpose}. "
            f"Received: {', '.join(few[:5])}{more} in {name}. Add images or remove the class."
        )


def check_labels(labels: tuple[str, ...], name: str) -> None:
    """Refuse fewer than two classes, and names that no file could carry.

    Args:
        labels: Class names.
        name: What to call the data.

    Raises:
        DataError: There is nothing to tell apart, or a name is blank or no Unicode text.
    """
    for label in labels:
        if not label.isprintable() or not label.strip():  # undecodable bytes of a folder's name arrive as surrogates
            raise DataError(
                f"Class names must be printable Unicode text, not blank. Received: {label!r} in {name}. Rename that folder."
            )
    if len(labels) < 2:
        raise DataError(
            f"A classifier needs at least 2 classes. Received: {', '.join(map(repr, labels)) or 'none'} in {name}. "
            "Add a second class, such as 'other'."
        )


def _shuffled_classes(targets: NDArray[np.int64], seed: int) -> Iterator[NDArray[np.int64]]:
    """The indices of each class in turn, in an order that depends on the seed and the class index."""
    order = np.argsort(targets, kind="stable")
    classes, starts = np.unique(targets[order], return_index=True)
    for label, members in zip(classes, np.split(order, starts[1:]), strict=True):
        yield np.random.default_rng([seed, int(label)]).permutation(members)


def _ascending(pieces: list[NDArray[np.int64]]) -> NDArray[np.int64]:
    return np.sort(np.concatenate([np.empty(0, np.int64), *pieces]))

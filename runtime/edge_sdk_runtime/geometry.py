"""Where pixels come from and go to: region, crop, and the sizes on the way to the model's, in whole numbers."""

from __future__ import annotations

from .errors import UsageError
from .records import dataclass

__all__ = ["FAST_AREA_LIMIT", "Geometry", "Region", "fit", "frame_geometry"]

FAST_AREA_LIMIT = 6
"""Fast area shrinking averages at most 6 × 6 linear samples for each pixel of the model."""


@dataclass(frozen=True)
class Region:
    """The part of a frame that is looked at, as shares of its width and height.

    Attributes:
        left: Where it begins, 0 to below 1.
        top: Likewise from the top.
        width: How wide it is, above 0; `left + width` is at most 1.
        height: Likewise.

    Raises:
        UsageError: It lies outside the frame.
    """

    left: float
    top: float
    width: float
    height: float

    def __post_init__(self) -> None:
        for name, start, length in (("width", self.left, self.width), ("height", self.top, self.height)):
            if not (0 <= start < 1 and length > 0 and start + length <= 1 + 1e-9):  # 0.7 + 0.3 is not quite 1
                raise UsageError(
                    f"A region must lie within the frame, in shares of its {name} from 0 to 1. "
                    f"Received: {start:g} and {length:g}. Write left,top,width,height, such as 0.25,0,0.5,1."
                )

    @classmethod
    def parse(cls, text: str) -> Region:
        """Read `left,top,width,height`.

        Raises:
            UsageError: It is something else.
        """
        try:
            left, top, width, height = map(float, text.split(","))
        except ValueError:
            raise UsageError(
                f"A region must be left,top,width,height in shares from 0 to 1. Received: {text!r}. Write 0.25,0,0.5,1."
            ) from None
        return cls(left, top, width, height)

    def pixels(self, width: int, height: int) -> tuple[int, int, int, int]:
        """Left, top, width and height in a frame of a size, in pixels; at least one pixel each way."""
        left, top = min(round(self.left * width), width - 1), min(round(self.top * height), height - 1)
        right, bottom = round((self.left + self.width) * width), round((self.top + self.height) * height)
        return left, top, max(1, min(right, width) - left), max(1, min(bottom, height) - top)


@dataclass(frozen=True)
class Geometry:
    """The way of one frame shape to the model's input; slices are (rows, columns), sizes (width, height) in pixels.

    Attributes:
        source: The part of the frame that is used.
        target: The part of the model's input that it fills.
        steps: What it is resized to before: whether whole blocks are averaged, else linear samples are taken, and the size.
        size: What it is resized to at last.
        resizes: Whether that is another size than it has.
        shrinks: Whether it gets no larger in either direction.
        fills: Whether the target is the whole input.
    """

    source: tuple[slice, slice]
    target: tuple[slice, slice]
    steps: tuple[tuple[bool, tuple[int, int]], ...]
    size: tuple[int, int]
    resizes: bool
    shrinks: bool
    fills: bool


def fit(width: int, height: int, within_width: int, within_height: int) -> tuple[int, int]:
    """The largest size of the aspect ratio `width` : `height` that fits; at least 1 × 1 pixels.

    In whole numbers, halves rounded up: floating point would fall beside the half, and elsewhere than another language does.
    """
    if width * within_height > height * within_width:
        return within_width, max(1, (2 * height * within_width + width) // (2 * width))
    return max(1, (2 * width * within_height + height) // (2 * height)), within_height


def frame_geometry(
    frame: tuple[int, int], model: tuple[int, int], mode: str, region: Region | None, *, fast: bool
) -> Geometry:
    """Work out the crop, the size to resize to and the place in the model input.

    Args:
        frame: Width and height of the frame.
        model: Width and height of the model's input.
        mode: `"stretch"`, `"letterbox"` or `"center-crop"`.
        region: The part of the frame that is looked at; all of it where None.
        fast: Whether shrinking may begin with linear sampling and halving instead of being exact.
    """
    left, top, width, height = region.pixels(*frame) if region else (0, 0, *frame)
    new = fit(width, height, *model) if mode == "letterbox" else model
    if mode == "center-crop":
        cut = fit(*model, width, height)
        left, top = left + (width - cut[0]) // 2, top + (height - cut[1]) // 2
        width, height = cut
    x, y = (model[0] - new[0]) // 2, (model[1] - new[1]) // 2
    return Geometry(
        source=(slice(top, top + height), slice(left, left + width)),
        target=(slice(y, y + new[1]), slice(x, x + new[0])),
        steps=_steps((width, height), new) if fast else (),
        size=new,
        resizes=(width, height) != new,
        shrinks=width >= new[0] and height >= new[1],
        fills=new == model,
    )


def _steps(size: tuple[int, int], new: tuple[int, int]) -> tuple[tuple[bool, tuple[int, int]], ...]:
    """Resizes before the last one, quick where exact area is slow.

    Halving reads every pixel of the frame: that pays where it saves more samples than it costs, and up to twelve times the new
    size, beyond which it would not be closer to exact area than six samples a side are.
    """
    steps = []
    if all(side % 2 == 0 and 10 * small <= side < 12 * small for side, small in zip(size, new, strict=True)):
        size = size[0] // 2, size[1] // 2
        steps.append((True, size))
    samples = _samples(size, new)
    if samples != size:
        steps.append((False, samples))
    return (*steps, *((True, half) for half in _halves(samples, new)))


def _samples(size: tuple[int, int], new: tuple[int, int]) -> tuple[int, int]:
    """What linear sampling brings a frame to, a whole multiple of the new size; the frame's own where it is not sampled.

    OpenCV averages whole blocks quickly and fractions of pixels slowly; and a pixel that stands for hundreds is known well
    enough from 6 × 6 samples of 2 × 2 pixels each. Below a factor of two linear sampling would alias.
    """
    if min(size[0] // new[0], size[1] // new[1]) < 2:
        return size
    return _multiple(size[0], new[0]), _multiple(size[1], new[1])


def _halves(size: tuple[int, int], new: tuple[int, int]) -> tuple[tuple[int, int], ...]:
    """Sizes between, each half of the one before: averaging 2 × 2 pixels costs OpenCV a quarter of averaging any other block."""
    halves = []
    while not any(side % (2 * small) for side, small in zip(size, new, strict=True)):
        size = size[0] // 2, size[1] // 2
        if size == new:  # the resize that comes last does this one
            break
        halves.append(size)
    return tuple(halves)


def _multiple(size: int, new: int) -> int:
    """Samples along one side; even multiples, whose blocks OpenCV averages fastest, and at most every 2.5th pixel or so."""
    if size % new == 0 and size <= FAST_AREA_LIMIT * new:
        return size
    return new * (2 if size < 5 * new else 4 if size < 10 * new else FAST_AREA_LIMIT)

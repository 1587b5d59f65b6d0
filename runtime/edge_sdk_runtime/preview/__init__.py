"""A small web page of what a camera sees and a classifier says, for boards without a screen."""

from .server import Preview
from .state import PreviewState
from .where import PreviewAddress

__all__ = ["Preview", "PreviewAddress", "PreviewState"]

"""Choosing the samples worth learning from, by their embeddings: streaming, in bounded memory, over any number of machines."""

from .base import Selector, Strategy
from .blocks import npy_blocks
from .select import SelectionConfig, make_selector, select

__all__ = ["SelectionConfig", "Selector", "Strategy", "make_selector", "npy_blocks", "select"]

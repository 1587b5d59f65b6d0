"""The runtime's version, as in its pyproject.toml; a test holds the two together."""

__all__ = ["__version__"]

__version__ = "0.1.0"

"""Converters: recipes, compression passes, export to TFLite, and the writer of proven bundles."""

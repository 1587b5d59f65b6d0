"""TFLite Metadata: what a classifier's file says of itself, so that MediaPipe, LiteRT and Android Studio open it as it is.

The standard (https://ai.google.dev/edge/litert/models/metadata) has two parts: a flatbuffer of its own, `metadata_schema.fbs`,
in an entry of the model's that is called TFLITE_METADATA, and the labels as a text file in a ZIP archive behind the model.
Interpreters read past both.
"""

from .describe import ClassScores, ImageInput, ModelMetadata, classifier_metadata
from .file import add_metadata, read_metadata

__all__ = ["ClassScores", "ImageInput", "ModelMetadata", "add_metadata", "classifier_metadata", "read_metadata"]

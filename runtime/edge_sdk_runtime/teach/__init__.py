"""Teaching a bundle new classes on the device, and forgetting them.

`teach`, `teach_classes` and `forget` make bundles of bundles; `teach_file`, `forget_file` and `undo_file` do it to a file, whose
version before stays beside it.
"""

from .examples import Told
from .files import forget_file, teach_file
from .teaching import Lesson, Taught, TeachReport, forget, teach, teach_classes
from .versions import KEPT_VERSIONS, kept_versions, undo_file, version_path

__all__ = [
    "KEPT_VERSIONS",
    "Lesson",
    "Taught",
    "TeachReport",
    "Told",
    "forget",
    "forget_file",
    "kept_versions",
    "teach",
    "teach_classes",
    "teach_file",
    "undo_file",
    "version_path",
]

"""The errors that `detector` raises: one small tree, each message one line that names its file."""

from __future__ import annotations


class DetectorError(Exception):
    """Base of everything that `detector` raises on purpose."""


class ModelError(DetectorError):
    """A model, its sidecar or the TFLite runtime cannot be used."""


class ImageError(DetectorError):
    """A picture cannot be read, or an array is no picture."""

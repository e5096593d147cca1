"""The errors that `plates` raises: one small tree, each message one line."""

from __future__ import annotations


class PlatesError(Exception):
    """Base of everything that `plates` raises on purpose."""


class TextError(PlatesError, ValueError):
    """A text cannot be a plate: nothing is left of it, or it is too long or holds a strange character."""


class PatternError(PlatesError, ValueError):
    """A partial plate's pattern is malformed, or so wide that it would match everything."""


class DesignError(PlatesError, ValueError):
    """A plate cannot be drawn: the design, its font or the wanted width makes no sense."""


class HotListFormatError(PlatesError, ValueError):
    """A hot list file as a whole is not what it was said to be; a single bad line is a BadLine."""

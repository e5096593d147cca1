"""Lines of the process's own log: one for each message, whatever a sender or a person put into it."""

from __future__ import annotations

import logging
import re
from typing import Any, Final

_VALUES: Final = re.compile(
    r"^(?:DETAIL|CONTEXT|LINE \d+): .*?(?=\n\n(?:The above exception was|During handling of the above)|\Z)",
    re.DOTALL | re.MULTILINE,
)
"""What PostgreSQL says behind its error: the row that it did not take, the value that was there already."""


class OneLine(logging.Formatter):
    """Writes characters that cannot be seen, line breaks among them, as escapes; a traceback follows.

    Else the topic of a message or the name of a file could put a line of its own into the log, or colours
    and cursor movements into the terminal that shows it.
    """

    def formatMessage(self, record: logging.LogRecord) -> str:
        """The line of a record without its traceback."""
        line = super().formatMessage(record)
        return "".join(char if char.isprintable() else ascii(char)[1:-1] for char in line)

    def formatException(self, ei: Any) -> str:
        """The traceback, in which no error of a database tells a row: there are plates in it (430.7-b)."""
        return _VALUES.sub("(values left out)", super().formatException(ei))


class Bare(logging.Filter):
    """Takes the traceback off a message that says all there is to say."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Let every record pass, without its traceback."""
        record.exc_info = record.exc_text = None
        return True

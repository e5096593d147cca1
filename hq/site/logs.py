"""Lines of the process's own log: one for each message, whatever a sender or a person put into it."""

from __future__ import annotations

import logging


class OneLine(logging.Formatter):
    """Writes characters that cannot be seen, line breaks among them, as escapes; a traceback follows.

    Else the topic of a message or the name of a file could put a line of its own into the log, or colours
    and cursor movements into the terminal that shows it.
    """

    def formatMessage(self, record: logging.LogRecord) -> str:
        """The line of a record without its traceback."""
        line = super().formatMessage(record)
        return "".join(char if char.isprintable() else ascii(char)[1:-1] for char in line)


class Bare(logging.Filter):
    """Takes the traceback off a message that says all there is to say."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Let every record pass, without its traceback."""
        record.exc_info = record.exc_text = None
        return True

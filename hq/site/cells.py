"""Cells of CSV files: what a person or a unit typed stays text in whatever spreadsheet opens it."""

from __future__ import annotations

from typing import Final

# Spreadsheets run these as formulas, some after they dropped blanks, some in their full-width forms.
_FORMULA: Final = tuple("=+-@\t\r\n＝＋－＠")


def text_cell(text: str) -> str:
    """The text, behind an apostrophe where a spreadsheet would run it as a formula."""
    return f"'{text}" if text.lstrip(" \u00a0").startswith(_FORMULA) else text

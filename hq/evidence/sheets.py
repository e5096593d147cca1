"""The paper of a package: cover and chain-of-custody sheet as PDF.

The fonts are those that every PDF reader has, so a character outside Latin-1 is printed as its nearest
letter or sign, or as "?", and then the sheet says so; index.html and data/package.json hold the exact text.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from fpdf import FPDF
from fpdf.enums import TableBordersLayout, XPos, YPos

if TYPE_CHECKING:
    from hq.evidence.bag import Content, Cover

CUSTODY_LINES = 12

# What Latin-1 lacks and Unicode does not take apart into what it has.
_NEAREST = str.maketrans(
    {
        "\N{LEFT SINGLE QUOTATION MARK}": "'",
        "\N{RIGHT SINGLE QUOTATION MARK}": "'",
        "\N{SINGLE LOW-9 QUOTATION MARK}": "'",
        "\N{LEFT DOUBLE QUOTATION MARK}": '"',
        "\N{RIGHT DOUBLE QUOTATION MARK}": '"',
        "\N{DOUBLE LOW-9 QUOTATION MARK}": '"',
        "\N{NON-BREAKING HYPHEN}": "-",
        "\N{HYPHEN}": "-",
        "\N{EN DASH}": "-",
        "\N{EM DASH}": "-",
        "\N{MINUS SIGN}": "-",
        "\N{BULLET}": "-",
        "\N{FRACTION SLASH}": "/",
        "\N{EURO SIGN}": "EUR",
        "\N{LATIN SMALL LETTER DOTLESS I}": "i",
        "\N{LATIN SMALL LETTER L WITH STROKE}": "l",
        "\N{LATIN CAPITAL LETTER L WITH STROKE}": "L",
        "\N{LATIN SMALL LETTER D WITH STROKE}": "d",
        "\N{LATIN CAPITAL LETTER D WITH STROKE}": "D",
        "\N{LATIN SMALL LIGATURE OE}": "oe",
        "\N{LATIN CAPITAL LIGATURE OE}": "OE",
    }
)


class Sheet(FPDF):
    """A letter-size sheet with a footer that names the package."""

    def __init__(self, footer: str, at: datetime) -> None:
        super().__init__(format="letter", unit="mm")
        self._lacks = False
        self._footer = self._text(footer)
        self.set_creation_date(at.astimezone(UTC))
        self.set_producer("platewarden-hq")
        self.set_margin(18)
        self.set_auto_page_break(True, margin=18)
        self.add_page()

    def footer(self) -> None:
        self.set_y(-14)
        self.set_font("Helvetica", size=8)
        self.cell(0, 5, f"{self._footer}   page {self.page_no()}", align="C")

    def heading(self, text: str, under: str) -> None:
        self.set_font("Helvetica", "B", 16)
        self.multi_cell(0, 8, self._text(text), new_x=XPos.LMARGIN, new_y=YPos.NEXT)
        self.set_font("Helvetica", size=11)
        self.multi_cell(0, 6, self._text(under), new_x=XPos.LMARGIN, new_y=YPos.NEXT)
        self.ln(3)

    def paragraph(self, text: str) -> None:
        self.set_font("Helvetica", size=10)
        self.multi_cell(0, 5, self._text(text), new_x=XPos.LMARGIN, new_y=YPos.NEXT)
        self.ln(2)

    def rows(self, rows: Iterable[tuple[str, str]]) -> None:
        """Two columns: what, and its value; empty ones leave room to write. A SHA-256 fits a line."""
        self.set_font("Helvetica", size=9)
        with self.table(
            col_widths=(30, 70),
            first_row_as_headings=False,
            borders_layout=TableBordersLayout.HORIZONTAL_LINES,
            line_height=6,
            padding=1,
        ) as table:
            for name, value in rows:
                row = table.row()
                row.cell(self._text(name))
                row.cell(self._text(value) or " ")
        self.ln(3)

    def grid(self, heads: Sequence[str], lines: Sequence[Sequence[str]], widths: Sequence[int]) -> None:
        self.set_font("Helvetica", size=9)
        with self.table(col_widths=tuple(widths), line_height=7, padding=1) as table:
            for line in (heads, *lines):
                row = table.row()
                for value in line:
                    row.cell(self._text(value) or " ")
        self.ln(3)

    def remark(self) -> None:
        """Say so where a character above could not be printed."""
        if self._lacks:
            self.paragraph(
                "To note: ? stands for a character that this sheet cannot print; index.html has it."
            )

    def _text(self, text: str) -> str:
        printed = latin(text)
        self._lacks |= printed.count("?") > text.count("?")
        return printed

    def data(self) -> bytes:
        return bytes(self.output())


def latin(text: str) -> str:
    """`text` in Latin-1: accents that it lacks are dropped, quotation marks and dashes are made plain, other
    characters become "?"."""
    return "".join(map(_in_latin, unicodedata.normalize("NFC", text)))


def _in_latin(char: str) -> str:
    if ord(char) < 256:
        return char
    parts = unicodedata.normalize("NFKD", char.translate(_NEAREST)).translate(_NEAREST)
    plain = "".join(part for part in parts if not unicodedata.combining(part) and not _invisible(part))
    return plain.encode("latin-1", "replace").decode("latin-1")


def _invisible(char: str) -> bool:
    return unicodedata.category(char) == "Cf"  # such as a direction mark


def cover(content: Content, manifest_sum: str) -> bytes:
    """The cover sheet."""
    about = content.cover
    sheet = _sheet(about)
    sheet.heading(f"{about.kind} {about.number}", f"{about.agency} {about.ori}".strip())
    rows = [
        ("Case", about.case),
        ("Purpose", about.purpose),
        ("For", about.recipient),
        ("Requested by", about.requested_by),
        ("Approved by", about.approved_by),
        ("Prepared by", about.prepared_by),
        ("Prepared at (UTC)", _time(about.prepared_at)),
        *((name.capitalize(), value) for name, value in about.scope.items()),
        ("Reads", str(len(content.reads))),
        ("Pictures", str(len(content.photos))),
        ("Hits", str(len(content.hits))),
        ("Access records", str(len(content.access))),
        ("Manifest's SHA-256", manifest_sum),
    ]
    sheet.rows((name, value) for name, value in rows if value)
    for note in about.notes:
        sheet.paragraph(f"To note: {note}")
    sheet.paragraph(
        f"Confidential, for official use only ({about.policy}). VERIFY.txt says how anyone can check, "
        "without this software, that nothing was changed. A read is what a machine read in a picture; a hit "
        "is a lead until a person has verified it."
    )
    sheet.remark()
    return sheet.data()


def custody(content: Content, manifest_sum: str) -> bytes:
    """The chain-of-custody sheet, to be filled in by hand from the booking on."""
    about = content.cover
    sheet = _sheet(about)
    sheet.heading(f"Chain of custody: {about.number}", f"{about.agency} {about.ori}".strip())
    sheet.rows(
        [
            ("Case", about.case),
            ("Description", f"{about.kind}: {len(content.reads)} reads, {len(content.photos)} pictures"),
            ("Prepared by", about.prepared_by),
            ("Prepared at (UTC)", _time(about.prepared_at)),
            ("Manifest's SHA-256", manifest_sum),
            ("SHA-256 of the ZIP", ""),
            ("Medium and serial number", ""),
            ("Evidence / property number", ""),
            ("Booked by, date and time", ""),
        ]
    )
    sheet.grid(
        ("Date, time", "Released by (name, signature)", "Received by (name, signature)", "Reason"),
        [("", "", "", "")] * CUSTODY_LINES,
        (20, 30, 30, 20),
    )
    sheet.remark()
    return sheet.data()


def _sheet(about: Cover) -> Sheet:
    return Sheet(f"{about.number}   case {about.case}   confidential", about.prepared_at)


def _time(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S")

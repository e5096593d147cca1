"""The paper of a package: cover and chain-of-custody sheet as PDF.

The fonts are those that every PDF reader has, so a character outside Latin-1 is printed as its nearest
letter or as "?"; index.html and data/package.json hold the exact text.
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


class Sheet(FPDF):
    """A letter-size sheet with a footer that names the package."""

    def __init__(self, footer: str, at: datetime) -> None:
        super().__init__(format="letter", unit="mm")
        self._footer = latin(footer)
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
        self.multi_cell(0, 8, latin(text), new_x=XPos.LMARGIN, new_y=YPos.NEXT)
        self.set_font("Helvetica", size=11)
        self.multi_cell(0, 6, latin(under), new_x=XPos.LMARGIN, new_y=YPos.NEXT)
        self.ln(3)

    def paragraph(self, text: str) -> None:
        self.set_font("Helvetica", size=10)
        self.multi_cell(0, 5, latin(text), new_x=XPos.LMARGIN, new_y=YPos.NEXT)
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
                row.cell(latin(name))
                row.cell(latin(value) or " ")
        self.ln(3)

    def grid(self, heads: Sequence[str], lines: Sequence[Sequence[str]], widths: Sequence[int]) -> None:
        self.set_font("Helvetica", size=9)
        with self.table(col_widths=tuple(widths), line_height=7, padding=1) as table:
            for line in (heads, *lines):
                row = table.row()
                for value in line:
                    row.cell(latin(value) or " ")
        self.ln(3)

    def data(self) -> bytes:
        return bytes(self.output())


def latin(text: str) -> str:
    """`text` in Latin-1: accents that it lacks are dropped, other characters become "?"."""
    try:
        text.encode("latin-1")
        return text
    except UnicodeEncodeError:
        plain = "".join(c for c in unicodedata.normalize("NFKD", text) if not unicodedata.combining(c))
        return plain.encode("latin-1", "replace").decode("latin-1")


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
    return sheet.data()


def _sheet(about: Cover) -> Sheet:
    return Sheet(f"{about.number}   case {about.case}   confidential", about.prepared_at)


def _time(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S")

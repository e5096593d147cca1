"""Signs the chain's head, so that a log rewritten from end to end still does not fit what was signed before.

The signed heads are files to be copied off this machine daily: LOG HEAD text and its minisign signature. An
anchor of removed rows is signed in the same way. Owns the texts that are signed and their verification;
copies of the rows are `hq.log.copies`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import minisign

from hq.log import chain
from hq.log.chain import Fault
from hq.log.models import AccessRecord, Removed, SignedHead
from hq.site import clock, keys


@dataclass(frozen=True)
class Export:
    """The two files of a signed head."""

    text: Path
    signature: Path


def sign(folder: Path) -> Export:
    """Sign the head as it is now, write both files, remember it. Raises OSError, KeyExposed."""
    held = chain.head()
    return sign_row(folder, held.sequence, held.hash)


def sign_row(folder: Path, sequence: int, total: str, name: str = "") -> Export:
    """Sign that row `sequence` has the hash `total`; `name`: of the text's file.

    Raises OSError, KeyExposed.
    """
    at = clock.now()
    body = head_text(sequence, total, at)
    signature = sign_text(body)
    folder.mkdir(parents=True, exist_ok=True)
    name = name or f"log-head-{at:%Y%m%dT%H%M%SZ}-{sequence}.txt"
    export = Export(folder / name, folder / f"{name}.minisig")
    export.text.write_text(body)
    export.signature.write_text(signature)
    SignedHead.objects.create(at=at, sequence=sequence, hash=total, signature=signature)
    return export


def head_text(sequence: int, total: str, at: datetime) -> str:
    """What is signed of a head."""
    return f"platewarden access log\nsequence {sequence}\nsha256 {total}\nat {chain.stamp(at)}\n"


def anchor_text(first: int, last: int, previous: str, total: str, at: str) -> str:
    """What is signed of rows that were removed. `at`: when, as `chain.stamp` writes it."""
    return (
        f"platewarden access log, rows removed\nfirst {first}\nlast {last}\n"
        f"previous {previous}\nsha256 {total}\nat {at}\n"
    )


def sign_text(body: str) -> str:
    """A minisign signature of the text by HQ's log key. Raises KeyExposed, OSError."""
    said = " ".join(body.splitlines()[1:])
    return bytes(keys.secret("log").sign(body.encode(), trusted_comment=said)).decode()


def signed_by(body: str, signature: str, known: Sequence[minisign.PublicKey]) -> bool:
    """Whether one of the keys signed the text."""
    for key in known:
        try:
            key.verify(body.encode(), minisign.Signature.from_bytes(signature.encode()))
        except (minisign.VerifyError, minisign.ParseError, ValueError):
            continue
        return True
    return False


def public_keys() -> list[minisign.PublicKey]:
    """HQ's log key, and the older ones whose log-*.pub lie beside it."""
    paths = [keys.folder() / "log.pub", *sorted(keys.folder().glob("log-*.pub"))]
    return [minisign.PublicKey.from_bytes(path.read_bytes()) for path in paths if path.exists()]


def verify() -> Fault | None:
    """The first signed head or anchor of removed rows that does not fit the log or its signature, or None.

    A head inside a removed range has no row to compare with; the range's anchor stands for it.
    """
    heads = SignedHead.objects.filter(sequence__gt=0).order_by("sequence")
    if not heads.exists() and not Removed.objects.exists():
        return None
    known, gaps = public_keys(), list(Removed.objects.all())
    for gap in gaps:
        text = anchor_text(gap.first, gap.last, gap.previous, gap.hash, chain.stamp(gap.at))
        if not signed_by(text, gap.signature, known):
            return Fault(gap.first, "the rows were removed without a signed anchor")
    for signed in heads:
        if any(gap.first <= signed.sequence < gap.last for gap in gaps):
            continue
        row = AccessRecord.objects.filter(sequence=signed.sequence).only("hash").first()
        held = row or next((gap for gap in gaps if gap.last == signed.sequence), None)
        if fault := _fault(signed, held, known):
            return fault
    return None


def verify_rows(first: int, last: int) -> Fault | None:
    """The first signed head that does not fit rows `first` to `last`, of which none is removed, or None."""
    known = public_keys()
    for signed in SignedHead.objects.filter(sequence__gte=first, sequence__lte=last).order_by("sequence"):
        row = AccessRecord.objects.filter(sequence=signed.sequence).only("hash").first()
        if fault := _fault(signed, row, known):
            return fault
    return None


def _fault(
    signed: SignedHead, held: AccessRecord | Removed | None, known: Sequence[minisign.PublicKey]
) -> Fault | None:
    if held is None or held.hash != signed.hash:
        return Fault(signed.sequence, f"the head signed at {chain.stamp(signed.at)} does not fit")
    if not signed_by(head_text(signed.sequence, signed.hash, signed.at), signed.signature, known):
        return Fault(signed.sequence, f"the head of {chain.stamp(signed.at)} is not signed by HQ's key")
    return None

"""Signs the chain's head, so that a log rewritten from end to end still does not fit what was signed before.

The signed heads are files to be copied off this machine daily: LOG HEAD text and its minisign signature.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from hq.log import chain
from hq.log.chain import Fault
from hq.log.models import AccessRecord, SignedHead
from hq.site import clock, keys


@dataclass(frozen=True)
class Export:
    """The two files of a signed head."""

    text: Path
    signature: Path


def sign(folder: Path) -> Export:
    """Sign the head as it is now, write both files, remember it. Raises OSError, KeyExposed."""
    held, at = chain.head(), clock.now()
    body = f"platewarden access log\nsequence {held.sequence}\nsha256 {held.hash}\nat {chain.stamp(at)}\n"
    signature = bytes(
        keys.secret("log").sign(body.encode(), trusted_comment=f"sequence {held.sequence} {chain.stamp(at)}")
    )
    folder.mkdir(parents=True, exist_ok=True)
    name = f"log-head-{at:%Y%m%dT%H%M%SZ}-{held.sequence}.txt"
    export = Export(folder / name, folder / f"{name}.minisig")
    export.text.write_text(body)
    export.signature.write_bytes(signature)
    SignedHead.objects.create(at=at, sequence=held.sequence, hash=held.hash, signature=signature.decode())
    return export


def verify() -> Fault | None:
    """The first signed head whose row is gone or says something else, or None."""
    for signed in SignedHead.objects.filter(sequence__gt=0).order_by("sequence"):
        row = AccessRecord.objects.filter(sequence=signed.sequence).only("hash").first()
        if row is None or row.hash != signed.hash:
            return Fault(signed.sequence, f"the head signed at {chain.stamp(signed.at)} does not fit")
    return None

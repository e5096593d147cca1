"""One evidence package as a ZIP: a BagIt bag (RFC 8493) whose tag manifest is signed.

Owns the layout of a package. It knows no database: `hq.evidence.collect` gathers the contents. The same
contents and key give the same bytes: times, order and compression are fixed, so that a package can be made
again and compared.

    PACKAGE/
      bagit.txt  bag-info.txt  manifest-sha256.txt  tagmanifest-sha256.txt  tagmanifest-sha256.txt.minisig
      minisign.pub  VERIFY.txt  index.html  cover.pdf  custody.pdf
      data/reads.json  reads.csv  hits.json  units.json  hotlists.json  access-log.json  access-log.csv
      data/package.json  data/pictures/READ-KIND.jpg
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
import re
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, BinaryIO, Final

import minisign
from django.template import Context, Engine

from hq.evidence import sheets
from hq.site.cells import text_cell

Row = Mapping[str, object]

UNTRUSTED: Final = "signature of a Platewarden package"
BROKEN: Final = (
    zipfile.BadZipFile,
    zlib.error,
    EOFError,
    OSError,
    ValueError,
    TypeError,
    LookupError,
    NotImplementedError,
    RuntimeError,
)
"""What zipfile raises for the many ways in which a ZIP can be damaged, and what a damaged text in it does."""

_BLOCK: Final = 1 << 20
# An engine of its own: nothing of a page (its reader, its request) may get into a package.
_TEMPLATES: Final = Engine(
    dirs=[str(Path(__file__).parent / "templates" / "evidence")], libraries={"hq": "hq.site.templatetags.hq"}
)
_SAFE_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*(/[A-Za-z0-9][A-Za-z0-9._-]*)*")


class Unreadable(ValueError):
    """A picture cannot be read or is not what its row says, so that no package is made of a part; or a
    package's own file cannot be read.
    """


@dataclass(frozen=True)
class Photo:
    """One picture file.

    Attributes:
        name: its path below data/, such as "pictures/READ-plate.jpg".
        sha256: hex digest that its row holds.
        size: bytes.
        open: opens it for reading.
    """

    name: str
    sha256: str
    size: int
    open: Callable[[], BinaryIO]


@dataclass(frozen=True)
class Cover:
    """What the cover says: whose package this is, for what, by whom and how far it reaches.

    Attributes:
        number: HQ's own number of the package, such as "P-2026-0007".
        kind: "Evidence package" or "Release to another agency".
        prepared_at: aware; the time that every file in the ZIP bears.
        scope: what was asked for, in words.
        notes: what a reader has to know, such as pictures that never arrived.
    """

    number: str
    kind: str
    agency: str
    ori: str
    policy: str
    case: str
    purpose: str
    requested_by: str
    approved_by: str
    prepared_by: str
    prepared_at: datetime
    recipient: str = ""
    scope: Mapping[str, str] = field(default_factory=dict)
    notes: Sequence[str] = ()


@dataclass(frozen=True)
class Content:
    """Everything that goes into a package; rows hold what JSON can hold."""

    cover: Cover
    reads: Sequence[Row]
    photos: Sequence[Photo] = ()
    hits: Sequence[Row] = ()
    units: Sequence[Row] = ()
    hotlists: Sequence[Row] = ()
    access: Sequence[Row] = ()


@dataclass(frozen=True)
class Made:
    """What was made.

    Attributes:
        folder: the one folder in the ZIP.
        sha256: hex digest of the whole ZIP.
        manifest_sha256: hex digest of manifest-sha256.txt, which the cover prints.
        size: bytes of the ZIP.
        files: files in the ZIP.
    """

    folder: str
    sha256: str
    manifest_sha256: str
    size: int
    files: int


def build(content: Content, key: minisign.SecretKey, out: BinaryIO) -> Made:
    """Write the package to `out`, an empty file open for writing and reading.

    Raises Unreadable for a picture that is missing or differs from its row; `out` then holds no package.
    """
    cover = content.cover
    folder = f"platewarden-{_plain(cover.number)}"
    payload = sorted(_payload(content), key=lambda entry: entry[0])
    payload_names = {name for name, _ in payload}
    if len(payload_names) != len(payload):
        raise ValueError("pictures: two have the same name")
    with zipfile.ZipFile(out, "w", zipfile.ZIP_STORED) as archive:
        writer = _Writer(archive, folder, cover.prepared_at)
        sums = {name: writer.add(name, source) for name, source in payload}
        manifest = _manifest(sums)
        manifest_sum = hashlib.sha256(manifest).hexdigest()
        public = bytes(minisign.PublicKey.from_secret_key(key))
        tags: dict[str, bytes] = {
            "bagit.txt": b"BagIt-Version: 1.0\nTag-File-Character-Encoding: UTF-8\n",
            "bag-info.txt": _bag_info(cover, writer.total, len(payload)),
            "manifest-sha256.txt": manifest,
            "minisign.pub": public,
            "index.html": _index(content, manifest_sum),
            "cover.pdf": sheets.cover(content, manifest_sum),
            "custody.pdf": sheets.custody(content, manifest_sum),
        }
        # VERIFY.txt says how many files there are: itself, the tag manifest and its signature too.
        files = len(payload) + len(tags) + 3
        tags["VERIFY.txt"] = _verify(cover, folder, public, manifest_sum, files)
        tag_manifest = _manifest({name: hashlib.sha256(data).hexdigest() for name, data in tags.items()})
        tags["tagmanifest-sha256.txt"] = tag_manifest
        tags["tagmanifest-sha256.txt.minisig"] = sign(
            tag_manifest, key, f"{cover.number} {stamp(cover.prepared_at)}"
        )
        for name, data in sorted(tags.items()):
            writer.add(name, data)
    out.seek(0)
    digest = hashlib.sha256()
    size = 0
    for block in _blocks(out):
        digest.update(block)
        size += len(block)
    return Made(folder, digest.hexdigest(), manifest_sum, size, files)


def sign(data: bytes, key: minisign.SecretKey, trusted: str) -> bytes:
    """A minisign signature of `data`; `trusted` is a comment that the signature covers."""
    signature = key.sign(data, untrusted_comment=UNTRUSTED, trusted_comment=_plain(trusted, keep=" :"))
    return bytes(signature)


def stamp(at: datetime) -> str:
    """A time in UTC to the second, such as "2026-03-04T05:06:07Z"."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


class _Writer:
    """Puts files into the archive with one time, one mode and no compression, and sums them."""

    def __init__(self, archive: zipfile.ZipFile, folder: str, at: datetime) -> None:
        self._archive = archive
        self._folder = folder
        utc = at.astimezone(UTC)
        self._time = (utc.year, utc.month, utc.day, utc.hour, utc.minute, utc.second)
        self.total = 0

    def add(self, name: str, source: bytes | Photo) -> str:
        info = zipfile.ZipInfo(f"{self._folder}/{name}", self._time)
        info.create_system = 3
        info.external_attr = 0o100444 << 16
        info.file_size = len(source) if isinstance(source, bytes) else source.size
        with self._archive.open(info, "w") as target:
            digest = _copy(source, target)
        self.total += info.file_size
        return digest


def _copy(source: bytes | Photo, target: IO[bytes]) -> str:
    if isinstance(source, bytes):
        target.write(source)
        return hashlib.sha256(source).hexdigest()
    digest = hashlib.sha256()
    for block in _blocks_of(source):
        digest.update(block)
        target.write(block)
    if digest.hexdigest() != source.sha256:
        raise Unreadable(f"{source.name}: its SHA-256 is not the one that its row holds")
    return source.sha256


def _blocks_of(photo: Photo) -> Iterator[bytes]:
    """Raises Unreadable; what goes wrong where the blocks are written is not the picture's fault."""
    try:
        with photo.open() as file:
            yield from _blocks(file)
    except OSError as error:
        raise Unreadable(f"{photo.name}: cannot be read: {error.strerror or error}") from error


def read_ids(file: BinaryIO) -> list[str]:
    """The ids of the reads in a package. Raises Unreadable for a file that is none, or damaged."""
    try:
        with zipfile.ZipFile(file) as archive:
            folder = archive.namelist()[0].split("/")[0]
            return [str(row["id"]) for row in json.loads(archive.read(f"{folder}/data/reads.json"))]
    except BROKEN as error:
        raise Unreadable(f"the package's file cannot be read: {error}") from error


def _blocks(file: BinaryIO) -> Iterator[bytes]:
    while block := file.read(_BLOCK):
        yield block


def _payload(content: Content) -> Iterator[tuple[str, bytes | Photo]]:
    cover = content.cover
    yield "data/package.json", _json({**_cover_fields(cover), "reads": len(content.reads)})
    for name, rows in (
        ("reads", content.reads),
        ("hits", content.hits),
        ("units", content.units),
        ("hotlists", content.hotlists),
        ("access-log", content.access),
    ):
        yield f"data/{name}.json", _json(list(rows))
    yield "data/reads.csv", _csv(content.reads)
    yield "data/access-log.csv", _csv(content.access)
    for photo in content.photos:
        if not _SAFE_NAME.fullmatch(photo.name) or ".." in photo.name:
            raise ValueError(f"picture name {photo.name!r:.80}: letters, digits, . _ - and / only")
        yield f"data/{photo.name}", photo


def _cover_fields(cover: Cover) -> dict[str, object]:
    fields = {name: getattr(cover, name) for name in Cover.__dataclass_fields__}
    return {
        **fields,
        "prepared_at": stamp(cover.prepared_at),
        "scope": dict(cover.scope),
        "notes": list(cover.notes),
    }


def _json(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False, allow_nan=False, indent=1, sort_keys=True).encode() + b"\n"


def _csv(rows: Sequence[Row]) -> bytes:
    columns: dict[str, None] = {}
    for row in rows:
        columns.update(dict.fromkeys(row))
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\r\n")
    writer.writerow(columns)
    for row in rows:
        writer.writerow([_cell(row.get(column)) for column in columns])
    return text.getvalue().encode()


def _cell(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, (bool, int, float)):
        return json.dumps(value)
    if not isinstance(value, str):
        return json.dumps(value, ensure_ascii=False, sort_keys=True)
    # A spreadsheet would run such a cell as a formula; reads.json holds the text as it is.
    return text_cell(value)


def _manifest(sums: Mapping[str, str]) -> bytes:
    return "".join(f"{digest}  {name}\n" for name, digest in sorted(sums.items())).encode()


def _bag_info(cover: Cover, size: int, files: int) -> bytes:
    fields = {
        "Source-Organization": f"{cover.agency} {cover.ori}".strip(),
        "External-Identifier": cover.number,
        "External-Description": f"{cover.kind}, case {cover.case}",
        "Bagging-Date": cover.prepared_at.astimezone(UTC).strftime("%Y-%m-%d"),
        "Payload-Oxum": f"{size}.{files}",
        "Bag-Software-Agent": "platewarden-hq",
    }
    return "".join(f"{name}: {' '.join(value.split())}\n" for name, value in fields.items()).encode()


def _index(content: Content, manifest_sum: str) -> bytes:
    photos = {photo.name for photo in content.photos}
    text = _render(
        "bag_index.html",
        {
            "content": content,
            "cover": content.cover,
            "prepared": stamp(content.cover.prepared_at),
            "manifest_sum": manifest_sum,
            "photos": photos,
        },
    )
    return text.encode()


def _verify(cover: Cover, folder: str, public: bytes, manifest_sum: str, files: int) -> bytes:
    text = _render(
        "VERIFY.txt",
        {
            "cover": cover,
            "folder": folder,
            "prepared": stamp(cover.prepared_at),
            "public_key": public.decode().splitlines()[1],
            "manifest_sum": manifest_sum,
            "files": files,
        },
    )
    return text.encode()


def _render(name: str, fields: dict[str, object]) -> str:
    # Numbers as they are: a language's separators would make two machines write two packages.
    return _TEMPLATES.get_template(name).render(Context(fields, use_l10n=False))


def _plain(text: str, keep: str = "") -> str:
    """`text` with nothing but letters, digits, - . and what `keep` names: safe as a name and as one line."""
    return "".join(
        char if (char.isascii() and char.isalnum()) or char in "-." + keep else "-" for char in text
    )

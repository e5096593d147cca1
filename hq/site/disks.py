"""Whether a folder lies on an encrypted disk, as far as Linux can tell (430.5-0, CJIS SC-28).

Looks at the mount table and at /sys: dm-crypt (LUKS or plain) anywhere below the file system, under LVM and
RAID too, and the encryption of ZFS and eCryptfs. What a hypervisor, a storage server or the disk's own
controller encrypts is not to be seen from here: then a person must say so (docs/hq-running.md).
"""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

_VIRTUAL_NAMES = ("vd", "xvd", "nbd", "rbd")
_VIRTUAL_MAKERS = ("qemu", "vmware", "msft", "virtual", "amazon elastic block store", "google", "vbox")


class Kept(Enum):
    """How a folder's bytes lie on the disk."""

    ENCRYPTED = "encrypted"
    CLEAR = "in clear"
    UNKNOWN = "cannot tell"


@dataclass(frozen=True)
class State:
    """What was found, and by which sign."""

    kept: Kept
    why: str


@dataclass(frozen=True)
class _Mount:
    device: str
    point: Path
    kind: str
    source: str


def state(
    folder: Path, root: Path = Path("/"), zfs: Callable[[str], str] = lambda dataset: _zfs(dataset)
) -> State:
    """How the folder's disk keeps it.

    `root`: where /proc and /sys are; `zfs` asks for a data set's encryption. Raises
    nothing: what cannot be read is "cannot tell".
    """
    try:
        mount = _mount_of(folder.resolve(), root)
    except OSError as error:
        return State(Kept.UNKNOWN, f"the mount table cannot be read: {error}")
    if mount is None:
        return State(Kept.UNKNOWN, f"no mount of {folder} is known")
    if mount.kind == "ecryptfs":
        return State(Kept.ENCRYPTED, f"eCryptfs on {mount.point}")
    if mount.kind == "zfs":
        return _zfs_state(mount.source, zfs)
    device = _device(mount, root)
    if device is None:
        return State(Kept.UNKNOWN, f"{mount.point} is a {mount.kind} without a block device here")
    return _block_state(device, root)


def _mount_of(folder: Path, root: Path) -> _Mount | None:
    """The mount that holds the folder: the longest point above it, of equals the last, which is on top."""
    found = None
    for mount in _mounts(root):
        above = mount.point == folder or mount.point in folder.parents
        if above and (found is None or len(mount.point.parts) >= len(found.point.parts)):
            found = mount
    return found


def _mounts(root: Path) -> Iterator[_Mount]:
    for line in (root / "proc/self/mountinfo").read_text(errors="surrogateescape").splitlines():
        fields, _, rest = line.partition(" - ")
        parts, kinds = fields.split(), rest.split()
        if len(parts) >= 5 and len(kinds) >= 2:
            yield _Mount(parts[2], Path(_plain(parts[4])), kinds[0], _plain(kinds[1]))


def _plain(text: str) -> str:
    """mountinfo writes blanks and backslashes as octal escapes."""
    for code, character in (("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")):
        text = text.replace(code, character)
    return text


def _device(mount: _Mount, root: Path) -> Path | None:
    """The block device's folder in /sys."""
    by_number = root / "sys/dev/block" / mount.device
    if by_number.exists():
        return by_number.resolve()
    # btrfs has a device number of its own; its source still names the device.
    if not mount.source.startswith("/dev/"):
        return None
    name = Path(mount.source).name
    blocks = root / "sys/class/block"
    if (blocks / name).exists():
        return (blocks / name).resolve()
    return next(
        (held.resolve() for held in sorted(blocks.glob("*")) if _read(held / "dm/name") == name), None
    )


def _block_state(device: Path, root: Path) -> State:
    """A device is encrypted where it is dm-crypt or everything that it lies on is."""
    name = device.name
    if _read(device / "dm/uuid").startswith("CRYPT-"):
        return State(Kept.ENCRYPTED, f"{name} is dm-crypt")
    slaves = device / "slaves"
    below = sorted(slaves.iterdir()) if slaves.is_dir() else []
    if below:
        states = [_block_state(held.resolve(), root) for held in below]
        worst = (Kept.CLEAR, Kept.UNKNOWN, Kept.ENCRYPTED)
        return min(states, key=lambda found: worst.index(found.kept))
    if (device / "partition").exists():
        return _block_state(device.parent, root)
    if (device / "loop").is_dir():
        return State(Kept.UNKNOWN, f"{name} is a file's image")
    if name.startswith(_VIRTUAL_NAMES) or _virtual(device, root):
        return State(Kept.UNKNOWN, f"{name} is a virtual disk: only its host knows")
    return State(Kept.CLEAR, f"{name} has no dm-crypt on it")


def _virtual(device: Path, root: Path) -> bool:
    made_by = f"{_read(device / 'device/vendor')} {_read(device / 'device/model')}".lower()
    if any(maker in made_by for maker in _VIRTUAL_MAKERS) or (root / "sys/hypervisor/type").exists():
        return True
    flags = next((x for x in _read(root / "proc/cpuinfo").splitlines() if x.startswith("flags")), "")
    return "hypervisor" in flags.split()


def _read(path: Path) -> str:
    try:
        return path.read_text(errors="replace").strip()
    except OSError:
        return ""


def _zfs_state(dataset: str, ask: Callable[[str], str]) -> State:
    try:
        told = ask(dataset).strip()
    except (OSError, subprocess.SubprocessError) as error:
        return State(Kept.UNKNOWN, f"zfs does not tell the encryption of {dataset}: {error}")
    if not told or told == "-":
        return State(Kept.UNKNOWN, f"zfs does not tell the encryption of {dataset}")
    kept = Kept.CLEAR if told == "off" else Kept.ENCRYPTED
    return State(kept, f"ZFS data set {dataset}: encryption={told}")


def _zfs(dataset: str) -> str:
    command = ["zfs", "get", "-H", "-o", "value", "encryption", dataset]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=10).stdout

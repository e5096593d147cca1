"""Whether the data folder's disk is encrypted, told from a tree like /proc and /sys, and what follows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from hq.site import disks, doctor
from hq.site.disks import Kept

FOLDER = Path("/srv/hq data")


class Machine:
    """A tree of /proc and /sys to which devices and mounts are added."""

    def __init__(self, root: Path) -> None:
        self.root = root
        for name in ("proc/self", "sys/dev/block", "sys/class/block"):
            (root / name).mkdir(parents=True)
        self.cpu("fpu sse")
        self.mounts: list[str] = []

    def cpu(self, flags: str) -> None:
        (self.root / "proc/cpuinfo").write_text(f"processor: 0\nflags\t: {flags}\n")

    def device(self, number: str, path: str, *, below: tuple[str, ...] = (), **files: str) -> None:
        held = self.root / "sys/devices" / path
        held.mkdir(parents=True, exist_ok=True)
        for name, text in files.items():
            file = held / name.replace("__", "/")
            file.parent.mkdir(exist_ok=True)
            file.write_text(text + "\n")
        for name in below:
            (held / "slaves").mkdir(exist_ok=True)
            (held / "slaves" / name).symlink_to((self.root / "sys/class/block" / name).resolve())
        for link in (f"sys/dev/block/{number}", f"sys/class/block/{held.name}"):
            (self.root / link).symlink_to(held)

    def mount(self, number: str, point: str, kind: str, source: str) -> None:
        self.mounts.append(f"27 1 {number} / {point} rw,relatime shared:1 - {kind} {source} rw")
        (self.root / "proc/self/mountinfo").write_text("\n".join(self.mounts) + "\n")

    def state(self, zfs: str = "") -> disks.State:
        return disks.state(FOLDER, self.root, lambda _: zfs)


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    held = Machine(tmp_path / "machine")
    held.device("8:0", "pci/sda", device__vendor="ATA", device__model="Disk 4000")
    held.device("8:1", "pci/sda/sda1", partition="1")
    held.device("8:2", "pci/sda/sda2", partition="2")
    held.device("8:16", "pci/sdb")
    held.device(
        "253:0", "virtual/block/dm-0", below=("sda2",), dm__uuid="CRYPT-LUKS2-4f3a-data", dm__name="safe"
    )
    held.mount("8:1", "/", "ext4", "/dev/sda1")
    return held


def _crypt(m: Machine) -> None:
    m.mount("253:0", "/srv", "ext4", "/dev/mapper/safe")


def _lvm_on_crypt(m: Machine) -> None:
    m.device("253:1", "virtual/block/dm-1", below=("dm-0",), dm__uuid="LVM-abc", dm__name="vg-hq")
    m.mount("253:1", "/srv/hq\\040data", "xfs", "/dev/mapper/vg-hq")


def _btrfs_on_crypt(m: Machine) -> None:
    m.mount("0:45", "/srv", "btrfs", "/dev/mapper/safe")


def _plain(m: Machine) -> None:
    m.mount("8:16", "/srv", "ext4", "/dev/sdb")


def _raid_half_in_clear(m: Machine) -> None:
    m.device("9:0", "virtual/block/md0", below=("dm-0", "sdb"))
    m.mount("9:0", "/srv", "ext4", "/dev/md0")


def _clear_mounted_over_crypt(m: Machine) -> None:
    _crypt(m)
    m.mount("8:16", "/srv", "ext4", "/dev/sdb")


def _crypt_elsewhere(m: Machine) -> None:
    m.mount("253:0", "/srv/hq", "ext4", "/dev/mapper/safe")


def _virtio(m: Machine) -> None:
    m.device("254:0", "pci/vda")
    m.mount("254:0", "/srv", "ext4", "/dev/vda")


def _scsi_of_a_hypervisor(m: Machine) -> None:
    _plain(m)
    m.cpu("fpu hypervisor sse")


def _network(m: Machine) -> None:
    m.mount("0:50", "/srv", "nfs4", "files.example:/hq")


def _container(m: Machine) -> None:
    m.mount("0:51", "/srv", "overlay", "overlay")


@pytest.mark.clause("430.5-0")
@pytest.mark.clause("CJIS SC-28")
@pytest.mark.parametrize(
    ("layout", "kept"),
    [
        (_crypt, Kept.ENCRYPTED),
        (_lvm_on_crypt, Kept.ENCRYPTED),
        (_btrfs_on_crypt, Kept.ENCRYPTED),
        (_plain, Kept.CLEAR),
        (_raid_half_in_clear, Kept.CLEAR),
        (_clear_mounted_over_crypt, Kept.CLEAR),
        (_crypt_elsewhere, Kept.CLEAR),
        (_virtio, Kept.UNKNOWN),
        (_scsi_of_a_hypervisor, Kept.UNKNOWN),
        (_network, Kept.UNKNOWN),
        (_container, Kept.UNKNOWN),
    ],
)
def test_disk_of_the_folder_is_told_from_the_kernels_tree(machine: Machine, layout: Any, kept: Kept) -> None:
    layout(machine)
    assert machine.state().kept == kept


@pytest.mark.clause("CJIS SC-28")
@pytest.mark.parametrize(
    ("told", "kept"), [("aes-256-gcm\n", Kept.ENCRYPTED), ("off\n", Kept.CLEAR), ("-", Kept.UNKNOWN)]
)
def test_zfs_is_asked_for_its_property(machine: Machine, told: str, kept: Kept) -> None:
    machine.mount("0:60", "/srv", "zfs", "tank/hq")
    assert machine.state(told).kept == kept


def test_machine_without_zfs_or_mount_table_is_not_told_to_be_encrypted(
    machine: Machine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine.mount("0:60", "/srv", "zfs", "tank/hq")
    monkeypatch.setenv("PATH", str(tmp_path))
    assert disks.state(FOLDER, machine.root).kept == Kept.UNKNOWN
    assert disks.state(FOLDER, tmp_path / "nothing").kept == Kept.UNKNOWN


STATEMENT = "A. Roe, 2026-05-01: volume encrypted by the host with AES-256, contract 26-11"


@pytest.mark.clause("430.5-0")
@pytest.mark.clause("CJIS SC-28")
@pytest.mark.parametrize(
    ("kept", "statement", "expected"),
    [
        (Kept.ENCRYPTED, "", []),
        (Kept.CLEAR, "", ["error"]),
        (Kept.CLEAR, STATEMENT, ["warning"]),
        (Kept.UNKNOWN, "", ["error"]),
        (Kept.UNKNOWN, STATEMENT, []),
        (Kept.UNKNOWN, "yes", ["error"]),
    ],
)
def test_production_start_needs_an_encrypted_disk_or_a_persons_statement(
    settings: Any, monkeypatch: pytest.MonkeyPatch, kept: Kept, statement: str, expected: list[str]
) -> None:
    settings.DISK_STATEMENT = statement
    monkeypatch.setattr(disks, "state", lambda folder: disks.State(kept, "vda is what it is"))
    found = list(doctor.disk_findings(Path("/srv/hq"), database_elsewhere=False))
    assert ["error" if f.error else "warning" for f in found] == expected
    assert all(f.rule == "430.5-0" and "vda is what it is" in f.what for f in found)


@pytest.mark.clause("CJIS SC-28")
def test_disk_of_a_database_on_a_server_needs_the_statement_too(
    settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(disks, "state", lambda folder: disks.State(Kept.ENCRYPTED, "dm-0 is dm-crypt"))
    settings.DISK_STATEMENT = ""
    found = list(doctor.disk_findings(Path("/srv/hq"), database_elsewhere=True))
    assert [f.error for f in found] == [True]
    assert "PostgreSQL" in found[0].what
    settings.DISK_STATEMENT = STATEMENT
    assert list(doctor.disk_findings(Path("/srv/hq"), database_elsewhere=True)) == []

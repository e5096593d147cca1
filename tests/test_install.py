"""What install.sh does to the program's folder, here one of the test's in the place of /opt/platewarden."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from tests.users import NOBODY

SCRIPT = Path(__file__).resolve().parents[1] / "install.sh"

# In the place of Debian's, which would need a network: makes the files that `venv` and `pip` would, also in
# the folder that is installed.
PYTHON = """#!/bin/sh
echo "python3 $*" >> "$CALLS"
for last; do :; done
mkdir -p "$last/bin" "$last/lib"
cat > "$last/bin/python" <<'END'
#!/bin/sh
for last; do :; done
source="${last%\\[unit]}"
mkdir -p "$(dirname "$0")/../lib" "$source/build/lib" "$source/platewarden.egg-info"
cp -R "$source/firmware" "$source/build/lib/"
cp -R "$source/build/lib/firmware" "$(dirname "$0")/../lib/"
END
printf '#!/bin/sh\\n[ ! -e "$0.broken" ]\\n' > "$last/bin/platewarden"
chmod +x "$last/bin/python" "$last/bin/platewarden"
"""

# Sourced, the script's functions are there and nothing is installed. runuser is root's: this user runs it.
INSTALL = """
set -- --help
source "$0" > /dev/null
prefix=$PREFIX user=$(id -un) changed=
runuser() { shift 3; "$@"; }
install_program
"""


class Program:
    """The program's folder, and the installer that makes it from a clone."""

    def __init__(self, folder: Path) -> None:
        self.clone = folder / "clone"
        for name in ("firmware", "detector", "hw", "mqtt", "plates", "hq", "models"):
            (self.clone / name).mkdir(parents=True)
        for name in (
            "pyproject.toml",
            "README.md",
            "LICENSE",
            "firmware/cli.py",
            "models/a.tflite",
            "models/a.toml",
        ):
            (self.clone / name).touch()
        shutil.copy(SCRIPT, self.clone)
        self.prefix = folder / "opt"
        self.prefix.mkdir()
        self._calls = folder / "calls"
        self._bin = folder / "bin"
        self._bin.mkdir()
        self.python = self._bin / "python3"
        self.python.write_text(PYTHON)
        self.python.chmod(0o755)
        sync = self._bin / "sync"
        sync.write_text('#!/bin/sh\n[ -e "$PREFIX/source.sha256" ] || echo sync >> "$CALLS"\n')
        sync.chmod(0o755)

    def install(self, umask: int = 0o022) -> list[str]:
        """Run the installer; the calls that made an environment."""
        self._calls.write_text("")
        subprocess.run(
            ["bash", "-c", INSTALL, str(self.clone / SCRIPT.name)],
            check=True,
            stderr=subprocess.PIPE,
            text=True,
            umask=umask,
            env=os.environ
            | {
                "PATH": f"{self._bin}:{os.environ['PATH']}",
                "PREFIX": str(self.prefix),
                "CALLS": str(self._calls),
            },
        )
        return self._calls.read_text().splitlines()


@pytest.fixture
def program(tmp_path: Path) -> Program:
    return Program(tmp_path)


def test_the_units_user_can_read_what_a_root_with_a_strict_umask_installed(program: Program) -> None:
    program.install(umask=0o077)
    places = [program.prefix, *program.prefix.rglob("*")]
    assert len(places) > 10
    for place in places:
        needed = stat.S_IROTH | (stat.S_IXOTH if place.is_dir() else 0)
        assert place.stat().st_mode & needed == needed, place


def test_a_program_that_does_not_run_is_made_anew_though_its_source_is_the_same(program: Program) -> None:
    """Such as after an upgrade of Debian, whose Python looks for its packages in another folder."""
    assert program.install()
    assert program.install() == []
    (program.prefix / "venv/bin/platewarden.broken").touch()
    assert program.install()
    assert not (program.prefix / "venv/bin/platewarden.broken").exists()
    assert program.install() == []


def test_a_program_that_the_units_user_cannot_run_is_no_success(program: Program) -> None:
    """Such as a Python in root's own home; the service would end at each start and reboot the unit."""
    program.python.write_text(PYTHON.replace('"$0.broken"', '"$0"'))
    with pytest.raises(subprocess.CalledProcessError) as failed:
        program.install()
    assert "cannot run" in failed.value.stderr
    assert not (program.prefix / "source.sha256").exists()


def test_the_program_is_on_the_card_before_it_counts_as_installed(program: Program) -> None:
    """A technician pulls the plug when the script is done."""
    assert program.install()[-1] == "sync"
    assert (program.prefix / "source.sha256").exists()


def test_the_clone_stays_as_it_is(program: Program) -> None:
    """What root left in it, the user who cloned it could not write over in `make run`."""
    before = sorted(program.clone.rglob("*"))
    assert program.install()
    assert sorted(program.clone.rglob("*")) == before


def test_a_module_that_the_source_has_no_more_is_not_installed(program: Program) -> None:
    """Not even from what an earlier build, by an older installer, left in the clone."""
    old = program.clone / "build/lib/firmware/old.py"
    old.parent.mkdir(parents=True)
    old.touch()
    program.install()
    assert [path.name for path in program.prefix.rglob("*.py")] == ["cli.py"]


def test_the_service_waits_for_a_person_where_an_upgrade_was_cut_short() -> None:
    """pip takes the old command away first and writes the new one last: without it systemd would reboot the
    board again and again, and nobody could log in for long enough to mend it."""
    code = 'set -- --help; source "$0" > /dev/null; service_unit'
    unit = subprocess.run(
        ["bash", "-c", code, str(SCRIPT)], check=True, capture_output=True, text=True
    ).stdout
    (command,) = [line.split("=")[1] for line in unit.splitlines() if line.startswith("ExecStart=")]
    assert f"\nConditionFileIsExecutable={command.split()[0]}\n" in unit[: unit.index("[Service]")]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root leaves what is root's")
def test_what_an_older_installer_left_as_roots_is_told_to_the_clones_owner_and_root_removes_it() -> None:
    """`make run` ended with what setuptools says of a time stamp."""
    # Not below pytest's folder, which is closed to other users.
    with TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        clone = Program(Path(folder)).clone
        for place in (clone, *clone.rglob("*")):
            os.chown(place, NOBODY, NOBODY)
        left = [clone / "build", clone / "platewarden.egg-info"]
        for one in left:
            (one / "lib").mkdir(parents=True)
        script = [str(clone / SCRIPT.name), "--packages", "venv"]
        told = subprocess.run(script, user=NOBODY, capture_output=True, text=True, check=False)
        assert told.returncode == 1
        assert told.stderr.endswith(f"run: sudo rm -r '{left[0]}'\n")
        subprocess.run(script, check=True)
        assert not any(one.exists() for one in left)
        subprocess.run(script, user=NOBODY, check=True)


def _install_packages(folder: Path, policy: Path, apt: str) -> None:
    """What the script does where a package is missing, as root, with `apt` for apt-get."""
    for name, text in (("dpkg-query", "exit 1"), ("apt-get", apt)):
        (folder / name).write_text(f"#!/bin/sh\n{text}\n")
        (folder / name).chmod(0o755)
    code = 'set -- --help; source "$0" > /dev/null; policy=$POLICY; id() { echo 0; }; ensure_packages x'
    environment = {"PATH": f"{folder}:{os.environ['PATH']}", "POLICY": str(policy)}
    subprocess.run(["bash", "-c", code, str(SCRIPT)], check=False, env=os.environ | environment)


@pytest.mark.parametrize("before", ["", "#!/bin/sh\n# of Platewarden's install.sh, cut short\n"])
@pytest.mark.parametrize("signal", ["TERM", "INT", "0"])
def test_what_keeps_services_from_starting_while_packages_come_does_not_stay(
    tmp_path: Path, signal: str, before: str
) -> None:
    """Left by Ctrl-C or a power cut it would keep every service installed later from starting."""
    policy, seen = tmp_path / "policy-rc.d", tmp_path / "seen"
    if before:
        policy.write_text(before)
    _install_packages(tmp_path, policy, f"cat {policy} >> {seen}; kill -{signal} $PPID")
    assert "exit 101" in seen.read_text()
    assert not policy.exists()


def test_a_policy_for_services_that_somebody_else_made_stays(tmp_path: Path) -> None:
    policy = tmp_path / "policy-rc.d"
    policy.write_text("#!/bin/sh\nexit 0\n")
    _install_packages(tmp_path, policy, "")
    assert policy.read_text() == "#!/bin/sh\nexit 0\n"

"""The shape of the repository: what a newcomer and an installer rely on."""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("firmware", "detector", "hw", "mqtt", "plates", "hq")


@pytest.mark.parametrize("name", PACKAGES)
def test_our_import_names_resolve_inside_our_tree(name: str) -> None:
    """A package of the same name in site-packages must not shadow ours."""
    spec = importlib.util.find_spec(name)
    assert spec is not None
    assert spec.origin is not None
    assert Path(spec.origin).resolve().parent == ROOT / name


def test_every_package_is_listed_for_the_installer() -> None:
    """A package that pyproject.toml forgets works in the source tree and is missing on the unit."""
    listed = set(tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"])
    found = {
        ".".join(init.parent.relative_to(ROOT).parts)
        for name in PACKAGES
        for init in (ROOT / name).rglob("__init__.py")
    }
    assert listed == found


@pytest.mark.parametrize("name", ["models", "tests"])
def test_models_and_tests_are_no_packages(name: str) -> None:
    assert not (ROOT / name / "__init__.py").exists()


def test_bare_make_prints_help_for_every_target() -> None:
    shown = subprocess.run(["make", "-s"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    phony = re.search(r"^\.PHONY: (.*)$", (ROOT / "Makefile").read_text(), re.M)
    assert phony is not None
    for target in phony.group(1).split():
        assert f"make {target} " in shown


def test_readme_names_only_targets_and_files_that_exist() -> None:
    text = (ROOT / "README.md").read_text()
    makefile = (ROOT / "Makefile").read_text()
    for target in re.findall(r"\bmake ([a-z][a-z-]+)", text):
        assert re.search(rf"^{target}:", makefile, re.M), target
    for link in re.findall(r"\]\((?!https?:)([^)#]+)", text):
        assert (ROOT / link).exists(), link


def test_installer_explains_itself_and_refuses_what_it_does_not_know() -> None:
    script = str(ROOT / "install.sh")
    shown = subprocess.run([script, "--help"], capture_output=True, text=True, check=False)
    assert shown.returncode == 0
    assert "Exit codes" in shown.stdout
    for words in (["--packages", "nothing"], ["--packages"], ["--frobnicate"]):
        assert subprocess.run([script, *words], capture_output=True, check=False).returncode == 2


def test_first_configuration_that_the_installer_writes_is_a_valid_one(tmp_path: Path) -> None:
    """A technician changes it; it must not begin with mistakes of ours."""
    script = (ROOT / "install.sh").read_text()
    text = re.search(r"first_configuration\(\) \{\n  cat <<'TOML'\n(.*?)\nTOML\n", script, re.S)
    assert text is not None
    config = tmp_path / "platewarden.toml"
    etc = tmp_path / "etc"
    etc.mkdir()
    for name in ("ca.pem", "unit.pem", "unit.key"):
        (etc / name).touch(mode=0o600)
    config.write_text(text.group(1).replace("/etc/platewarden", str(etc)))
    done = subprocess.run(
        [sys.executable, "-m", "firmware.cli", "--config", str(config), "config"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr

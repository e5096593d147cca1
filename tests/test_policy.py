"""The table of clauses says what the tests say."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path

from tests.policy import CLAUSES

ROOT = Path(__file__).resolve().parent.parent


def test_a_clause_is_met_only_where_all_its_tests_pass(tmp_path: Path) -> None:
    (tmp_path / "test_sample.py").write_text(
        "import pytest\n"
        "@pytest.mark.clause('430.1')\n"
        "def test_one(): pass\n"
        "@pytest.mark.clause('430.2-a', '430.1')\n"
        "def test_two(): pass\n"
        "@pytest.mark.clause('430.2-b')\n"
        "def test_three(): assert False\n"
        "@pytest.mark.clause('430.2-c')\n"
        "def test_four(): pytest.skip('no device')\n"
        "@pytest.mark.clause('430.5-0')\n"
        "def test_five(): pass\n"
        "def test_no_clause(): assert False\n"
    )
    table, clauses = tmp_path / "policy.md", tmp_path / "clauses.toml"
    listed = CLAUSES.read_text()
    clauses.write_text(listed.replace('id = "430.5-0"\n', 'id = "430.5-0"\npartly = "the rest"\n'))
    command = [sys.executable, "-m", "pytest", "-p", "tests.policy", "--policy", str(table)]
    command += ["--clauses", str(clauses), str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    rows = {line.split(" | ")[0].strip("| "): line for line in table.read_text().splitlines()}
    assert "| 2 in " in rows["430.1"]
    assert rows["430.1"].endswith("| met |")
    assert rows["430.2-a"].endswith("| met |")
    assert rows["430.2-b"].endswith("| not met |")
    assert rows["430.2-c"].endswith("| not met |")
    assert rows["430.5-0"].endswith("| in part: the rest |")
    assert "no_clause" not in done.stdout
    count = len(tomllib.loads(CLAUSES.read_text())["clause"])
    assert table.read_text().splitlines()[-1] == f"met 2, in part 1, not met {count - 3}"


def test_every_clause_stands_once_in_the_list() -> None:
    ids = [clause["id"] for clause in tomllib.loads(CLAUSES.read_text())["clause"]]
    assert len(ids) == len(set(ids)) == 38

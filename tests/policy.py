"""Which clause of policy 430 is met: a pytest plugin that makes the table from the tests' clause markers.

    make policy          the table, in build/policy.md

Owns the table. A clause is met where tests that name it pass and none fails, in part where tests/clauses.toml
says what is missing, and not met otherwise. Clauses that only a person can satisfy are not in it.
"""

from __future__ import annotations

import tomllib
from collections import defaultdict
from pathlib import Path

import pytest

CLAUSES = Path(__file__).with_name("clauses.toml")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--policy", type=Path, help="run the tests that name a clause, write the table here")
    parser.addoption("--clauses", type=Path, default=CLAUSES, help="the list of clauses")


def pytest_configure(config: pytest.Config) -> None:
    path = config.getoption("--policy")
    if path:
        config.pluginmanager.register(Table(path, config.getoption("--clauses")))


class Table:
    """Gathers the clauses of each test and how it ended."""

    def __init__(self, path: Path, clauses: Path) -> None:
        self._path = path
        self._known = clauses
        self._clauses: dict[str, set[str]] = {}
        self._ended: dict[str, str] = {}

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, config: pytest.Config, items: list[pytest.Item]) -> None:
        named, other = [], []
        for item in items:
            clauses = {str(one) for mark in item.iter_markers("clause") for one in mark.args}
            if clauses:
                self._clauses[item.nodeid] = clauses
                named.append(item)
            else:
                other.append(item)
        items[:] = named
        config.hook.pytest_deselected(items=other)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.when == "call" or report.outcome != "passed":
            self._ended[report.nodeid] = report.outcome

    def pytest_sessionfinish(self) -> None:
        tests: defaultdict[str, list[str]] = defaultdict(list)
        for nodeid, clauses in self._clauses.items():
            for clause in clauses:
                tests[clause].append(nodeid)
        known = tomllib.loads(self._known.read_text())["clause"]
        lines = ["| clause | kind | about | tests | result |", "|---|---|---|---|---|"]
        counts = {"met": 0, "in part": 0, "not met": 0}
        for clause in known:
            names = tests.pop(clause["id"], [])
            result = self._result(names)
            if result == "met" and clause.get("partly"):
                result = "in part"
            counts[result] += 1
            why = f": {clause['partly']}" if result == "in part" else ""
            files = ", ".join(sorted({name.split("::")[0].removeprefix("tests/") for name in names}))
            row = (
                clause["id"],
                clause["kind"],
                clause["about"],
                f"{len(names)} in {files or '-'}",
                result + why,
            )
            lines.append(f"| {' | '.join(row)} |")
        for clause, names in sorted(tests.items()):
            files = ", ".join(sorted({name.split("::")[0].removeprefix("tests/") for name in names}))
            lines.append(f"| {clause} | further | | {len(names)} in {files} | {self._result(names)} |")
        lines += ["", ", ".join(f"{name} {count}" for name, count in counts.items())]
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._path.write_text("\n".join(lines) + "\n")
        print("\n" + "\n".join(lines))

    def _result(self, names: list[str]) -> str:
        # What was skipped, as a test for another database, proves nothing and refutes nothing.
        ended = {self._ended.get(name, "failed") for name in names} - {"skipped"}
        return "met" if ended == {"passed"} else "not met"

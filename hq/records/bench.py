"""How fast HQ takes reads in, finds them and shows hits: `make bench-hq`, or `python -m hq.records.bench`.

Measures on SQLite and, where PostgreSQL's programs are installed, on a PostgreSQL server of its own:

- intake: reads with a plate picture each, by MQTT through one subscriber, on PostgreSQL through two;
- search: exact, look-alike and partial, at each number of reads, and how that grows;
- board: open hit boards, how soon a hit is on all of them and what they cost.

Each part is a program of its own (`bench_intake`, `bench_fill` and `bench_search`, `bench_board`) on a
database of its own. All of it lies in a folder that is removed afterwards, or is kept for the next time.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

SIZES: Final = (100_000, 1_000_000)
READS: Final = 6000
WATCHERS: Final = 50
ENGINES: Final = ("sqlite", "postgresql")

_SETTINGS: Final = (
    "listen_addresses=127.0.0.1",
    "unix_socket_directories=",
    "shared_buffers=2GB",
    "max_wal_size=8GB",
)
"""What differs from PostgreSQL's defaults; fsync and synchronous_commit are on."""


def main(words: Sequence[str] | None = None) -> int:
    """Measure and print; the exit code is 0, 1 if a part failed."""
    parser = argparse.ArgumentParser(prog="bench-hq", description=__doc__.split("\n\n")[0])
    parser.add_argument("--engines", nargs="*", choices=ENGINES, default=ENGINES)
    parser.add_argument("--rows", type=int, nargs="*", default=SIZES, help="numbers of reads to search among")
    parser.add_argument("--reads", type=int, default=READS, help="reads of the intake's measurement, 0: none")
    parser.add_argument("--watchers", type=int, default=WATCHERS, help="open hit boards, 0: none")
    parser.add_argument("--folder", type=Path, help="keep the databases here, and use those that are there")
    args = parser.parse_args(words)
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}, {platform.platform()}")
    failed = False
    with _folder(args.folder) as folder:
        for engine in args.engines:
            with _engine(engine, folder) as site:
                if site is None:
                    print(f"\n{engine}: not measured, its programs are not installed")
                    continue
                print(f"\n{engine} {site.version}")
                try:
                    _all(site, args)
                except subprocess.CalledProcessError as error:
                    print(f"  {Path(error.cmd[2]).suffix[1:]} failed, exit {error.returncode}")
                    failed = True
    return int(failed)


@dataclass(frozen=True)
class _Site:
    """An engine: where its databases are, and its server's process id (0: none)."""

    engine: str
    version: str
    folder: Path
    address: str = ""
    server: int = 0

    def run(self, database: str, module: str, *words: object) -> Any:
        """Run one part on a database; what it printed last, as JSON. Raises CalledProcessError."""
        data = self.folder / f"{self.engine}-{database}"
        data.mkdir(exist_ok=True)
        environ = {key: text for key, text in os.environ.items() if not key.startswith("PLATEWARDEN")}
        environ |= {"DJANGO_SETTINGS_MODULE": "hq.settings", "PLATEWARDEN_HQ_DATA": str(data)}
        environ["PLATEWARDEN_HQ_SECRET_KEY"] = "for measurements only, of no use anywhere else " * 2
        environ.pop("DATABASE_URL", None)
        if self.address:
            self._create(database)
            environ["DATABASE_URL"] = f"{self.address}/{database}"
        command = [sys.executable, "-m", f"hq.records.{module}", *map(str, words)]
        done = subprocess.run(command, env=environ, stdout=subprocess.PIPE, text=True, check=True)
        return json.loads(done.stdout.splitlines()[-1]) if done.stdout.startswith("{") else done.stdout

    def _create(self, database: str) -> None:
        import psycopg
        from psycopg import sql

        with psycopg.connect(f"{self.address}/postgres", autocommit=True) as link:
            there = link.execute("SELECT 1 FROM pg_database WHERE datname = %s", (database,)).fetchone()
            if not there:
                link.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(database)))


def _all(site: _Site, args: argparse.Namespace) -> None:
    if args.reads:
        _intake(site, args.reads)
    if args.rows:
        _search(site, sorted(args.rows))
    if args.watchers:
        _board(site, args.watchers)


def _intake(site: _Site, reads: int) -> None:
    print(f"  intake of {reads:,} reads with a plate picture, by MQTT")
    for subscribers in (1, 2) if site.server else (1,):
        found = site.run("intake", "bench_intake", reads, subscribers, site.server)
        spent = ", ".join(f"{name} {found[name]:.2f}" for name in ("subscribers", "database", "broker"))
        print(f"    {subscribers} subscribers: {found['rate']:6.0f} reads/s; processor ms a read: {spent}")


def _search(site: _Site, sizes: Sequence[int]) -> None:
    print("  search, ms: median / 95 % (median's growth since the size before)")
    before: dict[str, tuple[float, float]] = {}
    for size in sizes:
        print(f"    {size:,} reads", end="", flush=True)
        made = site.run(f"reads-{size}", "bench_fill", size)
        print(f", {made.rstrip()}" if made else "")
        found = site.run(f"reads-{size}", "bench_search")
        for name, (median, most) in found.items():
            growth = f"  (x {median / before[name][0]:.1f})" if before else ""
            print(f"      {name:<22} {median:8.1f} / {most:8.1f}{growth}")
        before = found


def _board(site: _Site, watchers: int) -> None:
    found = site.run("board", "bench_board", watchers)
    print(
        f"  hit board, {watchers} watchers\n"
        f"    a hit from its publish to the first screen {found['first']:.2f} s,"
        f" to the last {found['all']:.2f} s (medians; longest {found['all_most']:.2f} s)\n"
        f"    the server's processor: {found['processor_a_hit']:.2f} s a hit,"
        f" {1000 * found['processor_a_page']:.0f} ms a page of rows; {found['pages_s']:.0f} pages/s at most"
    )


@contextmanager
def _folder(kept: Path | None) -> Iterator[Path]:
    if kept is not None:
        kept.mkdir(parents=True, exist_ok=True)
        yield kept.resolve()
        return
    with tempfile.TemporaryDirectory(prefix="bench-hq-") as made:
        # PostgreSQL's own account must reach the folder below it.
        Path(made).chmod(0o711)
        yield Path(made)


@contextmanager
def _engine(engine: str, folder: Path) -> Iterator[_Site | None]:
    if engine == "sqlite":
        import sqlite3

        yield _Site(engine, sqlite3.sqlite_version, folder)
        return
    programs = _postgresql()
    if programs is None:
        yield None
        return
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
    data = folder / "postgresql"
    account: dict[str, Any] = _account()
    if not data.exists():
        data.mkdir(mode=0o700)
        if account:
            shutil.chown(data, account["user"])
        words = ["-D", str(data), "-A", "trust", "-U", "postgres", "--no-locale", "-E", "UTF8"]
        subprocess.run([programs / "initdb", *words], check=True, stdout=subprocess.DEVNULL, **account)
    given = [word for setting in (*_SETTINGS, f"port={port}") for word in ("-c", setting)]
    with (folder / "postgresql.log").open("w") as log:
        server = subprocess.Popen(
            [programs / "postgres", "-D", str(data), *given], stdout=log, stderr=log, **account
        )
    try:
        _await(port)
        version = subprocess.check_output([programs / "postgres", "--version"], text=True).split()[2]
        yield _Site(engine, version, folder, f"postgresql://postgres@127.0.0.1:{port}", server.pid)
    finally:
        # Its fast shutdown; the other waits for whoever is still connected.
        server.send_signal(signal.SIGINT)
        server.wait(60)


def _postgresql() -> Path | None:
    """The folder of PostgreSQL's programs; Debian keeps them out of the path."""
    found = [Path(where).resolve().parent] if (where := shutil.which("initdb")) else []
    found += sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    return next((one for one in found if (one / "initdb").exists() and (one / "postgres").exists()), None)


def _account() -> dict[str, Any]:
    """PostgreSQL refuses to run as root."""
    if os.geteuid() != 0:
        return {}
    names = {entry.pw_name for entry in pwd.getpwall()}
    return {"user": "postgres" if "postgres" in names else "nobody", "cwd": "/"}


def _await(port: int) -> None:
    import psycopg

    end = time.monotonic() + 60
    while True:
        try:
            psycopg.connect(f"postgresql://postgres@127.0.0.1:{port}/postgres").close()
        except psycopg.OperationalError:
            if time.monotonic() > end:
                raise
            time.sleep(0.2)
        else:
            return


if __name__ == "__main__":
    sys.exit(main())

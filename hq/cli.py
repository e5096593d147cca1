"""The `platewarden-hq` command: a thin table over the management commands of HQ's apps.

Owns the list of commands and the exit codes; what a command does is in its app's management/commands.
"""

from __future__ import annotations

import difflib
import os
import sqlite3
import sys
from collections.abc import Sequence
from pathlib import Path

_CODES = "exit codes: 0 ok, 1 it failed, 2 usage, 3 the site is not set up for it, 130 interrupted"


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command line (without the program's name) and return its exit code."""
    arguments = sys.argv[1:] if argv is None else list(argv)
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "hq.settings")
    if arguments[:1] == ["demo"]:
        os.environ["PLATEWARDEN_HQ_DEMO"] = "1"
    try:
        code = _run(arguments)
        sys.stdout.flush()
        return code
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130
    except BrokenPipeError:
        # The reader of our output went away (`doctor | head`): no error of ours, but the rest was not done.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1


def _run(arguments: list[str]) -> int:
    import django
    from django.conf import settings
    from django.core.exceptions import ImproperlyConfigured
    from django.core.management import execute_from_command_line
    from django.db import OperationalError, ProgrammingError

    try:
        # Before anything opens the database in it; only HQ's own user may look inside.
        Path(settings.DATA).mkdir(mode=0o700, parents=True, exist_ok=True)
    except ImproperlyConfigured as error:
        print(f"platewarden-hq: {error}", file=sys.stderr)
        return 3
    except OSError as error:
        print(f"platewarden-hq: PLATEWARDEN_HQ_DATA: {error.strerror}: {error.filename}", file=sys.stderr)
        return 3
    django.setup()
    known = commands()
    if not arguments or arguments[0] in ("-h", "--help", "help"):
        print(_help(known))
        return 0 if arguments else 2
    name = arguments[0].replace("-", "_")
    if name not in known:
        near = difflib.get_close_matches(name, known, 1)
        hint = (
            f"; did you mean {near[0].replace('_', '-')}?" if near else "; platewarden-hq --help lists them"
        )
        print(f"platewarden-hq: no command {arguments[0]}{hint}", file=sys.stderr)
        return 2
    # The checks compare the database's triggers with the code's, and migrate brings them up to date.
    checks = ["--skip-checks"] if name == "migrate" else []
    try:
        execute_from_command_line(["platewarden-hq", name, *arguments[1:], *checks])
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else 1
    except OperationalError as error:
        if "--traceback" in arguments or _is_ours(error):
            raise
        print(f"database: {' '.join(str(error).split())}; see DATABASE_URL", file=sys.stderr)
        return 1
    except ProgrammingError as error:
        from hq.site import databases

        if "--traceback" in arguments or not databases.lacks_right(error):
            raise
        said = str(error).splitlines()[0]
        print(f"database: {said}; docs/hq-running.md says what DATABASE_URL's user may do", file=sys.stderr)
        return 3
    return 0


def _is_ours(error: Exception) -> bool:
    """Whether a statement is wrong, which SQLite tells like a lock or a full disk."""
    return getattr(error.__cause__, "sqlite_errorcode", None) == sqlite3.SQLITE_ERROR


def commands() -> list[str]:
    """Every command of HQ's apps."""
    from django.core.management import get_commands

    return sorted(name for name, app in get_commands().items() if app.startswith("hq."))


def _help(known: list[str]) -> str:
    from django.core.management import get_commands, load_command_class

    apps = get_commands()
    lines = ["usage: platewarden-hq COMMAND [OPTIONS]   (COMMAND --help tells its options)", ""]
    for name in known:
        text = str(load_command_class(apps[name], name).help).strip().splitlines()[0]
        lines.append(f"  {name.replace('_', '-'):<14} {text}")
    return "\n".join([*lines, "", _CODES])


if __name__ == "__main__":
    sys.exit(main())

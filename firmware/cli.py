"""The `platewarden` command: its table of commands, the configuration, and what errors look like.

Owns the options before and after a command's name, the log's set-up and the exit codes. What a command
does is in its module of `firmware.commands`, which is imported only when it is asked for.
"""

from __future__ import annotations

import argparse
import contextlib
import difflib
import errno
import importlib
import io
import logging
import os
import sqlite3
import sys
from collections.abc import Callable, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from types import ModuleType
from typing import Final

from firmware.errors import ConfigError, Exit, FirmwareError, UsageError

COMMANDS: Final = (
    "run",
    "check",
    "config",
    "status",
    "selftest",
    "read",
    "reads",
    "hotlist",
    "purge",
    "listen",
    "bench",
)
"""Every command, in the order of the help. Each is the module of that name in firmware.commands."""

_ABOUT = "Licence plate reader for a camera unit."
_CODES = (
    "exit codes: 0 ok, 1 something in the input failed, 2 usage, 3 configuration, 4 file, device or server, "
    "5 store, 130 interrupted"
)


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command line (without the program's name) and return its exit code."""
    arguments = sys.argv[1:] if argv is None else list(argv)
    _secure_streams()
    try:
        code = _run(arguments)
        sys.stdout.flush()
        return code
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return Exit.INTERRUPTED
    except BrokenPipeError:
        # The reader of our output went away (`| head`): no error of ours, but the rest was not done.
        _drop_output()
        return Exit.FAILED
    except Exception as error:
        code_of_error = exit_code(error)
        if code_of_error is None:
            raise
        logging.getLogger(__name__).debug("the error came from here", exc_info=True)
        print(_told(error), file=sys.stderr)
        if isinstance(error, OSError) and error.filename is None:
            _drop_output()
        return code_of_error


def _secure_streams() -> None:
    """Have three open streams, whoever started us, and an output that takes every file's name.

    Where one of them was closed (`>&-`), the first file that is opened would get its number, and what is
    printed would end up in it: in the store, perhaps.
    """
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # The lowest free number, which is this one.
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "w" if number else "r"))  # noqa: SIM115
    if isinstance(sys.stdout, io.TextIOWrapper) and sys.stdout.errors == "strict":
        sys.stdout.reconfigure(errors="backslashreplace")


def _drop_output() -> None:
    """Let what is still to be printed go nowhere, so that the interpreter's own end does not fail too."""
    with contextlib.suppress(OSError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


_DISK: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EROFS})
"""What a write may meet; the error of a write names no file."""


def exit_code(error: Exception) -> Exit | None:
    """The exit code of an expected error, None for one that is a defect."""
    if isinstance(error, FirmwareError):
        return error.exit_code
    # Imported here: by now the package that raised is loaded, and a command needs only its own.
    from detector.errors import DetectorError
    from hw.protocols import HwError
    from mqtt.errors import MqttError, OutboxError
    from plates.errors import PlatesError

    if isinstance(error, sqlite3.Error | OutboxError):
        return Exit.STORE
    if isinstance(error, DetectorError | HwError | MqttError):
        return Exit.IO
    if isinstance(error, PlatesError):
        return Exit.FAILED
    if isinstance(error, OSError) and (error.filename is not None or error.errno in _DISK):
        return Exit.IO
    return None


def _told(error: Exception) -> str:
    if isinstance(error, ConfigError):
        return str(error)
    if isinstance(error, OSError) and error.filename is not None:
        return f"platewarden: {os.fsdecode(error.filename)}: {error.strerror}"
    if isinstance(error, OSError):
        return f"platewarden: what was to be written cannot be: {error.strerror}"
    return f"platewarden: {error or type(error).__name__}"


def command_module(name: str) -> ModuleType:
    """The module of a command: HELP, configure(parser), run(args), NEEDS_CONFIG where it is True, and
    TAKES_CONFIG where it is False."""
    return importlib.import_module(f"firmware.commands.{name}")


def software_version() -> str:
    """The installed version, or "unknown" where the tree is run without being installed."""
    try:
        return version("platewarden")
    except PackageNotFoundError:
        return "unknown"


def _run(arguments: list[str]) -> int:
    top = _top_parser()
    args = top.parse_args(arguments)
    name, *rest = args.words
    if name not in COMMANDS:
        near = difflib.get_close_matches(name, COMMANDS, n=1)
        hint = f"; did you mean {near[0]}?" if near else f": the commands are {', '.join(COMMANDS)}"
        top.error(f"{name} is no command{hint}")
    module = command_module(name)
    parser = argparse.ArgumentParser(prog=f"platewarden {name}", description=module.HELP)
    module.configure(parser)
    takes_config: bool = getattr(module, "TAKES_CONFIG", True)
    _add_common(parser.add_argument_group("options of every command"), takes_config=takes_config)
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for after in action.choices.values():
                _add_common(after.add_argument_group("options of every command"), "last_")
    inner = parser.parse_args(
        rest, argparse.Namespace(last_config=None, last_overrides=[], last_verbose=False)
    )
    inner.config = inner.last_config or inner.config or args.config
    inner.overrides = [*args.overrides, *inner.overrides, *inner.last_overrides]
    inner.verbose = args.verbose or inner.verbose or inner.last_verbose
    _check_texts(inner)
    if not takes_config and (inner.config is not None or inner.overrides):
        # Ignored, they would let somebody believe that what is printed is of their settings.
        raise UsageError(f"{name} reads no configuration, so it takes neither --config nor --set")
    if getattr(module, "NEEDS_CONFIG", False):
        from firmware import config

        files = None if inner.config is None else [inner.config]
        inner.settings = config.load(files, overrides=inner.overrides)
        set_up_log(inner.settings.log.level, inner.verbose)
    else:
        set_up_log("warning", inner.verbose)
    run: Callable[[argparse.Namespace], int] = module.run
    return run(inner)


def _check_texts(args: argparse.Namespace) -> None:
    """Raise UsageError for an argument that is no UTF-8; neither the store nor a message could hold it.
    Paths are bytes to the system and may be anything."""
    for name, value in vars(args).items():
        for text in value if isinstance(value, list) else [value]:
            if isinstance(text, str) and not text.isascii():
                try:
                    text.encode()
                except UnicodeEncodeError:
                    raise UsageError(f"{name}: {text!r} is no text in UTF-8") from None


def set_up_log(level: str, verbose: bool) -> None:
    """Log to stderr. Under systemd the journal adds the time itself, and reads the severity from <N>."""
    journal = "JOURNAL_STREAM" in os.environ
    handler = logging.StreamHandler()
    handler.setFormatter(_JournalFormatter() if journal else logging.Formatter(_TERMINAL_FORMAT))
    logging.basicConfig(level="DEBUG" if verbose else level.upper(), handlers=[handler], force=True)
    # Libraries keep their own debugging to themselves: theirs is not checked for plate text.
    for library in ("PIL", "urllib3", "asyncio"):
        logging.getLogger(library).setLevel("WARNING")


_TERMINAL_FORMAT = "%(asctime)s %(levelname)-7s %(name)s: %(message)s"


class _JournalFormatter(logging.Formatter):
    """Each line with the priority prefix of sd-daemon(3)."""

    def __init__(self) -> None:
        super().__init__("%(name)s: %(message)s")

    def format(self, record: logging.LogRecord) -> str:
        priority = 7 if record.levelno < 20 else 6 if record.levelno < 30 else 4 if record.levelno < 40 else 3
        return "\n".join(f"<{priority}>{line}" for line in super().format(record).splitlines())


class _HelpAction(argparse.Action):
    """Prints the options and every command with its own help line; only here all commands are imported."""

    def __init__(self, option_strings: Sequence[str], dest: str) -> None:
        super().__init__(option_strings, dest, nargs=0, default=argparse.SUPPRESS, help="show this help")

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        lines = [f"  {name:<10}{command_module(name).HELP}" for name in COMMANDS]
        print(parser.format_help() + "\ncommands:\n" + "\n".join(lines) + "\n\n" + _CODES)
        parser.exit()


def _top_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="platewarden",
        description=_ABOUT,
        usage="platewarden [options] COMMAND ...   (platewarden COMMAND --help explains one)",
        add_help=False,
        allow_abbrev=False,
    )
    parser.add_argument("-h", "--help", action=_HelpAction)
    parser.add_argument("--version", action="version", version=f"platewarden {software_version()}")
    _add_common(parser)
    parser.add_argument(
        "words", nargs=argparse.PARSER, metavar="COMMAND", help="what to do; listed by --help"
    )
    return parser


def _add_common(parser: argparse._ActionsContainer, place: str = "", *, takes_config: bool = True) -> None:
    """Add them; `place` stands before their names in the namespace, where several parsers share it.
    The help of a command that takes no configuration does not show the options for it."""
    parser.add_argument(
        "--config",
        dest=f"{place}config",
        type=Path,
        metavar="FILE",
        help="read FILE in the place of those under /etc/platewarden" if takes_config else argparse.SUPPRESS,
    )
    parser.add_argument(
        "--set",
        dest=f"{place}overrides",
        action="append",
        default=[],
        metavar="SECTION.KEY=VALUE",
        help="set one configuration option; repeatable" if takes_config else argparse.SUPPRESS,
    )
    parser.add_argument(
        "--verbose", dest=f"{place}verbose", action="store_true", help="log everything, plate text included"
    )


if __name__ == "__main__":
    sys.exit(main())

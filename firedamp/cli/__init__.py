"""The command line. One file per command, imported when it is called; exit codes live here.

0 no confirmed finding in this run; 1 at least one; 2 usage or configuration; 3 firedamp's own environment failed;
130 interrupted, everything saved.
"""

import errno
import fcntl
import importlib
import os
import platform
import signal
import sys
import traceback
from collections.abc import Sequence

import click

from firedamp import __version__
from firedamp.errors import ConfigError, FiredampError, PolicyError

INTERRUPTED = 130  # 128 + SIGINT, as a shell reports it
OLDEST_PYTHON = (3, 11)

# Said here and not asked of each module: `firedamp --help` must not import eleven of them.
COMMANDS = {
    "init": "Write a starting firedamp.toml and folders into your C project.",
    "build": "Compile a target with its guards, and print what was proved of the binary.",
    "canary": "Say how an attacker would spoof the stack canary of a program.",
    "doctor": "Say what this machine can do, and the remedy for what it cannot.",
    "fuzz": "Feed a target hostile input, guided by coverage.",
    "inject": "Run a command once under faults.",
    "learn": "Write a policy from what a command does.",
    "enforce": "Run a command under a policy; what it does not permit is denied and logged.",
    "policy": "Check a policy, print it, translate strace's expressions.",
    "sweep": "Make each system call of a command fail, at each site, with each plausible errno.",
    "journal": "Tell what happened in the fuzz runs of a target.",
    "coverage": "Show which lines and functions of the source the corpus reaches.",
    "oss-fuzz": "Build a project of OSS-Fuzz by its own build.sh; its fuzzers become targets.",
    "corpus": "Bring corpora in and out, and make them smaller.",
    "replay": "See a finding again, in fresh processes.",
    "findings": "List what was found.",
    "bisect": "Say which commit introduced a finding, or repaired it.",
    "show": "Show all that is known of a finding.",
    "matrix": "Say which defence stops a finding, and what happens without.",
    "keep": "Turn a finding into a regression test.",
    "regress": "Replay all regression tests.",
}


class LazyGroup(click.Group):
    """Imports the module of a command when it is called."""

    def list_commands(self, ctx: click.Context) -> "list[str]":
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> "click.Command | None":
        if cmd_name not in COMMANDS:
            return None
        command = importlib.import_module("firedamp.cli." + cmd_name.replace("-", "_")).command
        assert isinstance(command, click.Command)
        return command

    def resolve_command(
        self, ctx: click.Context, args: "list[str]"
    ) -> "tuple[str | None, click.Command | None, list[str]]":
        if args and args[0] not in COMMANDS and not args[0].startswith("-"):
            from firedamp.suggestion import did_you_mean

            near = did_you_mean(args[0], COMMANDS) or "; see firedamp --help"
            raise click.UsageError(f"{args[0]!r} is no command{near}", ctx)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.group(
    cls=LazyGroup,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="firedamp COMMAND --help shows examples. Exit codes: 0 nothing found, 1 found, 2 usage, 3 environment.",
)
@click.version_option(__version__, prog_name="firedamp")
def firedamp() -> None:
    """Find how C programs die: of hostile input (fuzz) and of a hostile environment (inject, sweep).

    \b
    firedamp init
    firedamp fuzz TARGET --time 60s
    firedamp sweep -- cp a b
    """


def unsupported() -> "str | None":
    """Why firedamp cannot run here, or None."""
    system, machine = platform.system(), platform.machine()
    if system != "Linux" or machine != "x86_64":
        return f"firedamp traces Linux on x86-64, and this is {system} on {machine}; use such a machine or a container"
    if platform.python_implementation() != "CPython" or sys.version_info[:2] < OLDEST_PYTHON:
        found = f"{platform.python_implementation()} {platform.python_version()}"
        return f"firedamp needs CPython 3.11 or newer, and this is {found}; install it and run firedamp with it"
    return None


def main(arguments: "Sequence[str] | None" = None) -> int:
    """Run one command and return its exit code; never raises, never prints a traceback for what a user can mend."""
    try:
        return _run(list(sys.argv[1:] if arguments is None else arguments))
    finally:
        if arguments is None:  # the process ends: nothing is left that Ctrl-C could stop, but Python would complain
            signal.signal(signal.SIGINT, signal.SIG_IGN)


def _run(arguments: "list[str]") -> int:
    _replace_closed_streams()
    reason = unsupported()
    if reason is not None:
        return _fail(reason, 3)
    try:
        code = firedamp.main(args=arguments, prog_name="firedamp", standalone_mode=False)
        sys.stdout.flush()
        return int(code or 0)
    except click.exceptions.Abort:
        return _fail("interrupted", INTERRUPTED)
    except click.ClickException as error:
        error.show()
        return 2
    except (ConfigError, PolicyError) as error:
        _say(str(error))  # begins with the name of the file
        return error.exit_code
    except FiredampError as error:
        return _fail(str(error), error.exit_code)
    except KeyboardInterrupt:
        return _fail("interrupted; what was found is saved", INTERRUPTED)
    except BrokenPipeError:
        _close_stdout()
        return 0
    except OSError as error:
        return _fail(_words(error), 3)
    except Exception:  # left to Python it would end with 1, which means a finding
        traceback.print_exc()
        return _fail("that is a mistake of firedamp's own, not of your program; please report it", 3)


def _words(error: OSError) -> str:
    where = f"{error.filename}: " if error.filename else ""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return f"{where}the disk is full: free some space and run again; what was kept is kept"
    return f"{where}{error.strerror or error}; check permissions, or give another folder with --results"


def _fail(message: str, code: int) -> int:
    _say(f"firedamp: {message}")
    return code


def _say(message: str) -> None:
    """A message may quote a program, a compiler or the name of a file."""
    from firedamp.report.printable import printable

    print(printable(message), file=sys.stderr)


def _replace_closed_streams() -> None:
    """After `>&-` Python has no sys.stdout at all. The number stays closed, for a program under `inject` to see."""
    for name in ("stdin", "stdout", "stderr"):
        if getattr(sys, name) is None:
            opened = os.open(os.devnull, os.O_RDWR)
            held = fcntl.fcntl(opened, fcntl.F_DUPFD_CLOEXEC, 3)
            os.close(opened)
            setattr(sys, name, os.fdopen(held, "r" if name == "stdin" else "w"))


def _close_stdout() -> None:
    """Whoever read our results has gone: say no more, or Python complains once again at its end."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)

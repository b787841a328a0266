"""Options that several commands share, and the types of their values. Nothing heavy is imported here."""

import math
import re
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any, TypeVar, cast

import click

F = TypeVar("F", bound=Callable[..., Any])
UNITS_S = {"": 1.0, "ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
FILE = click.Path(path_type=Path)
AFTER_DASHES = "firedamp.after_dashes"


class Duration(click.ParamType[float]):
    """60s, 10m, 1h30m, or a plain number of seconds; the value is a float in seconds."""

    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        if isinstance(value, float):
            return value
        parts = re.findall(r"(\d+(?:\.\d+)?)(ms|[smhd]?)", str(value))
        if not parts or "".join(number + unit for number, unit in parts) != value:
            self.fail(f"{value!r} is no duration; write 60s, 10m or 1h", param, ctx)
        seconds = sum(float(number) * UNITS_S[unit] for number, unit in parts)
        if not seconds > 0 or math.isinf(seconds):
            self.fail(f"{value!r} is no time at all; write more than 0s", param, ctx)
        return seconds


# Heading -> the options that stand below it in a command's help. All others come first, as its own.
SECTIONS = {
    "The program": ("--check", "--workdir", "--setup", "--stdin", "--stdout", "--stderr", "--timeout", "--memory"),
    "Compiling": ("--compiler", "--profile", "--unguarded"),
    "How far": ("--time", "--runs", "--resume", "--times", "--snapshots", "--workers", "--seed"),
    "Results": ("--output", "--log", "--new-only", "--exit-status", "--json", "--results", "--help"),
}


class Sectioned(click.Command):
    """A command with many options: its help shows them by what they are about."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        sections: dict[str, list[tuple[str, str]]] = {title: [] for title in ("Options", *SECTIONS)}
        for parameter in self.get_params(ctx):
            record = parameter.get_help_record(ctx)
            if isinstance(parameter, click.Option) and record is not None:
                sections[_section(parameter)].append(record)
        for title, records in sections.items():
            if records:
                with formatter.section(title):
                    formatter.write_dl(records)


def _section(option: click.Option) -> str:
    return next((title for title, names in SECTIONS.items() if set(names) & set(option.opts)), "Options")


class Dashed(Sectioned):
    """What stands behind the first `--` is kept apart, untouched: a command line, or flags of another program."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        dashes = args.index("--") if "--" in args else len(args)
        ctx.meta[AFTER_DASHES] = tuple(args[dashes + 1 :]) if dashes < len(args) else None
        return super().parse_args(ctx, args[:dashes])


def after_dashes() -> tuple[str, ...] | None:
    """None where there was no `--`."""
    words: tuple[str, ...] | None = click.get_current_context().meta[AFTER_DASHES]
    return words


def common(*, seed: bool = False, workers: str = "") -> Callable[[F], F]:
    """--results, and --seed and --workers: taken everywhere, shown and passed on where they change something.

    `workers`: how many there are by default.
    """

    def decorate(function: F) -> F:
        function = click.option(
            "--results", type=FILE, metavar="DIR", help="Where findings are kept [default: results, in the project]."
        )(function)
        words = "Of all chance in this run."
        function = click.option("--seed", type=click.IntRange(0), help=words, hidden=not seed, expose_value=seed)(
            function
        )
        words = f"Processes at a time [default: {workers}]."
        return click.option(
            "--workers", type=click.IntRange(1), help=words, hidden=not workers, expose_value=bool(workers)
        )(function)

    return decorate


def json_output(function: F) -> F:
    return click.option("--json", "as_json", is_flag=True, help="One JSON object on stdout, and nothing else.")(
        function
    )


def exit_status(function: F) -> F:
    return click.option(
        "--exit-status",
        type=click.Choice(["findings", "program"]),
        default="findings",
        show_default=True,
        help="What firedamp exits with: 0 or 1 by what was found, or the program's own status (128 + N for signal N).",
    )(function)


def workdir(default: str) -> Callable[[F], F]:
    return click.option(
        "--workdir",
        type=click.Path(exists=True, file_okay=False, path_type=Path),
        metavar="DIR",
        help=f"Copied for each run, so that your files never change [default: {default}].",
    )


def execution(*, here: bool) -> Callable[[F], F]:
    """--workdir, --setup, the program's streams and its limits. `here`: it runs in place unless there is a workdir."""
    nothing, captured = ("yours", "yours") if here else ("/dev/null", "captured")
    seconds, mebibytes = ("none", "none") if here else ("5s", "1024")
    where = "in place, without a copy" if here else "the current folder"
    texts = {
        "setup": ("SHELL", "Run in the private folder before the program."),
        "stdin": ("FILE", f"File for the program's input [default: {nothing}]."),
        "stdout": ("FILE", f"File for its output; a relative name lies in the private folder [default: {captured}]."),
        "stderr": ("FILE", f"File for its standard error [default: {captured}]."),
    }

    def decorate(function: F) -> F:
        limit = click.option(
            "--memory", type=click.IntRange(16), metavar="MIB", help=f"Of one run [default: {mebibytes}]."
        )
        function = limit(function)
        words = f"Of one run [default: {seconds}]."
        function = click.option("--timeout", type=Duration(), metavar="TIME", help=words)(function)
        for name, (metavar, words) in reversed(texts.items()):
            function = click.option(f"--{name}", metavar=metavar, help=words)(function)
        return workdir(where)(function)

    return decorate


def compiling(function: F) -> F:
    """--compiler and --unguarded, as one value: `compilation`."""
    return _compiler(_gathering(function))


def building(function: F) -> F:
    """--compiler, --profile and --unguarded, as one value: `compilation`."""
    function = click.option(
        "--profile",
        type=click.Choice(["hardened", "asan", "plain"]),
        default="hardened",
        show_default=True,
        help="How it is compiled.",
    )(_gathering(function))
    return _compiler(function)


def _gathering(function: F) -> F:
    @wraps(function)
    def gathered(*words: Any, compiler: str | None, unguarded: bool, profile: str = "hardened", **others: Any) -> Any:
        from firedamp.cli.session import Compilation
        from firedamp.target import Profile

        compilation = Compilation(profile=Profile(profile), compiler=compiler, unguarded=unguarded)
        return function(*words, compilation=compilation, **others)

    return cast(F, gathered)


def _compiler(function: F) -> F:
    function = click.option("--unguarded", is_flag=True, help="Go on where no guard could fire in the binary.")(
        function
    )
    return click.option("--compiler", metavar="CC", help="clang, gcc, zig, or a command [default: the first found].")(
        function
    )


def new_only(function: F) -> F:
    return click.option("--new-only", is_flag=True, help="Exit 1 for new findings alone, not for known ones.")(function)


def times(default: int) -> Callable[[F], F]:
    return click.option(
        "-n", "--times", type=click.IntRange(1), default=default, show_default=True, help="Replays of each reproducer."
    )

"""firedamp.toml, or [tool.firedamp] of pyproject.toml: read, checked, and turned into Targets and Sweeps.

Every mistake is reported at once, in file order, with the path of its key. Nothing is executed and no file but the
configuration itself is opened.
"""

import os
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from firedamp.errno_name import check_errno
from firedamp.errors import ConfigError
from firedamp.outcome import Reach
from firedamp.project import PYPROJECT, Config, Sweep
from firedamp.suggestion import did_you_mean
from firedamp.target import MEBIBYTE, InputMode, Limits, Target, TargetKind

PLACEHOLDER = "@@"
MAKERS = ("sources", "artifact", "command", "harness")
INPUTS = (InputMode.STDIN, InputMode.FILE, InputMode.ARGV)
MAX_INPUT_BYTES = 1 << 20  # libFuzzer's own ceiling for -max_len
LONGEST_S = 24 * 3600.0


def load(path: Path) -> Config:
    """Raises ConfigError with all mistakes of the file."""
    path = path.absolute()
    tables, prefix = _tables(path)
    document, error = _validate(tables)
    problems = _problems(error, tables, f"{path.name}: {prefix}")
    if problems or document is None:
        raise ConfigError(tuple(problems))
    return Config(
        path=path,
        root=path.parent,
        targets={name: table.target(name, path.parent) for name, table in document.targets.items()},
        sweeps={name: table.sweep(name, path.parent) for name, table in document.sweeps.items()},
    )


def _tables(path: Path) -> tuple[dict[str, Any], str]:
    try:
        document = tomllib.loads(path.read_bytes().decode("utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError((f"{path.name}: is no valid TOML: {error}",)) from None
    except OSError as error:
        raise ConfigError((f"{path.name}: cannot be read: {error.strerror}; mend its permissions",)) from None
    if path.name != PYPROJECT:
        return document, ""
    table = document.get("tool", {}).get("firedamp", {})
    if not isinstance(table, dict):
        raise ConfigError((f"{path.name}: tool.firedamp: is no table; write [tool.firedamp.targets.NAME]",))
    return table, "tool.firedamp."


def _validate(tables: Mapping[str, Any]) -> tuple["_Document | None", ValidationError | None]:
    try:
        return _Document.model_validate(tables), None
    except ValidationError as error:
        return None, error


def _words(value: object) -> object:
    return [value] if isinstance(value, str) else value


def _not_empty(value: list[str]) -> list[str]:
    if not value:
        raise ValueError("is empty; name at least one")
    return value


def _relative_file(value: str) -> str:
    if not value or "\0" in value:
        raise ValueError(f"{value!r} is no file name")
    return value


def _reach(value: str) -> str:
    if value not in list(Reach):
        raise ValueError(f"{value!r} is neither {' nor '.join(map(repr, map(str, Reach)))}")
    return value


Words = Annotated[list[str], BeforeValidator(_words), AfterValidator(_not_empty)]
Errnos = Annotated[
    list[Annotated[str, AfterValidator(check_errno)]], BeforeValidator(_words), AfterValidator(_not_empty)
]
Command = Annotated[list[str], AfterValidator(_not_empty)]
FileName = Annotated[str, AfterValidator(_relative_file)]
PythonName = Annotated[str, Field(pattern=r"^[A-Za-z_][\w.]*:[A-Za-z_]\w*$")]
Seconds = Annotated[float, Field(gt=0, le=LONGEST_S, strict=False)]


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class _Execution(_Table):
    """What targets and sweeps have in common: how one run is bounded and prepared."""

    timeout_s: Seconds = 5.0
    memory_mb: Annotated[int, Field(ge=16)] = 1024
    workdir: FileName | None = None
    setup: str | None = None
    stdin: FileName | None = None
    stdout: FileName | None = None
    stderr: FileName | None = None

    def limits(self) -> Limits:
        return Limits(wall_s=self.timeout_s, cpu_s=self.timeout_s, memory_bytes=self.memory_mb * MEBIBYTE)

    def folder(self, root: Path) -> Path | None:
        return None if self.workdir is None else Path(os.path.normpath(root / self.workdir))


class _TargetTable(_Execution):
    sources: Command | None = None
    artifact: FileName | None = None
    program: bool = False
    command: Command | None = None
    harness: PythonName | None = None
    prepare: Annotated[list[str], BeforeValidator(_words)] = []
    cflags: list[str] = []
    ldflags: list[str] = []
    args: list[str] = []
    input: str | None = None
    input_from: Annotated[str, AfterValidator(_reach)] | None = None
    seeds: FileName | None = None
    dictionary: FileName | None = None
    max_len: Annotated[int, Field(ge=1, le=MAX_INPUT_BYTES)] = 4096
    mutator: PythonName | None = None
    strategy: PythonName | None = None
    mutate_one_in: Annotated[int, Field(ge=1, le=1 << 20)] = 16

    def kind(self) -> TargetKind:
        if self.harness is not None:
            return TargetKind.PYTHON
        if self.command is not None:
            return TargetKind.COMMAND
        return TargetKind.PROGRAM if self.program else TargetKind.HARNESS

    def _arguments(self) -> list[str]:
        return [*self.args, *(self.command or ())[1:]]

    def _mode(self) -> InputMode:
        if self.input is not None:
            return InputMode(self.input)
        if self.kind() in (TargetKind.HARNESS, TargetKind.PYTHON):
            return InputMode.BUFFER
        return InputMode.FILE if any(PLACEHOLDER in word for word in self._arguments()) else InputMode.STDIN

    def target(self, name: str, root: Path) -> Target:
        return Target(
            name=name,
            kind=self.kind(),
            root=root,
            sources=tuple(self.sources or ()),
            prepare=tuple(self.prepare),
            cflags=tuple(self.cflags),
            ldflags=tuple(self.ldflags),
            artifact=self.artifact,
            args=tuple(self.args),
            command=tuple(self.command or ()),
            harness=self.harness,
            input=self._mode(),
            input_from=self.input_from,
            seeds=self.seeds,
            dictionary=self.dictionary,
            max_len=self.max_len,
            mutator=self.mutator,
            strategy=self.strategy,
            mutate_one_in=self.mutate_one_in,
            limits=self.limits(),
            setup=self.setup,
            workdir=self.folder(root),
            stdin=self.stdin,
            stdout=self.stdout,
            stderr=self.stderr,
        )


class _SweepTable(_Execution):
    command: Command
    check: str | None = None
    errno: Errnos = []
    syscall: Words = []
    startup: bool = False
    malloc: bool | None = None
    pairs: bool = False
    recovery: bool = False
    budget_s: Annotated[float, Field(gt=0, allow_inf_nan=False, strict=False)] | None = None

    def sweep(self, name: str, root: Path) -> Sweep:
        target = Target(
            name=name,
            kind=TargetKind.COMMAND,
            root=root,
            command=tuple(self.command),
            input=InputMode.NONE,
            limits=self.limits(),
            setup=self.setup,
            check=self.check,
            workdir=self.folder(root),
            stdin=self.stdin,
            stdout=self.stdout,
            stderr=self.stderr,
        )
        return Sweep(
            target=target,
            errnos=tuple(self.errno),
            syscalls=tuple(self.syscall),
            startup=self.startup,
            malloc=self.malloc,
            pairs=self.pairs,
            recovery=self.recovery,
            budget_s=self.budget_s,
        )


# A name becomes a folder beneath results/ and corpora/, so it must not wander off, nor be hidden.
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9_][A-Za-z0-9._+-]*$", max_length=100)]


class _Document(_Table):
    targets: dict[Name, _TargetTable] = {}
    sweeps: dict[Name, _SweepTable] = {}


KEYS: dict[str, type[BaseModel]] = {"targets": _TargetTable, "sweeps": _SweepTable}

# pydantic's type of error -> what a person has to write instead
EXPECTED = {
    "string_type": "is no string; write it in quotes",
    "int_type": "is no whole number",
    "float_type": "is no number",
    "bool_type": "is neither true nor false",
    "list_type": 'is no list; write ["..."]',
    "dict_type": "is no table",
    "model_type": "is no table; write [{path}]",
    "model_attributes_type": "is no table; write [{path}]",
    "greater_than": "is too small: more than {gt} is needed",
    "greater_than_equal": "is too small: at least {ge} is needed",
    "less_than_equal": "is too large: at most {le} is allowed",
    "finite_number": "is not finite",
    "missing": "is missing; add it",
}


def _problems(error: ValidationError | None, tables: Mapping[str, Any], prefix: str) -> list[str]:
    """What pydantic says of single values and what the keys say to each other, in the order of the file."""
    order = {path: index for index, path in enumerate(_paths(tables))}
    found = [(path, f"{_dotted(path)}: {words}") for path, words in _disagreements(tables)]
    for each in error.errors() if error else ():
        found.append((each["loc"], _problem(each["type"], each["loc"], each["input"], each.get("ctx", {}))))
    return [prefix + words for _, words in sorted(found, key=lambda problem: _position(problem[0], order))]


def _disagreements(tables: Mapping[str, Any]) -> Iterator[tuple[tuple[int | str, ...], str]]:
    """Rules between the keys of one target. Asked of the raw tables, so that a wrong value elsewhere hides nothing."""
    targets = tables.get("targets")
    for name, table in targets.items() if isinstance(targets, dict) else ():
        if isinstance(table, dict):
            for key, words in _disagreeing_keys(table):
                yield ("targets", name, *key), words


def _disagreeing_keys(table: Mapping[str, Any]) -> Iterator[tuple[tuple[str, ...], str]]:
    makers = [key for key in MAKERS if key in table]
    if len(makers) != 1:
        found = " and ".join(makers) or "none of them"
        yield (), f"exactly one of {', '.join(MAKERS)} makes a target; found {found}"
    for key in ("program", "prepare"):
        if key in table and "sources" not in table and "artifact" not in table:
            yield (key,), "needs sources: nothing is compiled here; remove it"
    for key in ("cflags", "ldflags"):
        if key in table and "sources" not in table:
            yield (key,), "needs sources: nothing is compiled here; remove it"
    if "args" in table and table.get("program") is not True:
        yield ("args",), "belongs to a target with program = true; a command holds its arguments itself"
    if "input" in table:
        yield from _wrong_input(table)


def _wrong_input(table: Mapping[str, Any]) -> Iterator[tuple[tuple[str, ...], str]]:
    way = table["input"]
    ways = [mode.value for mode in INPUTS]
    if way not in ways:
        near = did_you_mean(way, ways) if isinstance(way, str) else ""
        yield ("input",), f"{way!r} is no way in{near or '; write stdin, file or argv'}"
    elif "command" not in table and table.get("program") is not True:
        yield ("input",), "belongs to a program or a command; a harness gets its bytes as a buffer; remove it"
    elif way != InputMode.STDIN and not _has_placeholder(table):
        yield ("input",), f"{way!r} needs {PLACEHOLDER} in the arguments, where the input belongs"


def _has_placeholder(table: Mapping[str, Any]) -> bool:
    words = [*(table.get("args") or ()), *(table.get("command") or ())[1:]]
    return any(PLACEHOLDER in word for word in words if isinstance(word, str))


def _paths(value: object, path: tuple[int | str, ...] = ()) -> Iterator[tuple[int | str, ...]]:
    """Every key's path, in the order of the file."""
    yield path
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _paths(inner, (*path, key))
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from _paths(inner, (*path, index))


def _position(path: tuple[int | str, ...], order: Mapping[tuple[int | str, ...], int]) -> int:
    """Where a problem stands in the file; a missing key stands where its table begins."""
    while path and path not in order:
        path = path[:-1]
    return order.get(path, 0)


def _problem(kind: str, path: tuple[int | str, ...], value: object, context: Mapping[str, Any]) -> str:
    if path and path[-1] == "[key]":  # the name of a table itself
        return f"{_dotted(path[:-1])}: {value!r} is no name; use letters, digits, '.', '_', '+' and '-'"
    place = _dotted(path)
    match kind:
        case "extra_forbidden":
            return f"{place}: unknown key{_near_key(path)}"
        case "value_error":
            return f"{place}: {context['error']}"
        case "string_pattern_mismatch":
            return f'{place}: {value!r} is no harness; write "package.module:function"'
        case "missing":
            return f"{place}: {EXPECTED[kind]}"
        case _:
            rule = EXPECTED.get(kind, f"is not allowed ({kind})").format(path=place, **context)
            return f"{place}: {value!r} {rule}"


def _near_key(path: Sequence[int | str]) -> str:
    fields = KEYS[str(path[0])].model_fields if len(path) > 2 else _Document.model_fields
    return did_you_mean(str(path[-1]), fields) or f"; known are {', '.join(sorted(fields))}"


def _dotted(path: Sequence[int | str]) -> str:
    """targets.png.sources[1]; the filters are shown without an index, for they may be written as one word."""
    words = [str(path[0])] if path else []
    for part in path[1:]:
        if isinstance(part, int):
            words[-1] += "" if words[-1] in ("errno", "syscall") else f"[{part}]"
        else:
            words.append(part)
    return ".".join(words)

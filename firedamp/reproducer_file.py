"""Reproducers on disk: a payload (an input, or the text of a policy or a sequence) and its facts in a TOML file.

The facts hold all of the target, so a replay needs nothing else. Files appear whole or not at all.
"""

import hashlib
import os
import tomllib
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, fields, replace
from pathlib import Path
from typing import Any, TypeVar

import tomli_w

from firedamp.errors import UsageError
from firedamp.finding import Detection
from firedamp.reproducer import Payload, Reproducer
from firedamp.target import InputMode, Limits, Profile, Target, TargetKind

FORMAT = 1
NAMES = {
    Payload.INPUT: ("input", "reproducer.toml"),
    Payload.POLICY: ("faults.policy", "faults.toml"),
    Payload.SEQUENCE: ("inputs.sequence", "reproducer.toml"),
}
ENGINES = ("fuzz", "inject")
E = TypeVar("E", Profile, TargetKind, InputMode)


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """What a replay is expected to show; the identity that Detection.identity gave."""

    id: str
    kind: str
    function: str | None = None


def write(
    reproducer: Reproducer,
    folder: Path,
    *,
    name: str | None = None,
    detection: Detection | None = None,
    portable: bool = False,
    payload_name: str | None = None,
) -> Path:
    """Write both files and return the one that a person names: the policy, or the facts of an input.

    With `name` they are NAME and NAME.toml. `detection` is recorded as the claim. `portable`: the target's root is
    written relative to `folder`, for a repository that others check out elsewhere.
    """
    payload, facts = NAMES[reproducer.kind] if name is None else (name, f"{name}.toml")
    payload = payload_name or payload
    folder = Path(os.path.normpath(folder.absolute()))
    folder.mkdir(parents=True, exist_ok=True)
    document = _document(reproducer, payload, folder if portable else None, detection)
    write_atomically(folder / payload, reproducer.payload)
    write_atomically(folder / facts, tomli_w.dumps(document).encode("utf-8", "surrogateescape"))
    return folder / (payload if reproducer.kind is Payload.POLICY else facts)


def read(path: Path) -> Reproducer:
    """From either of the two files. Raises UsageError, with the path, for whatever is missing, wrong or altered."""
    facts = _facts_path(path)
    table = _Table(facts, _load(facts))
    if table.integer("format") != FORMAT:
        raise table.wrong("format", f"{table.integer('format')} is not understood; this firedamp reads format {FORMAT}")
    payload = facts.parent / table.text("payload")
    try:
        content = payload.read_bytes()
    except OSError as error:
        raise UsageError(f"{payload}: cannot be read: {error.strerror}; {facts.name} names it as the payload") from None
    if hashlib.sha256(content).hexdigest() != table.text("sha256"):
        raise UsageError(f"{payload}: is not what {facts.name} was written for: its SHA-256 differs; restore the file")
    engine = table.text("engine")
    if engine not in ENGINES:
        raise table.wrong("engine", f"{engine!r} is none of {', '.join(ENGINES)}")
    target = _target(table.table("target"), facts.parent)
    return Reproducer(
        engine=engine,
        target=target,
        profile=table.member("profile", Profile),
        payload=content,
        sequence=table.values.get("sequence") is True,
    )


def read_claim(path: Path) -> Claim | None:
    """What the reproducer's finding was; None where the file does not say."""
    facts = _facts_path(path)
    document = _load(facts)
    if "finding" not in document:
        return None
    table = _Table(facts, document).table("finding")
    return Claim(id=table.text("id"), kind=table.text("kind"), function=table.values.get("function"))


def original(path: Path) -> Path | None:
    """The input as it was found, where a smaller one has taken its place in the reproducer `path`."""
    kept = path.with_name(NAMES[Payload.INPUT][0])
    return kept if path.name == NAMES[Payload.INPUT][1] and kept.is_file() else None


def has_facts(path: Path) -> bool:
    """Whether `path` is one of the two files of a reproducer."""
    return _find_facts(path) is not None


def write_atomically(path: Path, content: bytes) -> None:
    """Durable, and never half of it: temporary file, fsync(2), rename(2), fsync of the folder."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with temporary.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _document(reproducer: Reproducer, payload: str, folder: Path | None, detection: Detection | None) -> dict[str, Any]:
    document: dict[str, Any] = {
        "format": FORMAT,
        "engine": reproducer.engine,
        "profile": reproducer.profile.value,
        "payload": payload,
        "sha256": hashlib.sha256(reproducer.payload).hexdigest(),
    }
    if reproducer.sequence:
        document["sequence"] = True
    if detection is not None:
        frame = detection.frame
        claim = {"id": detection.identity(reproducer.target.name), "kind": detection.kind, "place": detection.place}
        function = {"function": frame.function} if frame is not None and frame.function is not None else {}
        document["finding"] = claim | function
    return document | {"target": _target_table(reproducer.target, folder)}


def _target_table(target: Target, folder: Path | None) -> dict[str, Any]:
    """Every field that is not at its default; paths as text."""
    table: dict[str, Any] = {}
    for field in fields(Target):
        value = getattr(target, field.name)
        if field.name == "limits":
            table["limits"] = {each.name: getattr(value, each.name) for each in fields(Limits)}
        elif field.name in ("root", "workdir"):
            if value is not None:
                table[field.name] = _path_text(value, folder)
        elif field.default is MISSING or value != field.default:
            table[field.name] = list(value) if isinstance(value, tuple) else value
    return table


def _path_text(path: Path, folder: Path | None) -> str:
    return str(path) if folder is None else os.path.relpath(path, folder)


def _target(table: "_Table", folder: Path) -> Target:
    table.only(*(field.name for field in fields(Target)))
    folder = Path(os.path.normpath(folder.absolute()))
    target = Target(
        name=table.text("name"),
        kind=table.member("kind", TargetKind),
        root=Path(os.path.normpath(folder / table.text("root"))),
        limits=_limits(table.table("limits")),
    )
    given = {field.name for field in fields(Target) if field.name in table.values} - {"name", "kind", "root", "limits"}
    values: dict[str, Any] = {}
    for name in given:
        match name:
            case "workdir":
                values[name] = Path(os.path.normpath(folder / table.text(name)))
            case "input":
                values[name] = table.member(name, InputMode)
            case "max_len":
                values[name] = table.integer(name)
            case "sources" | "prepare" | "cflags" | "ldflags" | "args" | "command":
                values[name] = table.texts(name)
            case _:
                values[name] = table.text(name)
    return replace(target, **values)


def _limits(table: "_Table") -> Limits:
    table.only(*(field.name for field in fields(Limits)))
    return Limits(
        wall_s=table.number("wall_s"),
        cpu_s=table.number("cpu_s"),
        memory_bytes=table.integer("memory_bytes"),
        output_bytes=table.integer("output_bytes"),
    )


def _find_facts(path: Path) -> Path | None:
    """Of a file of the pair, or of the folder that holds a pair."""
    path = path.absolute()
    named = (facts for _, facts in NAMES.values())
    if path.is_dir():
        candidates = tuple(path / facts for facts in named)
    else:
        candidates = (path, path.with_name(f"{path.name}.toml"), path.with_suffix(".toml"))
        candidates += (path.with_name(NAMES[Payload.INPUT][1]),) if path.name.startswith("input") else ()
    return next((each for each in candidates if each.suffix == ".toml" and each.is_file()), None)


def _facts_path(path: Path) -> Path:
    facts = _find_facts(path)
    if facts is None:
        raise UsageError(f"{path}: no facts (a .toml file) lie beside it; name a file that firedamp wrote")
    return facts


def _load(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_bytes().decode("utf-8", "surrogateescape"))
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"{path}: is no valid TOML: {error}") from None
    except OSError as error:
        raise UsageError(f"{path}: cannot be read: {error.strerror}") from None


@dataclass(frozen=True, slots=True)
class _Table:
    """A table of the file whose values are asked for by type; what is wrong is a UsageError with the key's path."""

    path: Path
    values: Mapping[str, Any]
    prefix: str = ""

    def wrong(self, key: str, rule: str) -> UsageError:
        return UsageError(f"{self.path}: {self.prefix}{key}: {rule}")

    def only(self, *keys: str) -> None:
        for key in self.values:
            if key not in keys:
                raise self.wrong(key, "unknown key; was the file written by a newer firedamp?")

    def _get(self, key: str, kinds: tuple[type, ...], words: str) -> Any:
        if key not in self.values:
            raise self.wrong(key, f"is missing; {words} is needed")
        value = self.values[key]
        if not isinstance(value, kinds) or isinstance(value, bool):
            raise self.wrong(key, f"{value!r} is not {words}")
        return value

    def text(self, key: str) -> str:
        text: str = self._get(key, (str,), "a string")
        return text

    def integer(self, key: str) -> int:
        number: int = self._get(key, (int,), "a whole number")
        return number

    def number(self, key: str) -> float:
        return float(self._get(key, (int, float), "a number"))

    def texts(self, key: str) -> tuple[str, ...]:
        values = self._get(key, (list,), "a list of strings")
        if not all(isinstance(each, str) for each in values):
            raise self.wrong(key, f"{values!r} is not a list of strings")
        return tuple(values)

    def table(self, key: str) -> "_Table":
        return _Table(self.path, self._get(key, (dict,), "a table"), f"{self.prefix}{key}.")

    def member(self, key: str, kind: type[E]) -> E:
        text = self.text(key)
        if text not in [each.value for each in kind]:
            raise self.wrong(key, f"{text!r} is none of {', '.join(kind)}")
        return kind(text)

"""What a sweep has run so far, on disk: one JSON object a line, so that an interrupted sweep can go on.

The file belongs to one command. Its first line says of what state of the world the rest speaks: when the program file,
the working folder or the way it is prepared has changed, nothing is taken over. The census needs no line of its own: a
fault is known by its rules, and they name call stacks. A line is written whole and at once, after its findings are in
the store, so a kill loses at most the runs under way; a damaged line is left out. Not fsynced: a power cut costs more.
"""

import fcntl
import hashlib
import json
import os
import stat
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from firedamp.errors import EnvironmentFailure, UsageError
from firedamp.room.inventory import take
from firedamp.room.room import EXCLUDED, LIMIT_BYTES
from firedamp.target import Target
from inject.sweeps.plan import Fault
from inject.sweeps.schedule import Record, Result

FORMAT: Final = 1
BLOCK_BYTES: Final = 1 << 20


def key(fault: Fault) -> str:
    """The fault's rules say what it is, in every run of the same program."""
    return digest("\n".join(fault.schedule))


def digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()[:16]


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """The state of the world that runs speak of: name of a part -> digest. `command` names the file."""

    command: str
    parts: Mapping[str, str]

    @property
    def file_name(self) -> str:
        return f"sweep-{self.command}.jsonl"

    def changed(self, other: Mapping[str, str]) -> list[str]:
        return [name for name, value in self.parts.items() if other.get(name) != value]


def subject(target: Target, program: str | None, results: Path) -> Subject:
    """`results` is where we write ourselves, and no part of what a run sees."""
    folder = target.workspace
    preparation = (target.setup, target.check, target.stdin, target.stdout, target.stderr, target.limits)
    return Subject(
        command=digest(json.dumps([*target.command, *target.args, str(folder)]))[:8],
        parts={
            "program file": "" if program is None else _file_digest(program),
            "working folder": _folder_digest(folder, results),
            "preparation": digest(repr(preparation)),
        },
    )


def _file_digest(path: str) -> str:
    content = hashlib.sha256()
    try:
        with open(path, "rb") as file:
            while block := file.read(BLOCK_BYTES):
                content.update(block)
    except OSError:
        return "unreadable"  # a program may be run without being readable
    return content.hexdigest()[:16]


def _folder_digest(folder: Path, results: Path) -> str:
    """Of names, sizes, times and modes, not of content: a build touches what it changes."""
    ours = os.path.relpath(results, folder)
    facts = sorted(
        (path, status.st_mode, status.st_size, status.st_mtime_ns)
        for path, status in take(str(folder.resolve()), LIMIT_BYTES, EXCLUDED)
        if not stat.S_ISDIR(status.st_mode) and not path.startswith(ours + "/")
    )
    return digest(repr(facts))


@dataclass(slots=True, kw_only=True)
class Contents:
    """What a file of this kind holds, damaged lines aside."""

    parts: Mapping[str, str] = field(default_factory=dict)
    records: dict[str, Record] = field(default_factory=dict)  # by key
    tried: set[str] = field(default_factory=set)  # sites, of this sweep and earlier ones


def read(lines: Iterable[bytes]) -> Contents:
    contents = Contents()
    for line in lines:
        try:
            _take(contents, json.loads(line))
        except (ValueError, KeyError, TypeError, AttributeError):
            continue  # the tail of a write that a kill cut short
    return contents


def _take(contents: Contents, value: dict[str, Any]) -> None:
    if "fault" in value:
        record = Record(
            result=Result(value["result"]),
            later=int(value.get("later", 0)),
            hung=bool(value.get("hung", False)),
            handled=bool(value.get("handled", False)),
            findings=tuple(str(each) for each in value.get("findings", ())),
        )
        contents.tried.add(str(value["site"]))
        contents.records[str(value["fault"])] = record
    elif value["format"] == FORMAT:
        contents.parts = dict(value["subject"])
        contents.tried.update(str(site) for site in value["tried"])


def line_of(fault: Fault, record: Record) -> dict[str, Any]:
    line: dict[str, Any] = {"fault": key(fault), "site": fault.hit.site, "result": record.result.value}
    if record.later:
        line["later"] = record.later
    if record.hung:
        line["hung"] = True
    if record.handled:
        line["handled"] = True
    if record.findings:
        line["findings"] = list(record.findings)
    return line


class Journal:
    """A context manager. `known`: what an earlier run of the same subject showed, when it is to be gone on with.

    UsageError: another sweep of the same command is writing there.
    """

    def __init__(self, folder: Path, subject: Subject, *, resume: bool) -> None:
        self.path = folder / subject.file_name
        self._subject = subject
        self._resume = resume
        self.known: Mapping[str, Record] = {}
        self.tried: frozenset[str] = frozenset()
        self.note = ""  # what became of a wish to go on

    def __enter__(self) -> Self:
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._fd = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o666)
        except OSError as error:
            raise EnvironmentFailure(
                f"{self.path}: cannot be written ({error.strerror}); give another folder with --results"
            ) from error
        try:
            self._lock()
            self._begin(self.path.read_bytes())
        except BaseException:
            os.close(self._fd)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.close(self._fd)

    def find(self, fault: Fault) -> Record | None:
        """What its run showed, where that is taken over."""
        return self.known.get(key(fault))

    def append(self, fault: Fault, record: Record) -> None:
        self._write(line_of(fault, record))

    def _lock(self) -> None:
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UsageError(
                f"{self.path}: another sweep of this command writes there; wait for it, or give another --results"
            ) from None

    def _begin(self, content: bytes) -> None:
        before = read(content.splitlines())
        self.tried = frozenset(before.tried)
        changed = self._subject.changed(before.parts)
        if self._resume and not changed:
            self.known = before.records
            count = len(before.records)
            self.note = f"goes on: {count:,} run{'' if count == 1 else 's'} taken over from an earlier sweep"
            if not content.endswith(b"\n"):
                os.write(self._fd, b"\n")
            return
        if self._resume:
            self.note = (
                f"begins anew, {len(before.records):,} runs are not taken over: changed since: {', '.join(changed)}"
                if before.parts
                else "begins anew: there is no earlier sweep of this command to go on with"
            )
        os.ftruncate(self._fd, 0)
        self._write({"format": FORMAT, "subject": dict(self._subject.parts), "tried": sorted(self.tried)})

    def _write(self, line: dict[str, Any]) -> None:
        data = json.dumps(line).encode() + b"\n"
        try:
            while data:  # a full disk takes a part
                data = data[os.write(self._fd, data) :]
        except OSError as error:
            raise EnvironmentFailure(
                f"{self.path}: cannot be written ({error.strerror}); make room, then go on with --resume"
            ) from error

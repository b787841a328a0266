"""Findings, kept in one SQLite file. What `record` returned is on disk, whatever happens next.

No process is started here and nothing is judged. Reproducers lie beside the database as ordinary files; they are
written before the row that names them, so a row never points at nothing.
"""

import json
import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from firedamp.errors import DiskFull, StoreError, UsageError
from firedamp.finding import Detection, Effect, Finding, Severity, Standing, State
from firedamp.outcome import Frame, Reach, Smash
from firedamp.suggestion import did_you_mean

VERSION = 1  # of the schema, in PRAGMA user_version
RETRY_S = 0.01
BUSY_S = 20.0  # longer than any transaction of ours takes, even on a slow disk
SHORTEST_PREFIX = 3  # fewer digits are more likely a typing mistake than a name

SCHEMA = """
CREATE TABLE finding (
    id         TEXT PRIMARY KEY,
    target     TEXT NOT NULL,
    engine     TEXT NOT NULL,
    detection  TEXT NOT NULL,  -- JSON of firedamp.finding.Detection
    count      INTEGER NOT NULL,
    came_back  INTEGER NOT NULL,
    replays    INTEGER NOT NULL,
    state      TEXT NOT NULL,
    reproducer TEXT NOT NULL,  -- relative to the folder of this file where it lies inside
    first_seen TEXT NOT NULL,
    last_seen  TEXT NOT NULL
) STRICT
"""


class Store:
    """A context manager. StoreError: the file is damaged, locked, from a newer version, or the disk is full.

    Where nothing can be written (a full disk, a read-only folder) what was kept can still be read.
    """

    def __init__(self, path: Path) -> None:
        self.path = path.absolute()

    def __enter__(self) -> Self:
        with self._translated():
            self.path.parent.mkdir(parents=True, exist_ok=True)
            try:
                self._connect()
            except sqlite3.OperationalError as error:
                if _code(error) not in UNWRITABLE or not self.path.is_file():
                    raise
                self._connect_to_read()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._database.close()

    def begin(self, target: str) -> None:
        """A new run on `target`: what earlier runs called new is known from now on."""
        with self._transaction() as database:
            database.execute(
                "UPDATE finding SET state = ? WHERE target = ? AND state = ?", (State.KNOWN, target, State.NEW)
            )

    def record(
        self,
        target: str,
        engine: str,
        detection: Detection,
        *,
        reproducer: Path | None = None,
        confirmed: tuple[int, int] | None = None,
    ) -> tuple[Finding, bool]:
        """One more sighting; true when this run is the first to show it (or the first since it was fixed).

        `confirmed` and `reproducer` replace what was there; without them a known finding keeps its own.
        """
        name = detection.identity(target)
        now = _now()
        with self._transaction() as database:
            row = database.execute("SELECT state FROM finding WHERE id = ?", (name,)).fetchone()
            if row is None:
                n, m = confirmed or (0, 0)
                state = State.NEW if n else State.UNCONFIRMED
                text = json.dumps(asdict(detection))
                values = (name, target, engine, text, 1, n, m, state, self._relative(reproducer), now, now)
                database.execute("INSERT INTO finding VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", values)
                fresh = state is State.NEW
            else:
                state, fresh = _seen_again(State(row[0]), confirmed)
                database.execute(
                    "UPDATE finding SET count = count + 1, last_seen = ?, state = ? WHERE id = ?", (now, state, name)
                )
                self._replace(database, name, confirmed, reproducer)
        return self.get(name), fresh

    def confirm(self, name: str, n: int, m: int) -> Finding:
        """It came back `n` of `m` times; 0 of m makes it unconfirmed."""
        with self._transaction() as database:
            state = State(self._state(database, name))
            now = _seen_again(state, (n, m))[0] if n else State.UNCONFIRMED
            database.execute("UPDATE finding SET state = ? WHERE id = ?", (now, name))
            self._replace(database, name, (n, m), None)
        return self.get(name)

    def set_state(self, name: str, state: State) -> Finding:
        with self._transaction() as database:
            self._state(database, name)
            database.execute("UPDATE finding SET state = ? WHERE id = ?", (state, name))
        return self.get(name)

    def set_reproducer(self, name: str, reproducer: Path) -> Finding:
        with self._transaction() as database:
            self._state(database, name)
            self._replace(database, name, None, reproducer)
        return self.get(name)

    def findings(self, target: str | None = None) -> tuple[Finding, ...]:
        """By target, then in the order in which they were first seen."""
        with self._translated():
            rows = self._database.execute(
                "SELECT * FROM finding WHERE target = coalesce(?, target) ORDER BY target, first_seen, id", (target,)
            ).fetchall()
            return tuple(self._finding(row) for row in rows)

    def get(self, name: str) -> Finding:
        """By identity or by an unambiguous beginning of it; UsageError otherwise."""
        with self._translated():
            names = [str(row[0]) for row in self._database.execute("SELECT id FROM finding ORDER BY id")]
            matches = [each for each in names if each == name] or [
                each for each in names if each.startswith(name) and len(name) >= SHORTEST_PREFIX
            ]
            if len(matches) == 1:
                row = self._database.execute("SELECT * FROM finding WHERE id = ?", (matches[0],)).fetchone()
                return self._finding(row)
        if matches:
            raise UsageError(f"finding {name!r}: is ambiguous; it begins {', '.join(matches)}: write more of it")
        known = did_you_mean(name, names) or ("; see `firedamp findings`" if names else "; nothing was found yet")
        raise UsageError(f"finding {name!r}: is not known in {self.path}{known}")

    def find(self, name: str) -> Finding | None:
        """By the whole identity."""
        with self._translated():
            row = self._database.execute("SELECT * FROM finding WHERE id = ?", (name,)).fetchone()
            return None if row is None else self._finding(row)

    def _connect(self) -> None:
        self._database = sqlite3.connect(self.path, timeout=BUSY_S, isolation_level=None)
        try:
            self._open()
        except BaseException:
            self._database.close()
            raise

    def _connect_to_read(self) -> None:
        """Without the shared memory that WAL wants beside the file (32 KiB: https://sqlite.org/wal.html#noshm)."""
        log = self.path.with_name(self.path.name + "-wal")
        if os.access(self.path, os.W_OK) and os.access(self.path.parent, os.W_OK):
            self._database = sqlite3.connect(self.path, timeout=BUSY_S, isolation_level=None)
            self._database.execute("PRAGMA locking_mode = EXCLUSIVE")
        elif not log.is_file() or not log.stat().st_size:  # else the newest rows are in there, and would be missed
            self._database = sqlite3.connect(f"{self.path.as_uri()}?immutable=1", uri=True, isolation_level=None)
        else:
            self._database = sqlite3.connect(f"{self.path.as_uri()}?mode=ro", uri=True, isolation_level=None)
        try:
            self._check(self._version())
        except BaseException:
            self._database.close()
            raise

    def _version(self) -> int:
        return int(self._database.execute("PRAGMA user_version").fetchone()[0])

    def _check(self, version: int) -> None:
        if version > VERSION:
            raise StoreError(
                f"{self.path}: was written by a newer firedamp (schema {version}, this one knows {VERSION}); "
                "upgrade firedamp, or give another folder with --results"
            )
        if version == VERSION:
            self._database.execute("SELECT count(*) FROM finding").fetchone()

    def _open(self) -> None:
        database, version = self._database, self._version()
        self._check(version)
        self._log_ahead()
        database.execute("PRAGMA synchronous = FULL")  # NORMAL survives kill -9; FULL a power failure, too
        if version < VERSION:
            self._create()

    def _log_ahead(self) -> None:
        """Of two that open a new file at once SQLite turns one away without waiting (sqlite.org/wal.html, "busy")."""
        ends = time.monotonic() + BUSY_S
        while True:
            try:
                self._database.execute("PRAGMA journal_mode = WAL")
                return
            except sqlite3.OperationalError as error:
                if _code(error) != sqlite3.SQLITE_BUSY or time.monotonic() > ends:
                    raise
            time.sleep(RETRY_S)

    def _create(self) -> None:
        with self._transaction() as database:
            if int(database.execute("PRAGMA user_version").fetchone()[0]) == 0:  # nobody was quicker
                database.execute(SCHEMA)
                database.execute(f"PRAGMA user_version = {VERSION}")

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with self._translated():
            self._database.execute("BEGIN IMMEDIATE")
            try:
                yield self._database
            except BaseException:
                if self._database.in_transaction:
                    self._database.execute("ROLLBACK")
                raise
            self._database.execute("COMMIT")

    @contextmanager
    def _translated(self) -> Iterator[None]:
        """SQLite's and our parser's complaints as StoreError with a remedy."""
        try:
            yield
        except sqlite3.Error as error:
            remedy = _remedy(error, self.path.parent)
            kind = DiskFull if remedy is FULL else StoreError
            raise kind(f"{self.path}: {error}; {remedy}") from error
        except (ValueError, KeyError, TypeError) as error:
            raise StoreError(f"{self.path}: a row cannot be read ({error!r}); {DAMAGED}") from error

    def _replace(
        self, database: sqlite3.Connection, name: str, confirmed: tuple[int, int] | None, reproducer: Path | None
    ) -> None:
        if confirmed is not None:
            database.execute("UPDATE finding SET came_back = ?, replays = ? WHERE id = ?", (*confirmed, name))
        if reproducer is not None:
            database.execute("UPDATE finding SET reproducer = ? WHERE id = ?", (self._relative(reproducer), name))

    def _state(self, database: sqlite3.Connection, name: str) -> str:
        row = database.execute("SELECT state FROM finding WHERE id = ?", (name,)).fetchone()
        if row is None:
            raise UsageError(f"finding {name!r}: is not known in {self.path}")
        return str(row[0])

    def _relative(self, path: Path | None) -> str:
        if path is None:
            return ""
        folder = str(self.path.parent) + os.sep
        text = os.path.normpath(path.absolute())
        return text.removeprefix(folder)

    def _finding(self, row: tuple[Any, ...]) -> Finding:
        name, target, engine, text, count, came_back, replays, state, reproducer, first, last = row
        return Finding(
            id=name,
            target=target,
            engine=engine,
            detection=_detection(json.loads(text)),
            count=count,
            confirmed=(came_back, replays),
            state=State(state),
            reproducer=str(self.path.parent / reproducer) if reproducer else "",
            first_seen=first,
            last_seen=last,
        )


DAMAGED = (
    "the file is damaged: move it away (the reproducers beneath results/*/findings/ stay and can be replayed), "
    "or give another folder with --results"
)


FULL = "the disk is full: free some space and run again; what was kept is kept"
UNWRITABLE = frozenset({sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_FULL})


def _code(error: sqlite3.Error) -> int:
    """The primary result code; errors of the module itself have none."""
    return error.sqlite_errorcode & 0xFF if hasattr(error, "sqlite_errorcode") else 0


def _remedy(error: sqlite3.Error, folder: Path) -> str:
    match _code(error):
        case sqlite3.SQLITE_FULL:
            return FULL
        case sqlite3.SQLITE_IOERR if folder.is_dir() and not os.statvfs(folder).f_bavail:
            return FULL
        case sqlite3.SQLITE_BUSY | sqlite3.SQLITE_LOCKED:
            return (
                f"another process held it for {BUSY_S:.0f} s: end that process, or give another folder with --results"
            )
        case sqlite3.SQLITE_CANTOPEN | sqlite3.SQLITE_READONLY | sqlite3.SQLITE_PERM | sqlite3.SQLITE_IOERR:
            return "check the folder's permissions and the disk, or give another folder with --results"
        case _:
            return DAMAGED


def _seen_again(state: State, confirmed: tuple[int, int] | None) -> tuple[State, bool]:
    """The state after one more sighting, and whether that is news."""
    match state:
        case State.FIXED:
            return State.NEW, True
        case State.UNCONFIRMED if confirmed is not None and confirmed[0] > 0:
            return State.NEW, True
        case _:
            return state, False


def _detection(values: dict[str, Any]) -> Detection:
    return Detection(
        guard=values["guard"],
        kind=values["kind"],
        cwe=int(values["cwe"]),
        severity=Severity(values["severity"]),
        place=tuple(values["place"]),
        frame=None if values["frame"] is None else Frame(**values["frame"]),
        standing=Standing(values["standing"]),
        message=values["message"],
        evidence=tuple(values["evidence"]),
        stack=tuple(Frame(**frame) for frame in values["stack"]),
        smash=_smash(values.get("smash")),
        reach=None if values.get("reach") is None else Reach(values["reach"]),
        effect=None if values.get("effect") is None else Effect(values["effect"]),
        because=values.get("because", ""),
    )


def _smash(values: dict[str, Any] | None) -> Smash | None:
    """JSON knows no tuples."""
    if values is None:
        return None
    facts: dict[str, Any] = {key: tuple(value) if isinstance(value, list) else value for key, value in values.items()}
    return Smash(**facts)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="microseconds")

"""Frames between an Executor and its worker: a length, a pickle, and descriptors beside them.

Both ends are ours and run as the same user, so unpickling what the other side sent is safe.
"""

import copyreg
import io
import pickle
import socket
import struct
from collections.abc import Sequence
from dataclasses import dataclass, fields
from functools import lru_cache
from operator import attrgetter
from typing import Any

from firedamp.outcome import Frame
from firedamp.trace.protocol import Execution, Interceptor, Left, Snapshot, Snapshots, Trace

_LENGTH = struct.Struct("=Q")
_REPEATED = attrgetter(*(each.name for each in fields(Execution) if each.name != "interceptor"))
MOST_DESCRIPTORS = 250  # SCM_MAX_FD is 253 (include/net/scm.h)


@dataclass(frozen=True, slots=True, kw_only=True)
class Again:
    """The last Execution once more, with another interceptor: a sweep repeats everything else in each run."""

    interceptor: Interceptor | None


def but_interceptor(execution: Execution) -> tuple[object, ...]:
    return _REPEATED(execution)


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """`targets[i]` is the number that the i-th descriptor sent along has in the program."""

    execution: Execution | Snapshots | Again
    targets: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Failed:
    """An exception in the worker, by the name of its class in firedamp.errors; `text` is its message or traceback."""

    error: str
    text: str


Answer = Trace | Snapshot | Left | Failed  # a Snapshot wants a Verdict, and is not the last answer


_FRAME_FIELDS = tuple(each.name for each in fields(Frame))
_values = attrgetter(*_FRAME_FIELDS)


@lru_cache(maxsize=1 << 14)
def _frame(*values: Any) -> Frame:
    """The frames of a run were nearly all in runs before it, and are most of what comes back."""
    return Frame(**dict(zip(_FRAME_FIELDS, values, strict=True)))


_reducers = copyreg.dispatch_table | {Frame: lambda frame: (_frame, _values(frame))}


def encode(value: object) -> bytes:
    buffer = io.BytesIO()
    pickler = pickle.Pickler(buffer, pickle.HIGHEST_PROTOCOL)
    pickler.dispatch_table = _reducers
    pickler.dump(value)
    return buffer.getvalue()


def send(connection: socket.socket, value: object, descriptors: Sequence[int] = ()) -> None:
    body = encode(value)
    frame = _LENGTH.pack(len(body)) + body
    if descriptors:
        sent = socket.send_fds(connection, [frame], descriptors)
        frame = frame[sent:]
    connection.sendall(frame)


def receive(connection: socket.socket) -> tuple[object, list[int]]:
    """The next value and the descriptors that came with it. Raises EOFError when the other side is gone."""
    data, descriptors, _, _ = socket.recv_fds(connection, 1 << 16, MOST_DESCRIPTORS)
    buffer = bytearray(data)
    while len(buffer) < _LENGTH.size or len(buffer) < _LENGTH.size + _LENGTH.unpack_from(buffer)[0]:
        if not data:
            raise EOFError
        data = connection.recv(1 << 20)
        buffer += data
    return pickle.loads(memoryview(buffer)[_LENGTH.size :]), descriptors

"""Frames between an Executor and its worker: a length, a pickle, and descriptors beside them.

Both ends are ours and run as the same user, so unpickling what the other side sent is safe.
"""

import pickle
import socket
import struct
from collections.abc import Sequence
from dataclasses import dataclass, fields
from operator import attrgetter

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


def send(connection: socket.socket, value: object, descriptors: Sequence[int] = ()) -> None:
    body = pickle.dumps(value, pickle.HIGHEST_PROTOCOL)
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

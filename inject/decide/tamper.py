"""Bytes of the program that a rule changes: strace's pokes, and data that comes back, or goes out, corrupted.

What a call read is changed at its exit, within the bytes that it returned. What a call writes is changed at its entry
and put back at its exit, so that the program's own memory is as it left it; another thread may see it meanwhile.
"""

import random
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from firedamp.trace.protocol import Call
from inject.linux.buffers import CORRUPTIBLE, GATHERING, MESSAGES, READERS, READING, SCATTERING, WRITING
from inject.policy.model import Corrupt, Poke

MOST_PARTS: Final = 1024  # UIO_MAXIOV, uio.h
MESSAGE_VECTOR: Final = 16  # offset of msg_iov and msg_iovlen in struct msghdr, recvmsg(2)
LARGEST_TRANSFER: Final = 0x7FFFF000  # of one call, read(2)
MOST_CORRUPTED: Final = 1 << 16  # bytes of one call; more would take longer than anyone waits

Writes = tuple[tuple[int, bytes], ...]  # (address, bytes)


@dataclass(frozen=True, slots=True, kw_only=True)
class Tampering:
    """What is due at one call; `spoils` and `dice` are of data that is not there before its exit."""

    entry: Writes = ()
    exit: Writes = ()
    spoils: int = 0  # bytes of what is read
    dice: str = ""
    whole: bool = True  # false: a part of it is about an argument that the call does not have

    def enter(self, call: Call) -> bool:
        return _write(call, self.entry) and self.whole

    def leave(self, call: Call, name: str, result: int) -> bool:
        """Did it take? Nothing came back that could be corrupted: it did not."""
        if not self.spoils:
            return _write(call, self.exit)
        changes = tuple(_changed(call, _first(segments(call, name), result), self.spoils, self.dice))
        return bool(changes) and _write(call, tuple((address, new) for address, _, new in changes))


def poking(call: Call, arity: int, entry: tuple[Poke, ...], leave: tuple[Poke, ...]) -> Tampering | None:
    """`arity`: how many arguments the call has; beyond them strace leaves memory alone, too."""
    if not entry and not leave:
        return None
    before, after = (
        tuple((call.arguments[poke.argument - 1], poke.data) for poke in pokes if poke.argument <= arity)
        for pokes in (entry, leave)
    )
    return Tampering(entry=before, exit=after, whole=len(before) + len(after) == len(entry) + len(leave))


def corrupting(call: Call, name: str, verdict: Corrupt, nth: int) -> Tampering | None:
    """`nth`: of the rule's decisions, so that each call is spoiled at places of its own. None: it has no data."""
    dice = f"{verdict.seed}/{nth}"
    if name in READERS:
        return Tampering(spoils=verdict.count, dice=dice)
    if name not in CORRUPTIBLE:
        return None
    changes = tuple(_changed(call, segments(call, name), verdict.count, dice))
    if not changes:
        return None
    entry = tuple((address, new) for address, _, new in changes)
    return Tampering(entry=entry, exit=tuple((address, old) for address, old, _ in changes))


def segments(call: Call, name: str) -> tuple[tuple[int, int], ...]:
    """(address, size) of each piece of the call's data."""
    arguments = call.arguments
    if name in READING or name in WRITING:
        buffer, size = (READING | WRITING)[name]
        return ((arguments[buffer], arguments[size]),)
    if name in MESSAGES:
        header = call.memory(arguments[MESSAGES[name]] + MESSAGE_VECTOR, 16)
        return vector(call, int.from_bytes(header[:8], "little"), int.from_bytes(header[8:], "little"))
    parts, count = (GATHERING | SCATTERING)[name]
    return vector(call, arguments[parts], arguments[count])


def vector(call: Call, address: int, count: int) -> tuple[tuple[int, int], ...]:
    """The parts of an array of struct iovec (address, length) that are not empty."""
    raw = call.memory(address, 16 * min(count, MOST_PARTS))
    words = [int.from_bytes(raw[at : at + 8], "little") for at in range(0, len(raw) - len(raw) % 16, 8)]
    return tuple((start, size) for start, size in zip(words[::2], words[1::2], strict=True) if size)


def _first(parts: tuple[tuple[int, int], ...], result: int) -> tuple[tuple[int, int], ...]:
    """As much of the pieces as a call filled."""
    kept: list[tuple[int, int]] = []
    for address, size in parts:
        if result <= 0:
            break
        kept.append((address, min(size, result)))
        result -= size
    return tuple(kept)


def _changed(
    call: Call, parts: tuple[tuple[int, int], ...], count: int, dice: str
) -> Iterator[tuple[int, bytes, bytes]]:
    """(address, old, new) of single bytes, each another one than before."""
    chance = random.Random(dice)
    total = min(sum(size for _, size in parts), LARGEST_TRANSFER)
    for place in sorted(chance.sample(range(total), min(count, total, MOST_CORRUPTED))):
        address = _at(parts, place)
        old = call.memory(address, 1)
        if old:
            yield address, old, bytes([old[0] ^ chance.randrange(1, 256)])


def _at(parts: tuple[tuple[int, int], ...], place: int) -> int:
    """The address of the byte number `place` of all the pieces."""
    for start, size in parts:
        if place < size:
            return start + place
        place -= size
    raise IndexError(place)


def _write(call: Call, writes: Writes) -> bool:
    """Was every byte of it written?"""
    written = [call.poke(address, data) for address, data in writes]
    return written == [len(data) for _, data in writes]

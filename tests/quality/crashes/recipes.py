"""The labelled set: bugs of small harnesses, and for each how inputs are made that trigger it in different ways.

Written before any signature was judged by it, and never bent to one. What is one bug is the maintainer's question: one
fix, one bug (bugs.h; `identity.py --labels` compiles each fix alone and proves the labels). A helper that is right as
it stands and is called wrongly from two places is two bugs; a helper that fails whoever calls it is one. The inputs
come from a fixed seed; manifest.json holds their digests, so that the set cannot change unseen.
"""

import hashlib
import random
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from random import Random

SEED = 20240917
INPUTS = 12  # of each bug
HERE = Path(__file__).parent
MANIFEST = HERE / "manifest.json"

Recipe = Callable[[Random, int], bytes]  # chance, and the input's number -> its bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Bug:
    harness: str  # stem of the C file
    name: str  # as in its enum
    recipe: Recipe
    gated: bool = False  # all of its inputs have to pass a comparison of 4 bytes, or three conditions
    asan: bool = False
    wall_s: float = 5.0
    memory_mib: int = 1024

    def inputs(self) -> tuple[bytes, ...]:
        chance = random.Random(f"{SEED} {self.harness} {self.name}")
        return tuple(self.recipe(chance, number) for number in range(INPUTS))


# Bugs of one function, or with one message, or noticed by one helper.
PAIRS = (
    ("ADDRESS_LOCAL", "ADDRESS_DOMAIN"),
    ("SENDER", "DATE"),
    ("JOIN_BASE", "JOIN_NAME"),
    ("FRAME_LENGTH", "FRAME_KIND"),
    ("LEFT", "RIGHT"),
    ("VERSION", "CHECKSUM"),
    ("COUNT_ROWS", "COUNT_COLUMNS"),
    ("BUCKETS", "WIDTH"),
    ("TOKEN_HEAD", "TOKEN_TAIL"),
)


def text(chance: Random, size: int, alphabet: bytes = b"abcdefghijklmnopqrstuvwxyz0123456789. -") -> bytes:
    return bytes(chance.choices(alphabet, k=size))


def raw(chance: Random, size: int, without: bytes = b"\n\0") -> bytes:
    return bytes(chance.choices([byte for byte in range(256) if byte not in without], k=size))


def grown(chance: Random, number: int, least: int, most: int) -> int:
    """Lengths from just too long to far too long, spread evenly over their logarithms."""
    low = least * (most / least) ** (number / INPUTS)
    high = least * (most / least) ** ((number + 1) / INPUTS)
    return chance.randint(int(low), max(int(low), int(high)))


def subject(chance: Random, number: int) -> bytes:
    """The last two run off the end of the stack."""
    size = grown(chance, number, 32, 700) if number < INPUTS - 2 else chance.randint(300_000, 500_000)
    caller = b"S" if number % 2 else b"T"
    return caller + text(chance, 4) + b" " + raw(chance, size) + (b"\n" + text(chance, 20) if number % 3 else b"")


def address_local(chance: Random, number: int) -> bytes:
    local = raw(chance, grown(chance, number, 56, 500), b"@>\n")
    return b"A" + text(chance, 4) + local + b"@" + text(chance, chance.randint(0, 15)) + b">"


def address_domain(chance: Random, number: int) -> bytes:
    second = chance.choice([110, 113, 116, 119])
    gate = bytes([second, second ^ 3, 7 * chance.randint(0, 30) + 2, chance.randrange(256)])
    local = text(chance, chance.randint(0, 15))
    return b"B" + gate + local + b"@" + raw(chance, grown(chance, number, 56, 500), b"@>\n") + b">"


def sender(chance: Random, number: int) -> bytes:
    return b"F" + text(chance, 4) + raw(chance, grown(chance, number, 32, 400))


def date(chance: Random, number: int) -> bytes:
    return b"DATE:" + text(chance, grown(chance, number, 48, 400)) + (b"\n" if number % 2 else b"")


def received(chance: Random, number: int) -> bytes:
    lines = [text(chance, chance.randint(1, 30)) for _ in range(number % 3)]
    return b"RCVD:" + b"\n".join([*lines, raw(chance, grown(chance, number, 48, 300))])


def join_base(chance: Random, number: int) -> bytes:
    if number % 2:
        return b"J" + text(chance, 4) + text(chance, grown(chance, number, 32, 300))
    base = b"/".join(text(chance, chance.randint(1, 12)) for _ in range(30))
    return b"P" + text(chance, 4) + base[: grown(chance, number, 33, 250)] + b"x/" + text(chance, chance.randint(1, 15))


def join_name(chance: Random, number: int) -> bytes:
    base = text(chance, chance.randint(0, 31))
    return b"P" + text(chance, 4) + base + b"/" + text(chance, grown(chance, number, 16, 300))


def entry(chance: Random, number: int) -> bytes:
    return b"ENTRY" + raw(chance, grown(chance, number, 34, 900))


def block(chance: Random, number: int) -> bytes:
    first = chance.randint(0, 99)
    gate = bytes([first, 99 - first]) + b"r" + bytes([chance.randint(115, 255)])
    return (b"F" if number % 2 else b"L") + gate + raw(chance, grown(chance, number, 65, 900), b"")


def label(chance: Random, number: int) -> bytes:
    return b"N" + bytes([chance.randint(23, 255)]) + text(chance, 3) + text(chance, grown(chance, number, 1, 200))


def message(chance: Random, number: int) -> bytes:
    """%n, alone and among text: what every FORTIFY refuses."""
    count = (b"%n", b"%hn", b"%hhn", b"%ln")[number % 4]
    return b"MSG: " + text(chance, chance.randint(0, 60)) + count + text(chance, chance.randint(0, 20))


def frame_length(chance: Random, number: int) -> bytes:
    rest = raw(chance, chance.randint(8, 40), b"")
    kind = bytes([chance.randint(0, 7)])
    if number % 3 == 0:
        return b"gRAME" + bytes([chance.randint(60, 255)]) + kind + rest
    return b"f" + bytes([chance.randint(60, 255)]) + kind + rest


def frame_kind(chance: Random, number: int) -> bytes:
    rest = raw(chance, chance.randint(8, 40), b"")
    head = bytes([chance.randint(0, 8), chance.randint(8, 255)])
    return (b"gRAME" if number % 3 == 0 else b"f") + head + rest


def pop(chance: Random, number: int) -> bytes:
    """An operator that finds too few values: `+`, `*` or `d`, sooner or later."""
    good = b"".join(chance.choice([b"1", b"2 ", b"34+", b"56*", b"7 8 9 d"]) for _ in range(number))
    operator = (b"+", b"*", b"d")[number % 3]
    return b"x" + good + operator * 12 + b" 1 2 3"


def version(chance: Random, number: int) -> bytes:
    return b"v" + bytes([chance.randint(10, 255)]) + raw(chance, chance.randint(6, 30), b"")


def checksum(chance: Random, number: int) -> bytes:
    body = raw(chance, grown(chance, number, 3, 200), b"")
    wrong = (sum(body) + chance.randint(1, 255)) & 255
    return b"sUMS!" + bytes([wrong]) + body


def opcode(chance: Random, number: int) -> bytes:
    good = b"".join(chance.choice([b"1", b"2 ", b"34+", b"56*"]) for _ in range(number + 3))
    return b"x" + good + raw(chance, 1, b"0123456789+*d ") + raw(chance, 8, b"")


def leave(chance: Random, number: int) -> bytes:
    second = chance.randint(0, 254)
    head = b"q" + bytes([second + 1, second, chance.randint(0, 9), chance.randint(0, 255)])
    return head + raw(chance, 5 + 3 * chance.randint(0, 20), b"")


def rows(chance: Random, number: int) -> bytes:
    return b"r" + struct.pack("b", chance.randint(-128, 0)) + raw(chance, chance.randint(6, 30), b"")


def columns(chance: Random, number: int) -> bytes:
    return b"cOLS:" + struct.pack("b", chance.randint(-128, 0)) + raw(chance, chance.randint(2, 30), b"")


def peek(chance: Random, number: int) -> bytes:
    """By three ways: a word, a flag, a tail."""
    size = chance.randint(8, 60)
    if number % 3 == 0:
        return b"p" + bytes([chance.randint(size - 1, 255)]) + raw(chance, size - 2, b"")
    if number % 3 == 1:
        return b"b" + bytes([chance.randint(size, 255)]) + raw(chance, size - 2, b"")
    return b"t" + bytes([chance.randint(size, 255)]) + raw(chance, size - 2, b"")


def left(chance: Random, number: int) -> bytes:
    if number % 3 == 0:
        return b"m" + bytes([chance.choice([0, 2]), chance.choice([1, 3])]) + b"xy" + raw(chance, 20, b"")
    return b"n" + bytes([chance.choice([0, 2, 4]), chance.choice([1, 3, 5])]) + raw(chance, chance.randint(14, 40), b"")


def right(chance: Random, number: int) -> bytes:
    if number % 3 == 0:
        return b"m" + bytes([chance.choice([1, 5]), chance.choice([2, 3, 7])]) + b"xy" + raw(chance, 20, b"")
    return b"n" + bytes([chance.choice([0, 1]), 2]) + raw(chance, chance.randint(14, 40), b"")


def table_read(chance: Random, number: int) -> bytes:
    index = chance.randint(1 << 20, (1 << 32) - 2)
    if number % 2:
        return b"b" + struct.pack("<I", index) + text(chance, 3) + b"BEST" + raw(chance, 8, b"")
    return b"r" + struct.pack("<I", index) + raw(chance, chance.randint(11, 30), b"")


def table_write(chance: Random, number: int) -> bytes:
    size = chance.randint(16, 60)
    index = chance.randint(1 << 28, (1 << 32) - 1)
    return b"w" + struct.pack("<I", index) + bytes([7, chance.randint(8, 255), size]) + raw(chance, size - 8, b"")


def handler(chance: Random, number: int) -> bytes:
    """A pointer that is mapped nowhere; one that is no address of this machine at all; a small number."""
    if number % 6 == 4:
        pointer = chance.randint(1 << 48, (1 << 63) - 1)
    elif number % 6 == 5:
        pointer = chance.randint(0, 4096)
    else:
        pointer = chance.randint(1 << 34, 1 << 40)
    return b"hCALL" + struct.pack("<Q", pointer) + raw(chance, 8, b"")


def nesting(chance: Random, number: int) -> bytes:
    turns = (b"(", b"( ", b"([", b"[(", b"((([", b" (")
    start = b"(" if number % 3 else b"["
    turn = turns[number % len(turns)] if number % 3 else b"["
    return start + turn * grown(chance, number, 200_000, 300_000)


def scratch(chance: Random, number: int) -> bytes:
    return b"s" + struct.pack("<I", chance.randint(3_000_000, 1 << 30)) + b"SCRA" + raw(chance, 8, b"")


def ratio(chance: Random, number: int) -> bytes:
    if number % 2:
        high = list(range(128, 256))
        return b"a" + bytes(chance.choices(high, k=chance.randint(12, 60)))
    return b"p" + bytes([chance.randint(0, 255), 16 * chance.randint(0, 15)]) + raw(chance, chance.randint(10, 40), b"")


def scale(chance: Random, number: int) -> bytes:
    return b"s" + struct.pack("<ii", -(1 << 31), -1) + b"/0" + bytes([chance.randint(0, 63)]) + raw(chance, number, b"")


def buckets(chance: Random, number: int) -> bytes:
    return b"b" + bytes([4 * chance.randint(0, 63)]) + raw(chance, chance.randint(11, 40), b"")


def width(chance: Random, number: int) -> bytes:
    hashed = struct.pack("<i", chance.randint(-(1 << 31), (1 << 31) - 1))
    return b"wIDTH" + hashed + bytes([chance.randint(0, 254), 4 * chance.randint(0, 63)]) + raw(chance, 4 + number, b"")


def impossible(chance: Random, number: int) -> bytes:
    return (
        b"cLASS" + bytes([8 * chance.randint(0, 31) + chance.randint(5, 7)]) + raw(chance, chance.randint(6, 30), b"")
    )


def closed(chance: Random, number: int) -> bytes:
    """Sizes of each of malloc's bins, which say it in different words."""
    return b"e" + bytes([number * 255 // (INPUTS - 1), 0]) + raw(chance, chance.randint(5, 30), b"")


def interior(chance: Random, number: int) -> bytes:
    blanks = b" " * grown(chance, number, 1, 60)
    return b"tRIM:" + blanks + text(chance, chance.randint(3, 300), b"abcdef")


def value(chance: Random, number: int) -> bytes:
    second = chance.randint(98, 255)
    head = b"va" + bytes([second, second])
    return head + raw(chance, grown(chance, number, 40, 400), b";") + (b";" + text(chance, 5) if number % 2 else b"")


def empty_chunk(chance: Random, number: int) -> bytes:
    good = b"".join(bytes([size, 0]) + raw(chance, size - 2, b"") for size in chance.choices(range(2, 40), k=number))
    return b"c" + good + b"\0\0" + raw(chance, 10, b"")


def repeat(chance: Random, number: int) -> bytes:
    return (
        b"rEP" + struct.pack("<I", chance.randint(20_000, (1 << 24) - 1))[:3] + raw(chance, chance.randint(4, 20), b"")
    )


def total_of(chance: Random, number: int) -> bytes:
    return (b"a" if number % 2 else b"b") + raw(chance, grown(chance, number, 8, 300), b"")


def stale(chance: Random, number: int) -> bytes:
    """Read or written after it was closed."""
    before = bytes(chance.choices(b"gp.", k=chance.randint(0, 20)))
    after = bytes(chance.choices(b"c.", k=chance.randint(0, 5)))
    return b"uSER:" + before + b"c" + after + (b"g" if number % 2 else b"p") + text(chance, 8)


def twice(chance: Random, number: int) -> bytes:
    between = text(chance, chance.randint(0, 10), b"abc")
    return b"x!?>" + text(chance, number % 7, b"abc") + b"x" + between + b"x" + text(chance, 20, b"abc")


def token_head(chance: Random, number: int) -> bytes:
    return b"t" + bytes([chance.randint(17, 63), chance.randint(0, 16)]) + raw(chance, chance.randint(78, 150), b"")


def token_tail(chance: Random, number: int) -> bytes:
    return b"t" + bytes([chance.randint(0, 16), chance.randint(17, 63)]) + raw(chance, chance.randint(78, 150), b"")


def weekday(chance: Random, number: int) -> bytes:
    return b"dAY: " + bytes([chance.randint(7, 10)]) + raw(chance, chance.randint(2, 30), b"")


def line(chance: Random, number: int) -> bytes:
    gate = bytes(sorted(chance.sample(range(256), 4)))
    return b"l" + gate + raw(chance, grown(chance, number, 33, 400)) + (b"\n" + text(chance, 9) if number % 2 else b"")


def total(chance: Random, number: int) -> bytes:
    return b"o" + raw(chance, grown(chance, number, 40, 300), bytes(range(100)))


BUGS = (
    Bug(harness="mail", name="SUBJECT", recipe=subject),
    Bug(harness="mail", name="ADDRESS_LOCAL", recipe=address_local),
    Bug(harness="mail", name="ADDRESS_DOMAIN", recipe=address_domain, gated=True),
    Bug(harness="mail", name="SENDER", recipe=sender),
    Bug(harness="mail", name="DATE", recipe=date, gated=True),
    Bug(harness="mail", name="RECEIVED", recipe=received, gated=True),
    Bug(harness="paths", name="JOIN_BASE", recipe=join_base),
    Bug(harness="paths", name="JOIN_NAME", recipe=join_name),
    Bug(harness="paths", name="ENTRY", recipe=entry, gated=True),
    Bug(harness="paths", name="BLOCK", recipe=block, gated=True),
    Bug(harness="paths", name="LABEL", recipe=label),
    Bug(harness="paths", name="MESSAGE", recipe=message, gated=True),
    Bug(harness="machine", name="FRAME_LENGTH", recipe=frame_length),
    Bug(harness="machine", name="FRAME_KIND", recipe=frame_kind),
    Bug(harness="machine", name="POP", recipe=pop),
    Bug(harness="machine", name="VERSION", recipe=version),
    Bug(harness="machine", name="CHECKSUM", recipe=checksum, gated=True),
    Bug(harness="machine", name="OPCODE", recipe=opcode),
    Bug(harness="machine", name="QUIT", recipe=leave, gated=True),
    Bug(harness="machine", name="COUNT_ROWS", recipe=rows),
    Bug(harness="machine", name="COUNT_COLUMNS", recipe=columns, gated=True),
    Bug(harness="machine", name="PEEK", recipe=peek),
    Bug(harness="tree", name="LEFT", recipe=left),
    Bug(harness="tree", name="RIGHT", recipe=right),
    Bug(harness="tree", name="TABLE_READ", recipe=table_read),
    Bug(harness="tree", name="TABLE_WRITE", recipe=table_write, gated=True),
    Bug(harness="tree", name="HANDLER", recipe=handler, gated=True),
    Bug(harness="tree", name="NESTING", recipe=nesting),
    Bug(harness="tree", name="SCRATCH", recipe=scratch, gated=True),
    Bug(harness="numbers", name="RATIO", recipe=ratio),
    Bug(harness="numbers", name="SCALE", recipe=scale, gated=True),
    Bug(harness="numbers", name="BUCKETS", recipe=buckets),
    Bug(harness="numbers", name="WIDTH", recipe=width, gated=True),
    Bug(harness="numbers", name="IMPOSSIBLE", recipe=impossible, gated=True),
    Bug(harness="entries", name="CLOSED", recipe=closed),
    Bug(harness="entries", name="INTERIOR", recipe=interior, gated=True),
    Bug(harness="entries", name="VALUE", recipe=value, gated=True),
    Bug(harness="chunks", name="EMPTY_CHUNK", recipe=empty_chunk, wall_s=0.4, memory_mib=128),
    Bug(harness="chunks", name="REPEAT", recipe=repeat, wall_s=5.0, memory_mib=64),
    Bug(harness="sessions", name="SUM", recipe=total_of, asan=True),
    Bug(harness="sessions", name="STALE", recipe=stale, asan=True, gated=True),
    Bug(harness="sessions", name="TWICE", recipe=twice, asan=True, gated=True),
    Bug(harness="sessions", name="TOKEN_HEAD", recipe=token_head, asan=True),
    Bug(harness="sessions", name="TOKEN_TAIL", recipe=token_tail, asan=True),
    Bug(harness="sessions", name="WEEKDAY", recipe=weekday, asan=True, gated=True),
    Bug(harness="sessions", name="LINE", recipe=line, asan=True, gated=True),
    Bug(harness="sessions", name="TOTAL", recipe=total, asan=True),
)


def digests() -> dict[str, str]:
    """Of each bug's inputs, in order: what manifest.json holds."""
    return {f"{bug.harness}/{bug.name}": hashlib.sha256(b"".join(_framed(bug))).hexdigest() for bug in BUGS}


def _framed(bug: Bug) -> Iterator[bytes]:
    return (struct.pack("<I", len(data)) + data for data in bug.inputs())

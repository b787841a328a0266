"""The unwinder on made-up memory: right on the easy cases, and total on the others."""

import ctypes
import mmap
import os
import struct
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from firedamp.outcome import Frame
from firedamp.unwind import Unwinder, is_own, site_digest
from firedamp.unwind.cfi import How, Section
from firedamp.unwind.expression import evaluate
from firedamp.unwind.image import Image
from firedamp.unwind.maps import Maps
from firedamp.unwind.memory import is_behind_call
from firedamp.unwind.reader import Malformed, Reader

PID = os.getpid()
LIBC = ctypes.CDLL(None)
STACK = 0x7FFF_0000_0000
Read = Callable[[int, int], bytes]


def libc_address(name: str) -> int:
    return ctypes.cast(getattr(LIBC, name), ctypes.c_void_p).value or 0


def own_memory(address: int, size: int) -> bytes:
    with open("/proc/self/mem", "rb", buffering=0) as memory:
        memory.seek(address)
        return memory.read(size)


def stack_of(words: list[int]) -> Read:
    data = struct.pack(f"<{len(words)}Q", *words)

    def read(address: int, size: int) -> bytes:
        if STACK <= address < STACK + len(data):
            return data[address - STACK :][:size]
        return b""

    return read


@pytest.mark.parametrize(
    ("module", "own"),
    [
        ("/lib/x86_64-linux-gnu/libc.so.6", False),
        ("/lib/libc-2.31.so", False),
        ("/lib64/ld-linux-x86-64.so.2", False),
        ("/lib/ld-musl-x86_64.so.1", False),
        ("/usr/lib/libasan.so.8.0.0", False),
        ("/usr/lib/llvm-14/lib/clang/14.0.6/lib/linux/libclang_rt.asan-x86_64.so", False),
        ("/usr/lib/libstdc++.so.6.0.30", False),
        ("/usr/lib/libm.so.6", False),
        ("[vdso]", False),
        ("[anon]", False),
        ("/usr/bin/sort", True),
        ("/usr/lib/libmagic.so.1", True),
        ("/usr/lib/libc-client.so.2007e.0", True),
        ("/home/me/libcrypto.so.3", True),
        ("/srv/libc.so/program", True),
    ],
)
def test_whose_code_it_is(module: str, own: bool) -> None:
    assert is_own(module) is own


def test_a_site_is_known_by_names_and_offsets_only() -> None:
    here = (Frame(module="/usr/bin/cp", offset=0x1234, own=True), Frame(module="/lib/libc.so.6", offset=7))
    there = (Frame(module="/room/bin/cp", offset=0x1234), Frame(module="/lib/libc.so.6", offset=7, function="x"))
    assert site_digest("write", here) == site_digest("write", there)
    assert len(site_digest("write", here)) == 8
    others = {site_digest("write", here[:1]), site_digest("read", here), site_digest("write", here[::-1])}
    assert site_digest("write", here) not in others
    assert len(others) == 3


@pytest.mark.parametrize(
    ("code", "value"),
    [
        ("7708 8000 3f 1a 3b 2a 33 24 22", 0x1008),  # of every PLT entry (x86-64 ABI): rsp + 8 + ((rip & 15) >= 11) * 8
        ("0a2c01 3c 1b", 25),
        ("09f6 19", 10),
        ("09fe 35 1b 20", (1 << 64) - 1),  # ~(-2 / 5): division truncates
        ("32 31 16 1c", (1 << 64) - 1),
        ("31 28 0100 35 36", 6),
        ("31 32 33 17 13 13", 3),
    ],
)
def test_expressions(code: str, value: int) -> None:
    registers = {7: 0x1000, 16: 0x4007}
    assert evaluate(bytes.fromhex(code), registers.__getitem__, lambda address, size: 0) == value


@pytest.mark.parametrize("code", ["", "1b", "2ffdff", "31 30 1b", "ff", "0a01", "77"])
def test_expressions_that_make_no_sense(code: str) -> None:
    with pytest.raises(Malformed):
        evaluate(bytes.fromhex(code), lambda number: 0, lambda address, size: 0)


@given(st.binary(max_size=64))
def test_any_expression_ends(code: bytes) -> None:
    with suppress(Malformed):
        assert 0 <= evaluate(code, lambda number: 5, lambda address, size: 9, (1,)) < 1 << 64


@given(st.integers(-(1 << 63), (1 << 64) - 1))
def test_leb128(number: int) -> None:
    encoded, rest = bytearray(), number
    while True:
        byte, rest = rest & 0x7F, rest >> 7
        last = (rest == 0 and not byte & 0x40) or (rest == -1 and byte & 0x40) if number < 0 else rest == 0
        encoded.append(byte if last else byte | 0x80)
        if last:
            break
    reader = Reader(bytes(encoded))
    assert (reader.sleb() if number < 0 else reader.uleb()) == number


@pytest.mark.parametrize(
    ("code", "behind"),
    [
        ("e8 11223344", True),
        ("90 e8 11223344", True),
        ("ff d0", True),
        ("41 ff d4", True),
        ("ff 15 11223344", True),
        ("ff 50 18", True),
        ("ff 14 24", True),
        ("ff 94 24 11223344", True),
        ("ff e0", False),  # jmp *%rax
        ("90 90 90 90 90 90 90", False),
        ("e8 11 22 33", False),
        ("", False),
    ],
)
def test_what_stands_before_a_return_address(code: str, behind: bool) -> None:
    assert is_behind_call(bytes.fromhex(code)) is behind


def test_remember_and_restore_state() -> None:
    common = bytes.fromhex("01 7a5200 01 78 10 01 1b 0c0708 9001")
    # push %rbp; (remembered) mov %rsp,%rbp; pop %rbp; restored; then .. CFA by an expression and undefined rip
    steps = bytes.fromhex("41 0e10 8602 43 0a 0d06 44 0b 44 0f02 7730 44 0710 2e10")
    data = bytearray()
    for identity, body in ((0, common), (None, steps)):
        if identity is None:
            body = struct.pack("<iI", 0x1000 - len(data) - 8, 0x100) + b"\0" + body
            identity = len(data) + 4
        body += bytes(-(len(body) + 4) % 8)
        data += struct.pack("<II", len(body) + 4, identity) + body
    section = Section(bytes(data), 0)
    position = 4 + struct.unpack_from("<I", data)[0]
    entry = section.entry(position)
    assert entry is not None
    assert (entry.start, entry.end) == (0x1000, 0x1100)
    rows = {offset: section.row(entry, 0x1000 + offset) for offset in (0, 1, 3, 4, 7, 8, 12, 16, 255)}
    assert {offset: (row.cfa_register, row.cfa_offset) for offset, row in rows.items() if offset < 12} == {
        0: (7, 8), 1: (7, 16), 3: (7, 16), 4: (6, 16), 7: (6, 16), 8: (7, 16)
    }  # fmt: skip
    assert rows[12].cfa_expression == b"\x77\x30"
    assert dict(rows[4].rules) == {16: (How.OFFSET, -8, b""), 6: (How.OFFSET, -16, b"")}
    assert dict(rows[255].rules)[16] == (How.UNDEFINED, 0, b"")


def test_the_vdso_is_read_from_memory() -> None:
    maps = Maps(PID, own_memory)
    vdso = next(mapping for mapping in maps.mappings if mapping.module == "[vdso]")
    assert vdso.image is not None
    assert any(vdso.image.row(address + vdso.bias) for address in range(vdso.start, vdso.end, 16))


def test_a_jump_to_nowhere_is_told_from_a_smashed_return() -> None:
    inside = libc_address("qsort")
    unwinder = Unwinder()
    for pc in (0, 0x4141_4141_4141, (1 << 64) - 1):
        frames = unwinder.stack(PID, {16: pc, 7: STACK}, stack_of([0x4242, 0]))
        assert [(frame.module, frame.offset) for frame in frames] == [("[anon]", pc)]
    call = next(at for at in range(inside, inside + 4096) if is_behind_call(own_memory(at - 7, 7)))

    def read(address: int, size: int) -> bytes:
        return stack_of([call, 0] * 8)(address, size) or own_memory(address, size)

    frames = unwinder.stack(PID, {16: 0, 7: STACK}, read)
    assert frames[0].module == "[anon]"
    assert Path(frames[1].module).name.startswith("libc")


def test_a_signal_frame_without_call_frame_information() -> None:
    """As musl's: known by its instructions, left through the saved registers (struct sigcontext)."""
    interrupted = libc_address("qsort")
    rights = mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC
    with mmap.mmap(-1, 4096, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS, prot=rights) as page:
        page[:9] = b"\x48\xc7\xc0\x0f\x00\x00\x00\x0f\x05"
        holder = ctypes.c_char.from_buffer(page)
        trampoline = ctypes.addressof(holder)
        context = [0] * 5 + [0] * 15 + [STACK + 0x200, interrupted] + [0] * 100  # .. rsp, rip

        def read(address: int, size: int) -> bytes:
            return stack_of(context)(address, size) or own_memory(address, size)

        frames = Unwinder().stack(PID, {16: trampoline, 7: STACK}, read)
        del holder
    assert frames[0].module == "[anon]"
    assert Path(frames[1].module).name.startswith("libc")
    assert frames[1].offset & 0xFFF == interrupted & 0xFFF  # where it was interrupted, not one less


PLACES = [libc_address(name) + shift for name in ("qsort", "read", "fopen", "printf", "exit") for shift in (0, 1, 40)]
WORDS = st.lists(
    st.one_of(
        st.sampled_from(PLACES),
        st.integers(0, 60).map(lambda index: STACK + 8 * index),
        st.integers(0, (1 << 64) - 1),
    ),
    max_size=60,
)
REGISTERS = st.fixed_dictionaries(
    {
        16: st.sampled_from([*PLACES, 0, 0x1000]),
        7: st.integers(0, 60).map(lambda index: STACK + 8 * index),
        6: st.integers(0, 80).map(lambda index: STACK + 8 * index),
        3: st.integers(0, (1 << 64) - 1),
    }
)


@settings(max_examples=300)
@given(REGISTERS, WORDS)
def test_any_memory_gives_a_stack(registers: dict[int, int], words: list[int]) -> None:
    frames = Unwinder().stack(PID, registers, stack_of(words))
    assert 1 <= len(frames) <= 64


SHARED = Unwinder()


@settings(max_examples=100)
@given(
    st.sampled_from(PLACES),
    st.lists(
        st.tuples(st.sampled_from([STACK, STACK + 80]), st.lists(st.sampled_from(PLACES), max_size=40)), min_size=2
    ),
)
def test_a_recalled_stack_is_the_true_one(pc: int, stops: list[tuple[int, list[int]]]) -> None:
    """Stops at one place with one stack pointer, and other words on the stack: what is recalled must still be true."""
    for frame_pointer, words in stops:
        registers = {16: pc, 7: STACK, 6: frame_pointer, **dict.fromkeys((3, 12, 13, 14, 15), 0)}
        fresh = Unwinder().stack(PID, registers, stack_of(words))
        assert SHARED.stack(PID, registers, stack_of(words)) == fresh
        assert SHARED.stack(PID, registers, stack_of(words)) == fresh


def test_a_recalled_stack_costs_one_reading() -> None:
    words, reads = [PLACES[1]] * 30 + [0x42] * 60, 0

    def read(address: int, size: int) -> bytes:
        nonlocal reads
        reads += 1
        return stack_of(words)(address, size)

    registers = {16: PLACES[2], 7: STACK + 128, **dict.fromkeys((3, 6, 12, 13, 14, 15), 0)}
    unwinder = Unwinder()
    first = unwinder.stack(PID, registers, read)
    assert 2 < len(first) < 64
    reads = 0
    assert unwinder.stack(PID, registers, read) is first
    assert reads == 1
    unwinder.forget(PID)
    assert unwinder.stack(PID, registers, read) == first


def test_stacks_that_part_further_out_are_recalled_beside_each_other() -> None:
    """Two callers of one function: neither of them drives the other one out."""
    unwinder, registers = Unwinder(), {16: PLACES[2], 7: STACK + 128, **dict.fromkeys((3, 6, 12, 13, 14, 15), 0)}
    memories = [stack_of([PLACES[at]] * 30 + [0x42] * 60) for at in (1, 4)]
    one, other = (unwinder.stack(PID, registers, memory) for memory in memories)
    assert one != other
    assert [unwinder.stack(PID, registers, memory) for memory in memories * 2] == [one, other] * 2
    assert unwinder.stack(PID, registers, memories[0]) is one
    assert unwinder.stack(PID, registers, memories[1]) is other


def libc_path() -> Path:
    return next(Path(mapping.module) for mapping in Maps(PID, own_memory).mappings if "libc.so" in mapping.module)


SMALL = Path("/bin/true").read_bytes()


@settings(max_examples=300)
@given(
    st.lists(st.tuples(st.integers(0, len(SMALL) - 1), st.integers(0, 255)), max_size=30), st.integers(0, len(SMALL))
)
def test_any_file_gives_an_image(changes: list[tuple[int, int]], size: int) -> None:
    data = bytearray(SMALL)
    for position, value in changes:
        data[position] = value
    content = bytes(data[: size if size % 3 else None])
    image = Image(lambda offset, count: content[max(0, offset) : max(0, offset) + count])
    for address in range(0, len(SMALL), 997):
        image.row(address)
        start = image.function_start(address)
        assert start is None or start <= address


@settings(max_examples=300)
@given(st.binary(max_size=200), st.booleans())
def test_any_section_gives_entries(data: bytes, debug: bool) -> None:
    section = Section(data, 0x1000, debug=debug)
    for start, end, position in section.entries():
        entry = section.entry(position)
        assert entry is not None
        assert (entry.start, entry.end) == (start, end)
        with suppress(Malformed):
            section.row(entry, start)


def test_without_a_header_the_section_is_scanned(tmp_path: Path) -> None:
    """The same rows from a file whose PT_GNU_EH_FRAME is made unusable."""
    data = bytearray(libc_path().read_bytes())
    whole = Image.of_file(libc_path())
    offset, count = struct.unpack_from("<Q", data, 32)[0], struct.unpack_from("<H", data, 56)[0]
    for index in range(count):
        if struct.unpack_from("<I", data, offset + 56 * index)[0] == 0x6474E550:
            struct.pack_into("<I", data, offset + 56 * index, 0)
    copy = tmp_path / "libc"
    copy.write_bytes(data)
    scanned = Image.of_file(copy)
    found = 0
    for address in range(0x30000, 0x150000, 4999):
        assert scanned.row(address) == whole.row(address)
        found += whole.row(address) is not None
    assert found > 100

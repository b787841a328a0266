"""What lies in the frame of a smashed function: the canary's place, the buffer beside it, and whose bytes are there.

Three witnesses: the machine code of the failed check says where the canary was, debug information which arrays lie
below it, and the input whether its bytes are what overwrote it. Each may be missing, and then that part is None.
"""

from collections.abc import Callable
from dataclasses import replace

from firedamp.canary.slot import find_slot
from firedamp.outcome import Fatal, Frame, Smash, StackScene
from firedamp.symbols import Buffer, buffers

CHECKS = frozenset({"__stack_chk_fail", "__stack_chk_fail_local"})
WORD_BYTES = 8
LEAST_BYTES = 4  # alike by chance: one time in 2^32 per place of the input
Place = tuple[Buffer, int]  # and its address


def read_smash(fatal: Fatal, data: bytes) -> Smash | None:
    """Of a resolved `fatal`; `data` is the input of the run. None: the frame or its canary's place is not known."""
    index = _smashed(fatal.stack)
    scene = fatal.scene
    if scene is None or index is None or index >= len(scene.bases):
        return None
    slot = _slot_address(fatal.stack[index], scene, index)
    found = b"" if slot is None else _memory(scene, slot, slot + WORD_BYTES)
    if slot is None or len(found) < WORD_BYTES:
        return None
    changed = _changed_bytes(found, scene.canary)
    if not changed:
        return None
    return _judge(scene, slot, found, changed, _places(fatal.stack[index], scene, index), scene.bases[index][2], data)


def _smashed(stack: tuple[Frame, ...]) -> int | None:
    named = [index for index, frame in enumerate(stack[:-1]) if frame.function in CHECKS]
    return named[-1] + 1 if named else None


def _slot_address(frame: Frame, scene: StackScene, index: int) -> int | None:
    if frame.function_offset is None:
        return None
    slot = find_slot(frame.module, frame.offset - frame.function_offset, frame.offset)
    pointer, rbp, _ = scene.bases[index]
    base = None if slot is None else pointer if slot.from_stack_pointer else rbp
    return None if slot is None or base is None else base + slot.offset


def _changed_bytes(found: bytes, canary: int | None) -> int:
    """Up to the last byte that differs; all of them where nobody knows what was there."""
    if canary is None:
        return WORD_BYTES
    pairs = zip(found, canary.to_bytes(WORD_BYTES, "little"), strict=True)
    return max((index + 1 for index, (now, before) in enumerate(pairs) if now != before), default=0)


def _places(frame: Frame, scene: StackScene, index: int) -> tuple[Place, ...]:
    """Buffers of the function with their addresses, lowest first."""
    pointer, rbp, end = scene.bases[index]
    bases = {"cfa": end, "rbp": rbp, "rsp": pointer}
    found = [(each, base + each.offset) for each in buffers(frame) if (base := bases[each.base]) is not None]
    return tuple(sorted(found, key=lambda place: place[1]))


def _judge(
    scene: StackScene, slot: int, found: bytes, changed: int, places: tuple[Place, ...], end: int | None, data: bytes
) -> Smash:
    last = slot + changed
    stretch = _stretch(scene, last, data)
    below = tuple(place for place in places if place[1] + place[0].size_bytes <= slot)
    written = _written_through(scene, below, slot, changed, data)
    place, proved = (written, True) if written is not None else _overrun(below, stretch)
    smash = Smash(found=found.hex(), changed_bytes=changed, proved=proved, among_several=len(below) > 1)
    if place is not None:
        stop = last if stretch is None else max(last, stretch[1])
        buffer = place[0]
        past = stop - place[1] - buffer.size_bytes
        smash = replace(smash, buffer=buffer.name, buffer_bytes=buffer.size_bytes, overrun_bytes=past)
    return smash if stretch is None else _from_input(smash, scene, slot, end, stretch, data)


def _from_input(
    smash: Smash, scene: StackScene, slot: int, end: int | None, stretch: tuple[int, int], data: bytes
) -> Smash:
    start, stop = stretch
    written = _memory(scene, start, stop)
    offset = data.find(written)

    def span(first: int, behind: int) -> tuple[int, int] | None:
        return (offset + first - start, offset + behind - start) if start <= first < behind <= stop else None

    return replace(
        smash,
        canary_input=span(slot, min(stop, slot + WORD_BYTES)),
        return_input=None if end is None else span(end - WORD_BYTES, end),
        ambiguous=data.find(written, offset + 1) >= 0,
    )


def _stretch(scene: StackScene, last: int, data: bytes) -> tuple[int, int] | None:
    """The longest piece of memory round the byte before `last` that stands in the input as it is: [start, stop)."""

    def before(end: int) -> int:
        return end - _longest(lambda size: _memory(scene, end - size, end), data)

    def behind(start: int) -> int:
        return start + _longest(lambda size: _memory(scene, start, start + size), data)

    ends = (last, last - 1) if _memory(scene, last - 1, last) == b"\0" else (last,)  # a string's end is not copied
    found = ((before(end), end) for end in ends)
    start = next((start for start, end in found if end - start >= LEAST_BYTES), None)
    return None if start is None else (start, behind(start))


def _longest(piece: Callable[[int], bytes], data: bytes) -> int:
    """The greatest size whose piece of memory stands in the input; a longer piece holds a shorter one."""
    low, high = 0, len(data)
    while low < high:
        middle = (low + high + 1) // 2
        part = piece(middle)
        if len(part) == middle and part in data:
            low = middle
        else:
            high = middle - 1
    return low


def _written_through(scene: StackScene, below: tuple[Place, ...], slot: int, changed: int, data: bytes) -> Place | None:
    """The lowest buffer that is full of the input's bytes in the same step as the canary is, whatever lies between.

    A later write may have laid other bytes on a part of the way, but not on both of its ends.
    """
    canary = _memory(scene, slot, slot + changed).rstrip(b"\0")  # a string's end is not copied
    for buffer, start in below:
        content = _memory(scene, start, start + buffer.size_bytes)
        at = data.find(content) if canary and len(content) >= LEAST_BYTES else -1
        if at >= 0 and data.startswith(canary, at + slot - start):
            return buffer, start
    return None


def _overrun(below: tuple[Place, ...], stretch: tuple[int, int] | None) -> tuple[Place | None, bool]:
    """The lowest buffer that the input's bytes lie in, which is proved; else the one next to the canary."""
    for place in below:
        inside = 0 if stretch is None else place[1] + place[0].size_bytes - max(stretch[0], place[1])
        if inside >= min(LEAST_BYTES, place[0].size_bytes):
            return place, True
    return max(below, key=lambda place: place[1] + place[0].size_bytes, default=None), False


def _memory(scene: StackScene, start: int, end: int) -> bytes:
    """Short, or empty, where it was not kept."""
    return scene.memory[start - scene.start : end - scene.start] if start >= scene.start else b""

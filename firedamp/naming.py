"""The raw frames of an outcome get function, file and line, and whose they are: the target's, or a runtime's.

Reads binaries as they lie on the disk now; runs nothing and judges nothing.
"""

import os
import re
import threading
from dataclasses import replace
from functools import lru_cache
from itertools import islice, pairwise

from firedamp import symbols
from firedamp.call_line import SYSTEM_HEADER, call_line
from firedamp.canary.frame import read_smash
from firedamp.canary.line import check_address
from firedamp.outcome import Access, Fatal, Frame, Outcome
from firedamp.unwind import is_own

NAMING = threading.Lock()  # symbols reads files at one position, and benches may run in several threads
START_FILES = frozenset({"_start", "_init", "_fini", "__do_global_dtors_aux", "frame_dummy"})  # of crt1.o and crti.o
CANARY_CHECK = "__stack_chk_fail"
LEAST_ADDRESS_BYTES = 5  # fewer are found in an input by chance, and address little
PLACED_FRAMES = 4  # own frames that a signature may look at: the failing one, and who called it
HARNESS_ENTRY = "LLVMFuzzerTestOneInput"
RUNTIME_FILE = re.compile(r"(.*/)?firedamp/runtime/\w+\.c")  # as build.py names it in the debug information
# glibc's own wrappers, as clang keeps them where they take variable arguments (misc/sys/cdefs.h, __fortify_clang_*).
FORTIFY_WRAPPER = re.compile(r"_ZL\d+\w+pass_(dynamic_)?object_size\d")
SANITIZER_FUNCTION = re.compile(r"_*(interceptor_|asan_|ubsan_|sanitizer_|sancov_|lsan_)")


def resolve_outcome(outcome: Outcome, data: bytes = b"") -> Outcome:
    """Raw frames get function, file and line; `own` is taken from the runtimes' frames. `data` is the run's input."""
    if not (outcome.fatals or outcome.exit_stack or outcome.stall_stack):
        return outcome
    return replace(
        outcome,
        fatals=tuple(_resolve_fatal(fatal, data) for fatal in outcome.fatals),
        exit_stack=resolve_stack(outcome.exit_stack),
        stall_stack=resolve_stack(outcome.stall_stack),
    )


def resolve_stack(stack: tuple[Frame, ...], *, sanitized: bool = False) -> tuple[Frame, ...]:
    """The same stack comes again in many runs; what its files looked like then is part of what is remembered."""
    if not stack:
        return ()
    versions = tuple(_version(module) for module in {frame.module: None for frame in stack})
    with NAMING:
        return _resolve_stack(stack, versions, sanitized=sanitized)


def resolve_report(stack: tuple[Frame, ...]) -> tuple[Frame, ...]:
    """A stack as a sanitizer told it."""
    return resolve_stack(tuple(replace(frame, own=is_own(frame.module)) for frame in stack), sanitized=True)


def _version(module: str) -> tuple[int, int, int] | None:
    try:
        status = os.stat(module)  # noqa: PTH116  # for each run under a fault
    except (OSError, ValueError):
        return None
    return status.st_ino, status.st_mtime_ns, status.st_size


@lru_cache(maxsize=4096)
def _resolve_stack(stack: tuple[Frame, ...], versions: object, *, sanitized: bool) -> tuple[Frame, ...]:
    frames = tuple(_out_of_headers(frame) for frame in symbols.resolve(stack))
    frames = (*frames[:1], *(_at_its_check(below, above) for above, below in pairwise(frames)))
    entry = next((index for index, frame in enumerate(frames) if frame.function == HARNESS_ENTRY), len(frames))
    owned = tuple(
        replace(frame, own=False) if index > entry or _is_runtime(frame, sanitized=sanitized) else frame
        for index, frame in enumerate(frames)
    )
    placed = tuple(islice((index for index, frame in enumerate(owned) if frame.own), PLACED_FRAMES))
    return tuple(_within(frame) if index in placed else frame for index, frame in enumerate(owned))


def _within(frame: Frame) -> Frame:
    """With the user's function round it: a fortified wrapper, inlined from glibc's headers, is none."""
    scope = next((each for each in symbols.scopes(frame) if not SYSTEM_HEADER.match(each.file)), None)
    return frame if scope is None else replace(frame, within=scope.name, within_line=scope.line)


def _out_of_headers(frame: Frame) -> Frame:
    """A fortified wrapper is inlined from glibc's headers: what a person wants to see is the call of it."""
    if frame.file is None or not SYSTEM_HEADER.match(frame.file):
        return frame
    file, line = call_line(frame.module, frame.offset) or (frame.file, frame.line)
    return replace(frame, file=file, line=line)


def _at_its_check(caller: Frame, frame: Frame) -> Frame:
    """`caller` with the line where its canary was found dead, if `frame` is the end of that check."""
    if frame.function != CANARY_CHECK or caller.function_offset is None:
        return caller
    check = check_address(caller.module, caller.offset - caller.function_offset, caller.offset)
    if check is None:
        return caller
    there = symbols.resolve_frame(Frame(module=caller.module, offset=check))
    return replace(caller, file=there.file or caller.file, line=there.line or caller.line)


def _resolve_fatal(fatal: Fatal, data: bytes) -> Fatal:
    named = replace(fatal, stack=resolve_stack(fatal.stack), address_input=_address_input(fatal, data))
    if named.scene is None:
        return named
    with NAMING:
        return replace(named, scene=None, smash=read_smash(named, data))


def _address_input(fatal: Fatal, data: bytes) -> tuple[int, int] | None:
    """The place in the input of the address that was written or jumped to, as it lies in memory."""
    if fatal.address is None or fatal.access not in (Access.WRITE, Access.EXEC):
        return None
    image = fatal.address.to_bytes(8, "little").rstrip(b"\0")
    at = data.find(image) if len(image) >= LEAST_ADDRESS_BYTES else -1
    return None if at < 0 else (at, at + len(image))


def _is_runtime(frame: Frame, *, sanitized: bool) -> bool:
    """A statically linked sanitizer runtime has no debug information, while we compile every target with it."""
    function = frame.function or ""
    return (
        function.startswith("firedamp_")
        or function in START_FILES
        or RUNTIME_FILE.fullmatch(frame.file or "") is not None
        or SANITIZER_FUNCTION.match(function) is not None
        or FORTIFY_WRAPPER.match(function) is not None
        or (sanitized and frame.file is None)
    )

"""Names for raw frames: module and offset -> function, file and line. Reads files, never a process.

Total on any file: what cannot be read, or makes no sense, leaves the frame as it was.
"""

import stat
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

from firedamp.outcome import Frame
from firedamp.symbols.module import Module
from firedamp.symbols.scopes import Scope
from firedamp.symbols.variables import Buffer
from firedamp.unwind.site import is_own

MODULE_LIMIT = 64  # files whose names are kept
FRAME_LIMIT = 16384

__all__ = ["Buffer", "Scope", "buffers", "resolve", "resolve_frame", "scopes"]


def resolve(frames: tuple[Frame, ...]) -> tuple[Frame, ...]:
    """Each frame as `resolve_frame` gives it."""
    return tuple(resolve_frame(frame) for frame in frames)


def resolve_frame(frame: Frame) -> Frame:
    """With function, function_offset, file, line and `own` as far as the module's file tells them.

    The function is the one in whose code the address lies, the line that of the address: inlined code has a line of
    another function. A stripped function is called sub_ADDRESS, after where its call frame information begins.
    """
    if frame.function is not None or not frame.module.startswith("/"):
        return frame
    try:
        status = Path(frame.module).stat()
    except (OSError, ValueError):
        return frame
    if not stat.S_ISREG(status.st_mode):
        return frame  # a pipe would be waited for
    return _resolve(frame, status.st_mtime_ns, status.st_size)


def buffers(frame: Frame) -> tuple[Buffer, ...]:
    """Arrays and structures on the stack of the frame's function; none without debug information."""
    module = _module_of(frame)
    return module.buffers(frame.offset) if module is not None else ()


def scopes(frame: Frame) -> tuple[Scope, ...]:
    """The functions of the source round the frame's address, inlined ones first; none without debug information."""
    module = _module_of(frame)
    return module.scopes(frame.offset) if module is not None else ()


def _module_of(frame: Frame) -> Module | None:
    try:
        status = Path(frame.module).stat()
    except (OSError, ValueError):
        return None
    return _module(frame.module, status.st_mtime_ns, status.st_size)


@lru_cache(maxsize=FRAME_LIMIT)
def _resolve(frame: Frame, mtime_ns: int, size: int) -> Frame:
    module = _module(frame.module, mtime_ns, size)
    function = module.function(frame.offset)
    file, line = module.line(frame.offset) or (None, None)
    name, start = function or (None, None)
    return replace(
        frame,
        function=name,
        function_offset=frame.offset - start if start is not None else None,
        file=file,
        line=line,
        own=is_own(frame.module) and not module.is_runtime(frame.offset),
    )


@lru_cache(maxsize=MODULE_LIMIT)
def _module(path: str, mtime_ns: int, size: int) -> Module:
    """The numbers tell versions of a file apart."""
    return Module(path)

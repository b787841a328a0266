"""Where it happened: the part of a finding's identity that survives ASLR, another input and another libc."""

import re
from collections.abc import Collection, Iterable
from itertools import groupby, takewhile

from firedamp.outcome import Frame

OWN_FRAMES = 2  # the place and who called it: a third frame splits one bug by the way to it
CLONE = re.compile(r"\.(isra|part|constprop|cold|lto_priv|llvm|localalias|ipa-\w+)(\.\d+)*")  # GCC's and LLVM's names
NO_NAME = re.compile(r"sub_[0-9a-f]+|")  # no symbol there


def function_name(frame: Frame) -> str:
    """As in the source; without one the module's name and what is known of the place in it."""
    plain = CLONE.sub("", frame.function or "")
    if NO_NAME.fullmatch(plain):
        return f"{module_name(frame)}!{plain or f'0x{frame.offset:x}'}"
    return plain


def module_name(frame: Frame) -> str:
    return frame.module.rsplit("/", 1)[-1] or "?"


def label(frame: Frame) -> str:
    if frame.function is None or frame.function_offset is None:
        return function_name(frame)
    return f"{function_name(frame)}+0x{frame.function_offset:x}"


def spot(frame: Frame) -> str:
    """`copy:+4`: lines from the function's own beginning. The same in each compiler's build, and after edits elsewhere.

    Without debug information `copy+0x2c`, which is the same for one build only.
    """
    if frame.within is None or frame.within_line is None or frame.line is None:
        return label(frame)
    return f"{frame.within}:{frame.line - frame.within_line:+}"


def crash_place(stack: Iterable[Frame]) -> tuple[str, ...]:
    """Where a check failed or the processor refused: who called that function is a way to the bug, and not the bug."""
    return tuple(spot(frame) for frame in own_frames(stack)[:1])


def helper_place(stack: Iterable[Frame]) -> tuple[str, ...]:
    """With the caller, where the innermost function may but carry out what its caller decided, as a `die()` does."""
    return tuple(spot(frame) for frame in own_frames(stack)[:OWN_FRAMES])


def own_frames(stack: Iterable[Frame]) -> tuple[Frame, ...]:
    """The program's own calls, innermost first; a function that calls itself counts once, at its innermost call."""
    own = (frame for frame in stack if frame.own)
    return tuple(next(calls) for _, calls in groupby(own, key=function_name))


def place(stack: Iterable[Frame]) -> tuple[str, ...]:
    return tuple(label(frame) for frame in own_frames(stack)[:OWN_FRAMES])


def innermost_own(stack: Iterable[Frame]) -> Frame | None:
    return next((frame for frame in stack if frame.own), None)


def caller_of(stack: tuple[Frame, ...], functions: Collection[str]) -> Frame | None:
    """The frame right above the outermost of `functions` that stands among the C runtime's frames at the top."""
    top = len(tuple(takewhile(lambda frame: not frame.own, stack)))
    named = [index for index, frame in enumerate(stack[: top + 1]) if bare_name(frame) in functions]
    if not named:
        return innermost_own(stack)
    return next(iter(stack[named[-1] + 1 :]), None)


def bare_name(frame: Frame) -> str:
    """Without a symbol version: `__libc_message@GLIBC_PRIVATE` is `__libc_message`."""
    return (frame.function or "").split("@", 1)[0]


def runtime_names(stack: tuple[Frame, ...]) -> tuple[str, ...]:
    """Functions of the C runtime at the top of a stack, innermost first: which check failed."""
    return tuple(bare_name(frame) for frame in takewhile(lambda frame: not frame.own, stack))


def source(frame: Frame | None) -> str:
    """`conf.c:41`, or nothing where it is unknown."""
    if frame is None or frame.file is None or frame.line is None:
        return ""
    return f"{frame.file.rsplit('/', 1)[-1]}:{frame.line}"


def where(frame: Frame | None) -> str:
    """For a message: `parse_name() (conf.c:41)`."""
    if frame is None:
        return "an unknown place"
    line = source(frame)
    name = function_name(frame)
    call = name if "!" in name else f"{name}()"
    return f"{call} ({line})" if line else call

"""What a stack says about a place, apart from names: whose code it is, and a digest that ASLR does not change."""

import hashlib
import re
from functools import lru_cache

from firedamp.outcome import Frame

# the C and C++ runtime and the sanitizers': libc.so.6, libc-2.31.so, ld-linux-x86-64.so.2, libc.musl-x86_64.so.1
RUNTIME = re.compile(
    r"(ld|ld64|ld-linux[-\w]*|ld-musl[-\w]*|libc\.musl[-\w]*|libclang_rt\.[-\w.]+?"
    r"|lib(c|pthread|m|mvec|dl|rt|util|gcc_s|stdc\+\+|c\+\+|c\+\+abi|unwind|asan|ubsan|lsan|tsan|hwasan))"
    r"(-\d[\d.]*)?\.so(\.[\d.]+)?"
)


@lru_cache(maxsize=1024)
def is_own(module: str) -> bool:
    """False for the C runtime, sanitizer runtimes, the vDSO and memory without a file."""
    return not module.startswith("[") and RUNTIME.fullmatch(module.rpartition("/")[2]) is None


# By the identity of the frames, which the unwinder gives out again for a stack that it knows; they are kept alive here.
_digests: dict[tuple[str, int], tuple[tuple[Frame, ...], str]] = {}
MOST_DIGESTS = 4096


def site_digest(syscall_name: str, frames: tuple[Frame, ...]) -> str:
    """Eight hexadecimal digits: equal for equal calls from equal places in every run, wherever the files lie."""
    known = _digests.get((syscall_name, id(frames)))
    if known is not None and known[0] is frames:
        return known[1]
    if len(_digests) >= MOST_DIGESTS:
        _digests.clear()
    digest = _digest(syscall_name, frames)
    _digests[syscall_name, id(frames)] = frames, digest
    return digest


def _digest(syscall_name: str, frames: tuple[Frame, ...]) -> str:
    places = (f"{frame.module.rpartition('/')[2]}+{frame.offset:x}" for frame in frames)
    text = "\n".join((syscall_name, *places))
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()[:8]

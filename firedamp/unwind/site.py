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


def site_digest(syscall_name: str, frames: tuple[Frame, ...]) -> str:
    """Eight hexadecimal digits: equal for equal calls from equal places in every run, wherever the files lie."""
    places = (f"{frame.module.rpartition('/')[2]}+{frame.offset:x}" for frame in frames)
    text = "\n".join((syscall_name, *places))
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()[:8]

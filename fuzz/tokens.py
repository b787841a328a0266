"""libFuzzer's dictionary: the user's own words, those that guards are known to stumble over, those of the binary.

Coverage does not lead to them: what printf and strtod do with a text happens in libc, where nothing is counted.
"""

from pathlib import Path

from firedamp.errors import UsageError
from fuzz.constants import words

HOSTILE = (
    b"%n",  # FORTIFY refuses it in writable memory
    b"%9$n",
    b"%s%s%s%s",
    b"%2$d",  # a gap in numbered arguments
    b"%1000d",  # longer than most buffers
    b"1e300",  # 301 digits when %f prints it
    b"-1e300",
    b"-1",
    b"2147483648",  # INT_MAX + 1
    b"18446744073709551616",  # 2^64
    b"A" * 64,
)


def write_dictionary(path: Path, own: Path | None, binary: Path | None = None) -> Path:
    """At `path`, in libFuzzer's format: the user's lines first, so that libFuzzer's word on line N is right."""
    text = b""
    if own is not None:
        if not own.is_file():
            raise UsageError(f"dictionary {str(own)!r}: is no file; create it or leave `dictionary` out")
        text = own.read_bytes() + b"\n"
    found = words(binary) if binary is not None else ()
    path.write_bytes(text + b"".join(b'"%s"\n' % _spell(token) for token in (*HOSTILE, *found)))
    return path


def _spell(word: bytes) -> bytes:
    """As ParseOneDictionaryEntry of FuzzerUtil.cpp reads it."""
    return b"".join(b"%c" % byte if 32 <= byte < 127 and byte not in b'"\\' else b"\\x%02x" % byte for byte in word)

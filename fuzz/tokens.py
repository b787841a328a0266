"""Words that a program's guards are known to stumble over, offered to libFuzzer beside the user's own dictionary.

Coverage does not lead to them: what printf and strtod do with a text happens in libc, where nothing is counted.
"""

from pathlib import Path

from firedamp.errors import UsageError

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


def write_dictionary(path: Path, own: Path | None) -> Path:
    """At `path`, in libFuzzer's format: the user's lines first, so that libFuzzer's word on line N is right."""
    text = b""
    if own is not None:
        if not own.is_file():
            raise UsageError(f"dictionary {str(own)!r}: is no file; create it or leave `dictionary` out")
        text = own.read_bytes() + b"\n"
    path.write_bytes(text + b"".join(b'"%s"\n' % token for token in HOSTILE))
    return path

"""Inputs that one process is given one after the other, as a text that a person can read, cut and edit.

One line per input, in double quotes: printable ASCII stands for itself, every other byte as \\xNN. Lines that begin
with # are comments. No byte is lost: parse . dump = identity.
"""

import re

from firedamp.errors import UsageError

HEAD = "# firedamp sequence 1: each line is one input, given to one process in this order\n"
PLAIN = frozenset(range(0x20, 0x7F)) - frozenset(b'"\\{}')  # braces would tie lines together for shrink.shrink_rules
LINE = re.compile(rb'"((?:[^"\\]|\\x[0-9a-fA-F]{2})*)"')
ESCAPE = re.compile(rb"\\x([0-9a-fA-F]{2})")


def dump(inputs: tuple[bytes, ...]) -> bytes:
    return (HEAD + "".join(f'"{_text(each)}"\n' for each in inputs)).encode("ascii")


def parse(text: bytes) -> tuple[bytes, ...]:
    """UsageError, with the line's number, for what is no sequence."""
    found: list[bytes] = []
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.startswith(b"#"):
            continue
        said = LINE.fullmatch(line.strip())
        if said is None:
            raise UsageError(
                f"sequence, line {number}: {line[:40].decode('utf-8', 'replace')!r} is no input; "
                'write it in double quotes, and bytes that are not printable as \\xNN, as in "GET \\x00"'
            )
        found.append(ESCAPE.sub(lambda byte: bytes.fromhex(byte[1].decode()), said[1]))
    return tuple(found)


def _text(data: bytes) -> str:
    return "".join(chr(byte) if byte in PLAIN else f"\\x{byte:02x}" for byte in data)

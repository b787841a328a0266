"""The drift suite: inputs of one bug each, beside which a shorter input shows another bug."""

from dataclasses import dataclass
from pathlib import Path

SOURCE = Path(__file__).with_name("drift.c")


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    name: str
    data: bytes
    kind: str


CASES = (
    Case(name="smash-short", data=b"L" + b"abcdefghij" * 6 + b"k", kind="stack-smash"),
    Case(name="smash-long", data=b"L" + bytes(range(60, 256)) + b";tail", kind="stack-smash"),
    Case(name="count", data=b"Cx" + b"91234567890123456789012345", kind="assert"),
    Case(name="count-long", data=b"Cx" + b"the records follow: " * 8, kind="assert"),
    Case(name="divide", data=b"DHEAD" + b"7 and then much more that does not matter 7", kind="fpe"),
    Case(name="divide-long", data=b"DHEADq" + b"0123456789" * 20 + b"q", kind="fpe"),
)

"""What a program said never becomes an order to the user's terminal."""

from hypothesis import given
from hypothesis import strategies as st

from firedamp.report.printable import one_line, printable


def test_controls_are_named_and_words_stay() -> None:
    assert printable("\x1b]0;title\x07 größer\n\tnext") == "\\x1b]0;title\\x07 größer\n\tnext"
    assert one_line("a\nb\r") == "a\\x0ab\\x0d"
    assert one_line("\u202egnp.exe \x9b31m") == "\\u202egnp.exe \\x9b31m"
    assert one_line(b"\xff\xfe".decode("utf-8", "surrogateescape")) == "\\xff\\xfe"


@given(st.binary())
def test_any_bytes_become_one_line_that_can_be_encoded(data: bytes) -> None:
    shown = one_line(data.decode("utf-8", "surrogateescape"))
    assert shown.isprintable()
    shown.encode("utf-8")

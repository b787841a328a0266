import pytest
from hypothesis import given
from hypothesis import strategies as st

from firedamp.errors import UsageError
from firedamp.sequence import dump, parse
from firedamp.shrink import shrink_rules

INPUTS = st.lists(st.binary(max_size=40) | st.sampled_from([b"#", b'"', b"\\x41", b"{", b"}\n{"]), max_size=8).map(
    tuple
)


@given(INPUTS)
def test_no_byte_is_lost(inputs: tuple[bytes, ...]) -> None:
    text = dump(inputs)
    assert parse(text) == inputs
    assert text.count(b"\n") == 1 + len(inputs)


@given(INPUTS, st.binary(min_size=1, max_size=4), st.integers(0, 8))
def test_shrinking_leaves_the_lines_that_matter(inputs: tuple[bytes, ...], needed: bytes, at: int) -> None:
    whole = dump((*inputs[:at], needed, *inputs[at:]))
    assert parse(shrink_rules(whole, lambda text: needed in parse(text))) == (needed,)


def test_a_sequence_by_hand() -> None:
    assert parse(b'# mine\n\n  "GET \\x00" \n"" \n') == (b"GET \0", b"")


@pytest.mark.parametrize("line", [b"GET", b'"GET', b'"a" "b"', b'"\\n"', b'"\xff"x'])
def test_what_is_none_is_said_with_its_line(line: bytes) -> None:
    with pytest.raises(UsageError, match="line 2"):
        parse(b"# mine\n" + line + b"\n")

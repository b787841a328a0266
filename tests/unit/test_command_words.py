"""What a compiler's command line asks for."""

import pytest

from firedamp.cc.words import Step, Words, parse

FILES = {"objects.rsp": "a.o 'b c.o' @more.rsp", "more.rsp": "-o deep"}


def read(name: str) -> str:
    if name not in FILES:
        raise FileNotFoundError(name)
    return FILES[name]


def words(line: str) -> Words:
    return parse(line.split(), read)


@pytest.mark.parametrize(
    ("line", "step"),
    [
        ("--version", Step.QUERY),
        ("-v", Step.QUERY),
        ("-print-search-dirs", Step.QUERY),
        ("-c a.c -o a.o", Step.COMPILE),
        ("-o a.o -MMD -MF a.d -c a.c", Step.COMPILE),
        ("-E -", Step.COMPILE),
        ("-S a.c", Step.COMPILE),
        ("-xc /dev/null -fsyntax-only", Step.COMPILE),
        ("-M a.c", Step.COMPILE),
        ("a.o b.o -r -o c.o", Step.RELOCATABLE),
        ("-shared -o lib.so a.o", Step.LIBRARY),
        ("a.c", Step.PROGRAM),
        ("-MMD a.c -o a", Step.PROGRAM),
        ("-o a a.o -lfoo", Step.PROGRAM),
        ("-fsanitize=fuzzer-no-link a.c -o a", Step.PROGRAM),
        ("-fsanitize=fuzzer h.c", Step.HARNESS),
        ("h.o -fsanitize=address,fuzzer -o fuzz", Step.HARNESS),
        ("h.o -lFuzzingEngine", Step.HARNESS),
        ("h.o /usr/lib/libFuzzingEngine.a", Step.HARNESS),
        ("-fsanitize=fuzzer -c h.c", Step.COMPILE),
        ("-o -lfoo", Step.QUERY),  # a file called -lfoo is written, and nothing is read
    ],
)
def test_step(line: str, step: Step) -> None:
    assert words(line).step is step


@pytest.mark.parametrize("line", ["-o out a.o -lz", "a.o -oout -lz", "a.o -o first -lz -o out"])
def test_the_output_of_a_link_is_taken_out(line: str) -> None:
    asked = words(line)
    assert (asked.output, asked.words) == ("out", ("a.o", "-lz"))


def test_what_only_libfuzzer_understands_goes() -> None:
    assert words("-fsanitize=fuzzer,address a.c -lFuzzingEngine").words == ("-fsanitize=address", "a.c")
    assert words("-fsanitize=fuzzer-no-link -c a.c").words == ("-c", "a.c")


@pytest.mark.parametrize(
    ("line", "fuzzed"), [("-c a.c", False), ("-fsanitize=fuzzer-no-link -c a.c", True), ("-fsanitize=fuzzer a.c", True)]
)
def test_who_drives_the_code(line: str, fuzzed: bool) -> None:
    assert words(line).fuzzed is fuzzed


def test_response_files() -> None:
    asked = words("@objects.rsp @absent")
    assert asked.words == ("a.o", "b c.o", "@absent")
    assert asked.output == "deep"


@pytest.mark.parametrize(
    ("line", "compiles"),
    [("a.c b.o", True), ("a.o", False), ("-xc -", True), ("-c a.S", False), ("-x assembler -", False)],
)
def test_our_flags_are_for_c(line: str, compiles: bool) -> None:
    assert words(line).compiles is compiles


@pytest.mark.parametrize("line", ["a.o -static", "a.o -no-pie", "-pie a.o"])
def test_a_position_that_was_chosen_stays(line: str) -> None:
    assert words(line).position_chosen
    assert not words("a.o").position_chosen

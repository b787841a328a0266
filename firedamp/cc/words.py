"""The words of a compiler's command line: what is asked for, and what goes in and comes out. Pure, and quick to import.

gcc(1), clang(1): only what decides which of our flags and objects belong to it.
"""

from collections.abc import Callable, Sequence
from enum import Enum
from typing import NamedTuple

# Options whose argument is the next word; everything else that begins with a dash is one word.
PAIRED = frozenset(
    """-o -x -I -L -D -U -l -T -u -z -e -A -B -G -F -MF -MT -MQ -include -imacros -isystem -iquote -idirafter -iprefix
    -iwithprefix -iwithprefixbefore -isysroot --sysroot -Xlinker -Xassembler -Xpreprocessor -Xclang -Xarch_host -mllvm
    -target -arch --param -aux-info -wrapper -specs -dumpbase -dumpbase-ext -dumpdir -rpath -soname -h -current_version
    -framework -main-file-name""".split()  # noqa: SIM905
)
SOURCES = (".c", ".i", ".cc", ".cp", ".cxx", ".cpp", ".c++", ".C", ".ii", ".CPP", ".m", ".mi")
PREPROCESSING = frozenset({"-E", "-M", "-MM"})
FUZZER_LIBRARIES = ("-lFuzzingEngine", "libFuzzingEngine.a")  # what old build scripts call libFuzzer
NOT_PIE = frozenset({"-static", "-no-pie", "-nopie", "-static-pie", "-pie"})
SANITIZE = "-fsanitize="


class Step(Enum):
    QUERY = "nothing is compiled: --version, -print-..."
    COMPILE = "ends before the link: -c, -S, -E, -fsyntax-only"
    RELOCATABLE = "joins objects: -r"
    LIBRARY = "links a shared library"
    HARNESS = "links a harness: -fsanitize=fuzzer"
    PROGRAM = "links a program"


class Words(NamedTuple):
    step: Step
    words: tuple[str, ...]  # without what only libFuzzer's own driver understands, and without -o FILE for a link
    inputs: tuple[str, ...]
    output: str  # of a link
    compiles: bool  # a C or C++ source is among the inputs
    fuzzed: bool  # -fsanitize=fuzzer or fuzzer-no-link: the code is driven by libFuzzer, in its process
    position_chosen: bool  # -pie, -no-pie, -static: then ours is left out


def parse(words: Sequence[str], read: Callable[[str], str]) -> Words:
    """`read`: the text of a response file, OSError where there is none (then @NAME is a file's own name)."""
    flat = _expanded(words, read)
    kept = tuple(filter(None, map(_without_fuzzer, flat)))
    asked = _sanitizers(flat)
    options, inputs = _sorted(kept)
    harness = "fuzzer" in asked or any(word.endswith(FUZZER_LIBRARIES) for word in flat)
    step = _step(options, inputs, harness)
    output = "a.out"
    if step in (Step.LIBRARY, Step.HARNESS, Step.PROGRAM):
        output, kept = _taken(kept)
    return Words(
        step=step,
        words=kept,
        inputs=tuple(inputs),
        output=output,
        compiles=_compiles(kept, inputs),
        fuzzed=harness or "fuzzer-no-link" in asked,
        position_chosen=not NOT_PIE.isdisjoint(options),
    )


def _expanded(words: Sequence[str], read: Callable[[str], str]) -> tuple[str, ...]:
    flat: list[str] = []
    for word in words:
        try:
            flat += _expanded(split(read(word[1:])), read) if word.startswith("@") else (word,)
        except OSError:
            flat.append(word)
    return tuple(flat)


def split(text: str) -> list[str]:
    """As a shell splits it, and as gcc reads a response file."""
    if not text:
        return []
    import shlex  # costs more than all else here

    return shlex.split(text)


def _sanitizers(words: Sequence[str]) -> set[str]:
    lists = (word.removeprefix(SANITIZE).split(",") for word in words if word.startswith(SANITIZE))
    return {name for each in lists for name in each}


def _without_fuzzer(word: str) -> str:
    """ "" for a word that has to go."""
    if word.endswith(FUZZER_LIBRARIES):
        return ""
    if not word.startswith(SANITIZE):
        return word
    rest = [name for name in word.removeprefix(SANITIZE).split(",") if name not in ("fuzzer", "fuzzer-no-link")]
    return SANITIZE + ",".join(rest) if rest else ""


def _sorted(words: Sequence[str]) -> tuple[set[str], list[str]]:
    """Options without their arguments, and input files."""
    options: set[str] = set()
    inputs: list[str] = []
    rest = iter(words)
    for word in rest:
        if word.startswith("-") and word != "-":
            options.add(word)
            if word in PAIRED:
                next(rest, None)
        else:
            inputs.append(word)
    return options, inputs


def _step(options: set[str], inputs: list[str], harness: bool) -> Step:
    if options & {"-c", "-S", "-fsyntax-only"} or options & PREPROCESSING:
        return Step.COMPILE
    if "--version" in options or "-###" in options or not (inputs or _names_libraries(options)):
        return Step.QUERY
    if options & {"-r", "-Wl,-r", "-Wl,--relocatable"}:
        return Step.RELOCATABLE
    if options & {"-shared", "--shared"}:
        return Step.LIBRARY
    return Step.HARNESS if harness else Step.PROGRAM


def _names_libraries(options: set[str]) -> bool:
    """A harness may lie in an archive that is only named by -l; `-v` alone is a question."""
    return any(option.startswith("-l") for option in options)


def _taken(words: tuple[str, ...]) -> tuple[str, tuple[str, ...]]:
    """The name after the last -o, and the rest."""
    output, kept = "a.out", []
    rest = iter(words)
    for word in rest:
        if word == "-o":
            output = next(rest, output)
        elif word.startswith("-o") and word != "-object":
            output = word[2:]
        else:
            kept.append(word)
            if word in PAIRED:
                kept += [following for following in (next(rest, None),) if following is not None]
    return output, tuple(kept)


def _compiles(words: Sequence[str], inputs: list[str]) -> bool:
    following = (*words[1:], "")
    languages = [word[2:] or after for word, after in zip(words, following, strict=True) if word.startswith("-x")]
    if languages:
        return not languages[0].startswith("assembler")
    return any(name.endswith(SOURCES) or name == "-" for name in inputs)

"""The flags behind a Profile, for each compiler. Pure: decides, compiles nothing.

A smashed function must be named as itself in every build, so no compiler may fold a function that its author did not
call inline into its caller; glibc's fortified wrappers are always_inline and stay so. At -O1 gcc 12 does that folding
by -finline-functions-called-once alone, clang 14 does it everywhere unless it is told to heed `inline` only.
"""

import re
from pathlib import Path

from firedamp.building.toolchain import Compiler, fortify_level
from firedamp.target import Profile, TargetKind

# Kept as calls, so that runtime/compare.c sees what is compared.
COMPARED = ("memcmp", "strcmp", "strncmp", "strcasecmp", "strncasecmp", "strstr", "strcasestr", "memmem")

# clang's code for fuzzing (branches are not folded into one) without what libFuzzer in the process would count.
FUZZING_CODE_ONLY = (
    "-fsanitize=fuzzer-no-link",
    "-fno-sanitize-coverage=inline-8bit-counters,pc-table,trace-cmp,indirect-calls,stack-depth",
)

GUARD_FLAG = re.compile(r"-fstack-protector|-[DU]_FORTIFY_SOURCE")
PROGRAM = ("program_coverage.c", "program_input.c", "program_compare.c", "operands.c")
SURVIVAL = ("survive.c", "hooks.c", "stack.c", "events.c", "globals.c")
COMPARISONS = ("compare.c", "trace_compare.c", "operands.c")

# Between libFuzzer and its own mutations, loaded before either.
MUTATOR = ("mutator.c", "solver.c")

# Our own C: no canary, no fortified call and no counter of ours may look like the target's.
RUNTIME = (
    "-g",
    "-O2",
    "-fvisibility=hidden",
    "-fno-stack-protector",
    "-U_FORTIFY_SOURCE",
    "-fno-builtin",
    "-fno-sanitize=all",
)


def compile_flags(compiler: Compiler, profile: Profile, kind: TargetKind, tools: Path) -> tuple[str, ...]:
    """Of the target's sources. `tools` holds our stand-in for gcc's assembler (runtime/as)."""
    position = "-fPIC" if kind is TargetKind.HARNESS else "-fPIE"
    shared = (
        "-g",
        "-O1",
        position,
        "-fno-omit-frame-pointer",
        "-fno-optimize-sibling-calls",
        *_naming(compiler),
        "-U_FORTIFY_SOURCE",
    )
    match profile:
        case Profile.COVERAGE:  # each line's own code, in its place: nothing is optimised
            guards = ("-fno-stack-protector", "-U_FORTIFY_SOURCE")
            return ("-g", "-O0", position, *guards, *_quiet(compiler), *_reached(compiler, tools))
        case Profile.PLAIN:
            return (*shared, "-fno-stack-protector", *_quiet(compiler))
        case Profile.ASAN:
            return (*shared, "-fno-stack-protector", *_sanitize(), "-fno-sanitize-recover=undefined")
        case Profile.HARDENED:
            level = fortify_level(compiler)
            guards = ("-fstack-protector-strong", *((f"-D_FORTIFY_SOURCE={level}",) if level else ()))
            return (*shared, *guards, *_quiet(compiler), *_coverage(compiler, kind, tools))


def honoured(profile: Profile, cflags: tuple[str, ...]) -> tuple[str, ...]:
    """The target's own flags, which come last and win: a choice of stack protector or FORTIFY is one of the hardened
    build; the others stand for code without them."""
    if profile is Profile.HARDENED:
        return cflags
    return tuple(flag for flag in cflags if not GUARD_FLAG.match(flag))


def link_flags(compiler: Compiler, profile: Profile) -> tuple[str, ...]:
    """Of an executable."""
    if profile is Profile.ASAN:
        return ("-pie", *_sanitize())
    if profile is Profile.COVERAGE:  # reached.c comes out of an archive, and gcc's code does not call for it
        return ("-pie", "-Wl,-u,firedamp_last_page", *_quiet(compiler))
    return ("-pie", "-Wl,-z,relro", "-Wl,-z,now", *_quiet(compiler))


def library_flags(compiler: Compiler) -> tuple[str, ...]:
    """Of the library that libFuzzer drives. -Bsymbolic: its calls must not land in Python's own zlib or expat."""
    return ("-shared", "-Wl,-z,relro", "-Wl,-z,now", "-Wl,-Bsymbolic", *_quiet(compiler))


def guard_sources(profile: Profile, ldflags: tuple[str, ...]) -> tuple[str, ...]:
    """Our own sources behind everything that the target links, so that a function of its own goes before ours.

    A static program has no second definition to which ours could pass a call on.
    """
    if profile is Profile.COVERAGE:
        return ("reached.c",)
    static = any(flag in {"-static", "-static-pie"} for flag in ldflags)
    return ("format.c", "format_calls.c") if profile is Profile.HARDENED and not static else ()


def runtime_sources(compiler: Compiler, profile: Profile, kind: TargetKind) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Names of our own sources in the executable, and in the library (none: there is no library)."""
    if kind is TargetKind.PROGRAM:
        return (PROGRAM if profile is Profile.HARDENED else ()), ()
    if profile is not Profile.HARDENED:
        return ("replay.c", *(("serve.c",) if profile is Profile.ASAN else ())), ()
    counters = ("gcc_coverage.c",) if compiler.name == "gcc" else ()
    always = ("monitor.c", "history.c", "custom.c", *SURVIVAL, *COMPARISONS)
    return ("replay.c", "coverage_off.c"), (*always, *counters)


def wrapping(compiler: Compiler, profile: Profile, kind: TargetKind) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """How a program's string comparisons are seen: sources of ours, and what ld needs. zig's linker cannot do it."""
    if kind is not TargetKind.PROGRAM or profile is not Profile.HARDENED or compiler.name == "zig":
        return (), ()
    return ("program_strings.c",), tuple(f"-Wl,--wrap={name}" for name in COMPARED)


def _naming(compiler: Compiler) -> tuple[str, ...]:
    if compiler.name == "gcc":
        return (
            "-fno-inline-functions-called-once",
            "-fno-ipa-sra",
            "-fno-partial-inlining",
            "-fno-semantic-interposition",
        )
    return ("-finline-hint-functions",)


def _coverage(compiler: Compiler, kind: TargetKind, tools: Path) -> tuple[str, ...]:
    calls = tuple(f"-fno-builtin-{name}" for name in COMPARED)
    if kind is TargetKind.PROGRAM:
        fuzzing = FUZZING_CODE_ONLY if compiler.name == "clang" else ()
        return (*calls, *fuzzing, "-fsanitize-coverage=trace-pc,trace-cmp")
    match compiler.name:
        case "gcc":
            return (*calls, "-fsanitize-coverage=trace-pc,trace-cmp", f"-B{tools}/")
        case "zig":
            return (*calls, "-fsanitize-coverage=inline-8bit-counters,pc-table,trace-cmp")
        case _:
            # All of libFuzzer's own coverage, and code that is optimised for it (branches are not folded together); its
            # stack-depth hook alone would need the sanitizer's runtime.
            return (*calls, "-fsanitize=fuzzer-no-link", "-fno-sanitize-coverage=stack-depth")


def _reached(compiler: Compiler, tools: Path) -> tuple[str, ...]:
    """A flag for each block, those whose flag follows from another's included."""
    if compiler.name == "gcc":
        return ("-fsanitize-coverage=trace-pc", f"-B{tools}/reached/")
    return ("-fsanitize-coverage=edge,no-prune,inline-bool-flag,pc-table",)


def _sanitize() -> tuple[str, ...]:
    return ("-fsanitize=address,undefined",)


def _quiet(compiler: Compiler) -> tuple[str, ...]:
    """zig turns UBSan on by itself, in a form that only traps."""
    return ("-fno-sanitize=undefined",) if compiler.name == "zig" else ()

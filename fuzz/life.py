"""What one worker does with its one call of LLVMFuzzerRunDriver, for each kind of target."""

import ctypes
import importlib.util
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, assert_never

from firedamp.errors import ToolMissing
from firedamp.target import TargetKind
from fuzz.mutation import Mutator
from fuzz.plan import Plan
from fuzz.structure import Structure, load_function, load_strategy

Life = Callable[[list[str]], int]  # libFuzzer's argv -> exit status; seldom returns


def prepare(plan: Plan) -> Life:
    """Load all that lives have in common. Runs once, before the first fork; no execution happens here."""
    mutator = _load_mutator(plan)
    fuzzer = libfuzzer()
    match plan.kind:
        case TargetKind.HARNESS:
            return _harness(plan, fuzzer, mutator)
        case TargetKind.PROGRAM | TargetKind.COMMAND:
            from fuzz.program import program_life

            return program_life(plan, fuzzer, mutator)
        case TargetKind.PYTHON:
            from fuzz.pyharness import python_life

            return python_life(plan)
        case _:
            assert_never(plan.kind)


def _load_mutator(plan: Plan) -> Mutator | None:
    if plan.mutator is None:
        return None
    mutator = Mutator.load(plan.mutator)
    if plan.structure is not None:
        load = load_strategy if plan.is_strategy else load_function
        function = load(plan.structure, plan.root)
        mutator.ask(Structure(function=function, folder=Path(plan.private)), plan.structure_period)
    return mutator


def libfuzzer() -> ctypes.CDLL:
    """libFuzzer out of Atheris' wheel, its coverage hooks visible to everything that is loaded later.

    `find_spec` looks without importing: a C target needs nothing of Atheris but this library.
    """
    spec = importlib.util.find_spec("atheris")
    found = sorted(Path(spec.origin).parent.glob("core_with_libfuzzer*.so")) if spec and spec.origin else []
    if not found:
        raise ToolMissing("atheris: its core_with_libfuzzer library is not installed; run `pip install atheris`")
    return ctypes.CDLL(str(found[0]), ctypes.RTLD_GLOBAL)


def run_driver(fuzzer: ctypes.CDLL, argv: list[str], callback: Any, initialize: Any = None) -> int:
    """LLVMFuzzerRunDriver(&argc, &argv, callback); `initialize` is the target's LLVMFuzzerInitialize."""
    argc = ctypes.c_int(len(argv))
    vector = (ctypes.c_char_p * (len(argv) + 1))(*(word.encode("utf-8", "surrogateescape") for word in argv), None)
    pointer = ctypes.cast(vector, ctypes.POINTER(ctypes.c_char_p))
    if initialize is not None:
        initialize(ctypes.byref(argc), ctypes.byref(pointer))
    return int(fuzzer.LLVMFuzzerRunDriver(ctypes.byref(argc), ctypes.byref(pointer), callback))


def _harness(plan: Plan, fuzzer: ctypes.CDLL, mutator: Mutator | None) -> Life:
    """C all the way: libFuzzer calls the target's runtime, no Python per execution."""
    library = ctypes.CDLL(plan.library)
    library.firedamp_attach.argtypes = [ctypes.c_int, ctypes.c_size_t]
    if failed := library.firedamp_attach(plan.monitor_fd, plan.monitor_bytes):
        raise OSError(failed, f"monitor: cannot be mapped: {os.strerror(failed)}")
    library.firedamp_attach_history.argtypes = [ctypes.c_int, ctypes.c_size_t]
    if failed := library.firedamp_attach_history(plan.history_fd, plan.history_bytes):
        raise OSError(failed, f"history: cannot be mapped: {os.strerror(failed)}")
    if plan.survive:
        library.firedamp_survive.argtypes = [ctypes.c_int, ctypes.c_size_t]
        if failed := library.firedamp_survive(plan.events_fd, plan.events_bytes):
            raise OSError(failed, f"survival: cannot be prepared: {os.strerror(failed)}")
    library.firedamp_sample_comparisons.argtypes = [ctypes.c_uint64]
    library.firedamp_sample_comparisons(plan.sample)

    if mutator is not None:
        mutator.serve(fuzzer, library)

    def live(argv: list[str]) -> int:
        if mutator is not None:
            argv = mutator.adapt(argv)
        return run_driver(fuzzer, argv, library.firedamp_one_input, library.firedamp_initialize)

    return live

"""Python targets inside the fuzzing child: Atheris feeds the function, the monitor keeps its input."""

import importlib
from typing import Any

from fuzz.harness import load
from fuzz.life import Life
from fuzz.monitor import Monitor
from fuzz.plan import Plan


def python_life(plan: Plan) -> Life:
    """The target's package is imported under Atheris' instrumentation, once for all lives; what it uses is not.

    libFuzzer's library must be global by then (fuzz.life does it): the C extensions that the module loads are
    instrumented and look for its hooks.
    """
    atheris: Any = importlib.import_module("atheris")
    assert plan.harness is not None
    with atheris.instrument_imports(include=[plan.harness.partition(":")[0].partition(".")[0]]):
        function = load(plan.harness, plan.root)
    monitor = Monitor(plan.monitor_fd, plan.monitor_bytes)

    def one_input(data: bytes) -> None:
        monitor.enter(data)
        function(data)
        monitor.leave()

    def live(argv: list[str]) -> int:
        # internal_libfuzzer: Atheris takes a visible LLVMFuzzerRunDriver for a preloaded one and dies in Fuzz()
        atheris.Setup(argv, one_input, internal_libfuzzer=True)
        atheris.Fuzz()
        return 0

    return live

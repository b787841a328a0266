"""Python targets inside the fuzzing child: Atheris feeds the function, the monitor keeps its input."""

import importlib
from pathlib import Path
from typing import Any

from fuzz.harness import load
from fuzz.history import History
from fuzz.life import Life
from fuzz.monitor import Monitor
from fuzz.plan import Plan
from fuzz.shared_memory import SharedMemory


def python_life(plan: Plan) -> Life:
    """The project's modules are imported under Atheris' instrumentation, once for all lives; installed ones are not.

    libFuzzer's library must be global by then (fuzz.life does it): the C extensions that the module loads are
    instrumented and look for its hooks.
    """
    atheris: Any = importlib.import_module("atheris")
    assert plan.harness is not None
    with atheris.instrument_imports(include=project_modules(Path(plan.root))):
        function = load(plan.harness, plan.root)
    monitor = Monitor(SharedMemory(plan.monitor_fd, plan.monitor_bytes))
    history = History(SharedMemory(plan.history_fd, plan.history_bytes))

    def one_input(data: bytes) -> None:
        monitor.enter(data)
        history.append(data)
        function(data)
        monitor.leave()

    def live(argv: list[str]) -> int:
        # internal_libfuzzer: Atheris takes a visible LLVMFuzzerRunDriver for a preloaded one and dies in Fuzz()
        atheris.Setup(argv, one_input, internal_libfuzzer=True)
        atheris.Fuzz()
        return 0

    return live


def project_modules(root: Path) -> list[str]:
    """Top-level modules and packages that lie in the project's folder."""
    names = (path.stem if path.suffix == ".py" else path.name for path in root.iterdir())
    return sorted(name for name in names if name.isidentifier())

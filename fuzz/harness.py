"""Python harnesses: `package.module:function` called with bytes, a FuzzedDataProvider, or through Hypothesis.

Run as a program (python -P -m fuzz.harness --root ROOT MODULE:FUNCTION FILE...) it is a fresh process, of one input or
of several in turn.
"""

import importlib
import inspect
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from firedamp import uncaught

OneInput = Callable[[bytes], None]


def load(name: str, root: str) -> OneInput:
    """The harness as a function of bytes. ImportError and AttributeError tell what is missing."""
    sys.path.insert(0, root)
    module, _, path = name.partition(":")
    function: Any = importlib.import_module(module)
    for part in path.split("."):
        function = getattr(function, part)
    return adapt(function)


def adapt(function: Any) -> OneInput:
    """Bytes go in as the function wants them."""
    hypothesis = getattr(function, "hypothesis", None)
    if hypothesis is not None and hasattr(hypothesis, "fuzz_one_input"):
        one_input: OneInput = hypothesis.fuzz_one_input
        return one_input
    if wants_provider(function):
        from atheris import FuzzedDataProvider

        return lambda data: function(FuzzedDataProvider(data))
    direct: OneInput = function
    return direct


def wants_provider(function: Any) -> bool:
    """Whether the first parameter is annotated atheris.FuzzedDataProvider, evaluated or as text."""
    parameters = list(inspect.signature(function).parameters.values())
    annotation = parameters[0].annotation if parameters else None
    name = annotation if isinstance(annotation, str) else getattr(annotation, "__name__", "")
    return str(name).rpartition(".")[2] == "FuzzedDataProvider"


def main() -> None:
    match sys.argv[1:]:
        case ["--root", root, name, first, *more]:
            one_input = load(name, root)
            try:
                for file in (first, *more):
                    one_input(Path(file).read_bytes())
            except Exception as error:
                uncaught.tell(error, root=root)
                raise
        case words:
            print(f"{words}: are not the arguments; they are --root ROOT MODULE:FUNCTION FILE...", file=sys.stderr)
            sys.exit(2)


if __name__ == "__main__":
    main()

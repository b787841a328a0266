"""ENGINE: coverage-guided bytes. libFuzzer (out of Atheris' wheel) drives compiled C directly, in a child process.

Importing this package loads neither Atheris nor a target: both live in the child that `fuzz.supervisor` starts. Nor
does it load the engine before somebody asks for it, since that child starts here, too.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fuzz.engine import ENGINE

__all__ = ["ENGINE"]


def __getattr__(name: str) -> object:  # PEP 562
    if name != "ENGINE":
        raise AttributeError(name)
    from fuzz.engine import ENGINE

    return ENGINE

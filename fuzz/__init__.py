"""ENGINE: coverage-guided bytes. libFuzzer (out of Atheris' wheel) drives compiled C directly, in a child process.

Importing this package loads neither Atheris nor a target: both live in the child that `fuzz.supervisor` starts.
"""

from fuzz.engine import ENGINE

__all__ = ["ENGINE"]

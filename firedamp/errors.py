"""Every exception of ours. The misbehaviour of a target is data (an Outcome), never one of these.

FiredampError
├── UsageError                 exit 2: what the user wrote cannot be done as written
│   ├── ConfigError            firedamp.toml: every mistake at once, each with its path
│   ├── PolicyError            a policy or an -e expression: line, column, what was expected
│   ├── BuildError             the target does not compile or lacks a symbol: the compiler's own words
│   └── UnguardedTarget        no guard of ours could fire in this binary
└── EnvironmentFailure         exit 3: this machine cannot do what was asked
    ├── ToolMissing            a compiler, Atheris, a kernel feature
    ├── StoreError             the database of findings is damaged, locked, or from a newer version
    │   └── DiskFull           a search waits for room, everything else ends
    └── WorkerDied             our own tracer process ended; never the target's fault

A message states the value, the rule that it broke and the remedy.
"""


class FiredampError(Exception):
    """Root of the tree; `exit_code` is what the command line leaves with."""

    exit_code = 3


class UsageError(FiredampError):
    exit_code = 2


class ConfigError(UsageError):
    """All mistakes of one configuration file, in file order."""

    def __init__(self, problems: tuple[str, ...]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


class PolicyError(UsageError):
    """A mistake in a policy text; `line` and `column` count from 1."""

    def __init__(self, message: str, *, line: int, column: int, source: str = "<policy>") -> None:
        super().__init__(f"{source}:{line}:{column}: {message}")
        self.message = message
        self.line = line
        self.column = column
        self.source = source


class BuildError(UsageError):
    pass


class UnguardedTarget(UsageError):
    pass


class EnvironmentFailure(FiredampError):
    exit_code = 3


class ToolMissing(EnvironmentFailure):
    pass


class StoreError(EnvironmentFailure):
    pass


class DiskFull(StoreError):
    pass


class WorkerDied(EnvironmentFailure):
    pass

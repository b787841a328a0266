"""What the supervisor tells its child, as one JSON argument: a value that both sides share."""

import json
from dataclasses import asdict, dataclass

from firedamp.target import InputMode, TargetKind


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Numbers are descriptors that the child inherits; names are absolute."""

    kind: TargetKind
    folder: str  # the private working folder
    writable: tuple[str, ...]
    output_bytes: int  # of any file that the target writes
    supervisor_pid: int = 0
    control_fd: int = -1  # the supervisor's requests, one JSON line each; its end of file ends everything
    status_fd: int = -1  # the child's answers, one JSON line each
    log_fd: int = -1  # libFuzzer's own output
    monitor_fd: int = -1
    monitor_bytes: int = 0
    history_fd: int = -1
    history_bytes: int = 0
    events_fd: int = -1  # of a HARNESS whose detections are survived
    events_bytes: int = 0
    library: str | None = None  # of a HARNESS
    survive: bool = False  # a detection ends the execution and not the life
    mutator: str | None = None  # the library that libFuzzer's mutations pass through
    structure: str | None = None  # "package.module:name" of the user's mutator
    is_strategy: bool = False  # of Hypothesis, not a function
    structure_period: int = 1  # mutations to one of the user's
    private: str = ""  # folder for what the mutator costs
    sample: int = 1  # comparisons are reported to libFuzzer in one of so many executions
    command: tuple[str, ...] = ()  # of a PROGRAM or COMMAND, with argv[0]
    input: InputMode = InputMode.BUFFER
    covered: bool = False  # the program fills a coverage map
    spool: str = ""  # folder for the inputs that killed a program
    wall_s: float = 5.0
    cpu_s: float = 5.0
    harness: str | None = None  # of a PYTHON target
    root: str = ""

    def dump(self) -> str:
        return json.dumps(asdict(self))

    @classmethod
    def load(cls, text: str) -> "Plan":
        fields = json.loads(text)
        for name in ("writable", "command"):
            fields[name] = tuple(fields[name])
        return cls(**{**fields, "kind": TargetKind(fields["kind"]), "input": InputMode(fields["input"])})

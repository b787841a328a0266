"""What we know of one traced thread between its stops."""

from dataclasses import dataclass, field

from firedamp.trace.call import StoppedCall, thread_group


@dataclass(slots=True, kw_only=True)
class Exit:
    """What is due at the exit stop of the call that a thread is in."""

    call: StoppedCall
    replace: int | None = None
    watch: bool = False
    signal: int | None = None
    delay_s: float = 0.0
    restore: tuple[tuple[int, int], ...] = ()  # argument registers that we changed: a program may rely on them


@dataclass(slots=True, kw_only=True)
class Tracee:
    tid: int
    exit: Exit | None = None
    leader: bool = False  # of its process, as far as we know without asking
    _process: int | None = field(default=None)

    def process(self) -> int:
        """The number of its process: asked only when somebody wants to know."""
        if self._process is None:
            self._process = self.tid if self.leader else thread_group(self.tid)
        return self._process

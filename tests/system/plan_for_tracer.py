"""An Interceptor for the tracer's tests: what to do at which stop of which call. The worker imports it by this name."""

from dataclasses import dataclass, field

from firedamp.trace.protocol import PROCEED, Action, Call


@dataclass(slots=True)
class Plan:
    """`actions[number]`: what becomes of the `nth` call (from 1; 0: of all) with that number."""

    actions: dict[int, tuple[int, Action]]
    entered: list[tuple[str, tuple[int, ...]]] = field(default_factory=list)
    left: list[tuple[str, int]] = field(default_factory=list)
    notes: list[object] = field(default_factory=list)
    look: str = ""  # name of a question that is asked at each stop
    seen: dict[int, int] = field(default_factory=dict)

    def numbers(self) -> frozenset[int]:
        return frozenset(self.actions)

    def enter(self, call: Call) -> Action:
        nth, action = self.actions[call.number]
        count = self.seen[call.number] = self.seen.get(call.number, 0) + 1
        self.entered.append((call.name, call.arguments))
        match self.look:
            case "string":
                self.notes.append(call.string(call.arguments[1]))
            case "descriptor":
                fd = call.arguments[0]
                self.notes.append((call.descriptor_path(fd), call.descriptor_flags(fd), call.folder(), call.program()))
            case "signals":
                self.notes.append(call.caught_signals() != 0)
            case "stack":
                self.notes.append(call.stack())
            case "ids":
                self.notes.append((call.pid, call.tid))
            case "raise":
                raise RuntimeError("a mistake in an interceptor")
        return action if nth in (0, count) else PROCEED

    def leave(self, call: Call, result: int) -> None:
        self.left.append((call.name, result))

    def report(self) -> object:
        return self

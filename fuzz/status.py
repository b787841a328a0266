"""What libFuzzer says on its own descriptor: `#1048576 pulse cov: 9 ft: 12 corp: 3/40b ...`. Pure text to values."""

import re
from dataclasses import dataclass

_LINE = re.compile(
    r"^#(?P<runs>\d+)\s+(?P<event>[A-Za-z]+)"
    r"(?:\s+cov: (?P<cov>\d+))?(?:\s+ft: (?P<ft>\d+))?(?:\s+corp: (?P<corp>\d+)/)?",
    re.MULTILINE,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """The state of one life. `initialised`: every input of the corpus was run once and survived."""

    initialised: bool = False
    runs: int = 0
    edges: int = 0
    features: int = 0
    corpus: int = 0

    def after(self, text: str) -> "Status":
        """This state once the complete lines of `text` were said too; other lines are passed over."""
        state = self
        for said in _LINE.finditer(text):
            state = Status(
                initialised=state.initialised or said["event"] in {"INITED", "DONE"},
                runs=int(said["runs"]),
                edges=max(state.edges, int(said["cov"] or 0)),
                features=max(state.features, int(said["ft"] or 0)),
                corpus=int(said["corp"] or state.corpus),
            )
        return state

"""results/<target>/journal.jsonl: one flushed line for each event, so that a dead machine leaves a story."""

import json
import time
from pathlib import Path
from types import TracebackType


class Journal:
    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = path.open("a", encoding="utf-8")

    def __enter__(self) -> "Journal":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def write(self, event: str, **facts: object) -> None:
        self._file.write(json.dumps({"time": round(time.time(), 3), "event": event, **facts}) + "\n")
        self._file.flush()

import json
from pathlib import Path

from firedamp.report.journal import read, story


def test_a_journal_is_told_and_kills_are_seen(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    death = {"event": "life", "signal": 6, "status": None, "inside": True}
    events: list[dict[str, object]] = [
        {"event": "start", "seed": 1, "corpus": 0, "seeds": 2},
        death,
        death,
        {"event": "finding", "id": "b7cd", "kind": "abort", "confirmed": [3, 3], "state": "new"},
        death,
        {"event": "start", "seed": 2, "corpus": 9, "seeds": 2},
        {"event": "paused", "reason": "disk"},
        {"event": "stop", "executions": 12345, "edges": 7, "corpus": 9},
        {"event": "start", "seed": 3, "corpus": 9, "seeds": 2},
    ]
    lines = [json.dumps({"time": 1.7e9 + n, **event}) for n, event in enumerate(events)]
    path.write_text("\n".join(lines) + '\n{"time": 17, "ev')
    told = [line.split("  ", 1)[1] for line in story(read(path))]
    assert told == [
        "start: seed 1, 0 inputs in the corpus, 2 seeds",
        "the fuzzing process ended in the target, signal 6, 2 times in a row",
        "finding b7cd: abort, came back 3 of 3, new",
        "the fuzzing process ended in the target, signal 6",
        "the run before ended without a word: killed, or the machine went down",
        "start: seed 2, 9 inputs in the corpus, 2 seeds",
        "paused: reason disk",
        "stop: 12,345 executions, 7 edges, corpus 9",
        "start: seed 3, 9 inputs in the corpus, 2 seeds",
    ]

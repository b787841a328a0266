"""A campaign's journal for a person: results/TARGET/journal.jsonl, one line per event.

Deaths of one kind in a row are summed. A line that a kill left half written is passed over.
"""

import json
from collections.abc import Iterable, Iterator
from contextlib import suppress
from datetime import datetime
from itertools import groupby
from pathlib import Path
from typing import Any

from firedamp.plural import counted
from firedamp.report.printable import one_line

Event = dict[str, Any]


def read(path: Path) -> Iterator[Event]:
    with path.open(encoding="utf-8", errors="replace") as file:
        for line in file:
            with suppress(ValueError):
                event = json.loads(line)
                if isinstance(event, dict) and isinstance(event.get("time"), int | float) and "event" in event:
                    yield event


def story(events: Iterable[Event]) -> Iterator[str]:
    """Oldest first. Deaths that nobody was told of are summed; a start after a start was a kill."""
    under_way = False
    for _, group in groupby(events, key=_alike):
        together = list(group)
        first = together[0]
        if first["event"] == "start" and under_way:
            yield f"{_when(first)}  the run before ended without a word: killed, or the machine went down"
        under_way = first["event"] != "stop" and (under_way or first["event"] == "start")
        yield one_line(f"{_when(first)}  {_words(first, len(together))}")


def _alike(event: Event) -> object:
    """Deaths of one cause in a row are one line; every other event is its own."""
    if event["event"] == "life":
        return event.get("signal"), event.get("status"), event.get("inside")
    return event["event"], event["time"], id(event)


def _when(event: Event) -> str:
    return datetime.fromtimestamp(event["time"]).astimezone().isoformat(sep=" ", timespec="seconds")


def _words(event: Event, times: int) -> str:
    match event["event"]:
        case "start":
            corpus, seeds = counted(event.get("corpus", 0), "input"), counted(event.get("seeds", 0), "seed")
            return f"start: seed {event.get('seed')}, {corpus} in the corpus, {seeds}"
        case "stop":
            executions, edges = counted(event.get("executions", 0), "execution"), counted(event.get("edges", 0), "edge")
            return f"stop: {executions}, {edges}, corpus {event.get('corpus')}"
        case "finding":
            n, m = event.get("confirmed", (0, 0))
            return f"finding {event.get('id')}: {event.get('kind')}, came back {n} of {m}, {event.get('state')}"
        case "life":
            return _death(event, times)
        case other:
            facts = ", ".join(f"{key} {value}" for key, value in event.items() if key not in ("time", "event"))
            return f"{other}: {facts}" if facts else str(other)


def _death(event: Event, times: int) -> str:
    cause = f"signal {event['signal']}" if event.get("signal") is not None else f"exit status {event.get('status')}"
    where = "in the target" if event.get("inside") else "between executions"
    return f"the fuzzing process ended {where}, {cause}" + (f", {times} times in a row" if times > 1 else "")

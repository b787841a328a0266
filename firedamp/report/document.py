"""Findings as JSON: the contract with scripts. Null where something is unknown; nothing is read or run here."""

import json
import os
import sys
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from firedamp import cwe
from firedamp.campaign import Summary
from firedamp.engine import Progress
from firedamp.finding import Detection, Finding
from firedamp.outcome import Frame

SCHEMA = 1


def document(findings: Iterable[Finding], *, root: Path, results: Path, **facts: object) -> str:
    """One JSON object. `root` is the project, `results` the folder of the database."""
    body = {"schema": SCHEMA, "findings": [finding(each, root=root, results=results) for each in findings], **facts}
    return json.dumps(body, indent=2)


def finding(each: Finding, *, root: Path, results: Path) -> dict[str, Any]:
    detection = each.detection
    return {
        "id": each.id,
        "kind": detection.kind,
        "target": each.target,
        "engine": each.engine,
        **place(detection, root),
        "cwe": detection.cwe or None,
        "cwe_name": cwe.NAMES.get(detection.cwe),
        "severity": detection.severity.value,
        "reach": detection.reach.value if detection.reach else None,
        "effect": detection.effect.value if detection.effect else None,
        "because": detection.because or None,
        "message": detection.message,
        **({} if detection.smash is None else {"canary": asdict(detection.smash)}),
        "count": each.count,
        "confirmed": list(each.confirmed),
        "state": each.state.value,
        "reproducer": each.reproducer or None,
        "replay": list(replay_command(each.id, results)),
        "first_seen": each.first_seen,
        "last_seen": each.last_seen,
    }


def place(detection: Detection, root: Path) -> dict[str, Any]:
    """function, file and line of the failing check; `write_line` where the bad write itself is known."""
    frame = detection.frame
    facts: dict[str, Any] = {
        "function": frame.function if frame else None,
        "file": source_file(frame, root),
        "line": frame.line if frame else None,
    }
    write_line = getattr(detection, "write_line", None)
    return facts if write_line is None else facts | {"write_line": write_line}


def source_file(frame: Frame | None, root: Path) -> str | None:
    """Relative to the project where it lies inside."""
    if frame is None or frame.file is None:
        return None
    path = Path(os.path.normpath(root / frame.file))
    return str(path.relative_to(root)) if path.is_relative_to(root) else str(path)


def hints(detections: Iterable[Detection], root: Path) -> list[dict[str, Any]]:
    return [
        {"kind": each.kind, "message": each.message, "severity": each.severity.value, **place(each, root)}
        for each in detections
    ]


def of_fuzz(progress: Progress, summary: Summary) -> dict[str, Any]:
    return {
        "executions": progress.executions,
        "executions_per_s": round(progress.executions_per_s, 1),
        "wall_s": round(summary.wall_s, 3),
        "edges": progress.edges,
        "corpus": progress.corpus,
        "stability": None if progress.stability is None else round(progress.stability, 4),
        "survived": progress.survived,
        "signatures": progress.signatures,
        "interrupted": summary.interrupted,
        "notes": list(progress.notes),
    }


def of_sweep(progress: Progress, summary: Summary, root: Path) -> dict[str, Any]:
    """faults = runs + taken_over + skipped + left; `executions` also counts runs whose fault did not strike."""
    skips: Mapping[str, int] = progress.skips
    return {
        "runs": progress.done,
        "executions": progress.executions,
        "sites": progress.sites,
        "faults": progress.planned,
        "pairs": progress.pairs,
        "taken_over": progress.taken_over,
        "left": progress.left,
        "skipped": sum(skips.values()),
        "skips": dict(skips),
        "hints": len(summary.hints),
        "hinted": hints(summary.hints, root),
        "benign": summary.benign,
        "complete": progress.complete,
        "recovery": None if progress.recovery is None else str(progress.recovery),
        "wall_s": round(summary.wall_s, 3),
        "interrupted": summary.interrupted,
        "notes": list(progress.notes),
    }


def program() -> tuple[str, ...]:
    """How this firedamp is called from any folder: the installed script, or this interpreter with the module."""
    script = Path(sys.argv[0])
    if script.name == "firedamp" and script.is_absolute() and os.access(script, os.X_OK) and script.is_file():
        return (str(script),)
    beside = Path(sys.executable).parent / "firedamp"
    if os.access(beside, os.X_OK):
        return (str(beside),)
    return sys.executable, "-P", "-m", "firedamp"


def replay_command(name: str, results: Path) -> tuple[str, ...]:
    """argv that replays a finding from any folder."""
    return (*program(), "replay", "--results", str(results.absolute()), name)

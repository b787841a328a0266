"""An exception of a Python harness that nobody caught: told by its own process in a file, read back as values.

The file lies in the run's private folder; what a program prints proves nothing.
"""

import json
import os
import traceback
from pathlib import Path

from firedamp.outcome import Frame

NAME = "uncaught.json"


def tell(error: BaseException, *, root: str) -> None:
    """To be called in the process that is about to end. Files beneath `root` are the project's own."""
    folder = os.environ.get("TMPDIR")
    if folder is None:
        return
    calls = traceback.extract_tb(error.__traceback__)
    frames = [(call.filename, call.name, call.lineno, call.filename.startswith(f"{root}/")) for call in reversed(calls)]
    text = json.dumps({"exception": type(error).__name__, "message": str(error)[:200], "frames": frames})
    (Path(folder) / NAME).write_text(text)


def read(folder: Path) -> tuple[str, tuple[Frame, ...]]:
    """Type and message, and the stack, innermost first; empty where nothing was told, or nothing that makes sense."""
    try:
        told = json.loads((folder / NAME).read_text())
        frames = tuple(
            Frame(
                module=str(file),
                offset=int(line),
                function=str(function),
                file=str(file),
                line=int(line),
                own=bool(own),
            )
            for file, function, line, own in told["frames"]
        )
        return f"{told['exception']}: {told['message']}", frames
    except (OSError, ValueError, TypeError, KeyError):
        return "", ()

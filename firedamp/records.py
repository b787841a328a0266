"""By what a folder of results is known, wherever --results put it: no run and no build takes it for the program's."""

import os

NAME = "findings.db"


def holds_results(folder: str | os.PathLike[str]) -> bool:
    return os.path.lexists(os.path.join(folder, NAME))  # noqa: PTH118 (names of any bytes)

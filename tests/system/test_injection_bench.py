"""The script that measures the injector still measures: all sides of a row, and a table of them."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[1] / "bench" / "injection.py"


@pytest.mark.needs("gcc", "ptrace", "seccomp", "strace")
def test_every_side_of_a_row_is_measured(tmp_path: Path) -> None:
    words = [sys.executable, str(SCRIPT), "--quick", "--only", "single", "--results", str(tmp_path)]
    subprocess.run(words, check=True, capture_output=True)
    rows = json.loads((tmp_path / "injection.json").read_text())["rows"]
    assert [row["group"] for row in rows] == ["run", "run", "judged", "judged", "run"]
    for row in rows:
        assert all(value > 0 for value in row["us"].values())
        assert row["ratio"] == row["us"]["firedamp"] / row["us"]["plain"]
    assert (tmp_path / "injection.md").read_text().count("| run |") == 3

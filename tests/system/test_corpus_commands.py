"""firedamp corpus, as a user types it, on a real target."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from firedamp.exchange import digest

FIREDAMP = (sys.executable, "-P", "-m", "firedamp")
HARNESS = """
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  if (!size) return 0;
  if (data[0] == '!') abort();
  if (data[0] == 'a') puts("first");
  if (data[0] == 'b') puts("second");
  if (size > 3) puts("long");
  return 0;
}
"""
CONFIG = '[targets.t]\nsources = ["t.c"]\nseeds = "seeds"\n'


def run(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*FIREDAMP, *words], cwd=folder, capture_output=True, text=True, timeout=250, check=False)


@pytest.mark.needs("clang")
def test_a_corpus_comes_in_gets_smaller_and_goes_out(tmp_path: Path) -> None:
    (tmp_path / "firedamp.toml").write_text(CONFIG)
    (tmp_path / "t.c").write_text(HARNESS)
    for name, data in (("seeds/own", b"own"), ("in/1", b"a"), ("in/2", b"aa"), ("in/3", b"!dead"), ("in/4", b"bbbbb")):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(data)
    assert "4 inputs added" in run(tmp_path, "corpus", "import", "t", "in").stdout
    done = run(tmp_path, "corpus", "minimise", "t", "--unguarded", "--json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert (found["kept"], found["spare"], found["quarantined"]) == (2, 1, 1)
    results = tmp_path / "results" / "t"
    left = {name: sorted(path.read_bytes() for path in (results / name).iterdir()) for name in ("corpus", "spare")}
    assert left == {"corpus": [b"a", b"bbbbb"], "spare": [b"aa"]}
    assert [path.name for path in (results / "quarantine").iterdir()] == [digest(b"!dead")]
    assert "3 inputs" in run(tmp_path, "corpus", "export", "t", "out").stdout
    assert sorted(path.read_bytes() for path in (tmp_path / "out").iterdir()) == [b"a", b"bbbbb", b"own"]
    assert (tmp_path / "seeds" / "own").read_bytes() == b"own"
    assert run(tmp_path, "corpus", "export", "t", "firedamp.toml").returncode != 0
    assert "did you mean" in run(tmp_path, "corpus", "export", "tt", "x").stderr


def test_what_holds_no_input_is_refused(tmp_path: Path) -> None:
    (tmp_path / "firedamp.toml").write_text(CONFIG)
    (tmp_path / "t.c").write_text(HARNESS)
    (tmp_path / "seeds").mkdir()
    (tmp_path / "empty").mkdir()
    refused = run(tmp_path, "corpus", "import", "t", "empty")
    assert (refused.returncode, refused.stdout) == (2, "")
    assert "empty: no input is in there; name inputs, folders of them, or archives" in refused.stderr
    (tmp_path / "empty" / "one").write_bytes(b"1")
    assert run(tmp_path, "corpus", "import", "t", "empty").returncode == 0
    assert run(tmp_path, "corpus", "import", "t", "empty").returncode == 0  # known is not nothing

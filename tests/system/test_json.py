"""docs/json.md names every field that a command prints with --json."""

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

FIREDAMP = (sys.executable, "-P", "-m", "firedamp")
DOCUMENTED = frozenset(re.findall(r"`(\w+)`", (Path(__file__).parents[2] / "docs" / "json.md").read_text()))
COPY = ("perl", "-ne", "print", "numbers")
PREPARED = ("--setup", "seq 2000 > numbers", "--stdout", "copy", "--workdir", "work")
RULE = 'write: path match "*/copy" then deny[enospc]'
BY_NAME = ("skips",)  # reasons, not fields, are the keys of its value


def fields(value: object) -> Iterator[str]:
    if isinstance(value, dict):
        yield from value
        for name, inner in value.items():
            if name not in BY_NAME:
                yield from fields(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from fields(inner)


@pytest.mark.slow
@pytest.mark.needs("ptrace", "seccomp", "perl", "gcc")
def test_every_field_is_documented(tmp_path: Path) -> None:
    def printed(*words: str) -> dict[str, Any]:
        done = subprocess.run(
            [*FIREDAMP, *words, "--json"] if "--" not in words else [*FIREDAMP, words[0], "--json", *words[1:]],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=250,
            check=False,
        )
        assert done.returncode in (0, 1), done.stderr
        body = json.loads(done.stdout)
        assert isinstance(body, dict) and body["schema"] == 1
        assert set(fields(body)) <= DOCUMENTED, (words[0], set(fields(body)) - DOCUMENTED)
        return body

    (tmp_path / "work").mkdir()
    (tmp_path / "p").write_text(RULE + "\n")
    (tmp_path / "tool.c").write_text("int main(void) { char b[9]; return b[0] = 0; }\n")
    (tmp_path / "firedamp.toml").write_text('[targets.tool]\nprogram = true\nsources = ["tool.c"]\n')
    swept = printed("sweep", *PREPARED, "--syscall", "write", "--errno", "ENOSPC", "--", *COPY)
    assert swept["findings"]
    assert printed("findings")["findings"] == swept["findings"]
    name = swept["findings"][0]["id"]
    assert printed("show", name)["findings"] and printed("replay", name, "-n", "1")["came_back"] == 1
    assert printed("inject", *PREPARED, "-e", RULE, "--", *COPY)["strikes"]
    assert printed("learn", "-o", "learned", *PREPARED, "--", *COPY)["added"]
    assert printed("enforce", "p", *PREPARED, "--", "true")["strikes"]
    assert printed("policy", "p")["policy"]
    assert printed("policy", "--from-strace", "inject=close:error=EIO")["notes"]
    assert printed("build", "tool", "--compiler", "gcc", "--profile", "plain", "--unguarded")
    assert printed("doctor")["rows"]

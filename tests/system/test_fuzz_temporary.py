"""A harness that writes into /tmp is told so: under our confinement it would silently test nothing."""

import subprocess
from pathlib import Path

import pytest

from fuzz.temporary import find_temporary

pytestmark = pytest.mark.needs("cc")
NAMED = 'char n[64]; sprintf(n, "/tmp/libfuzzer.%d", getpid()); return fopen(n, "wb") == NULL;'


@pytest.mark.parametrize(
    ("body", "what"),
    [
        (NAMED, "'/tmp/libfuzzer.%d'"),
        ("return tmpfile() == NULL;", "tmpfile()"),
        ('puts("see /tmp/notes"); return 0;', None),
        ('puts("/tmp/harness.c"); return 0;', None),
    ],
)
def test_what_points_to_tmp_is_named(body: str, what: str | None, tmp_path: Path) -> None:
    source = tmp_path / "t.c"
    source.write_text(f"#include <stdio.h>\n#include <unistd.h>\nint main(void) {{ {body} }}\n")
    subprocess.run(["cc", "-g", str(source), "-o", str(tmp_path / "t")], check=True)

    assert find_temporary(tmp_path / "t") == what


def test_what_is_no_elf_file_points_nowhere(tmp_path: Path) -> None:
    (tmp_path / "script").write_text("#!/bin/sh\necho /tmp/x\n")

    assert find_temporary(tmp_path / "script") is None

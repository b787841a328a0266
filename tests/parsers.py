"""Our own parsers as targets of our own engine: whatever the bytes are, only the error meant for users leaves them.

`firedamp fuzz policy` and `firedamp fuzz configuration` in this repository (see its firedamp.toml).
"""

import contextlib
from pathlib import Path

from firedamp import config
from firedamp.errors import ConfigError, PolicyError
from inject.policy import parse, unparse


def policy(data: bytes) -> None:
    with contextlib.suppress(PolicyError):
        parsed = parse(data.decode("utf-8", "surrogateescape"))
        assert parse(unparse(parsed)) == parsed


def configuration(data: bytes) -> None:
    path = Path("fuzzed.toml")
    path.write_bytes(data)
    with contextlib.suppress(ConfigError):
        config.load(path)

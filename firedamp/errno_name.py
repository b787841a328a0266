"""The names of errno(3) on this machine."""

import errno

from firedamp.suggestion import did_you_mean

NAMES = frozenset(errno.errorcode.values()) | {"EWOULDBLOCK", "EDEADLOCK", "ENOTSUP"}  # the aliases of Linux


def check_errno(name: str) -> str:
    """The name itself; ValueError, with the nearest one, where there is no such errno."""
    if name not in NAMES:
        raise ValueError(f"{name!r} is no errno{did_you_mean(name.upper(), NAMES)}")
    return name

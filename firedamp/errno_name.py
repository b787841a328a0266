"""What a call can be made to do by name: the names of errno(3) on this machine, and `short` for a short count."""

import errno

from firedamp.suggestion import did_you_mean

NAMES = frozenset(errno.errorcode.values()) | {"EWOULDBLOCK", "EDEADLOCK", "ENOTSUP"}  # the aliases of Linux
SHORT = "short"


def check_errno(name: str) -> str:
    """The name itself; ValueError, with the nearest one, where there is no such errno."""
    if name != SHORT and name not in NAMES:
        remedy = did_you_mean(name.upper(), NAMES) or "; write a name such as ENOSPC, or short"
        raise ValueError(f"{name!r} is no errno{remedy}")
    return name

"""Spans of time for a person."""


def words(seconds: float) -> str:
    """The two largest units: 7 s, 3 min 12 s, 3 h 12 min, 2 d 3 h."""
    whole = int(seconds)
    for unit, size, lesser, small in (("d", 86400, "h", 3600), ("h", 3600, "min", 60), ("min", 60, "s", 1)):
        if whole >= size:
            rest = whole % size // small
            return f"{whole // size} {unit}" + (f" {rest} {lesser}" if rest else "")
    return f"{whole} s"

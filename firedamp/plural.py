"""Numbers of things, for a person."""


def counted(number: int, noun: str) -> str:
    """1 input, 1,024 inputs. `noun` is one that takes an s."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"

"""Text that came from a program, made safe for a terminal: no escape sequence of its own ever reaches the user's."""


def printable(text: str, *, keep: str = "\n\t") -> str:
    r"""Controls, marks that turn the reading direction and bytes that are no UTF-8 become \x1b, \u202e, \xff."""
    if text.isprintable():
        return text
    return "".join(each if each.isprintable() or each in keep else _named(each) for each in text)


def _named(character: str) -> str:
    number = ord(character)
    if 0xDC80 <= number <= 0xDCFF:  # a byte that surrogateescape has let through
        number -= 0xDC00
    if number < 0x100:
        return f"\\x{number:02x}"
    return f"\\u{number:04x}" if number < 0x10000 else f"\\U{number:08x}"


def one_line(text: str) -> str:
    return printable(text, keep="")

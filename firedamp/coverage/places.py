"""The places that a build with the coverage profile counts: an address for each flag, read from its ELF file."""

from pathlib import Path
from struct import Struct

from elftools.elf.elffile import ELFFile

from firedamp.errors import BuildError

FLAGS, TABLE = "__sancov_bools", "__sancov_pcs"
ENTRY = Struct("<QQ")  # address, 1 for a function's first: SanitizerCoverage, pc-table
RELOCATION = Struct("<QQq")  # elf(5), Elf64_Rela
RELATIVE = 8  # R_X86_64_RELATIVE: the address is the addend


def places(executable: Path) -> tuple[int, ...]:
    """In the order of their flags. BuildError where nothing in the file is counted."""
    with executable.open("rb") as stream:
        elf = ELFFile(stream)
        table = elf.get_section_by_name(TABLE)
        if table is None:
            raise BuildError(
                f"{executable}: nothing in it counts what is reached; its code has to be compiled by `sources`, or with"
                " $CC by `prepare`"
            )
        start, content = table["sh_addr"], table.data()
        addresses = [address for address, _ in ENTRY.iter_unpack(content)]
        relocations = elf.get_section_by_name(".rela.dyn")
        for offset, info, addend in RELOCATION.iter_unpack(relocations.data()) if relocations is not None else ():
            index, rest = divmod(offset - start, ENTRY.size)
            if info == RELATIVE and rest == 0 and 0 <= index < len(addresses):
                addresses[index] = addend
        return tuple(addresses)


def flags_bytes(executable: Path) -> int:
    """The size of the file that takes the flags: one byte each, in whole pages."""
    with executable.open("rb") as stream:
        section = ELFFile(stream).get_section_by_name(FLAGS)
        return 0 if section is None else int(section["sh_size"])

"""What an ELF file shows of its own guards. Reads the file after the link; what the flags promised is not asked."""

import struct
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from elftools.common.exceptions import ELFError
from elftools.elf.dynamic import DynamicSection, DynamicTag
from elftools.elf.elffile import ELFFile
from elftools.elf.sections import SymbolTableSection

from firedamp.building.archive import members
from firedamp.building.format_marks import PRINTED
from firedamp.target import Proof

# Every function of glibc 2.36 with a fortified twin `__NAME_chk` (nm -D libc.so.6).
FORTIFIED = frozenset(
    """asprintf confstr dprintf explicit_bzero fdelt fgets fgets_unlocked fgetws fgetws_unlocked fprintf fread
    fread_unlocked fwprintf getcwd getdomainname getgroups gethostname getlogin_r gets getwd longjmp mbsnrtowcs
    mbsrtowcs mbstowcs memcpy memmove mempcpy memset obstack_printf obstack_vprintf poll ppoll pread pread64 printf
    ptsname_r read readlink readlinkat realpath recv recvfrom snprintf sprintf stpcpy stpncpy strcat strcpy strncat
    strncpy swprintf syslog ttyname_r vasprintf vdprintf vfprintf vfwprintf vprintf vsnprintf vsprintf vswprintf
    vsyslog vwprintf wcpcpy wcpncpy wcrtomb wcscat wcscpy wcsncat wcsncpy wcsnrtombs wcsrtombs wcstombs wctomb
    wmemcpy wmemmove wmempcpy wmemset wprintf""".split()  # noqa: SIM905
)
CHECKS = {f"__{name}_chk": name for name in FORTIFIED}
FORMAT_CHECK = "firedamp_check_format"
CANARY = frozenset({"__stack_chk_fail", "__stack_chk_fail_local"})
SANITIZERS = {"__asan_init": "address", "__msan_init": "memory", "__tsan_init": "thread", "__ubsan_handle": "undefined"}

COUNTED = frozenset({"__sancov_cntrs", "__sancov_bools", "__sancov_guards"})
TRACE_PC = "__sanitizer_cov_trace_pc"
_CALL = struct.Struct("<xi")  # e8 rel32

_UNDEFINED = 0  # SHN_UNDEF
_GLOBAL, _WEAK = 1, 2  # STB_*
_SYMBOL_64, _SYMBOL_32 = "IBBHQQ", "IIIBBH"  # elf(5), Elf64_Sym and Elf32_Sym


@dataclass(frozen=True, slots=True, kw_only=True)
class Names:
    """The symbols of one ELF file. `defined` are global ones, weak ones left out."""

    defined: frozenset[str] = frozenset()
    undefined: frozenset[str] = frozenset()
    every: frozenset[str] = frozenset()


def prove(path: Path, objects: tuple[Path, ...] = ()) -> Proof:
    """Of a linked ELF file; `objects` and archives tell the target's own calls from those of the runtime beside it.

    A file that is no ELF (a script) has no guards: an empty proof, no error. Raises OSError where it cannot be read.
    """
    with path.open("rb") as stream:
        try:
            elf = ELFFile(stream)
            linked = _names(elf)
            sections = {section.name for section in elf.iter_sections()}
            counted = TRACE_PC in linked.every and _calls(elf, TRACE_PC)
            pie, relro, static = _is_pie(elf), _relro(elf), not _dynamic(elf)
        except ELFError:
            return Proof(canary=False)
    called = linked.every if static else linked.undefined
    if objects:
        called = frozenset().union(*(_called(item, linked) for item in objects))
    return Proof(
        canary=bool(called & CANARY),
        fortified=tuple(sorted(called & CHECKS.keys())),
        unfortified=tuple(sorted(called & FORTIFIED)),
        # it comes out of an archive, so without objects its being there says that something called for it
        formats=FORMAT_CHECK in linked.every and (not objects or not called.isdisjoint(PRINTED)),
        coverage=counted or not sections.isdisjoint(COUNTED) or TRACE_PC in called,
        sanitizers=_sanitizers(linked.every),
        pie=pie,
        relro=relro,
    )


def names(path: Path) -> Names:
    """Symbols of an ELF file or object; all empty for anything else."""
    with path.open("rb") as stream:
        return _names_in(stream)


def _names_in(stream: BinaryIO) -> Names:
    try:
        return _names(ELFFile(stream))
    except ELFError:
        return Names()


def _called(path: Path, linked: Names) -> frozenset[str]:
    """What the code of one object asks for, or of those members of an archive that are part of the linked file."""
    if path.suffix == ".o":
        return names(path).undefined
    parts, present = map(_names_in, members(path)), linked.every - linked.undefined
    return frozenset().union(*(part.undefined for part in parts if part.defined and part.defined <= present))


def describe(proof: Proof) -> str:
    """One or two lines for a person."""
    guards = [
        "stack canary" if proof.canary else "no stack canary",
        f"{len(proof.fortified)} fortified functions" if proof.fortified else "nothing fortified",
        "formats checked" if proof.formats else "no formats checked",
        *(f"{name} sanitizer" for name in proof.sanitizers),
        "coverage" if proof.coverage else "no coverage",
        "PIE" if proof.pie else "no PIE",
        f"{proof.relro} RELRO" if proof.relro != "none" else "no RELRO",
    ]
    line = ", ".join(guards)
    if proof.unfortified:
        line += f"\nwithout a guard in some calls: {', '.join(proof.unfortified)}"
    if proof.uncounted:
        line += f"\nformat arguments are not counted in {', '.join(proof.uncounted)}"
    return line


def _names(elf: ELFFile) -> Names:
    defined, undefined, every = set(), set(), set()
    layout = ("<" if elf.little_endian else ">") + (_SYMBOL_64 if elf.elfclass == 64 else _SYMBOL_32)
    for table in (".symtab", ".dynsym"):
        section = elf.get_section_by_name(table)
        if section is None or section["sh_type"] == "SHT_NOBITS":  # a file of debug information alone
            continue
        strings: bytes = elf.get_section(section["sh_link"]).data()
        for symbol in struct.iter_unpack(layout, section.data()):
            info, index = (symbol[1], symbol[3]) if elf.elfclass == 64 else (symbol[3], symbol[5])
            start = symbol[0]
            name = strings[start : strings.find(b"\0", start)].partition(b"@")[0].decode("utf-8", "replace")
            every.add(name)
            if index == _UNDEFINED:
                undefined.add(name)
            elif info >> 4 == _GLOBAL:
                defined.add(name)
    return Names(defined=frozenset(defined), undefined=frozenset(undefined), every=frozenset(every))


def _calls(elf: ELFFile, name: str) -> bool:
    """Whether the text has a call of a function that is defined in the file itself."""
    table, text = elf.get_section_by_name(".symtab"), elf.get_section_by_name(".text")
    if not isinstance(table, SymbolTableSection) or text is None:
        return False
    symbols = table.get_symbol_by_name(name) or ()
    defined = {symbol["st_value"] for symbol in symbols if symbol["st_shndx"] != "SHN_UNDEF"}
    code: bytes = text.data() if defined else b""
    place = code.find(b"\xe8")
    while 0 <= place <= len(code) - _CALL.size:
        if text["sh_addr"] + place + _CALL.size + _CALL.unpack_from(code, place)[0] in defined:
            return True
        place = code.find(b"\xe8", place + 1)
    return False


def _sanitizers(every: frozenset[str]) -> tuple[str, ...]:
    return tuple(
        sanitizer for prefix, sanitizer in SANITIZERS.items() if any(name.startswith(prefix) for name in every)
    )


def _is_pie(elf: ELFFile) -> bool:
    if elf["e_type"] != "ET_DYN":
        return False
    flags = [tag["d_val"] for tag in _dynamic(elf) if tag.entry.d_tag == "DT_FLAGS_1"]
    interpreted = any(segment["p_type"] == "PT_INTERP" for segment in elf.iter_segments())
    return interpreted or any(value & 0x08000000 for value in flags)  # DF_1_PIE, elf.h


def _relro(elf: ELFFile) -> str:
    if not any(segment["p_type"] == "PT_GNU_RELRO" for segment in elf.iter_segments()):
        return "none"
    tags = _dynamic(elf)
    flags = {"DT_FLAGS": 0x8, "DT_FLAGS_1": 0x1}  # DF_BIND_NOW, DF_1_NOW, elf.h
    now = any(tag.entry.d_tag == "DT_BIND_NOW" or tag["d_val"] & flags.get(tag.entry.d_tag, 0) for tag in tags)
    return "full" if now or not tags else "partial"  # static: nothing is bound later


def _dynamic(elf: ELFFile) -> list[DynamicTag]:
    section = elf.get_section_by_name(".dynamic")
    return list(section.iter_tags()) if isinstance(section, DynamicSection) else []

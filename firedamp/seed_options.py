"""What OSS-Fuzz lays beside a seed corpus: NAME.dict and NAME.options. firedamp.toml and the command line win over it.

NAME is the target's, or the corpus's own: png_seed_corpus.zip has png.dict and png.options beside it.
"""

import configparser
from collections.abc import Iterator
from dataclasses import dataclass, fields, replace
from pathlib import Path

from firedamp.errors import UsageError
from firedamp.target import Limits, Target

SUFFIX = "_seed_corpus"
SECTION = "libfuzzer"  # others are of sanitizers and of AFL
OURS = frozenset({"dict", "max_len", "timeout", "rss_limit_mb", "artifact_prefix", "close_fd_mask"})
MEBIBYTE = 1 << 20
DEFAULTS = {field.name: field.default for field in fields(Target)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Beside:
    """The target with what holds for it, flags for libFuzzer, and what a person should know of it."""

    target: Target
    flags: tuple[str, ...] = ()
    note: str = ""


def honour(target: Target) -> Beside:
    """UsageError, with the file's name, for options that cannot be read."""
    if target.seeds is None:
        return Beside(target=target)
    options = next(_candidates(target, ".options"), None)
    values = {} if options is None else _read(options)
    given = _limits(target, values, options)
    dictionary = _dictionary(target, values, options)
    if target.dictionary is None and dictionary is not None:
        given = replace(given, dictionary=str(dictionary))
    used = [path.name for path in (options, dictionary if target.dictionary is None else None) if path is not None]
    return Beside(
        target=given,
        flags=tuple(f"-{key}={value}" for key, value in values.items() if key not in OURS),
        note=f"{' and '.join(used)} beside the seeds: used" if used else "",
    )


def _candidates(target: Target, suffix: str) -> Iterator[Path]:
    seeds = target.root / (target.seeds or "")
    names = dict.fromkeys((seeds.stem.removesuffix(SUFFIX), target.name))
    yield from (path for name in names if (path := seeds.parent / f"{name}{suffix}").is_file())


def _dictionary(target: Target, values: dict[str, str], options: Path | None) -> Path | None:
    if options is not None and "dict" in values:
        return options.parent / values["dict"]
    return next(_candidates(target, ".dict"), None)


def _limits(target: Target, values: dict[str, str], options: Path | None) -> Target:
    """What firedamp.toml leaves at its default."""
    limits, least = target.limits, Limits()
    if "timeout" in values and limits.wall_s == least.wall_s:
        limits = replace(limits, wall_s=_number(values, "timeout", options), cpu_s=_number(values, "timeout", options))
    if "rss_limit_mb" in values and limits.memory_bytes == least.memory_bytes:
        limits = replace(limits, memory_bytes=int(_number(values, "rss_limit_mb", options)) * MEBIBYTE)
    longest = target.max_len
    if "max_len" in values and longest == DEFAULTS["max_len"]:
        longest = int(_number(values, "max_len", options))
    return replace(target, limits=limits, max_len=longest)


def _number(values: dict[str, str], key: str, options: Path | None) -> float:
    try:
        number = float(values[key])
    except ValueError:
        number = 0.0
    if not number >= 1:
        raise UsageError(f"{options}: {SECTION}.{key}: {values[key]!r} is no number from 1 on; mend it")
    return number


def _read(path: Path) -> dict[str, str]:
    parser = configparser.ConfigParser(interpolation=None)
    try:
        parser.read_string(path.read_text(encoding="utf-8"), source=str(path))
    except (configparser.Error, UnicodeDecodeError) as error:
        raise UsageError(f"{path}: is no file of options: {error}; OSS-Fuzz's begin with [libfuzzer]") from None
    return dict(parser[SECTION]) if parser.has_section(SECTION) else {}

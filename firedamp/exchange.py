"""Corpora in and out: libFuzzer's and OSS-Fuzz's flat folders, AFL++'s output folders, *_seed_corpus.zip, single files.

Contents are never changed, names are: ours is the SHA-1 of the content, as libFuzzer names its files. Nothing is run.
"""

import hashlib
import lzma
import os
import struct
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from firedamp.errors import UsageError
from firedamp.reproducer_file import write_atomically

LARGEST_BYTES = 1 << 26  # of one file: beyond that it is no input, and an archive may claim any size
# A method that is unknown, a password, and what each method's own library says of damaged data (OSError: bz2).
UNPACKING_ERRORS = (
    zipfile.BadZipFile,
    NotImplementedError,
    RuntimeError,
    zlib.error,
    lzma.LZMAError,
    EOFError,
    OSError,
    ValueError,
    struct.error,
)
ZIP_TIME = (1980, 1, 1, 0, 0, 0)  # the earliest that the format knows: the same corpus makes the same archive


@dataclass(frozen=True, slots=True, kw_only=True)
class Imported:
    added: int
    known: int  # there already, or twice in what was given
    passed_over: int  # larger than any input


def digest(data: bytes) -> str:
    """SHA-1 because libFuzzer names its files so; no security rests on it."""
    return hashlib.sha1(data, usedforsecurity=False).hexdigest()


def contents(path: Path) -> Iterator[bytes]:
    """Every input in a file, an archive or a folder, in a stable order. UsageError where there is none of them."""
    if path.is_dir():
        for file in _files(path):
            yield file.read_bytes()
    elif zipfile.is_zipfile(path):
        yield from _members(path)
    elif path.is_file() and path.suffix == ".zip":
        raise UsageError(
            f"{path}: is no zip archive, or not a whole one; pack it anew, or rename a file that is an input"
        )
    elif path.is_file():
        yield path.read_bytes()
    else:
        raise UsageError(f"{path}: there is no such file or folder; name inputs, folders of them, or archives")


def _files(folder: Path) -> Iterator[Path]:
    """Of an AFL++ output folder the queues alone: beside them lie crashes, logs and lists."""
    queues = [queue for queue in (folder / "queue", *sorted(folder.glob("*/queue"))) if queue.is_dir()]
    for place in queues or [folder]:
        for parent, folders, names in os.walk(place):
            folders[:] = sorted(name for name in folders if not name.startswith("."))
            paths = (Path(parent, name) for name in sorted(names) if not name.startswith("."))
            yield from (path for path in paths if path.is_file())


def _members(path: Path) -> Iterator[bytes]:
    try:
        with zipfile.ZipFile(path) as archive:
            for member in sorted(archive.infolist(), key=lambda each: each.filename):
                if not member.is_dir() and member.file_size <= LARGEST_BYTES:
                    yield archive.read(member)
    except UNPACKING_ERRORS as error:
        raise UsageError(f"{path}: cannot be unpacked: {str(error) or 'it is cut short'}; pack it anew") from None


def bring_in(folder: Path, paths: Iterable[Path]) -> Imported:
    """Each new input under its SHA-1 in `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    added = known = passed_over = 0
    for path in paths:
        for data in contents(path):
            target = folder / digest(data)
            if len(data) > LARGEST_BYTES:
                passed_over += 1
            elif target.is_file():
                known += 1
            else:
                write_atomically(target, data)
                added += 1
    return Imported(added=added, known=known, passed_over=passed_over)


def take_out(sources: Iterable[Path], destination: Path) -> int:
    """All different inputs of `sources` into a new or existing folder, or a new *.zip; how many there are."""
    inputs = {digest(data): data for source in sources for data in contents(source)}
    if destination.suffix == ".zip":
        _pack(inputs, destination)
    else:
        destination.mkdir(parents=True, exist_ok=True)
        for name, data in inputs.items():
            if not (destination / name).is_file():
                write_atomically(destination / name, data)
    return len(inputs)


def _pack(inputs: dict[str, bytes], destination: Path) -> None:
    if destination.exists():
        raise UsageError(f"{destination}: is there already, and is not overwritten; choose another name")
    with zipfile.ZipFile(destination, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in sorted(inputs.items()):
            archive.writestr(zipfile.ZipInfo(name, ZIP_TIME), data, zipfile.ZIP_DEFLATED)

"""Kept bytes of regular files, out of the program's sight, and the copying of bytes to and fro."""

# ruff: noqa: PTH101, PTH102, PTH108, PTH208
# `os` and not pathlib: names of any bytes, descriptors, and thousands of calls for each reset.

import hashlib
import os

CHUNK_BYTES = 1 << 20
READ_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
CREATE_FLAGS = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


class Vault:
    """Files under numbers, so that neither names nor modes of the originals matter here."""

    def __init__(self, folder: str) -> None:
        os.mkdir(folder, 0o700)
        self._folder = folder
        self._count = 0

    def keep(self, descriptor: int) -> str:
        """Copy a file's bytes in; returns where they are. Closes the descriptor."""
        place = f"{self._folder}/{self._count}"
        self._count += 1
        copy(descriptor, place)
        return place

    def clear(self) -> None:
        for name in os.listdir(self._folder):
            os.unlink(f"{self._folder}/{name}")


def copy(reader: int, destination: str) -> None:
    """The bytes alone. `destination` must not exist; the descriptor is closed."""
    try:
        writer = os.open(destination, CREATE_FLAGS, 0o600)
        try:
            while os.sendfile(writer, reader, None, CHUNK_BYTES):
                pass
        finally:
            os.close(writer)
    finally:
        os.close(reader)


def open_quietly(path: str) -> int:
    """For reading; the access time stays where it is if we own the file (O_NOATIME in open(2))."""
    try:
        return os.open(path, READ_FLAGS | os.O_NOATIME)
    except PermissionError:
        return os.open(path, READ_FLAGS)


def open_ours(path: str) -> int:
    """The same in the room, where a mode that denies reading is no obstacle."""
    try:
        return open_quietly(path)
    except PermissionError:
        mode = os.lstat(path).st_mode & 0o7777
        os.chmod(path, 0o400)
        try:
            return open_quietly(path)
        finally:
            os.chmod(path, mode)


def same_bytes(path: str, kept: str) -> bool:
    first, second = open_ours(path), os.open(kept, READ_FLAGS)
    try:
        while True:
            chunk = os.read(first, CHUNK_BYTES)
            if chunk != os.read(second, CHUNK_BYTES):
                return False
            if not chunk:
                return True
    finally:
        os.close(first)
        os.close(second)


def digest(path: str) -> str:
    """SHA-256 of a file's bytes, in hexadecimal."""
    descriptor = open_ours(path)
    try:
        state = hashlib.sha256()
        while chunk := os.read(descriptor, CHUNK_BYTES):
            state.update(chunk)
        return state.hexdigest()
    finally:
        os.close(descriptor)

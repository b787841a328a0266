import os
import struct
from collections.abc import Iterator

import pytest

from fuzz.monitor import HEADER, Monitor
from fuzz.shared_memory import SharedMemory

CAPACITY = 4


@pytest.fixture
def monitor() -> Iterator[Monitor]:
    created = Monitor.create(CAPACITY)
    with created.memory:
        yield created


def test_the_input_is_there_while_the_target_runs(monitor: Monitor) -> None:
    monitor.enter(b"abc")
    reading = monitor.read()
    assert (reading.executions, reading.inside, reading.input) == (1, True, b"abc")
    monitor.leave()
    monitor.enter(b"")
    assert monitor.read().input == b""
    assert monitor.executions == 2


def test_another_mapping_of_the_descriptor_sees_the_same(monitor: Monitor) -> None:
    with SharedMemory(os.dup(monitor.memory.fd), monitor.memory.size_bytes) as other:
        monitor.enter(b"xyz")
        assert Monitor(other).read() == monitor.read()


def test_an_input_is_cut_at_the_capacity(monitor: Monitor) -> None:
    monitor.enter(b"abcdefgh")
    assert monitor.read().input == b"abcd"


def test_a_wild_size_is_survived(monitor: Monitor) -> None:
    os.pwrite(monitor.memory.fd, struct.pack("<Q", 2**64 - 1), 24)  # the target overwrote the header
    assert len(monitor.read().input) == CAPACITY


def test_the_header_is_that_of_the_c_runtime() -> None:
    assert HEADER.size == 40


@pytest.mark.parametrize("wild", [b"\xff" * (HEADER.size + CAPACITY), bytes(HEADER.size)])
def test_what_was_written_over_is_not_believed_and_mended(monitor: Monitor, wild: bytes) -> None:
    monitor.enter(b"abc")
    monitor.enter(b"def")
    assert monitor.intact and monitor.executions == 2
    os.pwrite(monitor.memory.fd, wild, 0)
    assert not monitor.intact
    assert (monitor.executions, monitor.read().input, monitor.read().inside) == (2, b"", False)
    monitor.mend()
    assert monitor.intact
    monitor.enter(b"ghi")
    assert (monitor.executions, monitor.read().input) == (3, b"ghi")

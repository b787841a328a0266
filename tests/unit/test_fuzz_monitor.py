import os
import struct

from fuzz.monitor import HEADER, Monitor


def test_the_input_is_there_while_the_target_runs() -> None:
    with Monitor.create(16) as monitor:
        monitor.enter(b"abc")
        reading = monitor.read()
        assert (reading.executions, reading.inside, reading.input) == (1, True, b"abc")
        monitor.leave()
        monitor.enter(b"")
        assert monitor.read().input == b""
        assert monitor.executions == 2


def test_another_mapping_of_the_descriptor_sees_the_same() -> None:
    with Monitor.create(16) as monitor, Monitor(os.dup(monitor.fd), monitor.size_bytes) as other:
        monitor.enter(b"xyz")
        assert other.read() == monitor.read()


def test_an_input_is_cut_at_the_capacity() -> None:
    with Monitor.create(4) as monitor:
        monitor.enter(b"abcdefgh")
        assert monitor.read().input == b"abcd"


def test_a_wild_size_is_survived() -> None:
    with Monitor.create(4) as monitor:
        os.pwrite(monitor.fd, struct.pack("<Q", 2**64 - 1), 24)  # the target overwrote the header
        assert len(monitor.read().input) == 4


def test_the_header_is_that_of_the_c_runtime() -> None:
    assert HEADER.size == 40

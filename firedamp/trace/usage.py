"""What the processes of a run use, read from /proc/PID/stat at each tick of the clock."""

import os
from collections.abc import Iterable
from dataclasses import dataclass

_TICKS_PER_S = os.sysconf("SC_CLK_TCK")
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    cpu_s: float  # of the living, with the children that they waited for
    resident_bytes: int


def usage(processes: Iterable[int]) -> Usage:
    """Summed; a process that is gone counts nothing. proc_pid_stat(5): fields 14 to 17 and 24."""
    ticks = pages = 0
    for pid in processes:
        try:
            with open(f"/proc/{pid}/stat", "rb") as file:
                fields = file.read().rpartition(b")")[2].split()
        except OSError:
            continue
        ticks += sum(map(int, fields[11:15]))
        pages += int(fields[21])
    return Usage(cpu_s=ticks / _TICKS_PER_S, resident_bytes=pages * _PAGE_BYTES)


def high_water_bytes(pid: int) -> int:
    """VmHWM: the most that the process had resident since its execve; 0 when it is gone."""
    try:
        with open(f"/proc/{pid}/status", "rb") as file:  # its first line is whatever the program calls itself
            for line in file:
                if line.startswith(b"VmHWM:"):
                    return int(line.split()[1]) * 1024
    except OSError:
        pass
    return 0

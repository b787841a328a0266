"""Where a call may come up short: it transfers fewer bytes than a clean run's did, and says how many. Pure.

read(2): "It is not an error if this number is smaller than the number of bytes requested". Of what is never short in
the world nothing is said: a pipe takes PIPE_BUF bytes whole or not at all, a datagram comes in one piece, and a file on
a disk takes less only where no more room is left, so that the next write fails. Such a file is read in whole pages
(mm/filemap.c; network file systems, too), so a small one that is read in one go comes in one go; who reads bit by bit
must take any bit.
"""

from typing import Final

from inject.observe.census import WHOLE_RANDOM, Hit

NAME: Final = "short"
READS: Final = frozenset({"read", "readv", "pread64", "preadv", "recvfrom"})
WRITES: Final = frozenset({"write", "writev", "pwrite64", "pwritev", "sendto"})
COPIES: Final = frozenset({"sendfile", "copy_file_range", "splice", "tee"})  # "may write fewer bytes than requested"
STREAMS: Final = frozenset({"file", "pipe", "socket", "tty"})
PIPE_BUF: Final = 4096  # pipe(7)
PAGE: Final = 4096


def short_count(hit: Hit) -> int | None:
    """About half of what the clean run's call transferred; None where it cannot come up short."""
    done = hit.result or 0
    if hit.syscall == "getrandom":
        return max(WHOLE_RANDOM, done // 2) if done > WHOLE_RANDOM else None
    if done < 2 or hit.kind not in STREAMS or hit.syscall not in READS | WRITES | COPIES:
        return None
    if hit.syscall in WRITES and hit.kind == "pipe" and done <= PIPE_BUF and not is_standard(hit):
        return None
    if hit.syscall in READS and hit.kind == "file" and not is_standard(hit):
        return _pages(done) if done > PAGE else done // 2 if hit.nth > 1 else None
    return done // 2


def _pages(done: int) -> int:
    return max(PAGE, done // 2 // PAGE * PAGE)


def fills_disk(hit: Hit) -> bool:
    """Of a file a short write is the last one: what it could not take has no room."""
    return hit.syscall in WRITES and hit.kind == "file" and not is_standard(hit)


def is_standard(hit: Hit) -> bool:
    """What stands behind a standard stream is for the user to choose: a terminal as well as a file."""
    return hit.fd is not None and 0 <= hit.fd <= 2

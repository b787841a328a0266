"""Starting a child without fork and without a compiler: a table of system calls, run by 116 bytes of machine code.

fork(2) of a Python process copies its page tables, and posix_spawn can neither wait for a tracer nor install a filter.
So the child shares our memory until it executes (CLONE_VM) and does nothing but the rows of a table that Python wrote.
LISTING is the code; a test assembles it and compares. What goes into the table is firedamp.trace.launch's business.
"""

import errno
import mmap
import signal
import struct
from collections.abc import Sequence
from ctypes import CDLL, CFUNCTYPE, addressof, c_char, c_char_p, c_int, c_long, c_size_t, c_void_p, create_string_buffer
from dataclasses import dataclass
from typing import NamedTuple

CLONE_VM = 0x00000100

# Registers survive a system call but for rax, rcx and r11, so the table's address waits in r9, which clone ignores.
LISTING = """
        .intel_syntax noprefix
launch: mov     r9, rdi             # rdi: struct table *
        mov     rsi, [r9+8]         # the child's stack; no row touches it
        mov     rdi, [r9]           # clone flags
        xor     edx, edx
        xor     r10d, r10d
        xor     r8d, r8d
        mov     eax, 56             # clone
        syscall
        test    rax, rax
        jz      child
        ret                         # the parent: the child's pid or -errno
child:  mov     r12, r9
        lea     rbx, [r12+32]       # the first row
        xor     r13d, r13d          # its index
next:   mov     rax, [rbx]
        mov     rdi, [rbx+8]
        mov     rsi, [rbx+16]
        mov     rdx, [rbx+24]
        mov     r10, [rbx+32]
        mov     r8, [rbx+40]
        mov     r9, [rbx+48]
        syscall
        cmp     rax, -4095
        jb      done
        cmp     rax, [rbx+56]       # the one error that this row may have
        je      done
        mov     [r12+16], r13       # tell which row failed, and how
        mov     [r12+24], rax
        mov     edi, 127
        mov     eax, 231            # exit_group
        syscall
done:   add     rbx, 64
        inc     r13
        jmp     next                # the last row is execve, which does not return
"""

CODE = bytes.fromhex(
    "4989f9498b7108498b3931d24531d24531c0b8380000000f054885c07401c34d89cc498d5c24204531ed488b03488b7b08488b7310"
    "488b53184c8b53204c8b43284c8b4b300f05483d01f0ffff721c483b433874164d896c24104989442418bf7f000000b8e70000000f"
    "054883c34049ffc5ebb6"
)

_HEADER = struct.Struct("=QQqq")  # clone flags, stack, index of the row that failed (-1: none), its result
_ROW = struct.Struct("=8q")  # number, six arguments, the -errno that may pass
_PADDING = ((0,) * 6, (0,) * 5, (0,) * 4, (0,) * 3, (0,) * 2, (0,), ())

_CAPACITY = 1 << 22  # bytes of each half of the shared memory (arguments and environment may have 2 MiB)
_STACK = 4096  # never touched: signals are blocked until execve

_SIGSET_BYTES = 128  # glibc's sigset_t
_ALL_SIGNALS = b"\xff" * _SIGSET_BYTES

FUTEX = 202
FUTEX_WAIT, FUTEX_WAKE = 0, 1


class Row(NamedTuple):
    """One system call of the child. `tolerated` is the one errno that does not end the launch."""

    number: int
    arguments: tuple[int, ...] = ()
    tolerated: int = 0
    what: str = ""  # for the message when it fails


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """The row that failed, and its errno."""

    row: Row
    errno: int


class Spawner:
    """The shared page, the code, and one child at a time."""

    def __init__(self) -> None:
        libc = CDLL(None, use_errno=True)
        self._syscall = libc.syscall
        self._syscall.restype = c_long
        self._mask = libc.pthread_sigmask  # signal.pthread_sigmask makes 64 enum members each time: 0.2 ms
        self._mask.argtypes = (c_int, c_char_p, c_void_p)
        self._previous = create_string_buffer(_SIGSET_BYTES)
        self._code = mmap.mmap(-1, mmap.PAGESIZE)
        self._code.write(CODE)
        code_address = addressof(c_char.from_buffer(self._code))
        protect = libc.mprotect
        protect.argtypes = (c_void_p, c_size_t, c_int)
        if protect(code_address, mmap.PAGESIZE, mmap.PROT_READ | mmap.PROT_EXEC) != 0:
            raise OSError(errno.EPERM, "mprotect(PROT_EXEC) was refused; a security module forbids generated code here")
        self._launch = CFUNCTYPE(c_long, c_void_p)(code_address)
        self._data = mmap.mmap(-1, 2 * _CAPACITY)  # tables and arguments; then the environment, which stays
        self._base = addressof(c_char.from_buffer(self._data))
        self._gate = c_int.from_buffer(self._data, _STACK)
        self._table = _STACK + 64
        self._end = self._table
        self._gate_row = Row(FUTEX, (self._base + _STACK, FUTEX_WAIT, 0), tolerated=errno.EAGAIN, what="futex")
        self._kept: tuple[Sequence[bytes], int] = ((), 0)
        self._rows: tuple[Row, ...] = ()

    def reset(self, rows: int) -> None:
        """Begin a new table with room for `rows` rows; blobs follow behind it."""
        self._end = self._table + _HEADER.size + rows * _ROW.size
        self._gate.value = 0

    def blob(self, data: bytes) -> int:
        """Put bytes where the child can see them; their address, a multiple of eight."""
        start = (self._end + 7) & ~7
        if start + len(data) > (_CAPACITY if start < _CAPACITY else 2 * _CAPACITY):
            raise OSError(errno.E2BIG, f"{len(data)} bytes of arguments do not fit into {_CAPACITY}")
        self._data[start : start + len(data)] = data
        self._end = start + len(data)
        return self._base + start

    def strings(self, values: Sequence[bytes]) -> int:
        """A char *[] with its final NULL, as execve(2) wants it."""
        address = self.blob(b"\0".join(values) + b"\0")
        pointers = []
        for value in values:
            pointers.append(address)
            address += len(value) + 1
        return self.blob(struct.pack(f"={len(pointers) + 1}Q", *pointers, 0))

    def kept_strings(self, values: Sequence[bytes]) -> int:
        """As `strings`, for what stays the same from run to run; kept while it is the very same object."""
        known, address = self._kept
        if known is not values:
            saved, self._end = self._end, _CAPACITY
            try:
                address = self.strings(values)
            finally:
                self._end = saved
            self._kept = (values, address)
        return address

    def gate(self) -> Row:
        """The row at which the child waits until `release`: a futex, so no descriptor and no signal is needed."""
        return self._gate_row

    def start(self, rows: Sequence[Row]) -> int:
        """Clone the child, with every signal blocked in it; its pid. It runs at once, up to its gate."""
        self._rows = tuple(rows)
        table = self._table
        _HEADER.pack_into(self._data, table, CLONE_VM | signal.SIGCHLD, self._base + _STACK, -1, 0)
        at = table + _HEADER.size
        for row in self._rows:
            arguments = row.arguments
            _ROW.pack_into(self._data, at, row.number, *arguments, *_PADDING[len(arguments)], -row.tolerated)
            at += _ROW.size
        self._mask(signal.SIG_SETMASK, _ALL_SIGNALS, self._previous)
        pid: int = self._launch(self._base + table)
        self._mask(signal.SIG_SETMASK, self._previous, None)
        if pid < 0:
            raise OSError(-pid, "clone")
        return pid

    def release(self) -> None:
        """Open the gate."""
        self._gate.value = 1
        self._syscall(FUTEX, c_void_p(self._base + _STACK), FUTEX_WAKE, 1)

    def failure(self) -> Failure | None:
        """What ended the child before its program ran. Only of meaning once the child is gone."""
        _, _, index, result = _HEADER.unpack_from(self._data, self._table)
        return None if index < 0 else Failure(row=self._rows[index], errno=-result)

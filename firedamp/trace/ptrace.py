"""A thin typed binding of ptrace(2), wait4(2) and process_vm_readv(2) over python-ptrace's structures.

Numbers, bits and register layouts live here and nowhere else. python-ptrace knows neither PTRACE_SEIZE and its kin nor
EXITKILL, so those numbers are ours (include/uapi/linux/ptrace.h). Only the tracer's worker process imports this module.
"""

import errno
import os
import signal
import struct
from collections.abc import Mapping
from ctypes import (
    addressof,
    byref,
    c_int,
    c_long,
    c_size_t,
    c_ulong,
    create_string_buffer,
    get_errno,
    sizeof,
    string_at,
)
from dataclasses import dataclass
from enum import IntEnum, IntFlag
from operator import itemgetter
from typing import NoReturn

from ptrace.binding import func
from ptrace.binding.linux_struct import iovec_struct, siginfo, user_regs_struct
from ptrace.ctypes_libc import libc

PTRACE_SEIZE = 0x4206
PTRACE_INTERRUPT = 0x4207
PTRACE_LISTEN = 0x4208

_CONT: int = func.PTRACE_CONT
_GETEVENTMSG: int = func.PTRACE_GETEVENTMSG

WORD = 0xFFFF_FFFF_FFFF_FFFF
SYSCALL_BYTES = 2  # of the instruction `syscall`
SYSTEM_CALL_STOP = signal.SIGTRAP | 0x80  # with PTRACE_O_TRACESYSGOOD

# The kernel's private "start this call again" results (include/linux/errno.h): a program sees EINTR or nothing.
RESTARTS = frozenset({-512, -513, -514, -516})


class Option(IntFlag):
    TRACESYSGOOD = 0x01
    TRACEFORK = 0x02
    TRACEVFORK = 0x04
    TRACECLONE = 0x08
    TRACEEXEC = 0x10
    TRACEEXIT = 0x40
    TRACESECCOMP = 0x80
    EXITKILL = 0x100000
    SUSPEND_SECCOMP = 0x200000


FOLLOW = (
    Option.TRACESYSGOOD | Option.TRACEFORK | Option.TRACEVFORK | Option.TRACECLONE | Option.TRACEEXEC | Option.EXITKILL
)


class Event(IntEnum):
    NONE = 0
    FORK = 1
    VFORK = 2
    CLONE = 3
    EXEC = 4
    VFORK_DONE = 5
    EXIT = 6
    SECCOMP = 7
    STOP = 128


class Vanished(Exception):
    """ESRCH: the tracee was killed while it was stopped; its death will be reported by wait."""


_ptrace = libc.ptrace
_ptrace.argtypes = (c_ulong, c_ulong, c_ulong, c_ulong)
_ptrace.restype = c_long
_wait4 = libc.wait4
_process_vm_readv = libc.process_vm_readv
_process_vm_readv.restype = c_long
_process_vm_readv.argtypes = (c_int, c_ulong, c_ulong, c_ulong, c_ulong, c_ulong)


def _call(request: int, tid: int, address: int = 0, data: int = 0) -> int:
    result: int = _ptrace(request, tid, address, data)
    if result == -1:
        _fail(request, tid)
    return result


def _fail(request: int, tid: int) -> NoReturn:
    number = get_errno()
    if number == errno.ESRCH:
        raise Vanished(tid)
    raise OSError(number, f"ptrace({request:#x}, {tid}): {os.strerror(number)}")


def seize(tid: int, options: int) -> None:
    _call(PTRACE_SEIZE, tid, 0, options)


def interrupt(tid: int) -> None:
    _call(PTRACE_INTERRUPT, tid)


def listen(tid: int) -> None:
    """Leave a thread in its group stop, and still hear of it (SEIZE only)."""
    _call(PTRACE_LISTEN, tid)


def resume(tid: int, number: int = 0) -> None:
    """Run on, delivering signal `number` unless it is 0."""
    if _ptrace(_CONT, tid, 0, number) == -1:  # not by _call: this and event_message are a third of a stop's price
        _fail(_CONT, tid)


def resume_to_system_call(tid: int, number: int = 0) -> None:
    """Run on to the next entry or exit of a system call; from a seccomp stop that is the exit."""
    _call(func.PTRACE_SYSCALL, tid, 0, number)


_message = c_ulong()
_message_address = addressof(_message)


def event_message(tid: int) -> int:
    """The new thread of a fork, the former thread of an exec, the data of a seccomp stop, the status of an exit."""
    if _ptrace(_GETEVENTMSG, tid, 0, _message_address) == -1:
        _fail(_GETEVENTMSG, tid)
    return _message.value


@dataclass(frozen=True, slots=True, kw_only=True)
class SignalInfo:
    signal: int
    code: int
    address: int  # only of a fault
    value: int = 0  # only of one that came by sigqueue(3)


_SI_VALUE = 24  # of siginfo_t's union, behind the sender's pid and uid (asm-generic/siginfo.h)


def signal_info(tid: int) -> SignalInfo:
    info = siginfo()
    _call(func.PTRACE_GETSIGINFO, tid, 0, addressof(info))
    value = int.from_bytes(bytes(info)[_SI_VALUE : _SI_VALUE + 8], "little")
    return SignalInfo(signal=info.si_signo, code=info.si_code, address=info._sigfault._addr or 0, value=value)


# Byte offsets in struct user, for PEEKUSER and POKEUSER.
_RAX: int = user_regs_struct.rax.offset
_ORIG_RAX: int = user_regs_struct.orig_rax.offset
_ARGUMENTS: tuple[int, ...] = tuple(
    getattr(user_regs_struct, name).offset for name in ("rdi", "rsi", "rdx", "r10", "r8", "r9")
)
# The DWARF numbers of the registers that unwinding needs (System V ABI, x86-64, figure 3.36).
DWARF_NUMBERS = {
    "rax": 0, "rdx": 1, "rcx": 2, "rbx": 3, "rsi": 4, "rdi": 5, "rbp": 6, "rsp": 7, "r8": 8, "r9": 9, "r10": 10,
    "r11": 11, "r12": 12, "r13": 13, "r14": 14, "r15": 15, "rip": 16,
}  # fmt: skip
# The numbers of the general registers in instructions (Intel SDM, volume 2, table 3-1).
ENCODING = ("rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi", *(f"r{n}" for n in range(8, 16)))

# All words of the structure at once: asking for them one by one takes as long as finding the stack that they lead to.
_WORDS = struct.Struct(f"={sizeof(user_regs_struct) // 8}Q")
_DWARF_KEYS = tuple(DWARF_NUMBERS.values())
_dwarf_values = itemgetter(*(getattr(user_regs_struct, name).offset // 8 for name in DWARF_NUMBERS))


class Registers:
    """The registers of one stopped thread, fetched once; `poke` changes single ones in the thread itself."""

    __slots__ = ("_structure",)

    def __init__(self, tid: int) -> None:
        self._structure = user_regs_struct()
        _call(func.PTRACE_GETREGS, tid, 0, addressof(self._structure))

    @property
    def instruction(self) -> int:
        return int(self._structure.rip)

    @property
    def stack_pointer(self) -> int:
        return int(self._structure.rsp)

    @property
    def system_call(self) -> int:
        """The number of the call that this thread is in, or -1."""
        return c_long(self._structure.orig_rax).value

    @property
    def arguments(self) -> tuple[int, int, int, int, int, int]:
        regs = self._structure
        return (regs.rdi, regs.rsi, regs.rdx, regs.r10, regs.r8, regs.r9)

    def named(self, name: str) -> int:
        return int(getattr(self._structure, name))

    def dwarf(self) -> Mapping[int, int]:
        return dict(zip(_DWARF_KEYS, _dwarf_values(_WORDS.unpack(self._structure)), strict=True))

    def before_call(self) -> "Registers":
        """Of a thread that stands at the entry of a call: those with which it makes that call once more."""
        registers = Registers.__new__(Registers)
        registers._structure = type(self._structure).from_buffer_copy(self._structure)
        registers._structure.rip -= SYSCALL_BYTES
        registers._structure.rax = self._structure.orig_rax
        registers._structure.orig_rax = WORD  # in no call: the kernel has nothing to start again
        return registers

    def give(self, tid: int) -> None:
        """Make them the registers of a stopped thread."""
        _call(func.PTRACE_SETREGS, tid, 0, addressof(self._structure))


def result(tid: int) -> int:
    """What the kernel returned, at the exit stop of a call. libc clears errno when a peeked word is -1."""
    value: int = _ptrace(func.PTRACE_PEEKUSER, tid, _RAX, 0)
    if value == -1 and get_errno() == errno.ESRCH:
        raise Vanished(tid)
    return value


def set_result(tid: int, value: int) -> None:
    _call(func.PTRACE_POKEUSER, tid, _RAX, value & WORD)


def set_system_call(tid: int, number: int) -> None:
    """Run call `number` instead, at an entry stop; -1 for none at all."""
    _call(func.PTRACE_POKEUSER, tid, _ORIG_RAX, number & WORD)


def set_argument(tid: int, index: int, value: int) -> None:
    _call(func.PTRACE_POKEUSER, tid, _ARGUMENTS[index], value & WORD)


# u_debugreg of struct user (asm/user_64.h); Intel SDM, volume 3B, figure 18-1: in DR7 bit 0 switches DR0 on, and zeros
# in bits 16 to 19 mean that its instruction is executed.
_DEBUG_ADDRESS, _DEBUG_CONTROL = 848, 848 + 7 * 8


def set_breakpoint(tid: int, address: int) -> None:
    """SIGTRAP for this thread before it executes what lies at `address`. OSError: the machine has none to give."""
    _call(func.PTRACE_POKEUSER, tid, _DEBUG_ADDRESS, address & WORD)
    _call(func.PTRACE_POKEUSER, tid, _DEBUG_CONTROL, 1)


def clear_breakpoint(tid: int) -> None:
    _call(func.PTRACE_POKEUSER, tid, _DEBUG_CONTROL, 0)


_exchange = create_string_buffer(128)
_exchange_address = addressof(_exchange)
PTRACE_GET_SYSCALL_INFO = 0x420E
_INFO_EXIT = 2


def at_exit(tid: int) -> bool:
    """Whether a system call stop is one of exit (PTRACE_GET_SYSCALL_INFO; the stop itself does not tell)."""
    _call(PTRACE_GET_SYSCALL_INFO, tid, len(_exchange), _exchange_address)
    return _exchange[0] == bytes([_INFO_EXIT])


_TGKILL = 234


def send_signal(pid: int, tid: int, number: int) -> None:
    """To one thread: tgkill(2)."""
    if libc.syscall(_TGKILL, pid, tid, number) != 0 and get_errno() == errno.ESRCH:
        raise Vanished(tid)


class WaitStatus:
    """One report of wait4(2)."""

    __slots__ = ("raw", "tid")

    def __init__(self, tid: int, raw: int) -> None:
        self.tid = tid
        self.raw = raw

    @property
    def stopped(self) -> bool:
        return self.raw & 0xFF == 0x7F

    @property
    def stop_signal(self) -> int:
        return (self.raw >> 8) & 0xFF

    @property
    def event(self) -> int:
        return self.raw >> 16

    @property
    def exit_status(self) -> int | None:
        return (self.raw >> 8) & 0xFF if self.raw & 0x7F == 0 else None

    @property
    def death_signal(self) -> int:
        return self.raw & 0x7F


_WALL = 0x40000000
_raw_status = c_int()
_usage = (c_long * 18)()  # struct rusage: two timevals, then fourteen longs, the first of them ru_maxrss in KiB


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    cpu_s: float
    peak_rss_bytes: int


def wait(*, block: bool = True) -> WaitStatus | None:
    """The next report of any tracee; None when a signal came first or, without `block`, when there is none yet.

    Raises ChildProcessError when no tracee is left. Python's os.waitpid would start again after a signal.
    """
    tid = _wait4(-1, byref(_raw_status), _WALL if block else _WALL | os.WNOHANG, byref(_usage))
    if tid > 0:
        return WaitStatus(tid, _raw_status.value)
    if tid == -1 and get_errno() == errno.ECHILD:
        raise ChildProcessError
    return None


def poll(tid: int) -> WaitStatus | None:
    """The report of this very tracee, when there is one. Raises ChildProcessError when there is no such."""
    found = _wait4(tid, byref(_raw_status), _WALL | os.WNOHANG, byref(_usage))
    if found == -1 and get_errno() == errno.ECHILD:
        raise ChildProcessError(tid)
    return WaitStatus(found, _raw_status.value) if found > 0 else None


def wait_for(tid: int) -> WaitStatus:
    """The next report of this very tracee. Raises ChildProcessError when there is no such."""
    while True:
        found = _wait4(tid, byref(_raw_status), _WALL, byref(_usage))
        if found > 0:
            return WaitStatus(found, _raw_status.value)
        if get_errno() == errno.ECHILD:
            raise ChildProcessError(tid)


def last_usage() -> Usage:
    """Of the report that `wait` returned last: the process and the children that it waited for."""
    seconds = _usage[0] + _usage[2] + (_usage[1] + _usage[3]) / 1e6
    return Usage(cpu_s=seconds, peak_rss_bytes=_usage[4] * 1024)


_room = create_string_buffer(8192)  # for most readings: two pages
_room_address = addressof(_room)
_local, _remote = iovec_struct(), iovec_struct()
_local_address, _remote_address = addressof(_local), addressof(_remote)
assert sizeof(iovec_struct) == sizeof(c_size_t) * 2


def read_memory(tid: int, address: int, size: int) -> bytes:
    """Up to `size` bytes: fewer at the end of a mapping, none where nothing can be read."""
    if size <= 0:
        return b""
    if size <= len(_room):
        address_here = _room_address
    else:
        buffer = create_string_buffer(size)
        address_here = addressof(buffer)
    _local.buf, _local.len = address_here, size
    _remote.buf, _remote.len = address & WORD, size
    count: int = _process_vm_readv(tid, _local_address, 1, _remote_address, 1, 0)
    return string_at(address_here, count) if count > 0 else b""


def write_memory(tid: int, address: int, data: bytes) -> int:
    """How many bytes were written; into read-only pages, too, which process_vm_writev(2) would refuse."""
    try:
        memory = os.open(f"/proc/{tid}/mem", os.O_WRONLY | os.O_CLOEXEC)
    except OSError:
        return 0
    try:
        return os.pwrite(memory, data, address & (1 << 63) - 1)
    except OSError:
        return 0
    finally:
        os.close(memory)


PAGE = os.sysconf("SC_PAGE_SIZE")


def read_string(tid: int, address: int, limit: int) -> bytes:
    """Bytes before the first NUL, at most `limit`; page by page, since the next page may not be mapped."""
    parts: list[bytes] = []
    while limit > 0:
        size = min(limit, PAGE - address % PAGE)
        chunk = read_memory(tid, address, size)
        end = chunk.find(b"\0")
        if end >= 0:
            parts.append(chunk[:end])
            break
        parts.append(chunk)
        if len(chunk) < size:
            break
        address += size
        limit -= size
    return b"".join(parts)

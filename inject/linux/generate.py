"""Writes inject/linux/syscalls.table anew: python -m inject.linux.generate > inject/linux/syscalls.table

A tool for us, never imported at run time. Its witnesses are on the machine: numbers from asm/unistd_64.h, arguments
and errnos from section 2 of manpages-dev, classes from what strace's own seccomp filter selects (strace -d).
What the man pages have wrong is put right by hand in inject/linux/syscalls.toml, not here.
"""

import gzip
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

HEADER = Path("/usr/include/x86_64-linux-gnu/asm/unistd_64.h")
MANUAL = Path("/usr/share/man/man2")
CLASSES = (
    "file",
    "desc",
    "memory",
    "process",
    "signal",
    "ipc",
    "network",
    "creds",
    "stat",
    "lstat",
    "fstat",
    "%stat",
    "statfs",
    "fstatfs",
    "%statfs",
    "clock",
    "pure",
)
# Kernel name -> the name under which the manual's synopsis shows the same arguments.
SYNOPSIS = {"newfstatat": "fstatat", "pread64": "pread", "pwrite64": "pwrite", "umount2": "umount2"}
RAW = {  # where the kernel's arguments differ from the C library's (the pages' own "C library/kernel differences")
    "preadv": "@fd,iov,iovcnt,offset,offset_high",
    "pwritev": "@fd,iov,iovcnt,offset,offset_high",
    "preadv2": "@fd,iov,iovcnt,offset,offset_high,flags",
    "pwritev2": "@fd,iov,iovcnt,offset,offset_high,flags",
    "faccessat": "@dirfd,/pathname,mode",
    "fchmodat": "@dirfd,/pathname,mode",
    "mmap": "address,length,prot,flags,@fd,offset",
    "brk": "address",
    "clone": "flags,stack,parent_tid,child_tid,tls",
    "ioctl": "@fd,request,argument",
    "fcntl": "@fd,cmd,argument",
    "open": "/pathname,flags,mode",
    "openat": "@dirfd,/pathname,flags,mode",
    "getdents": "@fd,dirp,count",
    "getdents64": "@fd,dirp,count",
    "readlink": "/pathname,buf,bufsiz",
    "readlinkat": "@dirfd,/pathname,buf,bufsiz",
    "utimensat": "@dirfd,/pathname,times,flags",
    "futimesat": "@dirfd,/pathname,times",
    "sendfile": "@out_fd,@in_fd,offset,count",
    "dup": "@oldfd",
    "dup2": "@oldfd,newfd",
    "dup3": "@oldfd,newfd,flags",
    "symlink": "/target,/linkpath",
    "pivot_root": "/new_root,/put_old",
    "exit": "status",
    "fadvise64": "@fd,offset,len,advice",
    "pselect6": "nfds,readfds,writefds,exceptfds,timeout,sigmask",
    "prlimit64": "pid,resource,new_limit,old_limit",
    "signalfd4": "@fd,mask,sizemask,flags",
    "eventfd2": "initval,flags",
    "rt_sigaction": "signum,act,oldact,sigsetsize",
    "rt_sigtimedwait": "set,info,timeout,sigsetsize",
    "rt_sigsuspend": "mask,sigsetsize",
    "rt_sigpending": "set,sigsetsize",
    "io_uring_setup": "entries,params",
    "io_uring_enter": "@fd,to_submit,min_complete,flags,sig,sigsz",
    "io_uring_register": "@fd,opcode,arg,nr_args",
    "open_tree": "@dirfd,/pathname,flags",
    "move_mount": "@from_dirfd,/from_pathname,@to_dirfd,/to_pathname,flags",
    "fsopen": "fs_name,flags",
    "fsconfig": "@fs_fd,cmd,key,value,aux",
    "fsmount": "@fs_fd,flags,attr_flags",
    "fspick": "@dirfd,/pathname,flags",
    "quotactl_fd": "@fd,cmd,id,addr",
    "process_mrelease": "@pidfd,flags",
    "futex_waitv": "waiters,nr_futexes,flags,timeout,clockid",
    "rseq": "rseq,rseq_len,flags,sig",
    "statx": "@dirfd,/pathname,flags,mask,statxbuf",
}
ALWAYS = {"execve": "file,process", "execveat": "file,desc,process"}  # strace always selects these
PATHS = frozenset(
    (
        "pathname",
        "path",
        "oldpath",
        "newpath",
        "filename",
        "target",
        "linkpath",
        "source",
        "special",
        "file",
        "from_pathname",
        "to_pathname",
        "from_path",
        "to_path",
        "library",
        "specialfile",
        "new_root",
        "put_old",
        "dir",
    )
)


def numbers() -> dict[str, int]:
    found = re.findall(r"^#define __NR_(\w+) (\d+)$", HEADER.read_text(), re.M)
    return {name: int(number) for name, number in found}


def page(name: str) -> str:
    """The roff source of a page in section 2, `.so` links followed; empty when there is none."""
    path = MANUAL / f"{name}.2.gz"
    for _ in range(3):
        if not path.exists():
            return ""
        text = gzip.decompress(path.read_bytes()).decode("utf-8", "replace")
        link = re.match(r"\.so man2/(\S+)", text.strip())
        if link is None:
            return text
        path = MANUAL / f"{link[1]}.gz"
    return ""


def section(text: str, title: str) -> str:
    found = re.search(rf'^\.SH "?{title}"?\n(.*?)(?=^\.SH |\Z)', text, re.M | re.S)
    return found[1] if found else ""


def errnos(name: str) -> list[str]:
    """Errnos of the ERRORS section that are not reserved, by a first line such as `(openat())`, for another call."""
    kept: list[str] = []
    for tag, first in re.findall(r"^\.TP.*\n(?:\.\\\".*\n)*(\.BR? +E.*)\n(.*)", section(page(name), "ERRORS"), re.M):
        reserved = re.match(r'\.(?:RB|BR) \( ?"?([a-z_0-9]+)"? ?\(\)', first)
        if reserved and reserved[1] not in (name, SYNOPSIS.get(name)):
            continue
        kept += re.findall(r"\bE[A-Z0-9]{2,}\b", tag)
    return sorted(set(kept))


def plain(roff: str) -> str:
    lines = [line for line in roff.splitlines() if not line.startswith(('.\\"', ".PP", ".nf", ".fi", ".in", ".br"))]
    text = " ".join(re.sub(r"^\.(?:BI|B|BR|RB|I|IR)\s+", "", line) for line in lines)
    text = text.replace("\\fB", "").replace("\\fI", "").replace("\\fR", "").replace('" "', " ")
    return re.sub(r"\s+", " ", text.replace('"', " "))


def argument(text: str) -> str | None:
    text = re.sub(r"\[[^]]*\]|_Nullable|restrict|\.\.\.", " ", text).strip()
    words: list[str] = re.findall(r"\w+", text)
    if not words or words == ["void"]:
        return None
    label = words[-1]
    if "char" in words and "*" in text and label in PATHS:
        return "/" + label
    if "sockaddr" in words:
        return "&" + label
    if words[0] == "int" and "*" not in text and (label.endswith("fd") or label.startswith("fd") or label == "fildes"):
        return "@" + label
    return label


def arguments(name: str) -> str:
    if name in RAW:
        return RAW[name]
    synopsis = plain(section(page(name), "SYNOPSIS"))
    shown = SYNOPSIS.get(name, name)
    found = re.search(rf"(?:\b{shown} ?\(|SYS_{name} ?,|SYS_{name} ?)([^;]*?)\) ?;", synopsis)
    parts: list[str] = re.sub(r"/\*.*?\*/", "", found[1]).split(",") if found else []
    return ",".join(label for part in parts if (label := argument(part)))


def selected(name: str) -> Iterator[int]:
    """The x86-64 numbers of %name, decoded from strace's own seccomp filter (groups of 32 numbers and a bit mask)."""
    command = ["strace", "-d", "-f", "--seccomp-bpf", "-e", f"trace=%{name}", "true"]
    dump = subprocess.run(command, capture_output=True, text=True, check=True).stderr
    program = re.findall(r"^strace: ((?:STMT|JUMP)\(.*\))$", dump, re.M)
    return (number for number in range(512) if verdict(program, number))


def verdict(program: list[str], number: int) -> bool:
    """Runs strace's classic BPF for one x86-64 system call: is it traced?"""
    a = x = at = 0
    while True:
        line = program[at]
        at += 1
        code, *rest = re.findall(r"BPF_\w+|data->\w+|0x[0-9a-f]+|\b\d+\b|\bX\b", line)
        values = [int(word, 0) for word in rest if word[0].isdigit()]
        match code:
            case "BPF_LDWABS":
                a = number if "data->nr" in line else 0xC000003E  # AUDIT_ARCH_X86_64
            case "BPF_LDWIMM":
                a = values[0]
            case "BPF_AND":
                a &= values[0]
            case "BPF_RSH":
                a >>= values[0]
            case "BPF_LSH":
                a = (a << x) & 0xFFFFFFFF
            case "BPF_TAX":
                x = a
            case "BPF_TXA":
                a = x
            case "BPF_JA":
                at += values[0]
            case "BPF_JEQ" | "BPF_JGE" | "BPF_JSET":
                held = {"BPF_JEQ": a == values[2], "BPF_JGE": a >= values[2], "BPF_JSET": bool(a & values[2])}[code]
                at += values[0] if held else values[1]
            case "BPF_RET":
                return "TRACE" in line
            case _:
                raise ValueError(f"strace's filter uses {code}, which this decoder does not know: {line}")


def main() -> None:
    classes = {name: frozenset(selected(name)) for name in CLASSES}
    sys.stdout.write("# number name arguments classes errnos; made by inject/linux/generate.py\n")
    sys.stdout.write("# arguments: @ descriptor, / file name, & socket address; classes are strace's; - is none\n")
    for name, number in sorted(numbers().items(), key=lambda item: item[1]):
        labels = ALWAYS.get(name) or ",".join(label for label in CLASSES if number in classes[label])
        columns = (str(number), name, arguments(name), labels, ",".join(errnos(name)))
        sys.stdout.write(" ".join(column or "-" for column in columns) + "\n")


if __name__ == "__main__":
    main()

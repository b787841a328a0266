"""Names of x86-64 system calls: python-ptrace's table, which stops at Linux 5.8, and what came later."""

from functools import cache

# arch/x86/entry/syscalls/syscall_64.tbl of Linux 6.12
LATER = {
    425: "io_uring_setup", 426: "io_uring_enter", 427: "io_uring_register", 428: "open_tree", 429: "move_mount",
    430: "fsopen", 431: "fsconfig", 432: "fsmount", 433: "fspick", 434: "pidfd_open", 435: "clone3",
    436: "close_range", 437: "openat2", 438: "pidfd_getfd", 439: "faccessat2", 440: "process_madvise",
    441: "epoll_pwait2", 442: "mount_setattr", 443: "quotactl_fd", 444: "landlock_create_ruleset",
    445: "landlock_add_rule", 446: "landlock_restrict_self", 447: "memfd_secret", 448: "process_mrelease",
    449: "futex_waitv", 450: "set_mempolicy_home_node", 451: "cachestat", 452: "fchmodat2", 453: "map_shadow_stack",
    454: "futex_wake", 455: "futex_wait", 456: "futex_requeue", 457: "statmount", 458: "listmount",
    459: "lsm_get_self_attr", 460: "lsm_set_self_attr", 461: "lsm_list_modules", 462: "mseal",
}  # fmt: skip


@cache
def _table() -> dict[int, str]:
    from ptrace.syscall.linux.x86_64 import SYSCALL_NAMES

    return {**{n: name for n, name in SYSCALL_NAMES.items() if n < 512}, **LATER}  # 512 and above: x32


def name_of(number: int) -> str:
    """E.g. "openat"; "syscall_999" for a number without a name."""
    return _table().get(number) or f"syscall_{number}"

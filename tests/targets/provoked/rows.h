/* ROW(call, errno, how it comes about; the call). No include guard: read twice. */

/* names */
ROW(open, ENOENT, CALL(open, where("absent", "file"), O_RDONLY))
ROW(open, EMFILE, full_table(); CALL(open, NAME("file"), O_RDONLY))
ROW(openat, EACCES, unreadable("file"); CALL(openat, AT, NAME("file"), O_RDONLY))
ROW(openat, EEXIST, CALL(openat, AT, where("file", "new"), O_CREAT | O_EXCL | O_WRONLY, 0666))
ROW(openat, EINTR, interrupted(); CALL(openat, AT, NAME("fifo"), real ? O_RDONLY : O_RDONLY | O_NONBLOCK))
ROW(openat, EISDIR, CALL(openat, AT, where("folder", "file"), O_WRONLY))
ROW(openat, ELOOP, CALL(openat, AT, where("loop", "file"), O_RDONLY))
ROW(openat, EMFILE, full_table(); CALL(openat, AT, NAME("file"), O_RDONLY))
ROW(openat, ENOENT, CALL(openat, AT, where("absent", "file"), O_RDONLY))
ROW(openat, ENOSPC, no_inodes(); CALL(openat, AT, NAME("t/new"), O_CREAT | O_WRONLY, 0666))
ROW(openat, ENOTDIR, CALL(openat, AT, where("file/x", "file"), O_RDONLY))
ROW(openat, ENXIO, CALL(openat, AT, where("fifo", "file"), O_WRONLY | O_NONBLOCK))
ROW(openat, EROFS, read_only(); CALL(openat, AT, NAME("t/file"), O_WRONLY | O_TRUNC))
ROW(openat, ETXTBSY, CALL(openat, AT, where("/proc/self/exe", "file"), O_WRONLY | O_TRUNC))
ROW(creat, ENOSPC, no_inodes(); CALL(creat, NAME("t/new"), 0666))
ROW(mkdir, EACCES, unreadable("folder"); CALL(mkdir, NAME("folder/new"), 0777))
ROW(mkdir, EEXIST, CALL(mkdir, where("folder", "new"), 0777))
ROW(mkdir, ENOENT, CALL(mkdir, where("absent/x", "new"), 0777))
ROW(mkdir, ENOSPC, no_inodes(); CALL(mkdir, NAME("t/new"), 0777))
ROW(mkdir, ENOTDIR, CALL(mkdir, where("file/x", "new"), 0777))
ROW(mkdir, EROFS, read_only(); CALL(mkdir, NAME("t/new"), 0777))
ROW(rmdir, EBUSY, if (real) mounted("size=1m"); else MUST(mkdir("t", 0777)); CALL(rmdir, NAME("t")))
ROW(rmdir, ENOENT, CALL(rmdir, where("absent", "folder")))
ROW(rmdir, ENOTEMPTY, CALL(rmdir, where("full", "folder")))
ROW(rmdir, EROFS, read_only(); CALL(rmdir, NAME("t/folder")))
ROW(unlink, EACCES, unreadable("full"); CALL(unlink, NAME("full/inner")))
ROW(unlink, ENOENT, CALL(unlink, where("absent", "file")))
ROW(unlink, EROFS, read_only(); CALL(unlink, NAME("t/file")))
ROW(unlinkat, ENOENT, CALL(unlinkat, AT, where("absent", "file")))
ROW(rename, ENOENT, CALL(rename, where("absent", "file"), NAME("other")))
ROW(rename, EROFS, read_only(); CALL(rename, NAME("t/file"), NAME("t/new")))
ROW(rename, EXDEV, if (real) mounted("size=1m"); CALL(rename, NAME("file"), where("t/new", "new")))
ROW(link, EEXIST, CALL(link, NAME("file"), where("other", "new")))
ROW(link, ENOENT, CALL(link, where("absent", "file"), NAME("new")))
ROW(link, ENOSPC, no_inodes(); CALL(link, NAME("t/file"), NAME("t/new")))
ROW(link, EROFS, read_only(); CALL(link, NAME("t/file"), NAME("t/new")))
ROW(link, EXDEV, if (real) mounted("size=1m"); CALL(link, NAME("file"), where("t/new", "new")))
ROW(symlink, EEXIST, CALL(symlink, NAME("x"), where("file", "new")))
ROW(symlink, ENOSPC, no_inodes(); CALL(symlink, NAME("x"), NAME("t/new")))
ROW(symlink, EROFS, read_only(); CALL(symlink, NAME("x"), NAME("t/new")))
ROW(chdir, EACCES, unreadable("folder"); CALL(chdir, NAME("folder")))
ROW(chdir, ENOENT, CALL(chdir, where("absent", "folder")))
ROW(chdir, ENOTDIR, CALL(chdir, where("file", "folder")))
ROW(chmod, ENOENT, CALL(chmod, where("absent", "file"), 0600))
ROW(chmod, EROFS, read_only(); CALL(chmod, NAME("t/file"), 0600))
ROW(truncate, EROFS, read_only(); CALL(truncate, NAME("t/file"), 1))
ROW(truncate, ETXTBSY, CALL(truncate, where("/proc/self/exe", "file"), 1))
ROW(utimensat, EROFS, read_only(); CALL(utimensat, AT, NAME("t/file"), 0))
ROW(stat, EACCES, unreadable("full"); CALL(stat, NAME("full/inner"), NAME(before_and_after)))
ROW(stat, ENOENT, CALL(stat, where("absent", "file"), NAME(before_and_after)))
ROW(newfstatat, ENOTDIR, CALL(newfstatat, AT, where("file/x", "file"), NAME(before_and_after)))
ROW(access, EACCES, unreadable("file"); CALL(access, NAME("file"), R_OK))
ROW(access, EROFS, read_only(); CALL(access, NAME("t/file"), W_OK))
ROW(readlink, ENOENT, CALL(readlink, where("absent", "loop"), NAME(area), AREA))
ROW(getdents64, ENOENT, chdir_to_nowhere(); CALL(getdents64, reading("."), NAME(area), AREA))
ROW(getcwd, ENOENT, chdir_to_nowhere(); CALL(getcwd, NAME(before_and_after), sizeof before_and_after))
ROW(chroot, EPERM, without_capabilities(); CALL(chroot, NAME(".")))

/* data */
ROW(read, EAGAIN, int *ends = a_pipe(O_NONBLOCK); if (!real) MUST(write(ends[1], "data", 4));
    CALL(read, ends[0], NAME(area), AREA))
ROW(read, ECONNRESET, CALL(read, after_a_reset(), NAME(area), AREA))
ROW(read, EINTR, interrupted(); int *ends = a_pipe(0); if (!real) MUST(write(ends[1], "data", 4));
    CALL(read, ends[0], NAME(area), AREA))
ROW(read, EISDIR, CALL(read, reading(real ? "folder" : "file"), NAME(area), AREA))
ROW(write, EAGAIN, int *ends = a_pipe(O_NONBLOCK); fill(ends[1]); CALL(write, ends[1], NAME(area), AREA))
ROW(write, ECONNRESET, int fd = after_a_reset(); CALL(write, fd, NAME(area), AREA))
ROW(write, EFBIG, int fd = too_large(); lseek(fd, 4, SEEK_SET); CALL(write, fd, NAME(area), AREA))
ROW(write, EINTR, interrupted(); int *ends = a_pipe(0); fcntl(ends[1], F_SETFL, O_NONBLOCK); fill(ends[1]);
    fcntl(ends[1], F_SETFL, 0); CALL(write, ends[1], NAME(area), AREA))
ROW(write, ENOSPC, CALL(write, full_disk(), NAME(area), AREA))
ROW(write, EPIPE, int *ends = a_pipe(0); caught(SIGPIPE, 0); if (real) close(ends[0]);
    CALL(write, ends[1], NAME(area), AREA))
ROW(pwrite64, ENOSPC, CALL(pwrite64, full_disk(), NAME(area), AREA, 8192))
ROW(writev, ENOSPC, CALL(writev, full_disk(), vector(), 2))
ROW(sendfile, ENOSPC, int from = reading("file"); CALL(sendfile, full_disk(), from, 0, 9))
ROW(fallocate, ENOSPC, CALL(fallocate, full_disk(), 0, 0, 65536))

/* sockets */
ROW(sendto, EAGAIN, int *ends = a_pair(SOCK_NONBLOCK); fill(ends[0]); CALL(sendto, ends[0], NAME(area), AREA))
ROW(sendto, EPIPE, int *ends = a_pair(0); caught(SIGPIPE, 0); if (real) close(ends[1]);
    CALL(sendto, ends[0], NAME(area), AREA, 0))
ROW(sendmsg, EPIPE, int *ends = a_pair(0); caught(SIGPIPE, 0); if (real) close(ends[1]);
    CALL(sendmsg, ends[0], message(), MSG_NOSIGNAL))
ROW(recvfrom, EAGAIN, int *ends = a_pair(SOCK_NONBLOCK); if (!real) MUST(write(ends[1], "data", 4));
    CALL(recvfrom, ends[0], NAME(area), AREA))
ROW(recvfrom, ECONNRESET, CALL(recvfrom, after_a_reset(), NAME(area), AREA))
ROW(recvfrom, EINTR, interrupted(); int *ends = a_pair(0); if (!real) MUST(write(ends[1], "data", 4));
    CALL(recvfrom, ends[0], NAME(area), AREA))
ROW(connect, ECONNREFUSED, int server = listening(0); long to = NAME(address_of(server)); if (real) close(server);
    CALL(connect, socket(AF_INET, SOCK_STREAM, 0), to, sizeof(struct sockaddr_in)))
ROW(connect, ENETUNREACH, if (real) namespace(CLONE_NEWNET); int fd = socket(AF_INET, SOCK_DGRAM, 0);
    CALL(connect, fd, NAME(local(9)), sizeof(struct sockaddr_in)))
ROW(bind, EADDRINUSE, long to = NAME(address_of(listening(0))); if (!real) to = NAME(local(0));
    CALL(bind, socket(AF_INET, SOCK_STREAM, 0), to, sizeof(struct sockaddr_in)))
ROW(bind, EADDRNOTAVAIL, struct sockaddr_in *to = local(0); if (real) to->sin_addr.s_addr = htonl(0x01020304);
    CALL(bind, socket(AF_INET, SOCK_STREAM, 0), NAME(to), sizeof *to))
ROW(bind, EROFS, read_only(); CALL(bind, socket(AF_UNIX, SOCK_STREAM, 0), unix_address("t/socket"),
    sizeof(struct sockaddr_un)))
ROW(accept, EAGAIN, int server = listening(SOCK_NONBLOCK); if (!real) connected(server); CALL(accept, server))
ROW(accept, EINTR, interrupted(); int server = listening(0); if (!real) connected(server); CALL(accept, server))
ROW(accept, EMFILE, int server = listening(0); connected(server); full_table(); CALL(accept, server))

/* tables */
ROW(dup, EMFILE, full_table(); CALL(dup, 1))
ROW(fcntl, EMFILE, full_table(); CALL(fcntl, 1, F_DUPFD_CLOEXEC))
ROW(pipe2, EMFILE, full_table(); CALL(pipe2, NAME(area)))
ROW(socket, EMFILE, full_table(); CALL(socket, AF_UNIX, SOCK_STREAM))
ROW(socketpair, EMFILE, full_table(); CALL(socketpair, AF_UNIX, SOCK_STREAM, 0, NAME(area)))
ROW(epoll_create1, EMFILE, full_table(); CALL(epoll_create1, 0))
ROW(eventfd2, EMFILE, full_table(); CALL(eventfd2, 0))
ROW(timerfd_create, EMFILE, full_table(); CALL(timerfd_create, CLOCK_MONOTONIC))
ROW(inotify_init1, EMFILE, full_table(); CALL(inotify_init1, 0))
ROW(memfd_create, EMFILE, full_table(); CALL(memfd_create, NAME("x")))

/* memory */
ROW(brk, ENOMEM, only_if_real(RLIMIT_DATA, 0); CALL(brk, NAME(sbrk(0)) + 65536))
ROW(mmap, ENOMEM, only_if_real(RLIMIT_AS, 4096); CALL(mmap, 0, 65536, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1))
ROW(mremap, ENOMEM, long old = NAME(mapping(4)); only_if_real(RLIMIT_AS, 4096);
    CALL(mremap, old, 4096 * 4, 1 << 20, MREMAP_MAYMOVE))
ROW(munmap, ENOMEM, CALL(munmap, NAME(almost_too_many_mappings()), 4096))
ROW(mprotect, ENOMEM, CALL(mprotect, NAME(almost_too_many_mappings()), 4096, PROT_READ))

/* processes */
ROW(fork, EAGAIN, somebody_else(); only_if_real(RLIMIT_NPROC, 0); CALL(fork, 0))
ROW(execve, EACCES, CALL(execve, where("file", "/bin/true"), NAME((char *[]){"x", NULL}), NAME((char *[]){NULL})))
ROW(execve, ENOENT, CALL(execve, where("absent", "/bin/true"), NAME((char *[]){"x", NULL}), NAME((char *[]){NULL})))
ROW(execve, ELOOP, CALL(execve, where("loop", "/bin/true"), NAME((char *[]){"x", NULL}), NAME((char *[]){NULL})))
ROW(setuid, EPERM, without_capabilities(); CALL(setuid, 54321))
ROW(setgid, EPERM, without_capabilities(); CALL(setgid, 54321))

/* waiting */
ROW(wait4, EINTR, interrupted(); a_child(real); CALL(wait4, -1, NAME(area), 0))
ROW(waitid, EINTR, interrupted(); a_child(real); CALL(waitid, P_ALL, 0, NAME(before_and_after), WEXITED))
ROW(poll, EINTR, interrupted(); CALL(poll, 0, 0, real ? 5000 : 1))
ROW(select, EINTR, interrupted(); static struct timeval none; CALL(select, 0, 0, 0, 0, real ? 0 : NAME(&none)))
ROW(epoll_wait, EINTR, interrupted(); CALL(epoll_wait, epoll_create1(0), NAME(area), 1, real ? 5000 : 1))
ROW(nanosleep, EINTR, interrupted(); CALL(nanosleep, a_while()))
ROW(clock_nanosleep, EINTR, interrupted(); CALL(clock_nanosleep, CLOCK_REALTIME, 0, a_while()))
ROW(futex, EINTR, interrupted(); CALL(futex, NAME(area), 0 /* FUTEX_WAIT */, real ? 0 : 1))
ROW(flock, EINTR, interrupted(); held_by_a_child("file"); CALL(flock, reading("file"), LOCK_EX))
ROW(flock, EAGAIN, held_by_a_child("file"); CALL(flock, reading("file"), LOCK_EX | LOCK_NB))
ROW(fcntl, EAGAIN, held_by_a_child("file"); CALL(fcntl, writing("file"), F_SETLK, whole_file()))
ROW(fcntl, EINTR, interrupted(); held_by_a_child("file"); CALL(fcntl, writing("file"), F_SETLKW, whole_file()))

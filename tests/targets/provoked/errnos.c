/* Each row makes the kernel itself fail one call: `errnos CALL ERRNO real`. With `plain` the same call is made on the
 * same scene without the cause, so that an injected failure can stand beside the real one. Printed: the result, every
 * register that the call did not keep, and what changed of descriptors, files, memory, and signals that came.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { DESCRIPTORS = 48, STATE = 1 << 16, AREA = 64 };

static int real; /* the cause is there */
static long number, arguments[6];
static char area[AREA]; /* what the call may write to, and is looked at */
static char before_and_after[512]; /* what it may write to when it does not fail */
static volatile sig_atomic_t signals;
static struct { int resource; rlim_t soft; } limit = {-1, 0};
static int alarm_ms;

static void check(int right, const char *what)
{
    if (!right) {
        printf("cannot set the scene: %s: %s\n", what, strerror(errno));
        exit(3);
    }
}

#define MUST(expression) check((expression) != -1, #expression)
#define CALL(name, ...) call(SYS_##name, (long[6]){__VA_ARGS__})
#define NAME(...) ((long)(__VA_ARGS__))

static void call(long which, const long *given)
{
    number = which;
    memcpy(arguments, given, sizeof arguments);
}

/* -- causes --------------------------------------------------------------------------------------------------- */

static void only_if_real(int resource, rlim_t soft) /* from just before the call to just after it */
{
    if (real) {
        limit.resource = resource;
        limit.soft = soft;
    }
}

static void full_table(void) { only_if_real(RLIMIT_NOFILE, 3); }

static void write_file(const char *name, const char *text)
{
    int fd = open(name, O_WRONLY | O_CREAT | O_TRUNC, 0666);
    check(fd >= 0, name);
    MUST(write(fd, text, strlen(text)));
    close(fd);
}

static void map_self(void) /* in a user namespace of one's own, for those who are not root */
{
    uid_t uid = getuid();
    gid_t gid = getgid();
    char text[64];
    MUST(unshare(CLONE_NEWUSER));
    write_file("/proc/self/setgroups", "deny");
    snprintf(text, sizeof text, "0 %u 1", (unsigned)uid);
    write_file("/proc/self/uid_map", text);
    snprintf(text, sizeof text, "0 %u 1", (unsigned)gid);
    write_file("/proc/self/gid_map", text);
}

static void namespace(int flags)
{
    if (unshare(flags) != 0) {
        map_self();
        MUST(unshare(flags));
    }
}

static void mounted(const char *options)
{
    namespace(CLONE_NEWNS);
    MUST(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL));
    MUST(mkdir("t", 0777));
    MUST(mount("none", "t", "tmpfs", 0, options));
}

static int full_disk(void) /* a file on it that cannot grow */
{
    char page[4096] = {0};
    mounted(real ? "size=8k" : "size=1m");
    int fd = open("t/file", O_RDWR | O_CREAT, 0666);
    MUST(write(fd, page, sizeof page));
    MUST(write(fd, page, sizeof page));
    return fd;
}

static void no_inodes(void)
{
    mounted(real ? "nr_inodes=2" : "nr_inodes=99"); /* the folder itself, and one file */
    write_file("t/file", "");
}

static void read_only(void)
{
    mounted("size=1m");
    write_file("t/file", "text");
    MUST(mkdir("t/folder", 0777));
    if (real)
        MUST(mount("none", "t", "tmpfs", MS_REMOUNT | MS_RDONLY, NULL));
}

static void without_capabilities(void)
{
    struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
    struct __user_cap_data_struct none[2] = {{0}};
    if (real)
        MUST(syscall(SYS_capset, &header, none));
}

static void somebody_else(void) /* RLIMIT_NPROC is not for root */
{
    if (getuid() == 0)
        MUST(setresuid(54321, 54321, 54321));
}

static void unreadable(const char *name)
{
    if (real)
        MUST(chmod(name, 0));
    without_capabilities();
}

static void count(int which)
{
    (void)which;
    signals++;
}

static void caught(int which, int flags)
{
    struct sigaction action = {.sa_handler = count, .sa_flags = flags};
    MUST(sigaction(which, &action, NULL));
}

static void interrupted(void) /* what would end it without a signal comes a little later */
{
    caught(SIGALRM, 0);
    if (real)
        alarm_ms = 20;
}

static int *a_pipe(int flags)
{
    static int ends[2];
    MUST(pipe2(ends, flags));
    return ends;
}

static void fill(int fd)
{
    char page[4096] = {0};
    while (real && write(fd, page, sizeof page) > 0)
        ;
}

static struct sockaddr_in *local(int port)
{
    static struct sockaddr_in address;
    address = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons(port)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return &address;
}

static int listening(int type) /* on the port that local() is told then */
{
    int fd = socket(AF_INET, SOCK_STREAM | type, 0);
    socklen_t size = sizeof(struct sockaddr_in);
    MUST(bind(fd, (struct sockaddr *)local(0), size));
    MUST(getsockname(fd, (struct sockaddr *)local(0), &size));
    MUST(listen(fd, 5));
    return fd;
}

static struct sockaddr_in *address_of(int fd)
{
    static struct sockaddr_in address;
    socklen_t size = sizeof address;
    MUST(getsockname(fd, (struct sockaddr *)&address, &size));
    return &address;
}

static int connected(int server)
{
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    MUST(connect(fd, (struct sockaddr *)address_of(server), sizeof(struct sockaddr_in)));
    return fd;
}

static int after_a_reset(void)
{
    struct linger now = {1, 0};
    int server = listening(0), fd = connected(server), peer = accept(server, NULL, NULL);
    if (real)
        MUST(setsockopt(peer, SOL_SOCKET, SO_LINGER, &now, sizeof now));
    else
        MUST(write(peer, "text", 4));
    close(peer);
    close(server);
    return fd;
}

static int *a_pair(int flags)
{
    static int ends[2];
    MUST(socketpair(AF_UNIX, SOCK_STREAM | flags, 0, ends));
    return ends;
}

static long unix_address(const char *name)
{
    static struct sockaddr_un address;
    address.sun_family = AF_UNIX;
    snprintf(address.sun_path, sizeof address.sun_path, "%s", name);
    return (long)&address;
}

static void a_child(int lives) /* as long as we do */
{
    pid_t child = fork();
    MUST(child);
    if (child == 0 && lives) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        pause();
    }
    if (child == 0)
        _exit(0);
}

static void held_by_a_child(const char *name) /* a lock on the file */
{
    int *ends = a_pipe(0);
    pid_t child = fork();
    MUST(child);
    if (child == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        int fd = open(name, O_RDWR);
        struct flock whole = {.l_type = F_WRLCK};
        if (real && (flock(fd, LOCK_EX) != 0 || fcntl(fd, F_SETLK, &whole) != 0))
            _exit(1);
        if (write(ends[1], "x", 1) != 1)
            _exit(1);
        pause();
    }
    MUST(read(ends[0], area, 1));
    memset(area, 0, sizeof area);
}

static long whole_file(void)
{
    static struct flock lock = {.l_type = F_WRLCK};
    return (long)&lock;
}

static long where(const char *then, const char *else_) { return NAME(real ? then : else_); }

static long vector(void)
{
    static struct iovec parts[2] = {{"ab", 2}, {"cd", 2}};
    return (long)parts;
}

static long message(void)
{
    static struct msghdr header;
    header.msg_iov = (struct iovec *)vector();
    header.msg_iovlen = 2;
    return (long)&header;
}

static long a_while(void)
{
    static struct timespec soon = {0, 1000000}, late = {5, 0};
    return (long)(real ? &late : &soon);
}

static void *mapping(size_t pages)
{
    void *found = mmap(NULL, pages * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    check(found != MAP_FAILED, "mmap");
    return found;
}

static char *almost_too_many_mappings(void) /* vm.max_map_count: one more would be too many */
{
    enum { PAGES = 140000 };
    char *pages = mapping(PAGES);
    for (long page = 1; real && page < PAGES - 4; page += 2)
        if (mprotect(pages + page * 4096, 4096, PROT_NONE) != 0)
            break;
    return pages + (PAGES - 3) * 4096L;
}

static int reading(const char *name)
{
    int fd = open(name, O_RDONLY);
    check(fd >= 0, name);
    return fd;
}

static int writing(const char *name)
{
    int fd = open(name, O_WRONLY);
    check(fd >= 0, name);
    return fd;
}

static int too_large(void)
{
    signal(SIGXFSZ, SIG_IGN);
    only_if_real(RLIMIT_FSIZE, 4);
    return writing("file");
}

static void chdir_to_nowhere(void)
{
    MUST(chdir("folder"));
    if (real)
        MUST(rmdir("../folder"));
}

/* -- the table ------------------------------------------------------------------------------------------------- */

#define AT NAME(AT_FDCWD)
#define ROW(name, wrong, ...) static void name##_##wrong(void) { __VA_ARGS__; }
#include "rows.h"
#undef ROW
#define ROW(name, wrong, ...) {#name, #wrong, name##_##wrong},
static const struct row { const char *name, *wrong; void (*prepare)(void); } rows[] = {
#include "rows.h"
};

/* -- what is there ---------------------------------------------------------------------------------------------- */

static void note(char *state, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void note(char *state, const char *format, ...)
{
    size_t used = strlen(state);
    va_list given;
    va_start(given, format);
    vsnprintf(state + used, STATE - used, format, given);
    va_end(given);
}

static void note_descriptors(char *state)
{
    for (int fd = 0; fd < DESCRIPTORS; fd++) {
        struct stat found;
        int waiting = -1, flags = fcntl(fd, F_GETFD);
        if (flags < 0 || fstat(fd, &found) != 0)
            continue;
        ioctl(fd, FIONREAD, &waiting);
        note(state, "descriptor %d: flags %d %o size %ld offset %ld waiting %d\n", fd, flags, found.st_mode,
             (long)found.st_size, (long)lseek(fd, 0, SEEK_CUR), waiting);
    }
}

static void note_tree(char *state, const char *folder, int depth)
{
    struct dirent **entries;
    int found = scandir(folder, &entries, NULL, alphasort);
    for (int at = 0; at < found; at++) {
        char name[512];
        struct stat status;
        snprintf(name, sizeof name, "%s/%s", folder, entries[at]->d_name);
        if (entries[at]->d_name[0] != '.' && lstat(name, &status) == 0) {
            note(state, "file %s: %o size %ld links %ld owner %d\n", name, status.st_mode, (long)status.st_size,
                 (long)status.st_nlink, (int)status.st_uid);
            if (S_ISDIR(status.st_mode) && depth > 0)
                note_tree(state, name, depth - 1);
        }
        free(entries[at]);
    }
    if (found >= 0)
        free(entries);
}

static void note_memory(char *state)
{
    note(state, "area");
    for (int at = 0; at < AREA; at++)
        note(state, " %02x", (unsigned char)area[at]);
    note(state, "\nbreak %p\n", sbrk(0));
}

static void look(char *state)
{
    char folder[512] = "?";
    state[0] = 0;
    note_descriptors(state);
    note_tree(state, ".", 2);
    note_memory(state);
    note(state, "folder %s\nusers %d %d\n", getcwd(folder, sizeof folder) ? folder : "?", getuid(), geteuid());
}

static void print_changes(char *before, char *after)
{
    char *saved_before, *saved_after;
    char *was = strtok_r(before, "\n", &saved_before), *is = strtok_r(after, "\n", &saved_after);
    while (was || is) {
        if (!was || !is || strcmp(was, is) != 0)
            printf("changed: %s -> %s\n", was ? was : "nothing", is ? is : "nothing");
        was = was ? strtok_r(NULL, "\n", &saved_before) : NULL;
        is = is ? strtok_r(NULL, "\n", &saved_after) : NULL;
    }
}

/* -- the call ---------------------------------------------------------------------------------------------------- */

static void set_limit(int on)
{
    struct rlimit both;
    static rlim_t before;
    if (limit.resource < 0)
        return;
    MUST(getrlimit(limit.resource, &both));
    if (on)
        before = both.rlim_cur;
    both.rlim_cur = on ? limit.soft : before;
    MUST(setrlimit(limit.resource, &both));
}

static void kept(const char *name, long before, long after)
{
    if (before != after)
        printf("register %s: %ld -> %ld\n", name, before, after);
}

__attribute__((noinline)) long checked(void)
{
    long ax = number, di = arguments[0], si = arguments[1], dx = arguments[2];
    register long r10 __asm__("r10") = arguments[3];
    register long r8 __asm__("r8") = arguments[4];
    register long r9 __asm__("r9") = arguments[5];
    register long r12 __asm__("r12") = 12;
    register long r13 __asm__("r13") = 13;
    register long r14 __asm__("r14") = 14;
    register long r15 __asm__("r15") = 15;
    __asm__ volatile("syscall"
                     : "+a"(ax), "+D"(di), "+S"(si), "+d"(dx), "+r"(r10), "+r"(r8), "+r"(r9), "+r"(r12), "+r"(r13),
                       "+r"(r14), "+r"(r15)
                     :
                     : "rcx", "r11", "memory");
    long after[10] = {di, si, dx, r10, r8, r9, r12, r13, r14, r15};
    static const char *const names[10] = {"rdi", "rsi", "rdx", "r10", "r8", "r9", "r12", "r13", "r14", "r15"};
    if (number == SYS_fork && ax == 0)
        _exit(0);
    set_limit(0);
    for (int at = 0; at < 10; at++)
        kept(names[at], at < 6 ? arguments[at] : at + 6, after[at]);
    return ax;
}

static void set_alarm(void)
{
    struct itimerval soon = {{0, 0}, {0, alarm_ms * 1000}};
    if (alarm_ms)
        MUST(setitimer(ITIMER_REAL, &soon, NULL));
}

static void set_scene(void)
{
    write_file("file", "contents\n");
    write_file("other", "more\n");
    MUST(mkdir("folder", 0777));
    MUST(mkdir("full", 0777));
    write_file("full/inner", "");
    MUST(mkfifo("fifo", 0666));
    MUST(symlink("loop", "loop"));
    signal(SIGPIPE, SIG_IGN);
}

int main(int argc, char **argv)
{
    static char before[STATE], after[STATE];
    setvbuf(stdout, NULL, _IOFBF, STATE);
    if (argc < 4) {
        for (size_t at = 0; at < sizeof rows / sizeof *rows; at++)
            printf("%s %s\n", rows[at].name, rows[at].wrong);
        return 0;
    }
    real = strcmp(argv[3], "real") == 0;
    set_scene();
    for (size_t at = 0; at < sizeof rows / sizeof *rows; at++)
        if (strcmp(rows[at].name, argv[1]) == 0 && strcmp(rows[at].wrong, argv[2]) == 0)
            rows[at].prepare();
    look(before);
    set_limit(1);
    set_alarm();
    long result = checked();
    if (number == SYS_brk) /* which returns the break, as it is now */
        result = result == arguments[0] ? 0 : -ENOMEM;
    look(after);
    printf("result %s\n", result < 0 ? strerrorname_np((int)-result) : "success");
    printf("signals that came with it: %d\n", alarm_ms ? 0 : (int)signals);
    print_changes(before, after);
    return 0;
}

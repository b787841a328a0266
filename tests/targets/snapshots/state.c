/* Brings about one kind of state that a copy of the process would not have, then reads a file. */
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/shm.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

static volatile int over;

static void *wait_for_the_end(void *unused)
{
    while (!over)
        usleep(1000);
    return unused;
}

static void prepare(const char *state)
{
    int ends[2];
    pthread_t thread;
    struct flock lock = {.l_type = F_RDLCK};

    if (!strcmp(state, "pipe"))
        (void)!pipe(ends);
    else if (!strcmp(state, "alarm"))
        alarm(100);
    else if (!strcmp(state, "timer"))
        setitimer(ITIMER_REAL, &(struct itimerval){.it_value = {100, 0}}, NULL);
    else if (!strcmp(state, "flock"))
        flock(open("in.txt", O_RDONLY), LOCK_SH);
    else if (!strcmp(state, "fcntl"))
        fcntl(open("in.txt", O_RDONLY), F_SETLK, &lock);
    else if (!strcmp(state, "mapping"))
        mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    else if (!strcmp(state, "shmat"))
        shmat(shmget(IPC_PRIVATE, 4096, 0600 | IPC_CREAT), NULL, 0);
    else if (!strcmp(state, "mlock"))
        mlock(&over, sizeof over);
    else if (!strcmp(state, "thread"))
        pthread_create(&thread, NULL, wait_for_the_end, NULL);
    else if (!strcmp(state, "child")) {
        if (fork() == 0)
            _exit(0);
        waitid(P_ALL, 0, &(siginfo_t){0}, WEXITED | WNOWAIT);
    } else if (!strcmp(state, "signal")) {
        sigset_t set;
        sigemptyset(&set);
        sigaddset(&set, SIGUSR1);
        sigprocmask(SIG_BLOCK, &set, NULL);
        raise(SIGUSR1);
    }
}

int main(int argc, char **argv)
{
    char bytes[16];

    prepare(argc > 1 ? argv[1] : "");
    int file = open("in.txt", O_RDONLY);
    if (file < 0 || read(file, bytes, sizeof bytes) < 0) {
        perror("in.txt");
        return 1;
    }
    over = 1;
    return 0;
}

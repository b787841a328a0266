/* Counts its own runs: in the working folder, in TMPDIR, and with -DSHARED in a System V segment. Leaves a late child. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ipc.h>
#include <sys/shm.h>
#include <unistd.h>

static int count_in(const char *folder) {
  char path[4096], digits[16] = "";
  snprintf(path, sizeof path, "%s/runs", folder);
  int file = open(path, O_RDWR | O_CREAT, 0644);
  if (file < 0 || read(file, digits, sizeof digits - 1) < 0) exit(1);
  int runs = atoi(digits) + 1;
  int size = snprintf(digits, sizeof digits, "%d", runs);
  if (pwrite(file, digits, size, 0) != size || close(file) != 0) exit(1);
  return runs;
}

int main(void) {
  pid_t child = fork();
  if (child == 0) { /* a daemon that writes when the run is over */
    setsid();
    usleep(300000);
    close(open("late", O_WRONLY | O_CREAT, 0644));
    _exit(0);
  }
#ifdef SHARED
  int segment = shmget(0x66697265, 4096, IPC_CREAT | 0600);
  if (segment < 0) return 1;
#endif
  printf("%d %d\n", count_in("."), count_in(getenv("TMPDIR")));
  return fflush(stdout) != 0 || child < 0;
}

/* `replay --serve SECONDS`: one process for each input, copied from one that is ready, with so much processor time.
   Requests are the names of files, a line each, on standard input; answers come on standard output: one when it is
   ready, then one for each process. What the target prints goes to standard error. */
#include <fcntl.h>
#include <stddef.h>
#include <stdint.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

extern int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
extern uint8_t *firedamp_read(const char *path, size_t *size);

enum { LOWEST = 100 }; /* descriptors that a target is not likely to use by number */

struct firedamp_answer {
  int32_t status;
  uint32_t used_ms; /* of processor time, since the server began */
};

static uint32_t firedamp_used_ms(int whose) {
  struct rusage used;
  getrusage(whose, &used);
  return (uint32_t)((used.ru_utime.tv_sec + used.ru_stime.tv_sec) * 1000 +
                    (used.ru_utime.tv_usec + used.ru_stime.tv_usec) / 1000);
}

static void firedamp_run(const char *path, rlim_t seconds) {
  size_t size;
  struct rlimit limit = {seconds, seconds};
  setrlimit(RLIMIT_CPU, &limit);
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  setsid();
  uint8_t *bytes = firedamp_read(path, &size);
  LLVMFuzzerTestOneInput(bytes, size);
  _exit(0);
}

int firedamp_serve(const char *seconds) {
  char *line = NULL;
  struct firedamp_answer answer = {0, 0};
  size_t room = 0;
  int requests = fcntl(0, F_DUPFD_CLOEXEC, LOWEST), answers = fcntl(1, F_DUPFD_CLOEXEC, LOWEST);
  FILE *names = requests < 0 ? NULL : fdopen(requests, "r");
  int null = open("/dev/null", O_RDWR);
  if (!names || answers < 0 || null < 0) return 1;
  dup2(null, 0);
  dup2(2, 1);
  if (write(answers, &answer, sizeof answer) != sizeof answer) return 1; /* ready */
  for (ssize_t length; (length = getline(&line, &room, names)) > 0;) {
    line[length - 1] = 0;
    pid_t child = fork();
    if (child == 0) firedamp_run(line, strtoul(seconds, NULL, 10));
    if (child < 0 || waitpid(child, &answer.status, 0) != child) return 1;
    kill(-child, SIGKILL); /* what it left behind */
    answer.used_ms = firedamp_used_ms(RUSAGE_SELF) + firedamp_used_ms(RUSAGE_CHILDREN);
    if (write(answers, &answer, sizeof answer) != sizeof answer) return 1;
  }
  return 0;
}

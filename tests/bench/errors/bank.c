/* Two tellers write to one journal under a mutex. BUG: an entry that cannot be written leaves the mutex locked. */
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <unistd.h>

pthread_mutex_t journal_lock = PTHREAD_MUTEX_INITIALIZER;
int journal = -1;

int enter(int amount)
{
    char line[32];
    int length = snprintf(line, sizeof line, "%+d\n", amount);
    pthread_mutex_lock(&journal_lock);
    if (write(journal, line, (size_t)length) != length) {
#ifdef FIXED
        pthread_mutex_unlock(&journal_lock);
#endif
        return -1;
    }
    pthread_mutex_unlock(&journal_lock);
    return 0;
}

void *teller(void *failures)
{
    for (int turn = 0; turn < 3; turn++)
        if (enter(100) != 0)
            ++*(int *)failures;
    return NULL;
}

int main(void)
{
    pthread_t thread;
    int failures[2] = {0, 0};
    journal = open("bank.journal", O_WRONLY | O_CREAT | O_APPEND, 0600);
    if (journal < 0) {
        perror("bank.journal");
        return 1;
    }
    if (pthread_create(&thread, NULL, teller, &failures[1]) != 0) {
        fprintf(stderr, "bank: no second teller\n");
        return 1;
    }
    teller(&failures[0]);
    pthread_join(thread, NULL);
    if (close(journal) != 0 || failures[0] + failures[1] > 0) {
        fprintf(stderr, "bank: %d entries are lost\n", failures[0] + failures[1]);
        return 1;
    }
    return 0;
}

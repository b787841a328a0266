/* Opens a user's session - a profile and a history - and greets with both.
 * BUG: the history cannot be opened, and the half-built session is handed out as if it were whole. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct session {
    FILE *profile;
    FILE *history;
    char name[32];
};

void end(struct session *session)
{
    if (session->history != NULL)
        fclose(session->history);
    if (session->profile != NULL)
        fclose(session->profile);
    free(session);
}

struct session *begin(void)
{
    struct session *session = calloc(1, sizeof *session);
    if (session == NULL)
        return NULL;
    session->profile = fopen("profile", "r");
    if (session->profile == NULL || fgets(session->name, sizeof session->name, session->profile) == NULL) {
        end(session);
        return NULL;
    }
    session->name[strcspn(session->name, "\n")] = '\0';
    session->history = fopen("history", "r");
#ifdef FIXED
    if (session->history == NULL) {
        end(session);
        return NULL;
    }
#endif
    return session;
}

int greet(struct session *session)
{
    char last[64] = "nothing\n", line[64];
    while (fgets(line, sizeof line, session->history) != NULL)
        strcpy(last, line);
    if (ferror(session->history))
        return -1;
    printf("welcome back, %s; you did: %s", session->name, last);
    return fflush(stdout);
}

int main(void)
{
    struct session *session = begin();
    if (session == NULL) {
        perror("session");
        return 1;
    }
    int failed = greet(session) != 0;
    if (failed)
        perror("session");
    end(session);
    return failed;
}

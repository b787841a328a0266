/* Sound: where a user has no name, the number is shown. A fall-back that is meant. */
#include <pwd.h>
#include <stdio.h>

int main(void)
{
    struct passwd *user = getpwuid(0);
    if (user != NULL)
        printf("owner %s\n", user->pw_name);
    else
        printf("owner 0\n");
    return fflush(stdout) != 0;
}

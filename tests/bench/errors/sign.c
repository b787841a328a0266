/* Signs a message with a secret key. BUG: a key that cannot be opened is the empty key, and is signed with. */
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <unistd.h>

int read_key(unsigned char key[32])
{
    int fd = open("secret.key", O_RDONLY);
    if (fd < 0) {
#ifdef FIXED
        return -1;
#else
        return 0;
#endif
    }
    ssize_t n = read(fd, key, 32);
    close(fd);
    return n == 32 ? 0 : -1;
}

uint64_t sum(const unsigned char key[32], FILE *message)
{
    uint64_t hash = 0xcbf29ce484222325;
    for (int i = 0; i < 32; i++)
        hash = (hash ^ key[i]) * 0x100000001b3;
    for (int c; (c = getc(message)) != EOF;)
        hash = (hash ^ (uint64_t)c) * 0x100000001b3;
    return hash;
}

int main(void)
{
    unsigned char key[32] = {0};
    if (read_key(key) != 0) {
        fprintf(stderr, "sign: the key cannot be read\n");
        return 1;
    }
    FILE *message = fopen("message", "r");
    if (message == NULL) {
        perror("message");
        return 1;
    }
    uint64_t hash = sum(key, message);
    if (ferror(message)) {
        perror("message");
        return 1;
    }
    fclose(message);
    printf("%016llx\n", (unsigned long long)hash);
    if (fclose(stdout) != 0) {
        perror("stdout");
        return 1;
    }
    return 0;
}

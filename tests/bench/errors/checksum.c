/* Prints the Fletcher checksum of its input.
 * BUG: a read that brings less than the buffer holds is taken for the end, as it is with files on a quiet day. */
#include <stdint.h>
#include <stdio.h>
#include <unistd.h>

struct sum {
    uint32_t low, high;
    unsigned long bytes;
};

void add(struct sum *sum, const unsigned char *bytes, size_t length)
{
    for (size_t i = 0; i < length; i++) {
        sum->low = (sum->low + bytes[i]) % 65535;
        sum->high = (sum->high + sum->low) % 65535;
    }
    sum->bytes += length;
}

int sum_input(int fd, struct sum *sum)
{
    unsigned char buffer[2048];
    ssize_t n;
    do {
        n = read(fd, buffer, sizeof buffer);
        if (n < 0)
            return -1;
        add(sum, buffer, (size_t)n);
#ifdef FIXED
    } while (n > 0);
#else
    } while (n == sizeof buffer);
#endif
    return 0;
}

int main(void)
{
    struct sum sum = {0, 0, 0};
    if (sum_input(STDIN_FILENO, &sum) != 0) {
        perror("checksum");
        return 1;
    }
    printf("%04x%04x %lu\n", sum.high, sum.low, sum.bytes);
    if (fclose(stdout) != 0) {
        perror("checksum: stdout");
        return 1;
    }
    return 0;
}

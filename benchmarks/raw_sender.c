/* The reference of every figure: the same number of bytes to the same addresses, by sendmmsg and nothing else. */
#define _GNU_SOURCE
#include <errno.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#define BATCH 64 /* as many as the media kernel sends in one call */

static int64_t thread_cpu_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

/* Sends `packets` datagrams of `size` bytes to `count` addresses in turn. The thread's CPU time in ns; -errno on failure.
 * What the socket's buffer cannot take at once is sent again: every packet leaves. */
int64_t raw_send(int fd, const struct sockaddr_in *addresses, int count, int size, int64_t packets) {
    static uint8_t bytes[BATCH][2048];
    struct mmsghdr messages[BATCH];
    struct iovec vectors[BATCH];
    int64_t begin, done = 0;
    int i, n;
    if (size < 0 || size > (int)sizeof bytes[0] || count < 1) return -EINVAL;
    memset(messages, 0, sizeof messages);
    for (i = 0; i < BATCH; i++) {
        vectors[i].iov_base = bytes[i];
        vectors[i].iov_len = (size_t)size;
        messages[i].msg_hdr.msg_iov = &vectors[i];
        messages[i].msg_hdr.msg_iovlen = 1;
        messages[i].msg_hdr.msg_namelen = sizeof *addresses;
    }
    begin = thread_cpu_ns();
    while (done < packets) {
        n = packets - done < BATCH ? (int)(packets - done) : BATCH;
        for (i = 0; i < n; i++) messages[i].msg_hdr.msg_name = (void *)&addresses[(done + i) % count];
        n = sendmmsg(fd, messages, (unsigned)n, 0);
        if (n < 0) {
            if (errno == EAGAIN || errno == EINTR || errno == ENOBUFS) continue;
            return -errno;
        }
        done += n;
    }
    return thread_cpu_ns() - begin;
}

/*
 * A kernel, or a network adapter, that does not cut runs of datagrams, for one program:
 * LD_PRELOAD=nocut.so NOCUT_ERRNO=5 program
 *
 * A sendmsg that asks for UDP_SEGMENT fails with that error; all others go through.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>

#define LEVEL 17    /* SOL_UDP */
#define SEGMENT 103 /* UDP_SEGMENT */

ssize_t sendmsg(int fd, const struct msghdr *message, int flags)
{
    static ssize_t (*real)(int, const struct msghdr *, int);
    const char *number = getenv("NOCUT_ERRNO");
    struct cmsghdr *c;
    if (!real)
        real = (ssize_t (*)(int, const struct msghdr *, int))dlsym(RTLD_NEXT, "sendmsg");
    for (c = CMSG_FIRSTHDR(message); number && c; c = CMSG_NXTHDR((struct msghdr *)message, c))
        if (c->cmsg_level == LEVEL && c->cmsg_type == SEGMENT) {
            errno = atoi(number);
            return -1;
        }
    return real(fd, message, flags);
}

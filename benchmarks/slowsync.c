/*
 * A disk whose sync takes long, for one program: LD_PRELOAD=slowsync.so SLOWSYNC_US=8000 program
 *
 * Each fsync and fdatasync is done, and takes that many microseconds more.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>
#include <unistd.h>

static int slowly(const char *name, int fd)
{
    int (*real)(int) = (int (*)(int))dlsym(RTLD_NEXT, name);
    const char *length = getenv("SLOWSYNC_US");
    int result = real(fd);
    if (length)
        usleep((useconds_t)atoi(length));
    return result;
}

int fsync(int fd)
{
    return slowly("fsync", fd);
}

int fdatasync(int fd)
{
    return slowly("fdatasync", fd);
}

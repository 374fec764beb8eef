// Makes calls for files below a directory "disk" fail, for programs that load it by LD_PRELOAD. The file that DISK_FAULT names has the name
// of a call and an errno: "pwritev 5". Without the file every call succeeds.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

static int fails(const char *call, int descriptor) {
    char text[64] = "", link[64], target[4096], name[32];
    int code;
    const char *path = getenv("DISK_FAULT");
    if (path == NULL) return 0;
    int control = open(path, O_RDONLY | O_CLOEXEC);
    if (control < 0) return 0;
    ssize_t count = read(control, text, sizeof text - 1);
    close(control);
    if (count <= 0 || sscanf(text, "%31s %d", name, &code) != 2 || strcmp(name, call) != 0) return 0;
    snprintf(link, sizeof link, "/proc/self/fd/%d", descriptor);
    count = readlink(link, target, sizeof target - 1);
    if (count <= 0) return 0;
    target[count] = 0;
    if (strstr(target, "/disk/") == NULL) return 0;
    errno = code;
    return 1;
}

#define NEXT(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

ssize_t pwritev(int descriptor, const struct iovec *vectors, int count, off_t offset) {
    return fails("pwritev", descriptor) ? -1 : NEXT(pwritev)(descriptor, vectors, count, offset);
}

ssize_t pwrite(int descriptor, const void *bytes, size_t count, off_t offset) {
    return fails("pwritev", descriptor) ? -1 : NEXT(pwrite)(descriptor, bytes, count, offset);
}

int fdatasync(int descriptor) { return fails("fdatasync", descriptor) ? -1 : NEXT(fdatasync)(descriptor); }

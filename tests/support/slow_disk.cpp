// SPDX-License-Identifier: GPL-2.0-or-later
// Preloaded into the daemon: each sync takes ten seconds, as on flash while it tidies up.
#include <unistd.h>

extern "C" int fsync(int /*fd*/) {
    ::sleep(10);
    return 0;
}
extern "C" int fdatasync(int fd) { return fsync(fd); }

// SPDX-License-Identifier: GPL-2.0-or-later
#include <sys/stat.h>

#include "source/archive.h"
#include "support/common.h"

using namespace bandd;

TEST_CASE("archive: a FIFO or a device in an archive's place is refused, and nobody waits for it") {
    TempDirectory dir;
    for (const char* name : {"app.log.1.gz", "app.log.2.zst"}) {
        std::string path = dir / name;
        REQUIRE(mkfifo(path.c_str(), 0644) == 0);
        auto head = archive_head(path, 100);
        REQUIRE_FALSE(head);
        CHECK(to_line(head.error()) == "cannot read \"" + path + "\": it is not a regular file");
        CHECK_FALSE(unpack_archive(path, dir.path()));
        CHECK_FALSE(archive_head(dir / ("none" + std::string(name)), 100));
    }
}

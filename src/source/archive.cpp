// SPDX-License-Identifier: GPL-2.0-or-later
#include "source/archive.h"

#include <fcntl.h>
#include <zlib.h>

#include <array>
#include <memory>

namespace bandd {
namespace {

struct CloseArchive {
    void operator()(gzFile_s* file) const { gzclose(file); }
};
using Archive = std::unique_ptr<gzFile_s, CloseArchive>;

std::string what(const std::string& path) { return "cannot read \"" + path + "\""; }

Result<Archive> open_archive(const std::string& path) {
    Archive archive(gzopen(path.c_str(), "rbe"));
    if (!archive) return fail_errno(what(path));
    return archive;
}

std::unexpected<Error> fail_archive(const std::string& path, gzFile_s* archive) {
    int code = 0;
    const char* message = gzerror(archive, &code);
    return code == Z_ERRNO ? fail_errno(what(path)) : fail(what(path), message);
}

}  // namespace

bool is_archive(const std::string& path) { return path.ends_with(".gz"); }

Result<std::string> archive_head(const std::string& path, std::size_t length) {
    auto archive = open_archive(path);
    if (!archive) return std::unexpected(archive.error());
    std::string head(length, '\0');
    int got = gzread(archive->get(), head.data(), static_cast<unsigned>(length));
    if (got < 0) return fail_archive(path, archive->get());
    head.resize(static_cast<std::size_t>(got));
    return head;
}

Result<Fd> unpack_archive(const std::string& path, const std::string& directory) {
    auto archive = open_archive(path);
    if (!archive) return std::unexpected(archive.error());
    Fd out(::open(directory.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600));
    if (!out) return fail_errno("temporary file in \"" + directory + "\"");
    std::array<char, 65536> buffer{};
    std::uint64_t size = 0;
    while (true) {
        int got = gzread(archive->get(), buffer.data(), buffer.size());
        if (got < 0) return fail_archive(path, archive->get());
        if (got == 0) return out;
        size += static_cast<std::uint64_t>(got);
        if (size > largest_archive) return fail(what(path), "holds more than 4 GiB");
        for (int done = 0; done < got;) {
            ssize_t put =
                ::write(out.get(), buffer.data() + done, static_cast<std::size_t>(got - done));
            if (put <= 0) return fail_errno("temporary file in \"" + directory + "\"");
            done += static_cast<int>(put);
        }
    }
}

}  // namespace bandd

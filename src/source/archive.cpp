// SPDX-License-Identifier: GPL-2.0-or-later
#include "source/archive.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <zlib.h>
#include <zstd.h>

#include <array>
#include <memory>
#include <variant>
#include <vector>

namespace bandd {
namespace {

std::string what(const std::string& path) { return "cannot read \"" + path + "\""; }

struct CloseGzip {
    void operator()(gzFile_s* file) const { gzclose(file); }
};
using Gzip = std::unique_ptr<gzFile_s, CloseGzip>;

struct FreeZstd {
    void operator()(ZSTD_DStream* stream) const { ZSTD_freeDStream(stream); }
};
struct Zstd {
    Fd file;
    std::unique_ptr<ZSTD_DStream, FreeZstd> stream{ZSTD_createDStream()};
    std::vector<char> packed = std::vector<char>(ZSTD_DStreamInSize());
    ZSTD_inBuffer in{packed.data(), 0, 0};
    bool within = false;  // a frame
};

class Archive {
  public:
    static Result<Archive> open(const std::string& path) {
        // O_NONBLOCK: who owns the directory may have put a FIFO there since the name was listed.
        Fd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK));
        struct stat status{};
        if (!file || fstat(file.get(), &status) != 0) return fail_errno(what(path));
        if (!S_ISREG(status.st_mode)) return fail(what(path), "it is not a regular file");
        Archive archive;
        archive.path_ = path;
        if (path.ends_with(".zst")) {
            Zstd zstd;
            zstd.file = std::move(file);
            archive.from_ = std::move(zstd);
        } else {
            Gzip gzip(gzdopen(file.get(), "rb"));
            if (!gzip) return fail_errno(what(path));
            file.release();
            archive.from_ = std::move(gzip);
        }
        return archive;
    }

    // Bytes put into `buffer`; 0 at the end.
    Result<std::size_t> read(char* buffer, std::size_t size) {
        if (auto* gzip = std::get_if<Gzip>(&from_)) {
            int got = gzread(gzip->get(), buffer, static_cast<unsigned>(size));
            if (got >= 0) return static_cast<std::size_t>(got);
            int code = 0;
            const char* message = gzerror(gzip->get(), &code);
            return code == Z_ERRNO ? fail_errno(what(path_)) : fail(what(path_), message);
        }
        auto& zstd = std::get<Zstd>(from_);
        ZSTD_outBuffer out{buffer, size, 0};
        while (out.pos == 0) {
            if (zstd.in.pos == zstd.in.size) {
                ssize_t got = ::read(zstd.file.get(), zstd.packed.data(), zstd.packed.size());
                if (got < 0) return fail_errno(what(path_));
                if (got == 0 && zstd.within) return fail(what(path_), "it ends too early");
                if (got == 0) return 0;
                zstd.in = {zstd.packed.data(), static_cast<std::size_t>(got), 0};
            }
            std::size_t left = ZSTD_decompressStream(zstd.stream.get(), &out, &zstd.in);
            if (ZSTD_isError(left) != 0) return fail(what(path_), ZSTD_getErrorName(left));
            zstd.within = left != 0;
        }
        return out.pos;
    }

  private:
    std::string path_;
    std::variant<Gzip, Zstd> from_;
};

}  // namespace

bool is_archive(std::string_view path) { return path.ends_with(".gz") || path.ends_with(".zst"); }

std::string unpacked_name(std::string_view path) {
    return std::string(is_archive(path) ? path.substr(0, path.rfind('.')) : path);
}

Result<std::string> archive_head(const std::string& path, std::size_t length) {
    auto archive = Archive::open(path);
    if (!archive) return std::unexpected(archive.error());
    std::string head(length, '\0');
    std::size_t done = 0;
    while (done < length) {
        auto got = archive->read(head.data() + done, length - done);
        if (!got) return std::unexpected(got.error());
        if (*got == 0) break;
        done += *got;
    }
    head.resize(done);
    return head;
}

Result<Fd> unpack_archive(const std::string& path, const std::string& directory) {
    auto archive = Archive::open(path);
    if (!archive) return std::unexpected(archive.error());
    Fd out(::open(directory.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600));
    if (!out) return fail_errno("temporary file in \"" + directory + "\"");
    std::array<char, 65536> buffer{};
    std::uint64_t size = 0;
    while (true) {
        auto got = archive->read(buffer.data(), buffer.size());
        if (!got) return std::unexpected(got.error());
        if (*got == 0) return out;
        size += *got;
        if (size > largest_archive) return fail(what(path), "holds more than 4 GiB");
        for (std::size_t done = 0; done < *got;) {
            ssize_t put = ::write(out.get(), buffer.data() + done, *got - done);
            if (put <= 0) return fail_errno("temporary file in \"" + directory + "\"");
            done += static_cast<std::size_t>(put);
        }
    }
}

}  // namespace bandd

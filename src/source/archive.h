// SPDX-License-Identifier: GPL-2.0-or-later
// Compressed logs: gzip and zstd, read as a stream. Nothing is written to a disk.
//
// What somebody has put beside a log may be a bomb: a few kilobytes that unpack to gigabytes. So
// each call does little, and what one archive may hold is bounded.
#pragma once

#include <cstdint>
#include <expected>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "core/base/result.h"
#include "os/fd.h"

namespace bandd {

// What is not unpacked of one archive.
struct ArchiveLimits {
    // A log of a router is smaller.
    std::uint64_t size = std::uint64_t{4} << 30;
    // Nor more than this many times its size, once it is more than `small`. Logs are packed 10 to
    // 50 times, and one line again and again some hundred times. Deflate cannot do more than 1,032
    // times (https://zlib.net/zlib_tech.html).
    std::uint64_t ratio = 1100;
    std::uint64_t small = std::uint64_t{16} << 20;
};

bool is_archive(std::string_view path);  // by its name
// Its name without that ending.
std::string unpacked_name(std::string_view path);

class Archive {
  public:
    // Most bytes that one call of `read` takes in. There are archives that hold many pieces of
    // nothing.
    static constexpr std::size_t packed_a_read = 64 << 10;

    // A regular file, and not through a symbolic link: in a directory of somebody else's, the name
    // may have become anything since it was listed.
    static Result<Archive> open(const std::string& path, ArchiveLimits limits = {});
    Archive(Archive&&) noexcept;
    Archive& operator=(Archive&&) noexcept;
    ~Archive();

    struct Piece {
        std::size_t bytes = 0;
        bool ended = false;  // the archive; without it `bytes` may be 0, too
    };
    // What comes next, at most `size` bytes. An error, once it is broken or holds too much: then
    // `was_cut` says which.
    Result<Piece> read(char* buffer, std::size_t size);
    bool was_cut() const { return cut_; }
    // Begins anew.
    void rewind();

    std::uint64_t unpacked() const { return unpacked_; }  // bytes given, since the beginning
    int fd() const { return file_.get(); }

  private:
    struct Decoder;
    struct Gzip;
    struct Zstd;
    Archive(std::string path, Fd file, ArchiveLimits limits);
    static std::unique_ptr<Decoder> make_decoder(const std::string& path);
    Result<bool> refill();
    std::optional<std::string> too_much() const;
    void end();
    std::unexpected<Error> give_up(std::unexpected<Error> error);

    std::string path_;
    ArchiveLimits limits_;
    Fd file_;
    std::unique_ptr<Decoder> decoder_;  // from the first `read` on, until the end
    std::uint64_t packed_ = 0;          // bytes read of the file
    std::uint64_t unpacked_ = 0;
    bool cut_ = false;
    bool ended_ = false;
    std::optional<Error> fault_;  // found behind what was given last
};

// The first bytes of what is in it, `length` if there are so many.
Result<std::string> archive_head(Archive& archive, std::size_t length);

}  // namespace bandd

// SPDX-License-Identifier: GPL-2.0-or-later
// Compressed logs, and what somebody may have made to look like one.
#include <sys/stat.h>
#include <unistd.h>

#include "source/archive.h"
#include "support/archives.h"
#include "support/common.h"

using namespace bandd;

namespace {

struct Unpacked {
    std::string content;
    std::string error;
    std::size_t reads = 0;
    bool cut = false;
};

Unpacked unpack(Archive& archive, std::size_t piece_size) {
    Unpacked all;
    std::string buffer(piece_size, '\0');
    while (true) {
        ++all.reads;
        auto piece = archive.read(buffer.data(), piece_size);
        if (!piece) {
            all.error = to_line(piece.error());
            all.cut = archive.was_cut();
            return all;
        }
        REQUIRE(piece->bytes <= piece_size);
        all.content.append(buffer, 0, piece->bytes);
        if (piece->ended) return all;
    }
}

Unpacked unpack(const std::string& path, std::size_t piece_size = 100'000,
                ArchiveLimits limits = {}) {
    auto archive = Archive::open(path, limits);
    REQUIRE(archive);
    return unpack(*archive, piece_size);
}

std::string some_text(std::size_t size) {
    std::string text;
    for (unsigned i = 0; text.size() < size; ++i)
        text += "line " + std::to_string(i * 2654435761U) + "\n";
    return text.substr(0, size);
}

bool has_text(const std::string& text, const char* part) {
    return text.find(part) != std::string::npos;
}

const auto formats = {".gz", ".zst"};

}  // namespace

TEST_CASE("archive: all of it, whatever the pieces, from one part or from several") {
    TempDirectory dir;
    std::string text = some_text(300'000);
    for (const char* format : formats) {
        std::string path = dir / ("app.log.1" + std::string(format));
        write_file(path, packed(format, text.substr(0, 100'000)) + packed(format, "") +
                             packed(format, text.substr(100'000)));
        for (std::size_t piece : {std::size_t{1'000}, std::size_t{65'536}, std::size_t{1'000'000}})
            CHECK(unpack(path, piece).content == text);
        auto archive = Archive::open(path);
        REQUIRE(archive);
        CHECK(archive_head(*archive, 300).value() == text.substr(0, 300));
        CHECK(archive->unpacked() == 300);
        archive->rewind();
        Unpacked all = unpack(*archive, 5'000);
        CHECK(all.content == text);
        CHECK(all.error.empty());
        CHECK(archive->unpacked() == text.size());
        CHECK(archive->read(text.data(), 10)->ended);
        write_file(path, "");
        CHECK(unpack(path).content.empty());
    }
    // gzip(1) ignores what a tape leaves behind a member.
    write_file(dir / "padded.gz", packed(".gz", "content\n") + std::string(5'000, '\0'));
    CHECK(unpack(dir / "padded.gz").content == "content\n");
}

TEST_CASE("archive: one that ends early, or is broken, gives what comes before, and says so") {
    TempDirectory dir;
    std::string text = some_text(1'000'000);
    for (const char* format : formats) {
        std::string whole = packed(format, text);
        std::string path = dir / ("app.log.1" + std::string(format));
        write_file(path, whole.substr(0, whole.size() / 2));
        Unpacked half = unpack(path);
        CHECK(half.error == "cannot read \"" + path + "\": it ends too early");
        CHECK(text.starts_with(half.content));
        CHECK(half.content.size() > text.size() / 3);
        CHECK_FALSE(half.cut);
        // A small one, too, and one of which only the sum at its end is wrong.
        std::string small = packed(format, text.substr(0, 20'000));
        small.resize(small.size() - 5);
        write_file(path, small);
        Unpacked most = unpack(path);
        CHECK_FALSE(most.error.empty());
        if (std::string(format) == ".gz") {  // zstd has such a text in one block
            CHECK(most.content.size() > 19'000);
            std::string wrong = packed(format, text);
            wrong[wrong.size() - 8] ^= 1;
            write_file(path, wrong);
            Unpacked all = unpack(path);
            CHECK(all.content == text);
            CHECK(has_text(all.error, "incorrect data check"));
        }
        write_file(path, "this is no archive");
        CHECK_FALSE(unpack(path).error.empty());
        auto archive = Archive::open(path);
        REQUIRE(archive);
        CHECK_FALSE(archive_head(*archive, 10));
    }
}

TEST_CASE("archive: a FIFO, a device or a link in its place is refused, and nobody waits for it") {
    TempDirectory dir;
    write_file(dir / "secret", packed(".gz", "secret\n"));
    for (const char* name : {"app.log.1.gz", "app.log.2.zst"}) {
        std::string path = dir / name;
        REQUIRE(mkfifo(path.c_str(), 0644) == 0);
        auto opened = Archive::open(path);
        REQUIRE_FALSE(opened);
        CHECK(to_line(opened.error()) == "cannot read \"" + path + "\": it is not a regular file");
        CHECK_FALSE(Archive::open(dir / ("none" + std::string(name))));
        REQUIRE(unlink(path.c_str()) == 0);
        REQUIRE(symlink((dir / "secret").c_str(), path.c_str()) == 0);
        CHECK_FALSE(Archive::open(path));
    }
}

TEST_CASE("archive: a bomb is unpacked piece by piece, and cut at its limits") {
    TempDirectory dir;
    ArchiveLimits limits;
    // 80 KB that hold gigabytes.
    std::string zstd_bomb = dir / "bomb.zst";
    std::string frame = packed(".zst", repeated_line(64 << 20));
    std::string frames;
    while (frames.size() < 80'000) frames += frame;
    REQUIRE(frames.size() / frame.size() * 64 > 600);
    write_file(zstd_bomb, frames);
    Unpacked dense = unpack(zstd_bomb, 1 << 20);
    CHECK(dense.cut);
    CHECK(dense.error ==
          "\"" + zstd_bomb + "\": holds more than 1100 times its size; the rest of it is not read");
    CHECK(dense.content.size() > limits.small);
    CHECK(dense.content.size() < 1'100 * (frames.size() + Archive::packed_a_read));
    // No gzip is so dense; that one holds too much is found by its size.
    std::string gzip_bomb = dir / "bomb.gz";
    write_file(gzip_bomb, packed(".gz", repeated_line(64 << 20)));
    Unpacked whole = unpack(gzip_bomb, 1 << 20);
    CHECK(whole.content.size() == 64 << 20);
    CHECK_FALSE(whole.cut);
    limits.size = 32 << 20;
    Unpacked large = unpack(gzip_bomb, 1 << 20, limits);
    CHECK(large.cut);
    CHECK(large.error ==
          "\"" + gzip_bomb + "\": holds more than 32 MiB; the rest of it is not read");
    CHECK(large.content.size() == 32 << 20);
}

TEST_CASE("archive: of many pieces of nothing, each read takes in a bounded part") {
    TempDirectory dir;
    for (const char* format : formats) {
        std::string nothing = packed(format, "");
        std::string many;
        while (many.size() < 2'000'000) many += nothing;
        std::string path = dir / ("app.log.1" + std::string(format));
        write_file(path, many + packed(format, "at last\n"));
        Unpacked all = unpack(path);
        CHECK(all.content == "at last\n");
        CHECK(all.reads > 2'000'000 / Archive::packed_a_read);
        // Whoever only wants its first bytes does not look for them for ever.
        auto archive = Archive::open(path);
        REQUIRE(archive);
        CHECK(archive_head(*archive, 8).value().empty());
    }
}

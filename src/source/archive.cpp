// SPDX-License-Identifier: GPL-2.0-or-later
#include "source/archive.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>
#define ZLIB_CONST  // its input is const
#include <zlib.h>
#ifndef BANDD_WITHOUT_ZSTD
#include <zstd.h>
#endif

#include <utility>
#include <vector>

namespace bandd {
namespace {

std::string what(const std::string& path) { return "cannot read \"" + path + "\""; }

// A head that takes longer to come to is that of no log.
constexpr int most_reads_of_head = 16;

}  // namespace

// One format. `in` is what is packed and was not taken yet.
struct Archive::Decoder {
    Decoder() = default;
    Decoder(const Decoder&) = delete;
    Decoder& operator=(const Decoder&) = delete;
    virtual ~Decoder() = default;
    struct Step {
        std::size_t bytes = 0;
        const char* fault = nullptr;
    };
    // Takes of `in` and gives to `buffer` what it can.
    virtual Step step(char* buffer, std::size_t size) = 0;

    std::vector<char> packed = std::vector<char>(packed_a_read);
    std::string_view in;
    bool within = false;    // of what must go on: the file may not end here
    bool finished = false;  // what comes after is none of it
};

struct Archive::Gzip : Archive::Decoder {
    // RFC 1952: members one after the other, each with a head.
    Gzip() { good_ = inflateInit2(&stream_, 15 + 16) == Z_OK; }
    Gzip(const Gzip&) = delete;
    Gzip& operator=(const Gzip&) = delete;
    ~Gzip() override { inflateEnd(&stream_); }

    Step step(char* buffer, std::size_t size) override {
        if (!good_) return {0, "zlib has no memory"};
        // gzip(1), too, takes what follows a member and is no member for padding.
        if (!within && members_ > 0 && in.front() != '\x1f') {
            finished = true;
            return {};
        }
        stream_.next_in = reinterpret_cast<const Bytef*>(in.data());
        stream_.avail_in = static_cast<uInt>(in.size());
        stream_.next_out = reinterpret_cast<Bytef*>(buffer);
        stream_.avail_out = static_cast<uInt>(size);
        within = true;
        int code = inflate(&stream_, Z_NO_FLUSH);
        in.remove_prefix(in.size() - stream_.avail_in);
        Step done{size - stream_.avail_out, nullptr};
        if (code == Z_STREAM_END) {
            ++members_;
            within = false;
            inflateReset(&stream_);
        } else if (code != Z_OK && code != Z_BUF_ERROR) {
            done.fault = stream_.msg != nullptr ? stream_.msg : "it is broken";
        }
        return done;
    }

  private:
    z_stream stream_{};
    bool good_ = false;
    std::uint64_t members_ = 0;
};

#ifdef BANDD_WITHOUT_ZSTD
struct Archive::Zstd : Archive::Decoder {
    Step step(char*, std::size_t) override { return {0, "this bandd was built without zstd"}; }
};
#else
struct Archive::Zstd : Archive::Decoder {
    Step step(char* buffer, std::size_t size) override {
        if (!stream_) return {0, "zstd has no memory"};
        ZSTD_inBuffer from{in.data(), in.size(), 0};
        ZSTD_outBuffer to{buffer, size, 0};
        std::size_t left = ZSTD_decompressStream(stream_.get(), &to, &from);
        in.remove_prefix(from.pos);
        if (ZSTD_isError(left) != 0) return {to.pos, ZSTD_getErrorName(left)};
        within = left != 0;
        return {to.pos, nullptr};
    }

  private:
    struct Free {
        void operator()(ZSTD_DStream* stream) const { ZSTD_freeDStream(stream); }
    };
    // By itself it takes windows of up to 128 MiB, as zstd(1) does.
    std::unique_ptr<ZSTD_DStream, Free> stream_{ZSTD_createDStream()};
};
#endif

std::unique_ptr<Archive::Decoder> Archive::make_decoder(const std::string& path) {
    if (path.ends_with(".zst")) return std::make_unique<Zstd>();
    return std::make_unique<Gzip>();
}

Archive::Archive(std::string path, Fd file, ArchiveLimits limits)
    : path_(std::move(path)), limits_(limits), file_(std::move(file)) {}
Archive::Archive(Archive&&) noexcept = default;
Archive& Archive::operator=(Archive&&) noexcept = default;
Archive::~Archive() = default;

Result<Archive> Archive::open(const std::string& path, ArchiveLimits limits) {
    Fd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK | O_NOFOLLOW));
    struct stat status{};
    if (!file || fstat(file.get(), &status) != 0) return fail_errno(what(path));
    if (!S_ISREG(status.st_mode)) return fail(what(path), "it is not a regular file");
    return Archive(path, std::move(file), limits);
}

void Archive::rewind() {
    decoder_.reset();
    packed_ = unpacked_ = 0;
    cut_ = ended_ = false;
    fault_.reset();
}

// False at the end of the file.
Result<bool> Archive::refill() {
    std::vector<char>& packed = decoder_->packed;
    ssize_t got = pread(file_.get(), packed.data(), packed.size(), static_cast<off_t>(packed_));
    if (got < 0) return fail_errno(what(path_));
    packed_ += static_cast<std::uint64_t>(got);
    decoder_->in = {packed.data(), static_cast<std::size_t>(got)};
    return got > 0;
}

// Steps until `size` bytes are there, or what one refill gave is used up.
Result<Archive::Piece> Archive::read(char* buffer, std::size_t size) {
    if (ended_) return Piece{0, true};
    if (fault_) return give_up(std::unexpected(*std::exchange(fault_, {})));
    if (!decoder_) decoder_ = make_decoder(path_);
    Piece piece;
    for (bool refilled = false; piece.bytes < size && !piece.ended && !fault_;) {
        std::size_t before = decoder_->in.size();
        Decoder::Step done;
        // Within, it may hold back what had no room.
        if (before > 0 || decoder_->within)
            done = decoder_->step(buffer + piece.bytes, size - piece.bytes);
        piece.bytes += done.bytes;
        if (done.fault != nullptr) {
            fault_ = Error{what(path_), done.fault, {}, {}};
            continue;
        }
        piece.ended = decoder_->finished;
        if (piece.ended || done.bytes > 0 || decoder_->in.size() < before) continue;
        if (std::exchange(refilled, true)) break;
        auto more = refill();
        if (!more) {
            fault_ = more.error();
        } else if (!*more && decoder_->within) {
            fault_ = Error{what(path_), "it ends too early", {}, {}};
        } else {
            piece.ended = !*more;
        }
    }
    unpacked_ += piece.bytes;
    if (auto holds = too_much()) {
        cut_ = true;
        return give_up(fail("\"" + path_ + "\"", *holds, "the rest of it is not read"));
    }
    if (piece.ended) end();
    // What came before a fault is good; the fault is told next.
    if (fault_ && piece.bytes == 0) return give_up(std::unexpected(*std::exchange(fault_, {})));
    return piece;
}

std::optional<std::string> Archive::too_much() const {
    if (unpacked_ > limits_.size) return fmt::format("holds more than {} MiB", limits_.size >> 20);
    if (unpacked_ > limits_.small && unpacked_ / limits_.ratio > packed_)
        return fmt::format("holds more than {} times its size", limits_.ratio);
    return {};
}

void Archive::end() {
    ended_ = true;
    decoder_.reset();
}

std::unexpected<Error> Archive::give_up(std::unexpected<Error> error) {
    end();
    return error;
}

bool is_archive(std::string_view path) { return path.ends_with(".gz") || path.ends_with(".zst"); }

std::string unpacked_name(std::string_view path) {
    return std::string(is_archive(path) ? path.substr(0, path.rfind('.')) : path);
}

Result<std::string> archive_head(Archive& archive, std::size_t length) {
    std::string head(length, '\0');
    std::size_t done = 0;
    for (int reads = 0; done < length && reads < most_reads_of_head; ++reads) {
        auto piece = archive.read(head.data() + done, length - done);
        if (!piece && done > 0) break;  // it has a beginning
        if (!piece) return std::unexpected(piece.error());
        done += piece->bytes;
        if (piece->ended) break;
    }
    head.resize(done);
    return head;
}

}  // namespace bandd

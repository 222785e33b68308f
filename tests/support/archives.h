// SPDX-License-Identifier: GPL-2.0-or-later
// Compressed logs for tests.
#pragma once

#include <zlib.h>
#include <zstd.h>

#include <string>
#include <string_view>

namespace bandd {

// `text` as one gzip member (".gz") or one zstd frame (".zst").
inline std::string packed(std::string_view format, std::string_view text) {
    if (format == ".zst") {
        std::string out(ZSTD_compressBound(text.size()), '\0');
        out.resize(ZSTD_compress(out.data(), out.size(), text.data(), text.size(), 3));
        return out;
    }
    z_stream stream{};
    deflateInit2(&stream, 9, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY);
    std::string out(deflateBound(&stream, text.size()), '\0');
    stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(text.data()));
    stream.avail_in = static_cast<uInt>(text.size());
    stream.next_out = reinterpret_cast<Bytef*>(out.data());
    stream.avail_out = static_cast<uInt>(out.size());
    deflate(&stream, Z_FINISH);
    out.resize(out.size() - stream.avail_out);
    deflateEnd(&stream);
    return out;
}

// One line again and again: what bombs are made of.
inline std::string repeated_line(std::size_t size) {
    std::string text;
    text.reserve(size);
    while (text.size() < size)
        text += "denied 203.0.113.1, again and again and again and again and ag\n";
    text.resize(size);
    return text;
}

}  // namespace bandd

// SPDX-License-Identifier: GPL-2.0-or-later
// Compressed logs: gzip and zstd.
#pragma once

#include <string>
#include <string_view>

#include "core/base/result.h"
#include "os/fd.h"

namespace bandd {

// More than this is not unpacked: a log of a router is smaller, a bomb is larger.
inline constexpr std::uint64_t largest_archive = std::uint64_t{4} << 30;

bool is_archive(std::string_view path);  // by its name
// Its name without that ending.
std::string unpacked_name(std::string_view path);

// The first bytes of what is in it.
Result<std::string> archive_head(const std::string& path, std::size_t length);

// All of it, in a file without a name below `directory`.
Result<Fd> unpack_archive(const std::string& path, const std::string& directory);

}  // namespace bandd

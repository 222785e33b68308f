// SPDX-License-Identifier: GPL-2.0-or-later
// Rotated logs that were compressed (gzip).
#pragma once

#include <string>

#include "core/base/result.h"
#include "os/fd.h"

namespace bandd {

// Larger content is refused: it would be a bomb, or take the disk.
inline constexpr std::uint64_t largest_archive = std::uint64_t{4} << 30;

bool is_archive(const std::string& path);  // by its name

// The first bytes of the content, at most `length`; fewer if there are no more.
Result<std::string> archive_head(const std::string& path, std::size_t length);

// The whole content in a file without a name in `directory`. Takes as long as it takes: for the
// start, when nothing else waits.
Result<Fd> unpack_archive(const std::string& path, const std::string& directory);

}  // namespace bandd

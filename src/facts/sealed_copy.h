// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <string>

#include "core/base/result.h"
#include "os/fd.h"

namespace bandd {

// A database larger than this tells more than countries and networks.
inline constexpr std::uint64_t largest_database = std::uint64_t{1} << 30;

// The file's bytes as they are now, in memory that nobody can change or cut any more
// (memfd_create(2), sealed). Whoever writes over a mapped file in place would change what is read,
// or end us (SIGBUS). An error if it is no regular file, is too large, or is being written just
// now. Never waits.
Result<Fd> sealed_copy(const std::string& path);

}  // namespace bandd

// SPDX-License-Identifier: GPL-2.0-or-later
// Files that nobody but root (or whoever we are) can have written.
#pragma once

#include <cstddef>
#include <string>

#include "core/base/result.h"

namespace bandd {

// The text of `path`, which is absolute. The file, each directory on the way to it, and each
// symbolic link, must be owned by root or by our effective user, and be writable by nobody else. A
// directory with the sticky bit (/tmp) may be: in it, nobody else can replace what is root's. What
// is checked is what is read: descriptors are walked, not names.
Result<std::string> read_trusted_file(const std::string& path, std::size_t largest);

}  // namespace bandd

// SPDX-License-Identifier: GPL-2.0-or-later
// The texts that `bandctl setup` writes, and how it puts them in place.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "core/base/address.h"
#include "core/base/result.h"
#include "os/fd.h"

namespace bandd {

// bandd.yaml with the addresses in `ignoreip` of its `defaults`. All else stays as it is, comments,
// too. Nothing if it is written in a way that is left to the person who wrote it.
std::optional<std::string> with_ignored(std::string yaml, const std::vector<Prefix>& addresses);

// Whoever has it is the only bandctl that writes there (`setup`, `import`); others wait, which is
// said. Makes the directory if it is missing.
Result<Fd> lock_directory(const std::string& directory);

// Whole or not at all, with mode and owner of the file that it replaces; a new one is 0644.
// The directory is locked.
Result<> put_file(const std::string& path, const std::string& text);

}  // namespace bandd

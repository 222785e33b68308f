// SPDX-License-Identifier: GPL-2.0-or-later
// What an import keeps of the bandd.yaml that it replaces: without its `ignoreip` an administrator
// who had exempted himself is locked out by the first jail of fail2ban's.
#pragma once

#include <filesystem>

#include "import/to_yaml.h"

namespace bandd {

// Puts the `ignoreip` of the `defaults` in `directory`'s bandd.yaml, if there is one, into the new
// one, and says so; of other keys, that they hold no more.
void keep_ignored(fail2ban::Imported& imported, const std::filesystem::path& directory);

}  // namespace bandd

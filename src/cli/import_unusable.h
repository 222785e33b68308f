// SPDX-License-Identifier: GPL-2.0-or-later
// One jail that bandd would not take makes the whole configuration unusable; fail2ban leaves that
// jail out, and goes on.
#pragma once

#include "import/to_yaml.h"

namespace bandd {

// Loads what is to be written, in a directory of its own. A jail or filter that has a fault becomes
// NAME.yaml.off, with the reason at its head, and a note. `directory`: where they will be.
void put_unusable_aside(fail2ban::Imported& imported, const std::string& directory);

}  // namespace bandd

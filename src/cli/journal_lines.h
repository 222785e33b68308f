// SPDX-License-Identifier: GPL-2.0-or-later
// What the journal has for a jail, as a log that can be replayed.
#pragma once

#include <string>

#include "config/types.h"
#include "core/base/instant.h"

namespace bandd {

// Of so many entries, the newest. More would take minutes to print.
inline constexpr int most_journal_entries = 500'000;

// Writes the entries since then to a file, by journalctl. False: there is none, or it failed.
bool write_journal(const JournalSpec& journal, Instant since, const std::string& file);

}  // namespace bandd

// SPDX-License-Identifier: GPL-2.0-or-later
// The systemd journal. One reader for all jails: what entries each wants is looked at entry by
// entry. A build without libsystemd has it, too, and says so when it is opened.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "config/types.h"
#include "core/base/instant.h"
#include "core/base/result.h"

namespace bandd {

class Journal {
  public:
    // Entries handed on by one `read`, so that a large backlog does not hold up everything else.
    static constexpr int most_entries = 2000;

    // Wants are told apart by their place. `directory`: where journal files are, or empty for this
    // machine's. Only entries that a want asks for are read.
    static Result<Journal> open(const std::vector<JournalSpec>& wants, std::size_t line_limit);
    Journal(Journal&&) noexcept;
    Journal& operator=(Journal&&) noexcept;
    ~Journal();

    int fd() const;  // readable: look again
    // Where to begin: after a cursor that is still there (else at `since`). True if it was.
    Result<bool> seek(const std::string& cursor, Instant since);

    // A line as journalctl shows it, with an ISO date, host, program and process, ending in '\n';
    // control characters in the message are escaped as rsyslog does. `wants`: those that it fits,
    // by their place.
    using OnLine =
        std::function<void(const std::vector<std::size_t>& wants, std::string_view line)>;
    // True if there is more at once. Files that were rotated or vacuumed away are no error.
    Result<bool> read(const OnLine& on_line);

    const std::string& cursor() const;  // of the last entry read; empty before the first
    std::uint64_t entries() const;

  private:
    struct Inside;
    explicit Journal(std::unique_ptr<Inside> inside);
    std::unique_ptr<Inside> inside_;
};

}  // namespace bandd

// SPDX-License-Identifier: GPL-2.0-or-later
// What became of fail2ban's configuration, for the person who wrote it.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace bandd::fail2ban {

enum class Fate {
    carried,   // does the same here in another way
    changed,   // does something else here
    lost,      // has no counterpart
    undecided  // somebody has to look at it
};

// Said once, of all jails that it is true of.
struct Note {
    Fate fate = Fate::lost;
    std::string what;
    std::vector<std::string> jails;  // empty: it is of none
};

class Notes {
  public:
    // `jail` may be empty.
    void add(Fate fate, std::string_view jail, std::string_view what);
    // By fate, and within one as they came.
    std::vector<Note> sorted() const;

  private:
    std::vector<Note> notes_;
};

}  // namespace bandd::fail2ban

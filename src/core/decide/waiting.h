// SPDX-License-Identifier: GPL-2.0-or-later
// Hits that wait for an answer, in the order in which they came.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "core/decide/question.h"

namespace bandd {

// A hit that outlives its turn.
struct WaitingHit {
    std::vector<JailIndex> jails;
    Instant time, arrival;
    std::string pattern;
    std::string line;
    Fields fields;
    std::uint32_t times = 1;  // so many hits it stands for
};

class WaitingHits {
  public:
    // An attacker who writes many names costs this much memory and no more.
    static constexpr std::size_t most = 10'000;

    // False: too many wait already, and this one is lost (counted).
    bool add(const Question& question, WaitingHit hit);
    // Those that waited for this; they wait no longer.
    std::vector<WaitingHit> take(const Question& question);

    std::size_t size() const { return size_; }
    std::uint64_t lost() const { return lost_; }
    std::vector<Question> questions() const;
    // All of it as bytes, and back; jails by name, `jails` are the names by number. What cannot be
    // read is left out.
    std::string dump(const std::vector<std::string>& jails) const;
    void restore(std::string_view dump, const std::vector<std::string>& jails);

  private:
    std::map<Question, std::vector<WaitingHit>> by_question_;
    std::size_t size_ = 0;
    std::uint64_t lost_ = 0;
};

}  // namespace bandd

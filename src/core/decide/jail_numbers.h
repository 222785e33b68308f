// SPDX-License-Identifier: GPL-2.0-or-later
// Which number each jail has. All memory of a jail is kept by it: bans, windows, offences, hits
// that wait.
//
//   start with   [sshd, postfix]         sshd 0, postfix 1
//   reload with  [dovecot, postfix]      dovecot 2, postfix 1; 0 is still sshd's, which has no
//   rules reload with  [sshd, postfix]         sshd 0, postfix 1
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/match/hit.h"

namespace bandd {

// In place of a jail: all of them together.
inline constexpr JailIndex any_jail = UINT16_MAX;

// A name keeps its number for as long as the daemon lives; a new one gets the next.
class JailNumbers {
  public:
    // Different names since the start: all that a JailIndex can tell apart.
    static constexpr std::size_t most = any_jail;

    std::optional<JailIndex> find(std::string_view name) const {
        auto found = by_name_.find(name);
        if (found == by_name_.end()) return {};
        return found->second;
    }
    // There must be room for it: `names().size() < most`, or it has a number already.
    JailIndex number_of(const std::string& name) {
        auto [found, is_new] = by_name_.emplace(name, static_cast<JailIndex>(names_.size()));
        if (is_new) names_.push_back(name);
        return found->second;
    }
    const std::vector<std::string>& names() const { return names_; }  // by number

  private:
    std::vector<std::string> names_;
    std::map<std::string, JailIndex, std::less<>> by_name_;
};

}  // namespace bandd

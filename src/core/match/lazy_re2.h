// SPDX-License-Identifier: GPL-2.0-or-later
// RE2, compiled when it is first asked for. Most patterns' programs leave it nothing to do, and
// compiling them all would be a third of a start.
#pragma once

#include <re2/re2.h>

#include <mutex>
#include <optional>
#include <string>
#include <utility>

namespace bandd {

class LazyRe2 {
  public:
    LazyRe2(std::string regex, const RE2::Options& options)
        : regex_(std::move(regex)), options_(options) {}
    LazyRe2(const LazyRe2&) = delete;
    LazyRe2& operator=(const LazyRe2&) = delete;

    // From any thread. Of what RE2 refuses, ok() is false.
    const RE2& get() const {
        std::call_once(once_, [this] { re2_.emplace(regex_, options_); });
        return *re2_;
    }
    // RE2 understands the regex: `get` will be ok, unless it is too large. Compiles nothing.
    bool parses() const;

  private:
    std::string regex_;
    RE2::Options options_;
    mutable std::once_flag once_;
    mutable std::optional<RE2> re2_;
};

}  // namespace bandd

// SPDX-License-Identifier: GPL-2.0-or-later
// Reads one map of the configuration, key by key, collecting every fault with its place.
#pragma once

#include <charconv>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "config/document.h"
#include "core/base/instant.h"

namespace bandd {

class Section {
  public:
    // Reports unknown keys of the map against the key table's `section`; `what` is what the user
    // calls the map ("jail \"sshd\"").
    Section(const Value& value, std::string_view section, std::string what,
            std::vector<Error>& errors);

    // Each leaves its target alone if the key is absent or wrong (which is reported).
    const Value* find(std::string_view key) const;
    void text(std::string_view key, std::string& target) const;
    void boolean(std::string_view key, bool& target) const;
    void duration(std::string_view key, Duration& target, bool may_be_forever) const;
    void real(std::string_view key, double& target, double least, double most) const;
    std::vector<const Value*> words(std::string_view key) const;  // a word, or a list of them

    template <class T>
    void number(std::string_view key, T& target, std::int64_t least, std::int64_t most) const {
        std::int64_t value = 0;
        if (whole(key, value, least, most)) target = static_cast<T>(value);
    }
    template <class T>
    void choice(std::string_view key, T& target,
                std::initializer_list<std::pair<std::string_view, T>> choices) const {
        const Value* value = scalar(key);
        if (value == nullptr) return;
        std::vector<std::string_view> names;
        for (const auto& [name, meaning] : choices) {
            if (value->text == name) {
                target = meaning;
                return;
            }
            names.push_back(name);
        }
        wrong_choice(key, *value, names);
    }

    void error(const Value& at, std::string what, std::string reason, std::string hint = {}) const;
    const std::string& what() const { return what_; }
    std::vector<Error>& errors() const { return errors_; }

  private:
    const Value* scalar(std::string_view key) const;
    bool whole(std::string_view key, std::int64_t& target, std::int64_t least,
               std::int64_t most) const;
    void wrong_choice(std::string_view key, const Value& value,
                      const std::vector<std::string_view>& names) const;

    const Value& value_;
    std::string what_;
    std::vector<Error>& errors_;
};

}  // namespace bandd

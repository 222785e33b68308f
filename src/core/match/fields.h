// SPDX-License-Identifier: GPL-2.0-or-later
// What a pattern took out of a line, by name: user, method, country … Copies: they outlive the
// line.
#pragma once

#include <cstdint>
#include <cstring>
#include <initializer_list>
#include <iterator>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace bandd {

// Empties a text that is written to again and again, and keeps its memory; but not much of it, as
// clients say how long a field is.
inline void clear_kept(std::string& text) {
    constexpr std::size_t most_kept = 1024;
    if (text.capacity() > most_kept)
        std::string().swap(text);
    else
        text.clear();
}

// In the order in which they were added. All in one piece of memory, which is kept when they are
// cleared: every hit has some, and lives for a turn.
class Fields {
  public:
    using Field = std::pair<std::string_view, std::string_view>;  // name, value
    using value_type = Field;

    Fields() = default;
    Fields(std::initializer_list<Field> fields) {
        for (const auto& [name, value] : fields) add(name, value);
    }

    // What is found is good until they change.
    std::optional<std::string_view> find(std::string_view name) const;
    bool has(std::string_view name) const { return find(name).has_value(); }
    std::size_t size() const { return static_cast<std::size_t>(std::distance(begin(), end())); }
    bool empty() const { return bytes_.empty(); }

    // `name` and `value` may be of other fields, not of these.
    void add(std::string_view name, std::string_view value);
    // In place of what the name held.
    void set(std::string_view name, std::string_view value);
    void erase(std::string_view name);
    void clear() { clear_kept(bytes_); }

    class Iterator {
      public:
        using value_type = Field;
        using difference_type = std::ptrdiff_t;
        Iterator() = default;
        explicit Iterator(const char* at) : at_(at) {}
        Field operator*() const {
            Sizes sizes = sizes_at(at_);
            const char* name = at_ + sizeof(Sizes);
            return {{name, sizes.name}, {name + sizes.name, sizes.value}};
        }
        Iterator& operator++() {
            Sizes sizes = sizes_at(at_);
            at_ += sizeof(Sizes) + sizes.name + sizes.value;
            return *this;
        }
        Iterator operator++(int) {
            Iterator before = *this;
            ++*this;
            return before;
        }
        bool operator==(const Iterator&) const = default;

      private:
        const char* at_ = nullptr;
    };
    Iterator begin() const { return Iterator(bytes_.data()); }
    Iterator end() const { return Iterator(bytes_.data() + bytes_.size()); }
    bool operator==(const Fields&) const = default;

  private:
    // In front of each name and value.
    struct Sizes {
        std::uint32_t name = 0, value = 0;
    };
    static Sizes sizes_at(const char* at) {
        Sizes sizes;
        std::memcpy(&sizes, at, sizeof sizes);
        return sizes;
    }

    std::string bytes_;
};

}  // namespace bandd

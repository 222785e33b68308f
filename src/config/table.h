// SPDX-License-Identifier: GPL-2.0-or-later
// The keys of a map, each declared once: its name, what it fills, its values, its help. The default
// is what the struct holds before it is read. Reading, messages, docs/configuration.md and the man
// page all come from here. A map of two keys:
//
//   struct Oven { int heat = 180; Duration time = 20min; };
//   const Table<Oven>& oven_keys() {
//       static const Table<Oven> table{"oven", {
//           key::number("heat", &Oven::heat, {30, 250}, "degrees Celsius"),
//           key::duration("time", &Oven::time, "how long it bakes"),
//       }};
//       return table;
//   }
//
//   Oven oven;
//   oven_keys().read(value, "oven", reading, oven);
//
// "heat: 300" is then a fault in `reading`: must be a number from 30 to 250. The reference has the
// row: | `heat` | 30 to 250 | `180` | degrees Celsius |
#pragma once

#include <concepts>
#include <functional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "config/section.h"

namespace bandd {

// The struct of type Inner that lies in `outer`: a table for Outer may hold keys that fill Inner. A
// table's source defines the ones that it needs:
//   template <> JailRules& inside(JailDraft& draft) { return draft.jail.rules; }
template <class Inner, class Outer>
Inner& inside(Outer& outer);

// A key that fills some of T.
template <class T>
struct Key {
    using Read = std::function<void(const Field&, T&)>;
    using Default = std::function<std::string(T&)>;

    std::string_view name;
    std::string values;  // what it takes, for people: "duration", "1 to 1000"
    std::string_view help;
    Read read;              // leaves T alone if the value is wrong
    Default default_value;  // of a T that is not read yet; for people

    Key(std::string_view name, std::string values, std::string_view help, Read read,
        Default default_value)
        : name(name),
          values(std::move(values)),
          help(help),
          read(std::move(read)),
          default_value(std::move(default_value)) {}
    template <class Inner>
        requires(!std::same_as<Inner, T>)
    Key(Key<Inner> key)
        : name(key.name),
          values(std::move(key.values)),
          help(key.help),
          read([read = std::move(key.read)](const Field& field, T& target) {
              read(field, inside<Inner>(target));
          }),
          default_value([default_value = std::move(key.default_value)](T& target) {
              return default_value(inside<Inner>(target));
          }) {}
};

template <class T>
class Table {
  public:
    // What must be so of the map as a whole; called after all of its keys are read.
    using Check = void (*)(const Section&, T&);

    Table(std::string_view name, std::vector<Key<T>> keys, Check check = nullptr)
        : name_(name), keys_(std::move(keys)), check_(check) {
        for (const Key<T>& key : keys_) names_.push_back(key.name);
    }

    // Fills `target` with what the map says; keys are read in the table's order. `what` is what the
    // user calls the map. Faults are in `reading` then.
    void read(const Value& map, std::string what, Reading& reading, T& target) const {
        Section section(map, names_, std::move(what), reading);
        for (const Key<T>& key : keys_)
            if (const Value* value = section.find(key.name))
                key.read(Field(section, key.name, *value), target);
        if (check_ != nullptr) check_(section, target);
    }

    std::string_view name() const { return name_; }  // "jail", "action nftables"
    const std::vector<Key<T>>& keys() const { return keys_; }

  private:
    std::string_view name_;
    std::vector<Key<T>> keys_;
    std::vector<std::string_view> names_;
    Check check_;
};

// The keys of several lists, in their order.
template <class T, class... Lists>
std::vector<Key<T>> joined(Lists... lists) {
    std::vector<Key<T>> keys;
    auto add = [&](auto& list) {
        for (auto& key : list) keys.emplace_back(std::move(key));
    };
    (add(lists), ...);
    return keys;
}

// A value as the configuration writes it.
std::string written(bool value);
std::string written(Duration value);  // in the largest unit that divides it: "10m", "30d"
std::string written(double value);
inline std::string written(const std::string& value) { return value; }
template <std::integral Number>
std::string written(Number value) {
    return std::to_string(value);
}

// The kinds of keys. Each takes: the key's name, the member that it fills, its values, its help.
namespace key {

template <class T, class M>
typename Key<T>::Default default_of(M T::* member) {
    return [member](T& target) { return written(target.*member); };
}

template <class T>
Key<T> text(std::string_view name, std::string T::* member, std::string values,
            std::string_view help) {
    auto read = [member](const Field& field, T& target) {
        if (auto text = field.text()) target.*member = std::move(*text);
    };
    return {name, std::move(values), help, read, default_of(member)};
}

// A path, which becomes absolute.
template <class T>
Key<T> path(std::string_view name, std::string T::* member, std::string values,
            std::string_view help) {
    auto read = [member](const Field& field, T& target) {
        if (auto text = field.text()) target.*member = field.reading().absolute(*text);
    };
    return {name, std::move(values), help, read, default_of(member)};
}

template <class T>
Key<T> boolean(std::string_view name, bool T::* member, std::string_view help) {
    auto read = [member](const Field& field, T& target) {
        if (auto value = field.boolean()) target.*member = *value;
    };
    return {name, "true | false", help, read, default_of(member)};
}

template <class T>
Key<T> duration(std::string_view name, Duration T::* member, std::string_view help,
                MayBeForever may_be_forever = MayBeForever::no) {
    auto read = [member, may_be_forever](const Field& field, T& target) {
        if (auto value = field.duration(may_be_forever)) target.*member = *value;
    };
    return {name, may_be_forever == MayBeForever::yes ? "duration | forever" : "duration", help,
            read, default_of(member)};
}

template <class T, class Number>
Key<T> number(std::string_view name, Number T::* member, Range range, std::string_view help) {
    auto read = [member, range](const Field& field, T& target) {
        if constexpr (std::floating_point<Number>) {
            if (auto value = field.number(range)) target.*member = *value;
        } else {
            if (auto value = field.whole_number(range))
                target.*member = static_cast<Number>(*value);
        }
    };
    return {name, std::to_string(range.least) + " to " + std::to_string(range.most), help, read,
            default_of(member)};
}

// One word of a choice, and what it means.
enum class Said { yes, no };  // no: it is understood, but no message and no page names it
template <class Meaning>
struct Word {
    std::string_view text;
    Meaning meaning;
    Said said = Said::yes;
};

template <class T, class Meaning>
Key<T> choice(std::string_view name, Meaning T::* member,
              std::vector<Word<std::type_identity_t<Meaning>>> words, std::string_view help) {
    std::string values;
    std::vector<std::string_view> names;
    for (const auto& word : words) {
        if (word.said == Said::no) continue;
        values += (names.empty() ? "" : " | ") + std::string(word.text);
        names.push_back(word.text);
    }
    auto default_word = [member, words](T& target) {
        for (const auto& word : words)
            if (word.meaning == target.*member) return std::string(word.text);
        return std::string();
    };
    auto read = [member, words = std::move(words), names](const Field& field, T& target) {
        auto text = field.text();
        if (!text) return;
        for (const auto& word : words) {
            if (word.text != *text) continue;
            target.*member = word.meaning;
            return;
        }
        field.not_one_of(field.value(), names);
    };
    return {name, std::move(values), help, std::move(read), std::move(default_word)};
}

// Addresses and CIDR blocks, and files of them.
template <class T>
Key<T> prefixes(std::string_view name, std::vector<Prefix> T::* member, std::string_view help) {
    auto read = [member](const Field& field, T& target) { target.*member = field.prefixes(); };
    return {name, "list of addresses, CIDRs, file:PATH", help, read,
            [](T&) { return std::string(); }};
}

// Words, by themselves or in a list.
template <class T>
Key<T> words(std::string_view name, std::vector<std::string> T::* member, std::string values,
             std::string_view help) {
    auto read = [member](const Field& field, T& target) {
        (target.*member).clear();
        for (const Value* word : field.words()) (target.*member).push_back(word->text);
    };
    auto list = [member](T& target) {
        std::string text;
        for (const std::string& word : target.*member) text += (text.empty() ? "" : ", ") + word;
        return text.empty() ? text : "[" + text + "]";
    };
    return {name, std::move(values), help, read, list};
}

// A map with keys of its own. A struct with a `where` is told where the map is.
template <class T, class M>
Key<T> map(std::string_view name, M T::* member, const Table<M>& table, std::string_view help) {
    auto read = [member, &table](const Field& field, T& target) {
        M& inner = target.*member;
        if constexpr (requires { inner.where; }) inner.where = field.value().where;
        table.read(field.value(), std::string(field.key()), field.reading(), inner);
    };
    return {name, "map", help, read, [](T&) { return std::string(); }};
}

// A key that is read by a function of its own. The default is given as text, as it is no value of a
// member (`the machine's`), or as the member or the function that tells it.
template <class T>
Key<T> special(std::string_view name, void (*read)(const Field&, T&), std::string values,
               std::string_view default_text, std::string_view help) {
    return {name, std::move(values), help, read,
            [default_text](T&) { return std::string(default_text); }};
}
template <class T, class M>
    requires std::is_member_object_pointer_v<M T::*>
Key<T> special(std::string_view name, void (*read)(const Field&, T&), std::string values,
               M T::* member, std::string_view help) {
    return {name, std::move(values), help, read, default_of(member)};
}
template <class T>
Key<T> special(std::string_view name, void (*read)(const Field&, T&), std::string values,
               std::string (*default_value)(T&), std::string_view help) {
    return {name, std::move(values), help, read, default_value};
}

}  // namespace key
}  // namespace bandd

// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/text/json_line.h"

#include <simdjson.h>

#include <algorithm>
#include <cstring>

#include "core/text/json_string.h"

namespace bandd {
namespace {

namespace on_demand = simdjson::ondemand;

constexpr std::string_view spaces = " \t\r\n";

std::string_view trimmed(std::string_view text) {
    auto first = text.find_first_not_of(spaces);
    if (first == std::string_view::npos) return {};
    return text.substr(first, text.find_last_not_of(spaces) - first + 1);
}

bool is_number(std::string_view token) {
    return !token.empty() && token.find_first_not_of("+-.0123456789eE") == std::string_view::npos;
}

}  // namespace

Result<JsonPath> parse_json_path(std::string_view text) {
    auto fault = [&](const char* reason) {
        return fail("path \"" + std::string(text) + "\"", reason,
                    "write a.b, and \"a.b\" for a key with a dot");
    };
    JsonPath path;
    for (std::size_t at = 0;;) {
        std::string key;
        bool quoted = at < text.size() && text[at] == '"';
        if (quoted) ++at;
        while (at < text.size() && text[at] != (quoted ? '"' : '.')) {
            if (text[at] == '\\' && at + 1 < text.size()) ++at;
            key += text[at++];
        }
        if (quoted && at++ >= text.size()) return fault("has a quote that is not closed");
        if (key.empty() && !quoted) return fault("has an empty key");
        path.push_back(std::move(key));
        if (at >= text.size()) return path;
        if (text[at++] != '.') return fault("has text after a quoted key");
    }
}

std::size_t JsonPaths::add(const JsonPath& path) {
    std::uint32_t node = 0;
    for (const std::string& key : path) {
        auto& children = nodes_[node].children;
        auto known =
            std::ranges::find(children, key, &std::pair<std::string, std::uint32_t>::first);
        if (known != children.end()) {
            node = known->second;
            continue;
        }
        auto added = static_cast<std::uint32_t>(nodes_.size());
        children.emplace_back(key, added);
        nodes_.emplace_back();
        node = added;
    }
    if (!nodes_[node].number) nodes_[node].number = size_++;
    return *nodes_[node].number;
}

struct JsonReader::Parts {
    on_demand::parser parser;
    std::string padded;  // the line, with the room behind it that simdjson reads
    std::string mended;  // a line that simdjson did not take
    std::string key;     // one with escapes
};

// Goes through one line, with the tree of paths. False: it is no JSON.
class JsonWalk {
  public:
    JsonWalk(const JsonPaths& paths, JsonReader& reader, std::string_view text)
        : paths_(paths), reader_(reader), text_(text) {}

    bool run(on_demand::document& document) {
        on_demand::object object;
        if (document.get_object().get(object) != simdjson::SUCCESS) return false;
        if (!take_object(object, 0)) return false;
        // Only spaces may follow.
        return document.current_location().error() == simdjson::OUT_OF_BOUNDS;
    }

  private:
    // Views end where the line does: no token needs to be measured.
    std::string_view from(const char* at) const {
        return text_.substr(static_cast<std::size_t>(at - text_.data()));
    }

    bool take_object(on_demand::object& object, std::uint32_t node) {
        for (auto found : object) {
            on_demand::field field;
            if (std::move(found).get(field) != simdjson::SUCCESS) return false;
            auto key = key_of(field.key().raw());
            if (!key) return false;
            auto child = child_of(node, *key);
            if (child && !take_value(field.value(), *child)) return false;
        }
        return true;
    }

    bool take_array(on_demand::array& array, std::uint32_t node) {
        std::optional<std::size_t> number = paths_.nodes_[node].number;
        bool numbered = !paths_.nodes_[node].children.empty();
        JsonReader::Place joined{reader_.text_.size(), 0, true};
        bool first = true;
        std::size_t index = 0;
        std::string position;
        for (auto found : array) {
            on_demand::value value;
            if (std::move(found).get(value) != simdjson::SUCCESS) return false;
            if (numbered) position = std::to_string(index);
            ++index;
            auto child = numbered ? child_of(node, position) : std::nullopt;
            if (child) {
                // An element that is asked for by its number is in no joined text.
                if (!take_value(value, *child)) return false;
            } else if (number && !append_element(value, first)) {
                return false;
            }
        }
        joined.size = reader_.text_.size() - joined.begin;
        return !number || keep(*number, joined);
    }

    bool append_element(on_demand::value& value, bool& first) {
        std::size_t before = reader_.text_.size();
        if (!first) reader_.text_ += ", ";
        std::optional<bool> there = append_scalar(value);
        if (!there) return false;
        if (*there)
            first = false;
        else
            reader_.text_.resize(before);
        return true;
    }

    bool take_value(on_demand::value value, std::uint32_t node) {
        on_demand::json_type type{};
        if (value.type().get(type) != simdjson::SUCCESS) return false;
        if (type == on_demand::json_type::object) {
            on_demand::object object;
            return paths_.nodes_[node].children.empty() ||
                   (value.get_object().get(object) == simdjson::SUCCESS &&
                    take_object(object, node));
        }
        if (type == on_demand::json_type::array) {
            on_demand::array array;
            return value.get_array().get(array) == simdjson::SUCCESS && take_array(array, node);
        }
        std::optional<std::size_t> number = paths_.nodes_[node].number;
        if (!number) return true;
        JsonReader::Place place{reader_.text_.size(), 0, true};
        std::optional<bool> there = append_scalar(value);
        if (!there) return false;
        place.size = reader_.text_.size() - place.begin;
        return !*there || keep(*number, place);
    }

    // Empty if it is no JSON; false if it has no text: null, an object, an array.
    std::optional<bool> append_scalar(on_demand::value& value) {
        on_demand::json_type type{};
        if (value.type().get(type) != simdjson::SUCCESS) return {};
        if (type == on_demand::json_type::object || type == on_demand::json_type::array)
            return false;
        std::string_view token = trimmed(value.raw_json_token());
        switch (type) {
            case on_demand::json_type::string: {
                std::size_t at = 0;
                if (!take_json_string(from(token.data() + 1), at, reader_.text_)) return {};
                return true;
            }
            case on_demand::json_type::number:
                if (!is_number(token)) return {};
                reader_.text_ += token;
                return true;
            case on_demand::json_type::boolean:
                if (token != "true" && token != "false") return {};
                reader_.text_ += token;
                return true;
            default:
                if (token != "null") return {};
                return false;
        }
    }

    // The text of a key; good until the next one.
    std::optional<std::string_view> key_of(const char* raw) {
        std::string_view rest = from(raw);
        auto end = std::ranges::find_if(rest, [](char c) { return c == '"' || c == '\\'; });
        if (end == rest.end()) return {};
        auto length = static_cast<std::size_t>(end - rest.begin());
        if (*end == '"') return rest.substr(0, length);
        std::string& key = reader_.parts_->key;
        key.clear();
        std::size_t at = 0;
        if (!take_json_string(rest, at, key)) return {};
        return key;
    }

    std::optional<std::uint32_t> child_of(std::uint32_t node, std::string_view key) const {
        for (const auto& [name, child] : paths_.nodes_[node].children)
            if (name == key) return child;
        return {};
    }

    // False if the path was there before, and was something else: nobody can say which counts.
    bool keep(std::size_t number, JsonReader::Place place) {
        JsonReader::Place& known = reader_.places_[number];
        auto text_of = [&](const JsonReader::Place& one) {
            return std::string_view(reader_.text_).substr(one.begin, one.size);
        };
        if (known.there) return text_of(known) == text_of(place);
        known = place;
        return true;
    }

    const JsonPaths& paths_;
    JsonReader& reader_;
    std::string_view text_;
};

JsonReader::JsonReader() = default;
JsonReader::~JsonReader() = default;
JsonReader::JsonReader(JsonReader&&) noexcept = default;
JsonReader& JsonReader::operator=(JsonReader&&) noexcept = default;

namespace {

// What simdjson says of texts that `mend_json` makes good.
bool can_be_mended(simdjson::error_code error) {
    return error == simdjson::UTF8_ERROR || error == simdjson::UNESCAPED_CHARS;
}

}  // namespace

JsonReader::Outcome JsonReader::read(std::string_view text, const JsonPaths& paths) {
    text = trimmed(text);
    outcome_ = Outcome::no_object;
    if (!text.starts_with('{')) return outcome_;
    outcome_ = Outcome::broken;
    if (!parts_) parts_ = std::make_unique<Parts>();
    on_demand::document document;
    auto begin = [&](std::string_view json) {
        std::string& padded = parts_->padded;
        padded.assign(json);
        padded.append(simdjson::SIMDJSON_PADDING, '\0');
        text = std::string_view(padded).substr(0, json.size());
        return parts_->parser.iterate(padded.data(), json.size(), padded.size()).get(document);
    };
    simdjson::error_code error = begin(text);
    if (can_be_mended(error)) {
        parts_->mended.clear();
        mend_json(text, parts_->mended);
        error = begin(parts_->mended);
    }
    if (error != simdjson::SUCCESS) return outcome_;
    places_.assign(paths.size(), {});
    text_.clear();
    if (JsonWalk(paths, *this, text).run(document)) outcome_ = Outcome::read;
    return outcome_;
}

std::optional<std::string_view> JsonReader::value(std::size_t number) const {
    if (!has_read() || number >= places_.size() || !places_[number].there) return {};
    const Place& place = places_[number];
    return std::string_view(text_).substr(place.begin, place.size);
}

}  // namespace bandd

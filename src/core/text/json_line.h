// SPDX-License-Identifier: GPL-2.0-or-later
// A line that is a JSON object: the values that are wanted of it. Only the source knows simdjson.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/result.h"

namespace bandd {

// Keys from the outermost object inwards. In an array a key is an element's number, from 0.
using JsonPath = std::vector<std::string>;

// `request.headers.Host.0`; a key with a dot is written `"a.b"` or `a\.b`.
Result<JsonPath> parse_json_path(std::string_view text);

// The paths that are asked of each line, by number: as a tree, so that a line is gone through once.
class JsonPaths {
  public:
    // Its number; a path that is there has one already.
    std::size_t add(const JsonPath& path);
    std::size_t size() const { return size_; }
    bool operator==(const JsonPaths&) const = default;

  private:
    friend class JsonWalk;
    struct Node {
        // Of the nodes below it. Few, so the row is searched from its beginning.
        std::vector<std::pair<std::string, std::uint32_t>> children;
        std::optional<std::size_t> number;  // of the path that ends here
        bool operator==(const Node&) const = default;
    };
    std::vector<Node> nodes_{1};
    std::size_t size_ = 0;
};

// Memory that reading needs, and what was read last.
class JsonReader {
  public:
    enum class Outcome {
        read,
        no_object,  // the text does not begin as an object
        broken,     // cut, or no JSON, or a wanted path is there twice with different values
    };

    JsonReader();
    ~JsonReader();
    JsonReader(JsonReader&&) noexcept;
    JsonReader& operator=(JsonReader&&) noexcept;

    // The whole text must be one object, but for spaces around it. What a client made its server
    // write is no fault: control characters in strings, bytes that are no UTF-8. Of values that
    // nobody asked for only brackets, commas and quotes are looked at.
    Outcome read(std::string_view text, const JsonPaths& paths);
    bool has_read() const { return outcome_ == Outcome::read; }
    // Of strings their text, of numbers and booleans how they are written. Of an array the values
    // in it, with ", " between; of an empty array an empty text. Nothing for null, an object, and
    // what is not there. Good until the next `read`.
    std::optional<std::string_view> value(std::size_t number) const;
    void forget() { outcome_ = Outcome::no_object; }

  private:
    friend class JsonWalk;
    struct Parts;
    struct Place {
        std::size_t begin = 0, size = 0;
        bool there = false;
    };
    Outcome outcome_ = Outcome::no_object;
    std::unique_ptr<Parts> parts_;  // simdjson's; made when it is needed
    std::vector<Place> places_;     // by number, in `text_`
    std::string text_;
};

}  // namespace bandd

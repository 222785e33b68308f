// SPDX-License-Identifier: GPL-2.0-or-later
#include "config/document.h"

#include <fcntl.h>
#include <glob.h>
#include <sys/stat.h>
#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <cctype>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <memory>
#include <sstream>
#include <unordered_map>

namespace bandd {
namespace {

constexpr int deepest = 40;  // nesting and includes
constexpr const char* too_large = "it is larger than 16 MiB";

Place place_of(const YAML::Mark& mark, const std::string& file) {
    if (mark.is_null()) return {file, 0, 0};
    return {file, mark.line + 1, mark.column + 1};
}

using Source = std::shared_ptr<const std::string>;

// One file as it becomes values. An alias (`*name`) repeats what it names, also aliases in it, so
// that a few hundred bytes can mean a billion values; `values_left` bounds that.
struct Parsing {
    std::string file;
    Source source;
    const TextReader& read;  // for files that it includes
    std::size_t values_left = 0;
};

Result<Value> read_at(const std::string& path, const TextReader& read, int depth);

Result<Value> include(const YAML::Node& node, const Parsing& parsing, int depth) {
    const std::string& file = parsing.file;
    Place where = place_of(node.Mark(), file);
    std::string pattern = node.Scalar();
    if (!pattern.starts_with('/'))
        pattern = (std::filesystem::path(file).parent_path() / pattern).string();
    Value joined;
    joined.kind = Value::Kind::map;
    joined.where = where;
    if (depth > deepest)
        return fail("!include " + node.Scalar(), "files include each other", {}, where);
    // A pattern may match nothing; a file that is named must be there.
    bool wildcard = pattern.find_first_of("*?[") != std::string::npos;
    std::unordered_map<std::string, Place> places;  // by key
    for (const std::string& path : wildcard ? glob_files(pattern) : std::vector{pattern}) {
        auto value = read_at(path, parsing.read, depth);
        if (!value && value.error().where.file.empty()) {
            Error error = value.error();
            error.where = where;
            return std::unexpected(error);
        }
        if (!value) return value;
        if (value->kind == Value::Kind::null) continue;
        if (value->kind != Value::Kind::map)
            return fail("!include " + node.Scalar(),
                        "needs a map, not " + std::string(kind_name(value->kind)), {},
                        value->where);
        for (auto& entry : value->entries) {
            auto [known, is_new] = places.emplace(entry.first.text, entry.second.where);
            if (!is_new)
                return fail("\"" + entry.first.text + "\"",
                            "is given twice, here and in " + known->second.file + ":" +
                                std::to_string(known->second.line),
                            "remove one of them", entry.first.where);
            joined.entries.push_back(std::move(entry));
        }
    }
    return joined;
}

// What a file without aliases can't reach (each value takes a byte at least), and aliases of
// reasonable use don't.
std::size_t most_values(std::size_t bytes) { return std::max<std::size_t>(bytes + 1, 100'000); }

Result<Value> convert(const YAML::Node& node, Parsing& parsing, int depth);

Result<Value> convert_map(const YAML::Node& node, Value value, Parsing& parsing, int depth) {
    value.kind = Value::Kind::map;
    std::unordered_map<std::string, int> lines;  // by key
    for (const auto& entry : node) {
        auto key = convert(entry.first, parsing, depth + 1);
        if (!key) return key;
        if (key->kind != Value::Kind::scalar) return fail("key", "must be a word", {}, key->where);
        auto [known, is_new] = lines.emplace(key->text, key->where.line);
        if (!is_new)
            return fail("\"" + key->text + "\"",
                        "is given twice, first in line " + std::to_string(known->second),
                        "remove one of them", key->where);
        auto content = convert(entry.second, parsing, depth + 1);
        if (!content) return content;
        value.entries.emplace_back(std::move(*key), std::move(*content));
    }
    return value;
}

Result<Value> convert(const YAML::Node& node, Parsing& parsing, int depth) {
    Value value;
    value.where = place_of(node.Mark(), parsing.file);
    if (depth > deepest)
        return fail("document", "is nested too deeply, or files include each other", {},
                    value.where);
    if (parsing.values_left == 0)
        return fail("document", "its aliases (*name) repeat too much",
                    "write the values where they are needed", value.where);
    --parsing.values_left;
    if (node.Tag() == "!include" && node.IsScalar()) return include(node, parsing, depth + 1);
    switch (node.Type()) {
        case YAML::NodeType::Scalar:
            value.kind = Value::Kind::scalar;
            value.text = node.Scalar();
            value.quoted = node.Tag() == "!";
            value.source = parsing.source;
            value.position = static_cast<std::size_t>(node.Mark().pos);
            break;
        case YAML::NodeType::Sequence:
            value.kind = Value::Kind::list;
            for (const YAML::Node& item : node) {
                auto converted = convert(item, parsing, depth + 1);
                if (!converted) return converted;
                value.items.push_back(std::move(*converted));
            }
            break;
        case YAML::NodeType::Map:
            return convert_map(node, std::move(value), parsing, depth);
        case YAML::NodeType::Null:
        case YAML::NodeType::Undefined:
            break;
    }
    return value;
}

class BeginOfDocument : public YAML::EventHandler {
  public:
    YAML::Mark at;
    void OnDocumentStart(const YAML::Mark& mark) override { at = mark; }
    void OnDocumentEnd() override {}
    void OnNull(const YAML::Mark&, YAML::anchor_t) override {}
    void OnAlias(const YAML::Mark&, YAML::anchor_t) override {}
    void OnScalar(const YAML::Mark&, const std::string&, YAML::anchor_t,
                  const std::string&) override {}
    void OnSequenceStart(const YAML::Mark&, const std::string&, YAML::anchor_t,
                         YAML::EmitterStyle::value) override {}
    void OnSequenceEnd() override {}
    void OnMapStart(const YAML::Mark&, const std::string&, YAML::anchor_t,
                    YAML::EmitterStyle::value) override {}
    void OnMapEnd() override {}
};

// One blank before a file's first key is enough: the next key at the margin ends the document. Not
// by LoadAll, which takes no end of some texts.
std::optional<YAML::Mark> begin_of_second_document(const std::string& text) {
    // Nearly all files begin with a key at the margin, and have no marks: then nothing ends their
    // document, and they need not be read twice.
    auto first = std::string_view(text).find_first_not_of("\n");
    while (first != std::string_view::npos && text[first] == '#') {
        first = text.find('\n', first);
        if (first != std::string_view::npos) first = text.find_first_not_of('\n', first);
    }
    bool begins_with_key =
        first != std::string_view::npos && std::isalpha(static_cast<unsigned char>(text[first]));
    bool has_marks = text.contains("\n---") || text.contains("\n...");
    if (begins_with_key && !has_marks) return {};
    std::istringstream in(text);
    YAML::Parser parser(in);
    BeginOfDocument begin;
    if (!parser.HandleNextDocument(begin) || !parser.HandleNextDocument(begin)) return {};
    return begin.at;
}

Result<Value> parse_at(const std::string& text, const std::string& name, const TextReader& read,
                       int depth) {
    Parsing parsing{name, std::make_shared<const std::string>(text), read,
                    most_values(text.size())};
    try {
        if (auto second = begin_of_second_document(text))
            return fail("YAML", "the file's first document ends before this, and no other is read",
                        "let all keys of a file begin in one column; remove \"---\" and \"...\"",
                        place_of(*second, name));
        return convert(YAML::Load(text), parsing, depth);
    } catch (const YAML::Exception& error) {
        return fail("YAML", error.msg, {}, place_of(error.mark, name));
    }
}

Result<Value> read_at(const std::string& path, const TextReader& read, int depth) {
    auto text = read(path);
    if (!text) return std::unexpected(text.error());
    return parse_at(*text, path, read, depth);
}

// Where the key begins, alone on its line at the left margin, if no other key follows. (Within a
// text over several lines, YAML wants its words indented.)
std::size_t begin_of_last_key(std::string_view text, std::string_view key) {
    std::string wanted = "\n" + std::string(key) + ":\n";
    auto before = std::string_view::npos;
    for (auto at = text.find(wanted); at != std::string_view::npos; at = text.find(wanted, at + 1))
        before = at;
    if (before == std::string_view::npos) return text.size();
    for (auto end = text.find('\n', before + 1); end != std::string_view::npos;
         end = text.find('\n', end + 1)) {
        std::string_view line = text.substr(end + 1);
        bool belongs = line.empty() || line.starts_with("- ") ||
                       std::string_view(" \t\r\n#").contains(line.front());
        if (!belongs) return text.size();
    }
    return before + 1;
}

}  // namespace

const Value* Value::find(std::string_view key) const {
    for (const auto& [name, content] : entries)
        if (name.text == key) return &content;
    return nullptr;
}

Place place_within(const Value& value, std::size_t offset) {
    if (!value.source || value.position >= value.source->size()) return value.where;
    std::string_view rest = std::string_view(*value.source).substr(value.position);
    Place place = value.where;
    auto advance = [&] {
        place.column = rest.front() == '\n' ? 1 : place.column + 1;
        place.line += rest.front() == '\n' ? 1 : 0;
        rest.remove_prefix(1);
    };
    if (value.quoted) advance();
    for (char c : std::string_view(value.text).substr(0, offset)) {
        // A line end with the indentation around it is read as one space.
        auto next = rest.find_first_not_of(" \t\r");
        bool folded = c == ' ' && next != std::string_view::npos && rest[next] == '\n';
        if (!folded && (rest.empty() || rest.front() != c)) return value.where;
        advance();
        while (folded && !rest.empty() && std::string_view(" \t\r\n").contains(rest.front()))
            advance();
    }
    return place;
}

std::string_view kind_name(Value::Kind kind) {
    switch (kind) {
        case Value::Kind::null:
            return "nothing";
        case Value::Kind::scalar:
            return "a single value";
        case Value::Kind::list:
            return "a list";
        case Value::Kind::map:
            return "a map";
    }
    return "?";
}

Result<std::string> read_text(const std::string& path) {
    std::string what = "cannot read \"" + path + "\"";
    struct Close {
        void operator()(std::FILE* open) const { std::fclose(open); }
    };
    // A FIFO would be waited for, and a daemon that reloads with it.
    int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    std::unique_ptr<std::FILE, Close> file(fd < 0 ? nullptr : ::fdopen(fd, "r"));
    struct stat status{};
    if (!file || fstat(fd, &status) != 0) return fail(what, std::strerror(errno));
    if (S_ISDIR(status.st_mode)) return fail(what, "it is a directory");
    if (!S_ISREG(status.st_mode)) return fail(what, "it is no file");
    auto size = static_cast<std::size_t>(std::max<off_t>(status.st_size, 0));
    if (size > largest_text) return fail(what, too_large);
    std::setvbuf(file.get(), nullptr, _IONBF, 0);
    std::string text;
    bool full = true;  // of /proc, say, no size is known
    for (std::size_t room = size + 1; full && text.size() <= largest_text; room = text.size()) {
        std::size_t before = text.size();
        text.resize_and_overwrite(before + room, [&](char* bytes, std::size_t) {
            return before + std::fread(bytes + before, 1, room, file.get());
        });
        full = text.size() == before + room;
    }
    if (std::ferror(file.get()) != 0) return fail(what, std::strerror(errno));
    if (text.size() > largest_text) return fail(what, too_large);
    return text;
}

Result<Value> parse_document(const std::string& text, const std::string& name) {
    return parse_at(text, name, read_text, 0);
}

Result<Value> read_document(const std::string& path, const TextReader& read) {
    return read_at(path, read, 0);
}

Result<Value> read_document_without(std::string_view last, const std::string& path) {
    auto text = read_text(path);
    if (!text) return std::unexpected(text.error());
    auto value = parse_at(text->substr(0, begin_of_last_key(*text, last)), path, read_text, 0);
    // It may be that a text over several lines was cut.
    return value ? std::move(value) : parse_at(*text, path, read_text, 0);
}

std::vector<std::string> glob_files(const std::string& pattern) {
    std::vector<std::string> files;
    glob_t found{};
    if (::glob(pattern.c_str(), 0, nullptr, &found) == 0)
        for (std::size_t i = 0; i < found.gl_pathc; ++i) files.emplace_back(found.gl_pathv[i]);
    globfree(&found);
    return files;
}

std::optional<Error> unreadable_directory(const std::string& path) {
    std::error_code fault;
    std::filesystem::directory_iterator look(path, fault);
    if (!fault || fault == std::errc::no_such_file_or_directory) return {};
    return Error{"cannot read \"" + path + "\"", fault.message(), {}, {}};
}

}  // namespace bandd

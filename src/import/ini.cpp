// SPDX-License-Identifier: GPL-2.0-or-later
// The rules are those of Python's configparser (comments "#" and ";", inline ";", delimiters "="
// and
// ":", values go on in lines that are indented further) and of fail2ban's jail.conf(5).
#include "import/ini.h"

#include <algorithm>
#include <climits>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <set>

#include "core/base/ascii.h"

namespace bandd::fail2ban {
namespace fs = std::filesystem;
namespace {

constexpr int deepest = 10;  // as Python's configparser
// fail2ban has no bounds here but Python's own. Its files have values of some KiB, and no ten
// includes.
constexpr std::size_t longest_value = 256 << 10;
constexpr std::size_t most_names = 10'000;    // filled in for one value
constexpr std::size_t most_includes = 1'000;  // of one file and what overrides it
constexpr std::size_t deepest_include = 20;

bool is_space(char c) { return c == ' ' || c == '\t' || c == '\r' || c == '\f' || c == '\v'; }

// A space that breaks no line, as configurations have it that were copied from web pages. Python
// takes it for space, too.
constexpr std::string_view hard_space = "\xc2\xa0";

// How many bytes of space `text` begins with.
std::size_t indent_of(std::string_view text) {
    std::size_t at = 0;
    while (at < text.size()) {
        if (is_space(text[at]))
            ++at;
        else if (text.substr(at).starts_with(hard_space))
            at += hard_space.size();
        else
            break;
    }
    return at;
}

std::string_view strip(std::string_view text) {
    text.remove_prefix(indent_of(text));
    while (!text.empty() && (is_space(text.back()) || text.ends_with(hard_space)))
        text.remove_suffix(is_space(text.back()) ? 1 : hard_space.size());
    return text;
}

bool is_word(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

std::vector<std::string> matching(const std::string& directory, std::string_view ending) {
    std::vector<std::string> files;
    std::error_code fault;
    for (const auto& entry : fs::directory_iterator(directory, fault)) {
        std::string name = entry.path().filename().string();
        if (name.ends_with(ending) && !name.starts_with('.'))
            files.push_back(entry.path().string());
    }
    std::ranges::sort(files);
    return files;
}

// "section/option" into its halves.
std::optional<std::pair<std::string_view, std::string_view>> split(std::string_view name) {
    auto slash = name.find('/');
    if (slash == std::string_view::npos || slash == 0 || slash + 1 == name.size()) return {};
    for (char c : name.substr(0, slash))
        if (!is_word(c) && c != '-') return {};
    return std::pair{name.substr(0, slash), name.substr(slash + 1)};
}

// A line without its comment: "a = b ; c" is "a = b ".
struct Line {
    std::string_view text;
    bool has_comment = false;
};
Line without_comment(std::string_view line) {
    std::string_view whole = strip(line);
    if (whole.starts_with('#') || whole.starts_with(';')) return {{}, true};
    for (std::size_t at = line.find(';'); at != std::string_view::npos; at = line.find(';', at + 1))
        if (at == 0 || is_space(line[at - 1])) return {line.substr(0, at), true};
    return {line, false};
}

// "DEFAULT" of "[DEFAULT]".
std::optional<std::string> section_name(std::string_view content) {
    auto close = content.rfind(']');
    if (!content.starts_with('[') || close == std::string_view::npos || close <= 1) return {};
    return std::string(content.substr(1, close - 1));
}

void remove_ending_space(Options& options) {
    for (auto& [name, text] : options) {
        auto last = text.find_last_not_of(" \t\r\n");
        text.resize(last == std::string::npos ? 0 : last + 1);
    }
}

}  // namespace

IniFile parse_ini(std::string_view text, const std::string& path, std::vector<Error>& faults) {
    IniFile file;
    Options* section = nullptr;
    std::string* value = nullptr;  // of the option that a further line may continue
    std::size_t option_indent = 0;
    int number = 0;
    text = without_mark(text);
    while (!text.empty()) {
        auto end = text.find('\n');
        std::string_view line = text.substr(0, end);
        text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
        ++number;
        auto [kept, has_comment] = without_comment(line);
        std::string_view content = strip(kept);
        if (content.empty()) {
            // An empty line belongs to the value around it, a comment does not.
            if (!has_comment && value != nullptr) *value += '\n';
            continue;
        }
        std::size_t indent = indent_of(line);
        if (section != nullptr && value != nullptr && indent > option_indent) {
            *value += '\n';
            *value += content;
            continue;
        }
        option_indent = indent;
        value = nullptr;
        if (auto name = section_name(content)) {
            section = *name == "DEFAULT" ? &file.defaults : &file.sections[*name];
            continue;
        }
        auto delimiter = content.find_first_of("=:");
        if (section == nullptr || delimiter == std::string_view::npos || delimiter == 0) {
            faults.push_back({"\"" + std::string(content.substr(0, 60)) + "\"",
                              section == nullptr ? "comes before any [section]"
                                                 : "is neither [section] nor option = value",
                              {},
                              {path, number, static_cast<int>(indent) + 1}});
            continue;
        }
        value = &(*section)[ascii_lower(strip(content.substr(0, delimiter)))];
        *value = strip(content.substr(delimiter + 1));
    }
    remove_ending_space(file.defaults);
    for (auto& [name, options] : file.sections) remove_ending_space(options);
    return file;
}

void Ini::add_with_includes(const std::string& path, std::vector<std::string> seen,
                            std::vector<std::string>& order, std::vector<Error>& faults) {
    if (std::ranges::find(seen, path) != seen.end()) {
        faults.push_back({"\"" + path + "\"",
                          seen.back() == path
                              ? "includes itself"
                              : "includes itself, by way of \"" + seen.back() + "\"",
                          "take it out of before = and after =; fail2ban does not read it, either",
                          {}});
        return;
    }
    if (++includes_ > most_includes || seen.size() > deepest_include) {
        faults.push_back({"\"" + path + "\"",
                          seen.size() > deepest_include
                              ? "is left out: it is included more than " +
                                    std::to_string(deepest_include) + " deep"
                              : "is left out: more than " + std::to_string(most_includes) +
                                    " files are included",
                          "include each file once",
                          {}});
        return;
    }
    if (!read_.contains(path)) {
        std::error_code fault;
        auto kind = fs::status(path, fault).type();
        if (kind == fs::file_type::not_found || kind == fs::file_type::directory) return;
        if (kind != fs::file_type::regular) {  // reading it would never end
            faults.push_back({"\"" + path + "\"", "is left out: it is no file", {}, {}});
            return;
        }
        std::ifstream in(path, std::ios::binary);
        if (!in) return;
        std::string text{std::istreambuf_iterator<char>(in), {}};
        read_.emplace(path, parse_ini(text, path, faults));
    }
    std::vector<std::string> before;
    std::vector<std::string> after;
    const IniFile& file = read_.at(path);
    seen.push_back(path);
    if (auto includes = file.sections.find("INCLUDES"); includes != file.sections.end()) {
        for (auto [key, into] : {std::pair{"before", &before}, std::pair{"after", &after}}) {
            auto names = includes->second.find(key);
            if (names == includes->second.end()) continue;
            // The includes may be interpolated themselves: %(fail2ban_confpath)s.
            std::string_view rest = names->second;
            while (!rest.empty()) {
                auto end = rest.find('\n');
                std::string name(strip(rest.substr(0, end)));
                rest.remove_prefix(end == std::string_view::npos ? rest.size() : end + 1);
                if (name.empty()) continue;
                std::string included =
                    (fs::path(path).parent_path() / name).lexically_normal().string();
                if (std::ranges::find(seen, included) != seen.end()) continue;
                std::string local = fs::path(included).replace_extension(".local").string();
                add_with_includes(included, seen, *into, faults);
                if (local != included) add_with_includes(local, seen, *into, faults);
            }
        }
    }
    order.insert(order.end(), before.begin(), before.end());
    order.push_back(path);
    order.insert(order.end(), after.begin(), after.end());
}

void Ini::merge(IniFile file) {
    for (auto& [name, value] : file.defaults) defaults_.insert_or_assign(name, value);
    for (auto& [whole, options] : file.sections) {
        // [Init?family=inet6]: its options hold under that condition only.
        std::string name = whole;
        std::string condition;
        if (auto mark = whole.find('?'); mark != std::string::npos && mark > 0) {
            name = whole.substr(0, mark);
            condition = whole.substr(mark);
        }
        Options& into = sections_[name];
        Options& known = sections_["KNOWN/" + name];
        for (auto& [option, value] : options) {
            std::string key = option + condition;
            if (auto before = into.find(key); before != into.end())
                known.insert_or_assign(key, before->second);
            into.insert_or_assign(key, value);
        }
    }
}

bool Ini::read(const std::string& base, const std::string& name, std::vector<Error>& faults) {
    std::string stem = (fs::path(base) / name).lexically_normal().string();
    std::vector<std::string> wanted{stem + ".conf"};
    std::ranges::move(matching(stem + ".d", ".conf"), std::back_inserter(wanted));
    wanted.push_back(stem + ".local");
    std::ranges::move(matching(stem + ".d", ".local"), std::back_inserter(wanted));
    std::erase_if(wanted, [](const std::string& path) { return !fs::exists(path); });
    std::vector<std::string> order;
    includes_ = 0;
    for (const std::string& path : wanted) add_with_includes(path, {}, order, faults);
    for (const std::string& path : order) merge(read_.at(path));
    files_ = order;
    return !wanted.empty();
}

std::vector<std::string> Ini::sections() const {
    std::vector<std::string> names;
    for (const auto& [name, options] : sections_)
        if (!name.starts_with("KNOWN/")) names.push_back(name);
    return names;
}

std::vector<std::string> Ini::options(std::string_view section, bool with_defaults) const {
    std::set<std::string> names;
    if (auto found = sections_.find(section); found != sections_.end())
        for (const auto& [name, value] : found->second) names.insert(name);
    if (with_defaults)
        for (const auto& [name, value] : defaults_) names.insert(name);
    return {names.begin(), names.end()};
}

const std::string* Ini::find(std::string_view section, std::string_view option,
                             const Options& vars) const {
    if (auto found = vars.find(option); found != vars.end()) return &found->second;
    if (auto in = sections_.find(section); in != sections_.end())
        if (auto found = in->second.find(option); found != in->second.end()) return &found->second;
    if (auto found = defaults_.find(option); found != defaults_.end()) return &found->second;
    return nullptr;
}

const std::string* Ini::find_in_named_section(std::string_view section,
                                              std::string_view name) const {
    auto halves = split(name);
    if (!halves) return nullptr;
    auto [from, wanted] = *halves;
    std::string lower = ascii_lower(from);
    std::string where = lower == "known" ? "KNOWN/" + std::string(section) : std::string(from);
    if (auto in = sections_.find(where); lower != "default" && in != sections_.end())
        if (auto found = in->second.find(wanted); found != in->second.end()) return &found->second;
    auto found = defaults_.find(wanted);
    return found == defaults_.end() ? nullptr : &found->second;
}

Result<std::string> Ini::fill_in(std::string_view section, std::string_view option,
                                 std::string_view text, const Options& vars, Filled& filled) const {
    std::string what = "[" + std::string(section) + "] " + std::string(option);
    if (filled.depth > deepest) return fail(what, "refers to itself, or goes more than 10 deep");
    std::string out;
    while (true) {
        auto percent = text.find('%');
        out += text.substr(0, percent);
        if (out.size() > longest_value)
            return fail(what, "is longer than " + std::to_string(longest_value) +
                                  " characters when its %(name)s are filled in");
        if (percent == std::string_view::npos) return out;
        text.remove_prefix(percent);
        if (text.starts_with("%%")) {
            out += '%';
            text.remove_prefix(2);
            continue;
        }
        auto close = text.find(")s");
        if (!text.starts_with("%(") || close == std::string_view::npos || text.find(')') != close)
            return fail(what, "has a \"%\" that begins neither %(name)s nor %%",
                        "write %% for a percent sign");
        std::string_view name = text.substr(2, close - 2);
        text.remove_prefix(close + 2);
        if (++filled.names > most_names)
            return fail(what,
                        "has more than " + std::to_string(most_names) + " %(name)s to fill in");
        if (name == "__name__") {
            out += section;
            continue;
        }
        const std::string* value = find(section, ascii_lower(name), vars);
        if (value == nullptr) value = find_in_named_section(section, name);
        if (value == nullptr)
            return fail(what, "names %(" + std::string(name) + ")s, which is not defined");
        if (value->find('%') == std::string::npos) {
            out += *value;
            continue;
        }
        ++filled.depth;
        auto inner = fill_in(section, option, *value, vars, filled);
        --filled.depth;
        if (!inner) return inner;
        out += *inner;
    }
}

Result<std::optional<std::string>> Ini::get(std::string_view section, std::string_view option,
                                            const Options& vars) const {
    const std::string* value =
        sections_.contains(section) ? find(section, ascii_lower(option), vars) : nullptr;
    if (value == nullptr) return std::nullopt;
    Filled done;
    auto filled = fill_in(section, option, *value, vars, done);
    if (!filled) return std::unexpected(filled.error());
    return std::move(*filled);
}

Result<std::optional<std::string>> Ini::get_anywhere(std::string_view section,
                                                     std::string_view option,
                                                     const Options& vars) const {
    if (auto halves = split(option)) {
        auto [from, wanted] = *halves;
        std::string lower = ascii_lower(from);
        std::vector<std::string> places{std::string(from)};
        if (lower == "known") places = {"KNOWN/" + std::string(section), std::string(section)};
        for (const std::string& place : places) {
            if (lower == "default") {
                auto found = defaults_.find(wanted);
                if (found == defaults_.end()) break;
                Filled done;
                auto filled = fill_in(section, wanted, found->second, {}, done);
                if (!filled) return std::unexpected(filled.error());
                return std::move(*filled);
            }
            auto value = get(place, wanted);
            if (!value || *value) return value;
        }
    }
    return get(section, option, vars);
}

}  // namespace bandd::fail2ban

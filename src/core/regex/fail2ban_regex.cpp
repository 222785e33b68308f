// SPDX-License-Identifier: GPL-2.0-or-later
// The tags and what they match are those of fail2ban's man page jail.conf(5), section FILTER FILES,
// and of its behaviour (1.0.2, 1.1). Group numbers stay as Python counts them, for back-references.
#include "core/regex/fail2ban_regex.h"

#include <algorithm>
#include <array>
#include <set>

#include "core/base/ascii.h"

namespace bandd {
namespace {

constexpr std::string_view ip4_group = R"((?:::f{4,6}:)?(?P<ip4>(?:\d{1,3}\.){3}\d{1,3}))";
constexpr std::string_view ip6_group =
    R"((?P<ip6>(?:[0-9a-fA-F]{1,4}::?|::){1,7}(?:[0-9a-fA-F]{1,4}|:)))";
constexpr std::string_view dns_group = R"((?P<dns>[\w\-.^_]*\w))";
constexpr std::string_view cidr_group = R"((?P<cidr>\d+))";

bool is_field_name(std::string_view name) {
    return !name.empty() && std::ranges::all_of(name, [](char c) {
        return (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-';
    });
}

// "<name>", "</name>" or "<name/>" at `at`: its inside. Empty if there is none.
std::string_view tag_at(std::string_view text, std::size_t at) {
    auto close = text.find('>', at);
    if (close == std::string_view::npos) return {};
    std::string_view inside = text.substr(at + 1, close - at - 1);
    std::string_view word = inside;
    if (word.starts_with('/')) word.remove_prefix(1);
    if (word.ends_with('/')) word.remove_suffix(1);
    bool good = !word.empty() && std::ranges::all_of(word, [](char c) {
        return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
               c == '_' || c == '-';
    });
    return good ? inside : std::string_view{};
}

std::string alternation(std::string_view a, std::string_view b) {
    return "(?:" + std::string(a) + "|" + std::string(b) + ")";
}

// "((?i)text)" and "(?:(?i)text)": flags that Python would apply to the whole are kept within.
std::string keep_flags_local(std::string text) {
    for (std::size_t at = 0; (at = text.find("(?", at)) != std::string::npos; ++at) {
        std::size_t end = at + 2;
        while (end < text.size() && text[end] >= 'a' && text[end] <= 'z') ++end;
        if (end == at + 2 || end >= text.size() || text[end] != ')') continue;
        std::size_t open = std::string::npos;
        if (at >= 3 && text.compare(at - 3, 3, "(?:") == 0)
            open = at - 3;
        else if (at >= 1 && text[at - 1] == '(')
            open = at - 1;
        if (open == std::string::npos || (open > 0 && text[open - 1] == '\\')) continue;
        std::string flags = text.substr(at, end - at) + ":";
        text.replace(open, end + 1 - open, flags);
        at = open;
    }
    return text;
}

}  // namespace

std::string fail2ban_group_name(std::string_view tag) {
    std::string name = ascii_lower(tag);
    if (name == "id") return "fid";
    if (name == "port") return "fport";
    return name;
}

std::string put_tags_in(std::string_view regex, bool names) {
    std::string addr = R"(\[?)" + alternation(ip4_group, ip6_group) + R"(\]?)";
    std::string out;
    std::set<std::string, std::less<>> open;
    int skips = 0;
    std::size_t at = 0;
    while (at < regex.size()) {
        std::string_view tag = regex[at] == '<' ? tag_at(regex, at) : std::string_view{};
        if (tag.empty()) {
            out += regex[at++];
            continue;
        }
        std::string_view name = tag;
        bool closes = name.starts_with('/');
        if (closes) name.remove_prefix(1);
        bool field = name.starts_with("F-");
        std::string_view known =
            field && name.ends_with('/') ? name.substr(2, name.size() - 3) : tag;
        std::string by;
        if (known == "HOST" && !field)
            by = names ? alternation(addr, dns_group) : addr;
        else if (known == "ADDR")
            by = addr;
        else if (known == "IP4")
            by = ip4_group;
        else if (known == "IP6")
            by = ip6_group;
        else if (known == "DNS")
            by = dns_group;
        else if (known == "CIDR")
            by = cidr_group;
        else if (known == "SUBNET")
            by = R"(\[?)" + alternation(ip4_group, ip6_group) + "(?:/" + std::string(cidr_group) +
                 R"()?\]?)";
        else if (known == "SKIPLINES" && !field)
            by = R"(\n(?P<skiplines)" + std::to_string(skips++) + R"(>(?:(?:.*\n)*?)))";
        else if (field && known == "ID")
            by = R"((?P<fid>\S+))";
        else if (field && known == "PORT")
            by = R"((?P<fport>\w+))";
        else if (field && is_field_name(name.substr(2)) && !closes) {
            open.insert(std::string(name));
            by = "(?P<" + fail2ban_group_name(name.substr(2)) + ">";
        } else if (field && closes && open.contains(name))
            by = ")";
        else
            by = "<" + std::string(tag) + ">";
        out += by;
        at += tag.size() + 2;
    }
    return keep_flags_local(std::move(out));
}

namespace {

// Rewrites a pattern from left to right. `run` is empty where RE2 cannot say the same.
class Re2Translation {
  public:
    explicit Re2Translation(std::string_view python) : python_(python) {}

    std::optional<std::string> run() {
        while (at_ < python_.size())
            if (!(peek() == '\\' ? escape() : in_class_ ? in_class() : outside_class())) return {};
        if (in_class_) return {};
        return std::move(out_);
    }

  private:
    char peek() const { return python_[at_]; }
    std::string_view rest() const { return python_.substr(at_); }
    bool copy() {
        out_ += python_[at_++];
        return true;
    }

    bool escape() {
        if (at_ + 1 >= python_.size()) return false;
        char next = python_[at_ + 1];
        if (next == 'Z')
            out_ += "\\z";
        else if (std::string_view("_/\"'<> :,").contains(next))
            out_ += next;
        else if ((next >= '1' && next <= '9' && !in_class_) || next == '0' || next == 'u' ||
                 next == 'U' || next == 'N' || (in_class_ && next == 'b'))
            return false;  // a back-reference; the others are rare
        else
            out_ += rest().substr(0, 2);
        at_ += 2;
        return true;
    }

    bool in_class() {
        // "]" first in a class is itself.
        if (peek() == ']' && at_ > class_begin_) in_class_ = false;
        // RE2 would see the beginning of [:alpha:].
        if (rest().starts_with("[:")) out_ += '\\';
        return copy();
    }

    bool outside_class() {
        if (peek() == '[') {
            in_class_ = true;
            copy();
            if (rest().starts_with('^')) copy();
            class_begin_ = at_;
            return true;
        }
        if (rest().starts_with("{,")) return open_count();
        if (rest().starts_with("(?#")) {
            auto close = python_.find(')', at_);
            if (close == std::string_view::npos) return false;
            at_ = close + 1;
            return true;
        }
        return rest().starts_with("(?") ? open_group() : copy();
    }

    // "{,3}" is a count, "{,x}" is text.
    bool open_count() {
        auto close = python_.find('}', at_);
        std::string_view digits =
            close == std::string_view::npos ? "" : python_.substr(at_ + 2, close - at_ - 2);
        bool counts = !digits.empty() &&
                      std::ranges::all_of(digits, [](char d) { return d >= '0' && d <= '9'; });
        out_ += counts ? "{0," : "\\{,";
        at_ += 2;
        return true;
    }

    bool open_group() {
        std::string_view kind = rest().substr(2);
        for (std::string_view unknown : {"=", "!", "<=", "<!", "P=", "("})
            if (kind.starts_with(unknown)) return false;
        if (kind.starts_with("P<") || kind.starts_with(':')) {
            out_ += "(?";
            at_ += 2;
            return true;
        }
        // Flags: those for Unicode and locale mean nothing for bytes.
        std::string flags;
        std::size_t i = 0;
        for (; i < kind.size() && kind[i] != ')' && kind[i] != ':'; ++i) {
            if (kind[i] == 'x') return false;
            if (kind[i] != 'u' && kind[i] != 'a' && kind[i] != 'L') flags += kind[i];
        }
        if (i == kind.size()) return false;
        bool group = kind[i] == ':';
        if (group || !flags.empty()) out_ += "(?" + flags + kind[i];
        at_ += 2 + i + 1;
        return true;
    }

    std::string_view python_;
    std::size_t at_ = 0;
    std::string out_;
    bool in_class_ = false;
    std::size_t class_begin_ = 0;  // where its first byte is
};

}  // namespace

std::optional<std::string> to_re2(std::string_view python) { return Re2Translation(python).run(); }

}  // namespace bandd

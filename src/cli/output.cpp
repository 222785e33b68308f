// SPDX-License-Identifier: GPL-2.0-or-later
#include "cli/output.h"

#include <fmt/format.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>

#include "core/base/printable.h"
#include "core/text/datetime.h"
#include "os/zoneinfo.h"

namespace bandd {
namespace {

std::string coloured(std::string_view text, const char* code) {
    if (!colour_wanted()) return std::string(text);
    return fmt::format("\x1b[{}m{}\x1b[0m", code, text);
}

// Characters, not bytes; escape sequences take no room.
std::size_t width_of(std::string_view text) {
    std::size_t width = 0;
    for (std::size_t i = 0; i < text.size(); ++i) {
        if (text[i] == '\x1b') {
            i = std::min(text.find('m', i), text.size());
            continue;
        }
        if ((static_cast<unsigned char>(text[i]) & 0xc0) != 0x80) ++width;
    }
    return width;
}

std::string cut(const std::string& text, std::size_t width) {
    if (width_of(text) <= width || text.find('\x1b') != std::string::npos) return text;
    std::string out;
    std::size_t taken = 0;
    for (std::size_t i = 0; i < text.size(); ++i) {
        if ((static_cast<unsigned char>(text[i]) & 0xc0) != 0x80 && ++taken >= width) break;
        out += text[i];
    }
    return out + "…";
}

std::optional<Instant> parse_time(std::string_view rfc3339) {
    auto date = scan_iso_date(rfc3339);
    if (!date) return {};
    return resolve(*date, Zone{}, never);
}

std::size_t terminal_width(int fd) {
    winsize size{};
    if (ioctl(fd, TIOCGWINSZ, &size) == 0 && size.ws_col > 20) return size.ws_col;
    if (const char* columns = std::getenv("COLUMNS")) {
        int width = std::atoi(columns);
        if (width > 20) return static_cast<std::size_t>(width);
    }
    return isatty(fd) == 1 ? 80 : 1 << 20;
}

// One line, without its end. A word that is wider than the line is not cut.
std::string wrapped_line(std::string_view line, std::size_t width) {
    std::size_t indent = std::min(line.find_first_not_of(' '), line.size());
    std::string out(indent, ' ');
    std::size_t used = indent;
    bool first = true;
    for (std::size_t at = indent; at < line.size();) {
        std::size_t begin = std::min(line.find_first_not_of(' ', at), line.size());
        std::size_t end = std::min(line.find(' ', begin), line.size());
        std::string_view gap = line.substr(at, begin - at), word = line.substr(begin, end - begin);
        std::size_t wide = width_of(word);
        if (!first && used + gap.size() + wide > width) {
            out += "\n" + std::string(indent + 2, ' ');
            used = indent + 2;
        } else {
            out += gap;
            used += gap.size();
        }
        out += word;
        used += wide;
        first = false;
        at = end;
    }
    return out;
}

bool json_is_wanted = false;

const Zone& local_zone() {
    static const Zone zone = read_zone("").value_or(Zone{});
    return zone;
}

}  // namespace

bool colour_wanted() {
    static const bool wanted = isatty(STDOUT_FILENO) == 1 && std::getenv("NO_COLOR") == nullptr;
    return wanted;
}
std::string bold(std::string_view text) { return coloured(text, "1"); }
std::string red(std::string_view text) { return coloured(text, "31"); }
std::string yellow(std::string_view text) { return coloured(text, "33"); }
std::string green(std::string_view text) { return coloured(text, "32"); }

std::string wrapped(std::string_view text, std::size_t width) {
    if (text.size() <= width) return std::string(text);
    std::string out;
    while (!text.empty()) {
        std::size_t end = std::min(text.find('\n'), text.size());
        out += wrapped_line(text.substr(0, end), width);
        if (end < text.size()) out += '\n';
        text.remove_prefix(std::min(end + 1, text.size()));
    }
    return out;
}

void put_wrapped(const std::string& text) {
    fmt::print("{}", wrapped(text, terminal_width(STDOUT_FILENO)));
}

std::string text(const Json& json, const char* key) {
    auto found = json.find(key);
    if (found == json.end() || found->is_null()) return "";
    if (found->is_string()) return printable(found->get_ref<const std::string&>());
    return found->dump();
}

std::string count(const Json& json, const char* key, std::string_view thing) {
    return count_of(json.value(key, std::size_t{0}), thing);
}

const Json& list(const Json& json, const char* key) {
    static const Json none = Json::array();
    auto found = json.find(key);
    return found != json.end() && found->is_array() ? *found : none;
}

void print_json(const Json& json) {
    std::string line = printable_json(to_line_of_json(json));
    if (std::fwrite(line.data(), 1, line.size(), stdout) != line.size())
        throw fmt::system_error(errno, "cannot write to standard output");
}

void print_table(const std::vector<std::string>& head,
                 const std::vector<std::vector<std::string>>& rows,
                 const std::vector<std::string>& may_go) {
    if (rows.empty()) return;
    constexpr std::size_t least = 8;  // of the last column
    std::vector<std::size_t> widths;
    for (const std::string& title : head) widths.push_back(width_of(title));
    for (const auto& row : rows)
        for (std::size_t i = 0; i < row.size(); ++i)
            widths[i] = std::max(widths[i], width_of(row[i]));
    std::vector<bool> shown(head.size(), true);
    auto before_last = [&] {
        std::size_t before = 0;
        for (std::size_t i = 0; i + 1 < widths.size(); ++i)
            if (shown[i]) before += widths[i] + 2;
        return before;
    };
    std::size_t room = terminal_width(STDOUT_FILENO);
    for (const std::string& title : may_go) {
        if (before_last() + std::min(widths.back(), least * 2) <= room) break;
        auto column = std::ranges::find(head, title) - head.begin();
        shown[static_cast<std::size_t>(column)] = false;
    }
    std::size_t last = std::max(room, before_last() + least) - before_last();
    auto print = [&](const std::vector<std::string>& cells, bool title) {
        std::string line;
        for (std::size_t i = 0; i < cells.size(); ++i) {
            if (!shown[i]) continue;
            std::string cell = i + 1 == cells.size() ? cut(cells[i], last) : cells[i];
            std::size_t width = width_of(cell);
            line += title ? bold(cell) : cell;
            if (i + 1 < cells.size()) line += std::string(widths[i] - width + 2, ' ');
        }
        while (!line.empty() && line.back() == ' ') line.pop_back();
        fmt::print("{}\n", line);
    };
    print(head, true);
    for (const auto& row : rows) print(row, false);
}

std::string local_time(std::string_view rfc3339) {
    if (rfc3339.empty()) return "for ever";
    auto at = parse_time(rfc3339);
    return at ? format_local(*at, local_zone()) : std::string(rfc3339);
}

std::string relative_time(std::string_view rfc3339, Instant now) {
    if (rfc3339.empty()) return "never";
    auto at = parse_time(rfc3339);
    if (!at) return std::string(rfc3339);
    return *at >= now ? "in " + format_duration(*at - now) : format_duration(now - *at) + " ago";
}

void flush_output() {
    if (std::fflush(stdout) != 0) throw fmt::system_error(errno, "cannot write to standard output");
}

std::size_t rest_of(const Json& result, std::size_t shown) {
    shown += result.value("skipped", std::size_t{0});
    return std::max(result.value("total", std::size_t{0}), shown) - shown;
}

void print_rest(const Json& result, std::size_t shown) {
    if (std::size_t rest = rest_of(result, shown); rest > 0)
        print_wrapped("{}{} more: use --limit\n", shown > 0 ? "… and " : "", rest);
    else if (result.value("more", false))
        print_wrapped("{}more: use --limit\n", shown > 0 ? "… and " : "");
}

void print_origin(const Json& origin) {
    auto put = [](const char* name, const std::string& value) {
        if (!value.empty()) print_wrapped("  {:<12} {}\n", name, value);
    };
    std::string country = text(origin, "country");
    if (origin.contains("country_name")) country += " (" + text(origin, "country_name") + ")";
    std::string network = text(origin, "network");
    if (origin.contains("asn")) network = fmt::format("AS{} {}", text(origin, "asn"), network);
    put("country", country);
    put("continent", text(origin, "continent"));
    put("network", network);
    put("subdivision", text(origin, "subdivision"));
    put("city", text(origin, "city"));
}

void print_geoblocks(const Json& known) {
    for (const Json& block : list(known, "blocked_by"))
        print_wrapped("  {} {}\n", red("blocked by"), printable(block.get<std::string>()));
}

void want_json() { json_is_wanted = true; }

void print_error(const Error& error) {
    if (json_is_wanted) print_json({{"error", error_to_json(error)}});
    std::string line = wrapped(printable(to_line(error)), terminal_width(STDERR_FILENO));
    if (isatty(STDERR_FILENO) == 1 && std::getenv("NO_COLOR") == nullptr)
        fmt::print(stderr, "\x1b[31m{}\x1b[0m\n", line);
    else
        fmt::print(stderr, "{}\n", line);
}

}  // namespace bandd

// SPDX-License-Identifier: GPL-2.0-or-later
#include "cli/admin_address.h"

#include <unistd.h>
#include <utmpx.h>

#include <algorithm>
#include <charconv>
#include <cstring>
#include <string>
#include <string_view>

#include "config/document.h"
#include "core/base/reserved.h"

namespace bandd {
namespace {

constexpr int most_ancestors = 64;

// Of a login from this machine itself nothing follows.
std::optional<Address> usable(std::string_view text) {
    auto address = parse_address(text.substr(0, text.find(' ')));
    if (!address || is_loopback(*address)) return {};
    return address;
}

// "203.0.113.9 50022 22": what sshd writes.
std::optional<Address> of_environment(std::string_view environment) {
    while (!environment.empty()) {
        std::string_view variable = environment.substr(0, environment.find('\0'));
        for (std::string_view name : {"SSH_CLIENT=", "SSH_CONNECTION="})
            if (variable.starts_with(name)) return usable(variable.substr(name.size()));
        environment.remove_prefix(std::min(variable.size() + 1, environment.size()));
    }
    return {};
}

// /proc/PID/stat: the number after the name in brackets and the state.
std::optional<pid_t> parent_of(const std::string& stat) {
    auto after_name = stat.rfind(") ");
    if (after_name == std::string::npos || after_name + 4 >= stat.size()) return {};
    pid_t parent = 0;
    const char* begin = stat.data() + after_name + 4;
    auto [end, fault] = std::from_chars(begin, stat.data() + stat.size(), parent);
    if (fault != std::errc{}) return {};
    return parent;
}

std::optional<Address> of_ancestors() {
    pid_t pid = getpid();
    for (int i = 0; i < most_ancestors && pid > 1; ++i) {
        std::string process = "/proc/" + std::to_string(pid);
        if (auto environment = read_text(process + "/environ"))
            if (auto address = of_environment(*environment)) return address;
        auto stat = read_text(process + "/stat");
        auto parent = stat ? parent_of(*stat) : std::nullopt;
        if (!parent) return {};
        pid = *parent;
    }
    return {};
}

std::optional<Address> of_terminal() {
    const char* terminal = ttyname(STDIN_FILENO);
    if (terminal == nullptr) return {};
    std::string_view line = terminal;
    if (line.starts_with("/dev/")) line.remove_prefix(5);
    std::optional<Address> found;
    setutxent();
    while (const utmpx* login = getutxent()) {
        std::string_view theirs(login->ut_line, strnlen(login->ut_line, sizeof login->ut_line));
        if (login->ut_type != USER_PROCESS || theirs != line) continue;
        found = usable({login->ut_host, strnlen(login->ut_host, sizeof login->ut_host)});
    }
    endutxent();
    return found;
}

}  // namespace

std::optional<Address> address_of_login() {
    if (auto address = of_ancestors()) return address;
    return of_terminal();
}

}  // namespace bandd

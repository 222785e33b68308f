// SPDX-License-Identifier: GPL-2.0-or-later
// Runs scenario files: a configuration, stamped log lines, and what bandd must decide, in virtual
// time. No daemon, no kernel: the core alone, as `replay` will use it.
//
//   # comment
//   --- config           a bandd.yaml until the next ---
//   --- filter NAME      filters/NAME.yaml
//   --- file NAME        another file beside bandd.yaml
//   --- facts            lines "CIDR COUNTRY [AS]": what a database would know
//   --- log [PATH]       lines "HH:MM:SS[.mmm] text" arrive at that time of 2026-11-21 (UTC); PATH
//                        is the jail's logpath (default /log)
//   --- asked           lines "HH:MM:SS PROTOCOL USER ADDRESS [proven | wrong]": somebody asks
//   whether
//                        this login may be, tells of one, or of a wrong password
//   => 10:03:00 refuse USER ADDRESS: REASON
//   => 10:03:00 account USER has 6 countries in 1d
//   => 10:04:00 ban 203.0.113.9 jail until 11:04:00
//   => 11:04:00 unban 203.0.113.9 jail
// Expectations stand in order of time, and nothing else may be decided.
#include <fmt/format.h>

#include <algorithm>
#include <iostream>
#include <sstream>

#include "config/access.h"
#include "config/compile.h"
#include "config/load.h"
#include "core/base/reserved.h"
#include "core/decide/engine.h"
#include "os/zoneinfo.h"
#include "support/common.h"

using namespace bandd;

namespace {

std::string clock_text(Instant when) {
    if (when == never) return "never";
    CivilTime c = civil_from_utc(when);
    std::string text = fmt::format("{:02}:{:02}:{:02}", c.hour, c.minute, c.second);
    if (c.microsecond != 0) text += fmt::format(".{:03}", c.microsecond / 1000);
    if (c.day != 21) text = fmt::format("{:02}-{:02} {}", c.month, c.day, text);
    return text;
}

std::optional<Instant> parse_clock(const std::string& text) {
    int hour = 0;
    int minute = 0;
    double second = 0;
    if (std::sscanf(text.c_str(), "%d:%d:%lf", &hour, &minute, &second) != 3) return {};
    return Instant{utc_from_civil({2026, 11, 21, hour, minute, 0}).us +
                   static_cast<std::int64_t>(second * 1e6)};
}

struct WrittenFacts : Facts {
    std::vector<std::pair<Prefix, Origin>> known;
    void add(const std::string& line) {
        std::istringstream words(line);
        std::string block;
        Origin origin;
        words >> block >> origin.country >> origin.asn;
        known.emplace_back(prefix(block), origin);
    }
    Origin origin(const Address& address) const override {
        Origin origin;
        origin.country = is_public(address) ? unknown_country : private_country;
        for (const auto& [block, one] : known)
            if (contains(block, address)) return one;
        return origin;
    }
};

struct Run {
    Engine engine;
    std::vector<std::string> decisions;
    void hear(const Outcome& outcome) {
        for (const Event& event : outcome.events) {
            if (const auto* banned = std::get_if<Banned>(&event))
                decisions.push_back(fmt::format(
                    "{} {} {} {} until {}", clock_text(banned->ban.from),
                    banned->ban.state == BanState::simulated ? "would-ban" : "ban",
                    to_string(banned->ban.key.prefix), engine.rules()[banned->ban.key.jail].name,
                    clock_text(banned->ban.until)));
            if (const auto* unbanned = std::get_if<Unbanned>(&event))
                decisions.push_back(fmt::format("{} unban {} {}", clock_text(unbanned->at),
                                                to_string(unbanned->ban.key.prefix),
                                                engine.rules()[unbanned->ban.key.jail].name));
            if (const auto* extended = std::get_if<Extended>(&event))
                decisions.push_back(fmt::format("extend {} until {}",
                                                to_string(extended->ban.key.prefix),
                                                clock_text(extended->ban.until)));
            if (const auto* over = std::get_if<AccountOver>(&event))
                decisions.push_back(fmt::format("{} account {} has {}", clock_text(over->time),
                                                over->user, over->reason));
        }
    }
};

constexpr const char* asked = "asked";

// What the daemon does when Postfix, nginx or Dovecot ask.
void ask(Engine& engine, const std::string& text, Instant now, Outcome& outcome,
         std::vector<std::string>& decisions) {
    std::istringstream words(text);
    std::string protocol, user, address, how;
    words >> protocol >> user >> address >> how;
    LoginRequest request{protocol, user, ip(address), now, how == "proven"};
    if (how == "wrong") return engine.on_failed_login(request, "password", outcome);
    Decision decision = engine.on_login(request, outcome);
    if (decision.permit == Permit::yes) return;
    decisions.push_back(
        fmt::format("{} refuse {} {}: {}", clock_text(now), user, address, decision.reason));
    engine.on_failed_login(request, decision.permit == Permit::country ? "country" : "account",
                           outcome);
}

int run(const std::string& path) {
    TempDirectory directory;
    std::istringstream in(read_file(path));
    std::string line;
    std::string file;
    std::string log = "/log";
    std::vector<std::pair<std::string, std::string>> arrivals;  // log, "HH:MM:SS text"
    std::vector<std::string> expected;
    bool in_log = false;
    bool in_facts = false;
    WrittenFacts facts;
    std::map<std::string, std::string> files;
    while (std::getline(in, line)) {
        if (line.starts_with("--- ")) {
            std::istringstream words(line.substr(4));
            std::string kind;
            std::string name;
            words >> kind >> name;
            in_log = kind == "log" || kind == "asked";
            if (kind == "asked") name = asked;
            in_facts = kind == "facts";
            if (in_log) log = name.empty() ? "/log" : name;
            if (kind == "config") file = "bandd.yaml";
            if (kind == "file") file = name;
            if (kind == "filter") file = "filters/" + name + ".yaml";
        } else if (line.starts_with("=> ")) {
            expected.push_back(line.substr(3));
        } else if (in_log) {
            if (!line.empty() && !line.starts_with('#')) arrivals.emplace_back(log, line);
        } else if (in_facts) {
            if (!line.empty()) facts.add(line);
        } else if (!file.empty()) {
            files[file] += line + "\n";
        }
    }
    for (const auto& [name, text] : files) write_file(directory / name, text);
    Loaded loaded = load_config(directory.path(), data_directories(), [](const std::string& name) {
        return name.empty() ? Result<Zone>(Zone{}) : read_zone(name);
    });
    Compiled compiled;
    if (loaded.errors.empty()) {
        compiled = compile(loaded.config);
        loaded.errors = compiled.errors;
    }
    for (const Error& error : loaded.errors) std::cerr << to_line(error) << "\n";
    if (!loaded.errors.empty()) return 1;

    Run machine;
    std::vector<JailRules> rules;
    for (const JailConfig& jail : loaded.config.jails) rules.push_back(jail.rules);
    Outcome outcome;
    machine.engine.set_facts(&facts);
    machine.engine.set_rules(rules, at(0), outcome);
    AccessRules access = loaded.config.access.rules;
    std::vector<Error> bad_lines;
    if (auto users = read_users(loaded.config.access, bad_lines)) access.users = *users;
    for (const Error& error : bad_lines) std::cerr << to_line(error) << "\n";
    machine.engine.set_access(access);
    std::map<std::string, std::shared_ptr<const Ruleset>> rulesets;
    Scratch scratch;
    for (auto& [name, text] : arrivals) {
        auto space = text.find(' ');
        auto now = parse_clock(text.substr(0, space));
        if (!now) {
            std::cerr << path << ": no time at the beginning of: " << text << "\n";
            return 1;
        }
        if (name == asked) {
            outcome.events.clear();
            machine.engine.on_time(*now, outcome);
            ask(machine.engine, text.substr(space + 1), *now, outcome, machine.decisions);
            machine.hear(outcome);
            continue;
        }
        auto& ruleset = rulesets[name];
        if (!ruleset) {
            std::vector<JailIndex> jails;
            LogSpec spec;
            for (std::size_t i = 0; i < loaded.config.jails.size(); ++i)
                for (const LogSpec& one : loaded.config.jails[i].logs)
                    if (one.path == name) {
                        jails.push_back(static_cast<JailIndex>(i));
                        spec = one;
                    }
            ruleset = make_ruleset(compiled, jails, loaded.config.zones.at(spec.timezone),
                                   spec.escapes, loaded.config.line_limit);
        }
        Hits hits;
        std::string rest = text.substr(space + 1) + "\n";
        outcome.events.clear();
        machine.engine.on_time(*now, outcome);
        scan(*ruleset, Chunk{0, rest, {}}, *now, scratch, hits);
        machine.engine.on_hits(hits, *now, outcome);
        machine.hear(outcome);
    }
    outcome.events.clear();
    machine.engine.on_time(at(30 * 86400), outcome);
    machine.hear(outcome);
    if (machine.decisions == expected) return 0;
    std::cerr << path << ": decided otherwise\n";
    auto show = [](const char* title, const std::vector<std::string>& lines) {
        std::cerr << "  " << title << "\n";
        for (const std::string& one : lines) std::cerr << "    => " << one << "\n";
    };
    show("expected:", expected);
    show("decided:", machine.decisions);
    return 1;
}

}  // namespace

int main(int argc, char** argv) {
    int failed = 0;
    for (int i = 1; i < argc; ++i) failed += run(argv[i]);
    std::cout << argc - 1 - failed << " scenarios as expected, " << failed << " not\n";
    return failed == 0 && argc > 1 ? 0 : 1;
}

// SPDX-License-Identifier: GPL-2.0-or-later
// Runs scenario files: a configuration, log lines with their times, and what bandd must decide.
// Time is that of the lines; there is no daemon and no kernel, only the core.
//
//   # comment
//   --- config           bandd.yaml, until the next ---
//   --- filter NAME      filters/NAME.yaml
//   --- file NAME        another file beside bandd.yaml
//   --- facts            lines "CIDR COUNTRY [AS]": what the databases know of addresses
//   --- log [PATH]       lines "HH:MM:SS[.mmm] text": text is written to PATH, which is a jail's
//                        logpath (default /log), at that time of 2026-11-21 (UTC)
//   --- asked            lines "HH:MM:SS PROTOCOL USER ADDRESS [proven | wrong]": at that time
//                        somebody asks whether this login is allowed; proven: the password was
//                        right; wrong: it was not
//   => 10:03:00 refuse USER ADDRESS: REASON
//   => 10:03:00 would-refuse USER ADDRESS: REASON
//   => 10:03:00 account USER has 6 countries in 1d [(simulate)]
//   => 10:04:00 ban 203.0.113.9 jail until 11:04:00
//   => 11:04:00 unban 203.0.113.9 jail
// The expected decisions (=>) are in the order of their times, and are all that may be decided.
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

constexpr const char* asked = "asked";

// What a scenario file says.
struct Scenario {
    std::map<std::string, std::string> files;                   // of the configuration
    std::vector<std::pair<std::string, std::string>> arrivals;  // log or `asked`, "HH:MM:SS text"
    std::vector<std::string> expected;
    WrittenFacts facts;
};

Scenario read_scenario(const std::string& path) {
    enum class Part { file, log, facts } part = Part::file;
    Scenario scenario;
    std::istringstream in(read_file(path));
    std::string log;
    std::string file;
    for (std::string line; std::getline(in, line);) {
        if (line.starts_with("--- ")) {
            std::istringstream words(line.substr(4));
            std::string kind;
            std::string name;
            words >> kind >> name;
            part = kind == "facts"                  ? Part::facts
                   : kind == "log" || kind == asked ? Part::log
                                                    : Part::file;
            if (kind == asked) name = asked;
            if (part == Part::log) log = name.empty() ? "/log" : name;
            if (kind == "config") file = "bandd.yaml";
            if (kind == "file") file = name;
            if (kind == "filter") file = "filters/" + name + ".yaml";
        } else if (line.starts_with("=> ")) {
            scenario.expected.push_back(line.substr(3));
        } else if (part == Part::log) {
            if (!line.empty() && !line.starts_with('#')) scenario.arrivals.emplace_back(log, line);
        } else if (part == Part::facts) {
            if (!line.empty()) scenario.facts.add(line);
        } else if (!file.empty()) {
            scenario.files[file] += line + "\n";
        }
    }
    return scenario;
}

// An engine with a configuration, and what it decided so far.
class Run {
  public:
    Run(Config config, Compiled compiled, const Facts& facts)
        : config_(std::move(config)), compiled_(std::move(compiled)) {
        std::vector<JailRules> rules;
        for (const JailConfig& jail : config_.jails) rules.push_back(jail.rules);
        engine_.set_facts(&facts);
        engine_.set_rules(std::move(rules), at(0), outcome_);
        AccessRules access = config_.access.rules;
        std::vector<Error> bad_lines;
        if (auto users = read_users(config_.access, bad_lines)) access.users = *users;
        for (const Error& error : bad_lines) std::cerr << to_line(error) << "\n";
        engine_.set_access(access);
    }

    void on_time(Instant now) {
        outcome_.events.clear();
        engine_.on_time(now, outcome_);
        hear();
    }

    void on_line(const std::string& log, const std::string& line, Instant now) {
        auto& ruleset = rulesets_[log];
        if (!ruleset) ruleset = ruleset_of(log);
        std::string chunk = line + "\n";  // hits point into it
        Hits hits;
        outcome_.events.clear();
        scan(*ruleset, Chunk{0, chunk, {}}, now, scratch_, hits);
        engine_.on_hits(hits, now, outcome_);
        hear();
    }

    // What the daemon does when Postfix, nginx or Dovecot asks.
    void on_request(const std::string& text, Instant now) {
        std::istringstream words(text);
        std::string protocol, user, address, how;
        words >> protocol >> user >> address >> how;
        LoginRequest request{protocol, user, ip(address), now, how == "proven"};
        outcome_.events.clear();
        if (how == "wrong") {
            engine_.on_failed_login(request, "password", outcome_);
        } else if (Decision decision = engine_.on_login(request, outcome_);
                   decision.verdict() != Permit::yes) {
            decisions_.push_back(fmt::format("{} {} {} {}: {}", clock_text(now),
                                             decision.only_simulated() ? "would-refuse" : "refuse",
                                             user, address, decision.reason));
        }
        hear();
    }

    const std::vector<std::string>& decisions() const { return decisions_; }

  private:
    std::shared_ptr<const Ruleset> ruleset_of(const std::string& log) const {
        std::vector<JailIndex> jails;
        LogSpec spec;
        for (std::size_t i = 0; i < config_.jails.size(); ++i)
            for (const LogSpec& one : config_.jails[i].logs)
                if (one.path == log) {
                    jails.push_back(static_cast<JailIndex>(i));
                    spec = one;
                }
        return make_ruleset(compiled_.filters, jails, config_.zones.at(spec.timezone), spec.escapes,
                            config_.line_limit);
    }

    void hear() {
        for (const Event& event : outcome_.events) {
            if (const auto* banned = std::get_if<Banned>(&event))
                decisions_.push_back(fmt::format(
                    "{} {} {} {} until {}", clock_text(banned->ban.from),
                    banned->ban.state == BanState::simulated ? "would-ban" : "ban",
                    to_string(banned->ban.key.prefix), engine_.rules(banned->ban.key.jail).name,
                    clock_text(banned->ban.until)));
            if (const auto* unbanned = std::get_if<Unbanned>(&event))
                decisions_.push_back(fmt::format("{} unban {} {}", clock_text(unbanned->at),
                                                 to_string(unbanned->ban.key.prefix),
                                                 engine_.rules(unbanned->ban.key.jail).name));
            if (const auto* extended = std::get_if<Extended>(&event))
                decisions_.push_back(fmt::format("extend {} until {}",
                                                 to_string(extended->ban.key.prefix),
                                                 clock_text(extended->ban.until)));
            if (const auto* over = std::get_if<AccountOver>(&event))
                decisions_.push_back(fmt::format("{} account {} has {}{}", clock_text(over->time),
                                                 over->user, over->reason,
                                                 over->simulated ? " (simulate)" : ""));
        }
    }

    Config config_;
    Compiled compiled_;
    Engine engine_;
    Outcome outcome_;
    std::map<std::string, std::shared_ptr<const Ruleset>> rulesets_;  // by log
    Scratch scratch_;
    std::vector<std::string> decisions_;
};

void show(const char* title, const std::vector<std::string>& lines) {
    std::cerr << "  " << title << "\n";
    for (const std::string& one : lines) std::cerr << "    => " << one << "\n";
}

bool runs_as_expected(const std::string& path) {
    Scenario scenario = read_scenario(path);
    TempDirectory directory;
    for (const auto& [name, text] : scenario.files) write_file(directory / name, text);
    Loaded loaded = load_config(directory.path(), data_directories(), [](const std::string& name) {
        return name.empty() ? Result<Zone>(Zone{}) : read_zone(name);
    });
    Compiled compiled;
    if (loaded.errors.empty()) {
        compiled = compile(loaded.config);
        loaded.errors = compiled.errors;
    }
    for (const Error& error : loaded.errors) std::cerr << to_line(error) << "\n";
    if (!loaded.errors.empty()) return false;

    Run machine(std::move(loaded.config), std::move(compiled), scenario.facts);
    for (const auto& [log, arrival] : scenario.arrivals) {
        auto space = arrival.find(' ');
        auto now = parse_clock(arrival.substr(0, space));
        if (!now) {
            std::cerr << path << ": no time at the beginning of: " << arrival << "\n";
            return false;
        }
        machine.on_time(*now);
        if (log == asked)
            machine.on_request(arrival.substr(space + 1), *now);
        else
            machine.on_line(log, arrival.substr(space + 1), *now);
    }
    machine.on_time(at(30 * 86400));
    if (machine.decisions() == scenario.expected) return true;
    std::cerr << path << ": decided otherwise\n";
    show("expected:", scenario.expected);
    show("decided:", machine.decisions());
    return false;
}

}  // namespace

int main(int argc, char** argv) {
    int failed = 0;
    for (int i = 1; i < argc; ++i) failed += runs_as_expected(argv[i]) ? 0 : 1;
    std::cout << argc - 1 - failed << " scenarios as expected, " << failed << " not\n";
    return failed == 0 && argc > 1 ? 0 : 1;
}

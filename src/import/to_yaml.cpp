// SPDX-License-Identifier: GPL-2.0-or-later
// What a jail says in bandd's words. Nothing is left out without a note.
#include "import/to_yaml.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <optional>

#include "config/names.h"
#include "config/types.h"
#include "core/base/address.h"
#include "core/base/ascii.h"
#include "core/base/instant.h"
#include "import/actions_to_yaml.h"
#include "import/words.h"

namespace bandd::fail2ban {

namespace {

constexpr std::size_t longest_name = 63;

std::string bandd_name(std::string name) {
    for (char& c : name)
        if (!is_jail_name("a" + std::string(1, c))) c = '_';
    if (!is_jail_name(name)) name = "jail-" + name;
    return name.substr(0, longest_name);
}

}  // namespace

JailNames bandd_names(std::vector<std::string> jails) {
    std::ranges::sort(jails);
    JailNames names;
    std::set<std::string> taken;
    for (const std::string& jail : jails)
        if (bandd_name(jail) == jail && taken.insert(jail).second) names.emplace(jail, jail);
    for (const std::string& jail : jails) {
        if (names.contains(jail)) continue;
        std::string name = bandd_name(jail);
        for (int again = 2; !taken.insert(name).second; ++again) {
            std::string number = "-" + std::to_string(again);
            name = bandd_name(jail).substr(0, longest_name - number.size()) + number;
        }
        names.emplace(jail, name);
    }
    return names;
}

namespace {

// A jail that counts what fail2ban writes of its own bans.
bool counts_bans(const JailDefinition& jail, const Options& server) {
    if (jail.filter.name == "recidive") return true;
    std::string own = option(server, "logtarget");
    auto logs = words_of(option(jail.options, "logpath"));
    std::erase_if(logs, [](const std::string& word) { return word == "tail" || word == "head"; });
    return own.starts_with('/') && !logs.empty() &&
           std::ranges::all_of(logs, [&](const std::string& log) { return log == own; });
}

std::string without_spaces(std::string text) {
    std::erase_if(text, [](char c) { return c == ' ' || c == '\t' || c == '\n'; });
    return text;
}

// A factor or multiplier: "2", "1.5", or "2.0 / 2.885385", as fail2ban has Python work it out.
std::optional<double> parse_factor(const std::string& text) {
    std::string plain = without_spaces(text);
    auto number = [](const std::string& digits) -> std::optional<double> {
        char* end = nullptr;
        double value = std::strtod(digits.c_str(), &end);
        if (digits.empty() || *end != '\0' || !(value > 0) || !std::isfinite(value)) return {};
        return value;
    };
    auto slash = plain.find('/');
    if (slash == std::string::npos) return number(plain);
    auto over = number(plain.substr(0, slash));
    auto under = number(plain.substr(slash + 1));
    return over && under ? std::optional(*over / *under) : std::nullopt;
}

std::string yaml_number(double value) {
    std::array<char, 32> text{};
    std::snprintf(text.data(), text.size(), "%.5g",
                  value);  // 2.885385 is log2(e), but not all of it
    return text.data();
}

// The formulas of fail2ban's own jail.conf. The first is what it takes if none is given: the n-th
// ban is 2^(n-1) times as long. Of the second it is e^(factor * (n-1)) times.
constexpr std::string_view doubling = "ban.Time*(1<<(ban.Countifban.Count<20else20))*banFactor";
constexpr std::string_view growing_by_e =
    "ban.Time*math.exp(float(ban.Count+1)*banFactor)/math.exp(1*banFactor)";

class JailWriter {
  public:
    JailWriter(const JailDefinition& jail, std::string name, Imported& out)
        : jail_(jail), out_(out), name_(std::move(name)) {}

    // The jail's file; empty if it cannot be carried over at all. Without a filter it counts bans.
    std::optional<std::string> run(const std::string& filter_name) {
        if (name_ != jail_.name)
            tell(Fate::changed, "is called " + name_ + " here, as bandd's names go");
        for (const Error& problem : jail_.problems) tell(Fate::lost, to_line(problem));
        if (jail_.filter.failregex.empty() && !filter_name.empty()) {
            tell(Fate::lost, "left out: it has no failregex");
            return {};
        }
        text_ = name_ + ":\n";
        line("enabled", jail_.enabled ? "true" : "false");
        if (filter_name.empty())
            bans();
        else
            lines(filter_name);
        number("maxretry");
        duration("findtime", "findtime");
        duration("bantime", "bantime");
        increment();
        ignoring();
        number("maxmatches");
        encoding();
        text_ += actions_to_yaml(jail_,
                                 [this](Fate fate, const std::string& what) { tell(fate, what); });
        return text_;
    }

  private:
    void tell(Fate fate, const std::string& what) { out_.notes.add(fate, jail_.name, what); }
    void line(const std::string& key, const std::string& value) {
        text_ += "  " + key + ": " + value + "\n";
    }

    void lines(const std::string& filter_name) {
        line("filter", yaml_text(filter_name));
        if (option(jail_.options, "backend").starts_with("systemd"))
            entries();
        else
            logs();
    }

    void bans() {
        line("source", "bans");
        bool own_patterns = jail_.filter.name != "recidive" || jail_.options.contains("failregex");
        tell(
            own_patterns ? Fate::changed : Fate::carried,
            std::string("counts bandd's own bans (source: bans), not the lines of fail2ban's log") +
                (own_patterns ? ": those of all jails, whatever its patterns say" : ""));
    }

    // backend = systemd[journalfiles=…, journalpath=…, journalflags=…]
    void entries() {
        Options options;
        if (auto backend = parse_reference(option(jail_.options, "backend")))
            options = backend->options;
        for (const auto& [name, value] : options)
            if (name != "journalpath")
                tell(Fate::lost, "backend: " + name + " = " + value + " is not carried over");
        std::string directory = option(options, "journalpath");
        if (jail_.filter.journalmatch.empty() && directory.empty()) {
            line("journal", "true");
            return;
        }
        text_ += "  journal:\n";
        if (!directory.empty()) text_ += "    directory: " + yaml_text(directory) + "\n";
        if (!jail_.filter.journalmatch.empty()) text_ += "    match:\n";
        for (std::string match : jail_.filter.journalmatch) {
            // As a shell's words: quotes are around values.
            std::erase_if(match, [](char c) { return c == '\'' || c == '"'; });
            text_ += "      - " + yaml_text(match) + "\n";
        }
    }

    void logs() {
        std::vector<std::string> paths;
        std::size_t at_end = 0;
        std::string_view rest = jail_.options.contains("logpath")
                                    ? std::string_view(jail_.options.find("logpath")->second)
                                    : std::string_view();
        while (!rest.empty()) {
            auto end = rest.find('\n');
            std::string path(rest.substr(0, end));
            rest.remove_prefix(end == std::string_view::npos ? rest.size() : end + 1);
            while (path.ends_with(' ')) path.pop_back();
            if (path.ends_with(" tail")) {
                path.resize(path.size() - 5);
                ++at_end;
            } else if (path.ends_with(" head")) {
                path.resize(path.size() - 5);
            }
            if (!path.empty()) paths.push_back(std::move(path));
        }
        if (paths.empty()) return;
        text_ += "  logpath:\n";
        for (const std::string& path : paths) text_ += "    - " + yaml_text(path) + "\n";
        if (at_end > 0) line("start", "end");
        if (at_end > 0 && at_end < paths.size())
            tell(Fate::changed,
                 "logpath: one file has \"tail\", and of a jail's files bandd begins with all at "
                 "their ends, or with none");
    }

    void number(const std::string& name) {
        std::string value = option(jail_.options, name);
        if (value.empty()) return;
        bool digits = std::ranges::all_of(value, [](char c) { return c >= '0' && c <= '9'; });
        long most = name == "maxmatches" ? 100 : 1000;
        if (!digits || value.size() > 9) {
            tell(Fate::undecided, name + " = " + value + " is no number that bandd takes");
        } else if (std::stol(value) > most) {
            tell(Fate::changed, name + " = " + value + " is more than bandd's " +
                                    std::to_string(most) + ", which is taken instead");
            line(name, std::to_string(most));
        } else {
            line(name, value);
        }
    }

    void duration(const std::string& name, const std::string& key) {
        std::string value = option(jail_.options, name);
        if (value.empty()) return;
        if (value == "-1" || parse_duration(value))
            line(key, value == "-1" ? "forever" : yaml_text(value));
        else if (auto product = product_of(value))
            line(key, std::to_string(*product));
        else
            tell(Fate::undecided, name + " = " + value +
                                      " is no duration that bandd takes, so its own default holds");
    }

    // "3600*24", which fail2ban calculates, in seconds.
    static std::optional<std::int64_t> product_of(const std::string& value) {
        std::int64_t product = 1;
        for (std::string_view rest = value;;) {
            auto end = std::min(rest.find('*'), rest.size());
            auto words = words_of(std::string(rest.substr(0, end)));
            auto factor = words.size() == 1 ? parse_duration(words.front()) : std::nullopt;
            if (!factor || *factor <= Duration{0} || *factor == forever) return {};
            product *= std::chrono::duration_cast<std::chrono::seconds>(*factor).count();
            if (product <= 0 || static_cast<double>(product) > longest_seconds) return {};
            if (end == rest.size()) return product;
            rest.remove_prefix(end + 1);
        }
    }

    // fail2ban: bantime * formula(bans before) from the second ban on. bandd: bantime * factor^n.
    struct Growth {
        double factor = 2;
        std::optional<double> longest;  // times bantime
    };
    Growth growth() {
        std::string list = option(jail_.options, "bantime.multipliers");
        std::string formula = option(jail_.options, "bantime.formula");
        std::string given = option(jail_.options, "bantime.factor");
        std::optional<double> by = given.empty() ? std::optional(1.0) : parse_factor(given);
        if (list.empty() && without_spaces(formula) == growing_by_e && by && std::exp(*by) <= 1000)
            return {std::exp(*by), {}};
        Growth growth;
        if (!list.empty())
            growth = growth_of(list);
        else if (!formula.empty() && without_spaces(formula) != doubling)
            tell(Fate::changed,
                 "bantime.formula = " + formula + ": each ban is twice as long as the one before");
        if (by != 1.0)
            tell(Fate::changed, "bantime.factor = " + given +
                                    ": bans from the second one on are not longer by that");
        return growth;
    }

    Growth growth_of(const std::string& list) {
        std::vector<double> numbers;
        for (const std::string& word : words_of(list))
            numbers.push_back(parse_factor(word).value_or(0));
        numbers.front() = 1;  // the first ban is not multiplied
        double ratio = numbers.size() > 1 ? numbers[1] : 1;
        bool even = ratio >= 1 && ratio <= 1000;
        for (std::size_t i = 1; i < numbers.size(); ++i)
            even = even && std::abs(numbers[i] - numbers[i - 1] * ratio) < 1e-9 * numbers[i];
        if (even) return {ratio, numbers.back()};
        tell(Fate::changed,
             "bantime.multipliers = " + list + ": each ban is twice as long as the one before");
        return {};
    }

    // What no ban is longer than: fail2ban knows no such time unless it is told, and the last of
    // its multipliers is a limit, too.
    std::string longest_ban(const Growth& growth) {
        std::string given = option(jail_.options, "bantime.maxtime");
        std::optional<Duration> most = parse_duration(given);
        if (!given.empty() && !most)
            tell(Fate::undecided,
                 "bantime.maxtime = " + given + " is no duration that bandd takes");
        auto base = parse_duration(option(jail_.options, "bantime"));
        if (growth.longest && base && *base > Duration{0}) {
            double seconds = *growth.longest * std::chrono::duration<double>(*base).count();
            if (!most || seconds < std::chrono::duration<double>(*most).count())
                return std::to_string(std::llround(std::min(seconds, longest_seconds)));
        }
        return most ? yaml_text(given) : "forever";
    }
    static constexpr double longest_seconds = 1e9;

    void increment() {
        if (!is_true(option(jail_.options, "bantime.increment"))) return;
        Growth growth = this->growth();
        std::string inside =
            "factor: " + yaml_number(growth.factor) + ", maximum: " + longest_ban(growth);
        if (std::string value = option(jail_.options, "bantime.rndtime"); !value.empty()) {
            if (parse_duration(value))
                inside += ", jitter: " + yaml_text(value);
            else
                tell(Fate::undecided,
                     "bantime.rndtime = " + value + " is no duration that bandd takes");
        }
        if (is_true(option(jail_.options, "bantime.overalljails"))) inside += ", all_jails: true";
        line("bantime.increment", "{" + inside + "}");
        tell(Fate::changed,
             "bantime.increment: who was banned before needs maxretry hits again; fail2ban counts "
             "each of his for two or more");
    }

    void ignoring() {
        std::vector<std::string> good;
        for (const std::string& word : words_of(option(jail_.options, "ignoreip"))) {
            if (word.starts_with("file:") || parse_prefix(word) || is_host_name(word))
                good.push_back(yaml_text(word));
            else
                tell(Fate::undecided, "ignoreip = " + word + " is no address and no host name");
        }
        if (!good.empty()) {
            text_ += "  ignoreip: [";
            for (std::size_t i = 0; i < good.size(); ++i) text_ += (i > 0 ? ", " : "") + good[i];
            text_ += "]\n";
        }
        if (std::string self = option(jail_.options, "ignoreself"); !self.empty() && !is_true(self))
            line("ignoreself", "false");
        ignorecommand();
    }

    void ignorecommand() {
        std::string command = option(jail_.options, "ignorecommand");
        if (command.empty()) return;
        replace_all(command, "<fid>", "<ip>");
        for (std::size_t at = 0; (at = command.find('<', at)) != std::string::npos; ++at) {
            std::string tag = command.substr(at, command.find('>', at) + 1 - at);
            if (tag != "<ip>" && tag != "<family>" && tag != "<jail>" && tag.ends_with('>'))
                tell(Fate::undecided,
                     "ignorecommand: " + tag + " is not known to bandd and stays as it is");
        }
        std::vector<std::string> argv = words_of(command);
        // What needs a shell gets one; nothing of what is put in for a tag means anything to it.
        bool plain = command.find_first_of("\"'\\$`|&;()*?[]{}~#\n") == std::string::npos;
        if (!plain || !argv.front().starts_with('/'))
            argv = {"/bin/sh", "-c", command, "ignorecommand"};
        tell(Fate::undecided,
             "ignorecommand runs as " + std::string(default_program_user) +
                 ", without root's rights; give it \"user: root\" if it needs them");
        text_ += "  ignorecommand:\n";
        for (const std::string& word : argv) text_ += "    - " + yaml_block(word, "      ") + "\n";
    }

    void encoding() {
        if (std::string zone = option(jail_.options, "logtimezone"); !zone.empty())
            line("timezone", yaml_text(zone));
        std::string name = ascii_lower(option(jail_.options, "logencoding"));
        if (name.empty() || name == "auto") return;
        if (name == "utf-8" || name == "utf8" || name == "ascii" || name == "us-ascii")
            line("encoding", "utf-8");
        else if (name == "latin1" || name == "latin-1" || name == "iso-8859-1" ||
                 name == "iso8859-1" || name == "cp1252" || name == "windows-1252")
            line("encoding", "latin1");
        else if (name == "utf-16" || name == "utf-16le" || name == "utf_16" || name == "utf_16_le")
            line("encoding", "utf-16le");
        else if (name == "utf-16be" || name == "utf_16_be")
            line("encoding", "utf-16be");
        else
            tell(Fate::changed,
                 "logencoding = " + name + " is not known to bandd, lines are taken as bytes");
    }

    const JailDefinition& jail_;
    Imported& out_;
    std::string name_;
    std::string text_;
};

// bandd.yaml: what is said of the daemon itself.
std::string root_to_yaml(const Options& server, const std::string& origin) {
    std::string text = "# Imported from " + origin +
                       " by bandctl import fail2ban.\n"
                       "# Jails are in jails/, their filters in filters/.\n";
    std::string purge = option(server, "dbpurgeage");
    if (!purge.empty() && parse_duration(purge)) text += "dbpurgeage: " + yaml_text(purge) + "\n";
    if (std::string level = ascii_lower(option(server, "loglevel")); !level.empty()) {
        std::string ours = level == "critical" || level == "error" ? "error"
                           : level == "warning"                    ? "warning"
                           : level == "debug" || level == "traceback" || level == "heavydebug"
                               ? "debug"
                           : level == "info" ? "info"
                                             : "notice";
        text += "log: {level: " + ours + "}\n";
    }
    return text;
}

// Whether others than its owner and group may not read it.
bool is_private(const std::string& file) {
    std::error_code fault;
    auto rights = std::filesystem::status(file, fault).permissions();
    return !fault && (rights & std::filesystem::perms::others_read) == std::filesystem::perms::none;
}
bool any_private(const std::vector<std::string>& files) {
    return std::ranges::any_of(files, is_private);
}

class ConfigurationWriter {
  public:
    ConfigurationWriter(const Definitions& from, std::string origin)
        : from_(from), origin_(std::move(origin)), private_(any_private(from.files)) {
        std::vector<std::string> names;
        for (const JailDefinition& jail : from.jails) names.push_back(jail.name);
        names_ = bandd_names(std::move(names));
    }

    void add(const JailDefinition& jail) {
        bool reads = !counts_bans(jail, from_.server);
        std::string content = reads ? filter_to_yaml(jail.filter, jail.filter.name) : "";
        std::string filter = reads ? filter_name(jail, content) : "";
        const std::string& name = names_.find(jail.name)->second;
        auto text = JailWriter(jail, name, out_).run(filter);
        if (!text) return;
        if (reads) add_filter(jail, filter, content);
        std::string file = "jails/" + name + ".yaml";
        out_.files[file] =
            "# from [" + jail.name + "] of " + origin_ + ", by bandctl import fail2ban\n" + *text;
        if (private_ || std::ranges::any_of(jail.actions, [](const ActionDefinition& action) {
                return any_private(action.files);
            }))
            out_.secret.insert(file);
        ++out_.jails;
        if (jail.enabled) ++out_.enabled;
    }

    Imported& out() { return out_; }

  private:
    static std::string filter_file(const std::string& name) { return "filters/" + name + ".yaml"; }
    bool is_taken(const std::string& name) const { return out_.files.contains(filter_file(name)); }

    void add_filter(const JailDefinition& jail, const std::string& name,
                    const std::string& content) {
        filters_.emplace(content, name);
        if (out_.files.emplace(filter_file(name), content).second) ++out_.filters;
        // What the jail itself says of it comes from the jails' files.
        bool of_jail =
            std::ranges::any_of(std::array{"failregex", "ignoreregex", "prefregex", "datepattern"},
                                [&](const char* option) { return jail.options.contains(option); });
        if (any_private(jail.filter.files) || (private_ && of_jail))
            out_.secret.insert(filter_file(name));
    }

    // Jails whose filters come out the same share one; otherwise each has its own.
    std::string filter_name(const JailDefinition& jail, const std::string& content) const {
        if (auto known = filters_.find(content); known != filters_.end()) return known->second;
        std::string name = jail.filter.name.empty() ? jail.name : jail.filter.name;
        if (is_taken(name)) name = jail.name;
        for (int again = 2; is_taken(name); ++again) name = jail.name + "-" + std::to_string(again);
        return name;
    }

    const Definitions& from_;
    std::string origin_;
    bool private_;  // a file of the jails is
    JailNames names_;
    Imported out_;
    std::map<std::string, std::string> filters_;  // a filter's file -> its name
};

}  // namespace

Imported to_yaml(const Definitions& definitions, const std::string& origin) {
    ConfigurationWriter writer(definitions, origin);
    Imported& out = writer.out();
    for (const Error& fault : definitions.faults) out.notes.add(Fate::lost, "", to_line(fault));
    for (const JailDefinition& jail : definitions.jails) {
        if (jail.options.empty())
            ++out.left_out;
        else
            writer.add(jail);
    }
    out.files["bandd.yaml"] = root_to_yaml(definitions.server, origin);
    return std::move(out);
}

}  // namespace bandd::fail2ban

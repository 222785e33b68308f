// SPDX-License-Identifier: GPL-2.0-or-later
// What a jail says in bandd's words. Nothing is left out without a note.
#include "import/to_yaml.h"

#include <algorithm>
#include <cmath>
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

// A jail's name that bandd takes.
std::string bandd_name(std::string name) {
    for (char& c : name)
        if (!is_jail_name("a" + std::string(1, c))) c = '_';
    if (!is_jail_name(name)) name = "jail-" + name;
    return name.substr(0, 63);
}

class JailWriter {
  public:
    JailWriter(const JailDefinition& jail, Imported& out) : jail_(jail), out_(out) {}

    // The jail's file; empty if it cannot be carried over at all.
    std::optional<std::string> run(const std::string& filter_name) {
        name_ = bandd_name(jail_.name);
        if (name_ != jail_.name) note("is called " + name_ + " here, as bandd's names go");
        for (const Error& problem : jail_.problems) note(to_line(problem));
        if (jail_.filter.failregex.empty()) {
            note("left out: it has no failregex");
            return {};
        }
        text_ = name_ + ":\n";
        bool journal = option(jail_.options, "backend").starts_with("systemd");
        line("enabled", jail_.enabled ? "true" : "false");
        line("filter", yaml_text(filter_name));
        if (journal)
            entries();
        else
            logs();
        number("maxretry");
        duration("findtime", "findtime");
        duration("bantime", "bantime");
        increment();
        ignoring();
        number("maxmatches");
        encoding();
        text_ += actions_to_yaml(jail_, [this](const std::string& what) { note(what); });
        return text_;
    }

  private:
    void note(const std::string& what) {
        std::string whole = "jail " + jail_.name + ": " + what;
        if (std::ranges::find(out_.notes, whole) == out_.notes.end()) out_.notes.push_back(whole);
    }
    void line(const std::string& key, const std::string& value) {
        text_ += "  " + key + ": " + value + "\n";
    }

    // backend = systemd[journalfiles=…, journalpath=…, journalflags=…]
    void entries() {
        Options options;
        if (auto backend = parse_reference(option(jail_.options, "backend")))
            options = backend->options;
        for (const auto& [name, value] : options)
            if (name != "journalpath")
                note("backend: " + name + " = " + value + " is not carried over");
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
        bool at_end = false;
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
                at_end = true;
            } else if (path.ends_with(" head")) {
                path.resize(path.size() - 5);
            }
            if (!path.empty()) paths.push_back(std::move(path));
        }
        if (paths.empty()) return;
        text_ += "  logpath:\n";
        for (const std::string& path : paths) text_ += "    - " + yaml_text(path) + "\n";
        if (at_end) line("start", "end");
    }

    void number(const std::string& name) {
        std::string value = option(jail_.options, name);
        if (value.empty()) return;
        bool digits = std::ranges::all_of(value, [](char c) { return c >= '0' && c <= '9'; });
        long most = name == "maxmatches" ? 100 : 1000;
        if (!digits || value.size() > 9) {
            note(name + " = " + value + " is no number that bandd takes");
        } else if (std::stol(value) > most) {
            note(name + " = " + value + " is more than bandd's " + std::to_string(most) +
                 ", which is taken instead");
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
        else
            note(name + " = " + value + " is no duration that bandd takes");
    }

    // fail2ban: bantime * 2^n * factor, or multipliers; bandd: bantime * factor^n.
    std::string factor() {
        std::string list = option(jail_.options, "bantime.multipliers");
        std::string formula = option(jail_.options, "bantime.formula");
        if (list.empty()) {
            if (!formula.empty())
                note(
                    "bantime.formula cannot be carried over, each ban is twice as long as the one "
                    "before: " +
                    formula);
            return "2";
        }
        std::vector<double> numbers;
        for (const std::string& word : words_of(list))
            numbers.push_back(std::strtod(word.c_str(), nullptr));
        double ratio = numbers.size() > 1 && numbers[0] > 0 ? numbers[1] / numbers[0] : 0;
        bool even = ratio >= 1;
        for (std::size_t i = 1; i < numbers.size(); ++i)
            even = even && std::abs(numbers[i] - numbers[i - 1] * ratio) < 1e-9 * numbers[i];
        if (!even) {
            note("bantime.multipliers = " + list +
                 ": bandd only knows a constant factor, 2 is taken");
            return "2";
        }
        std::string factor = std::to_string(ratio);
        factor.erase(factor.find_last_not_of('0') + 1);
        if (factor.ends_with('.')) factor.pop_back();
        bool endless = option(jail_.options, "bantime.maxtime").empty();
        note("bantime.multipliers = " + list + " became a factor of " + factor +
             " from ban to ban" +
             (endless ? "; after the last one fail2ban stays there, bandd goes on to its maximum"
                      : ""));
        return factor;
    }

    void increment() {
        if (!is_true(option(jail_.options, "bantime.increment"))) return;
        std::string inside = "factor: " + factor();
        if (std::string by = option(jail_.options, "bantime.factor"); !by.empty() && by != "1")
            note("bantime.factor = " + by + " is not carried over");
        for (auto [from, to] :
             {std::pair{"bantime.maxtime", "maximum"}, std::pair{"bantime.rndtime", "jitter"}}) {
            std::string value = option(jail_.options, from);
            if (value.empty()) continue;
            if (parse_duration(value))
                inside += std::string(", ") + to + ": " + yaml_text(value);
            else
                note(std::string(from) + " = " + value + " is no duration that bandd takes");
        }
        if (is_true(option(jail_.options, "bantime.overalljails"))) inside += ", all_jails: true";
        line("bantime.increment", "{" + inside + "}");
    }

    void ignoring() {
        std::vector<std::string> good;
        for (const std::string& word : words_of(option(jail_.options, "ignoreip"))) {
            if (word.starts_with("file:") || parse_prefix(word) || is_host_name(word))
                good.push_back(yaml_text(word));
            else
                note("ignoreip = " + word + " is no address and no host name");
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
                note("ignorecommand: " + tag + " is not known to bandd and stays as it is");
        }
        std::vector<std::string> argv = words_of(command);
        // What needs a shell gets one; nothing of what is put in for a tag means anything to it.
        bool plain = command.find_first_of("\"'\\$`|&;()*?[]{}~#\n") == std::string::npos;
        if (!plain || !argv.front().starts_with('/'))
            argv = {"/bin/sh", "-c", command, "ignorecommand"};
        note("ignorecommand runs as " + std::string(default_program_user) +
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
            note("logencoding = " + name + " is not known to bandd, lines are taken as bytes");
    }

    const JailDefinition& jail_;
    Imported& out_;
    std::string text_;
    std::string name_;
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

class ConfigurationWriter {
  public:
    explicit ConfigurationWriter(std::string origin) : origin_(std::move(origin)) {}

    void add(const JailDefinition& jail) {
        std::string content = filter_to_yaml(jail.filter, jail.filter.name);
        std::string filter = filter_name(jail, content);
        auto text = JailWriter(jail, out_).run(filter);
        if (!text) return;
        filters_.emplace(content, filter);
        if (out_.files.emplace(filter_file(filter), content).second) ++out_.filters;
        out_.files["jails/" + bandd_name(jail.name) + ".yaml"] =
            "# from [" + jail.name + "] of " + origin_ + ", by bandctl import fail2ban\n" + *text;
        ++out_.jails;
        if (jail.enabled) ++out_.enabled;
    }

    Imported& out() { return out_; }

  private:
    static std::string filter_file(const std::string& name) { return "filters/" + name + ".yaml"; }
    bool is_taken(const std::string& name) const { return out_.files.contains(filter_file(name)); }

    // Jails whose filters come out the same share one; otherwise each has its own.
    std::string filter_name(const JailDefinition& jail, const std::string& content) const {
        if (auto known = filters_.find(content); known != filters_.end()) return known->second;
        std::string name = jail.filter.name.empty() ? jail.name : jail.filter.name;
        if (is_taken(name)) name = jail.name;
        for (int again = 2; is_taken(name); ++again) name = jail.name + "-" + std::to_string(again);
        return name;
    }

    std::string origin_;
    Imported out_;
    std::map<std::string, std::string> filters_;  // a filter's file -> its name
};

}  // namespace

Imported to_yaml(const Definitions& definitions, const std::string& origin) {
    ConfigurationWriter writer(origin);
    Imported& out = writer.out();
    for (const Error& fault : definitions.faults) out.notes.push_back(to_line(fault));
    std::size_t left_out = 0;
    for (const JailDefinition& jail : definitions.jails) {
        if (jail.options.empty())
            ++left_out;
        else
            writer.add(jail);
    }
    if (left_out > 0)
        out.notes.push_back(
            std::to_string(left_out) +
            " jails are not enabled there and were left out; --all takes them, too");
    out.files["bandd.yaml"] = root_to_yaml(definitions.server, origin);
    return std::move(out);
}

}  // namespace bandd::fail2ban

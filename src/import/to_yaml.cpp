// SPDX-License-Identifier: GPL-2.0-or-later
// What a jail says in bandd's words. Nothing is left out without a note.
#include "import/to_yaml.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <optional>
#include <set>

#include "config/names.h"
#include "config/ports.h"
#include "core/base/address.h"
#include "core/base/ascii.h"
#include "core/base/instant.h"

namespace bandd::fail2ban {
namespace {

using namespace std::string_view_literals;

// Actions that put an address into the machine's own packet filter, however they do it.
constexpr std::array firewalls{
    "iptables"sv, "nftables"sv, "firewallcmd"sv, "ufw"sv,   "shorewall"sv,
    "csf"sv,      "apf"sv,      "route"sv,       "ipset"sv, "symbiosis-blacklist"sv};
// Tags whose text nobody outside chooses: they may stand in a shell's program.
constexpr std::array safe_tags{"ip"sv,      "prefix"sv,   "family"sv,   "jail"sv, "name"sv,
                               "bantime"sv, "failures"sv, "bancount"sv, "time"sv};

std::vector<std::string> words_of(std::string_view text) {
    std::vector<std::string> words;
    std::string word;
    for (char c : text) {
        if (c == ' ' || c == ',' || c == '\n' || c == '\t') {
            if (!word.empty()) words.push_back(std::exchange(word, {}));
        } else {
            word += c;
        }
    }
    if (!word.empty()) words.push_back(std::move(word));
    return words;
}

std::string option(const Options& options, std::string_view name) {
    auto found = options.find(name);
    return found == options.end() ? std::string() : found->second;
}

bool is_true(std::string_view text) {
    std::string lower = ascii_lower(text);
    return lower == "1" || lower == "on" || lower == "true" || lower == "yes";
}

void replace_all(std::string& text, std::string_view what, std::string_view by) {
    for (std::size_t at = 0; (at = text.find(what, at)) != std::string::npos; at += by.size())
        text.replace(at, what.size(), by);
}

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

    // The jail's file, or nothing if it cannot be carried over at all.
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
        actions();
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
            // As a shell's words: quotes stand around values.
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

    void increment() {
        if (!is_true(option(jail_.options, "bantime.increment"))) return;
        // fail2ban: bantime * 2^n * factor, or multipliers; bandd: bantime * factor^n.
        std::string factor = "2";
        if (std::string list = option(jail_.options, "bantime.multipliers"); !list.empty()) {
            std::vector<double> numbers;
            for (const std::string& word : words_of(list))
                numbers.push_back(std::strtod(word.c_str(), nullptr));
            double ratio = numbers.size() > 1 && numbers[0] > 0 ? numbers[1] / numbers[0] : 0;
            bool even = ratio >= 1;
            for (std::size_t i = 1; i < numbers.size(); ++i)
                even = even && std::abs(numbers[i] - numbers[i - 1] * ratio) < 1e-9 * numbers[i];
            if (even) {
                factor = std::to_string(ratio);
                factor.erase(factor.find_last_not_of('0') + 1);
                if (factor.ends_with('.')) factor.pop_back();
                note(
                    "bantime.multipliers = " + list + " became a factor of " + factor +
                    " from ban to ban" +
                    (option(jail_.options, "bantime.maxtime").empty()
                         ? "; after the last one fail2ban stays there, bandd goes on to its maximum"
                         : ""));
            } else {
                note("bantime.multipliers = " + list +
                     ": bandd only knows a constant factor, 2 is taken");
            }
        } else if (std::string formula = option(jail_.options, "bantime.formula");
                   !formula.empty()) {
            note(
                "bantime.formula cannot be carried over, each ban is twice as long as the one "
                "before: " +
                formula);
        }
        if (std::string by = option(jail_.options, "bantime.factor"); !by.empty() && by != "1")
            note("bantime.factor = " + by + " is not carried over");
        std::string inside = "factor: " + factor;
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

    static bool is_firewall(std::string_view name) {
        return std::ranges::any_of(firewalls, [&](std::string_view known) {
            return name == known || name.starts_with(std::string(known) + "-");
        });
    }

    void actions() {
        std::string list;
        std::set<std::string> ports;
        std::set<std::string> protocols;
        bool firewall = false;
        bool all_ports = false;
        bool drop = false;
        for (const ActionDefinition& action : jail_.actions) {
            const std::string& name = action.reference.name;
            if (action.python) {
                note("action " + name + " is written in Python and cannot be carried over");
                continue;
            }
            if (!is_firewall(name)) {
                list += program(action);
                continue;
            }
            std::string block = ascii_lower(option(action.options, "blocktype"));
            if (block.starts_with("return") || block.starts_with("accept")) {
                note("action " + name + " lets addresses through (blocktype = " + block +
                     "), which bandd has no action for");
                continue;
            }
            firewall = true;
            std::string type = option(action.options, "type");
            std::string port = option(action.options, "port");
            bool every = name.find("allports") != std::string::npos || type == "allports" ||
                         name == "route" || name == "csf" || name == "apf" ||
                         name.starts_with("ufw") || name.starts_with("shorewall") ||
                         name.find("rich-rules") != std::string::npos || port.empty() ||
                         port == "0:65535" || port == "1:65535" || port == "0-65535";
            all_ports = all_ports || every;
            for (const std::string& word : words_of(port)) ports.insert(word);
            std::string protocol = option(action.options, "protocol");
            if (protocol == "all") all_ports = true;
            for (const std::string& word : words_of(protocol)) protocols.insert(word);
            drop = drop || block.starts_with("drop") || name == "route" || name == "csf";
            // Each firewall's own ways (chains, tables, marks) have no counterpart: bandd's table
            // stands before them all.
            if (name.find("-log") != std::string::npos)
                note("action " + name + ": packets are not logged; add log_prefix to nftables");
        }
        if (firewall)
            list = std::string("    - nftables: {verdict: ") + (drop ? "drop" : "reject") + "}\n" +
                   list;
        text_ += list.empty() ? "  action: []\n" : "  action:\n" + list;
        if (list.empty()) note("no action of it could be carried over: it bans nobody");
        if (firewall && !all_ports && !ports.empty()) {
            text_ += "  port: [";
            bool first = true;
            for (std::string port : ports) {
                auto colon = port.find(':');
                if (!parse_port(port.substr(0, colon)) ||
                    (colon != std::string::npos && !parse_port(port.substr(colon + 1)))) {
                    note("port = " + port + " is no service that bandd knows; write its number");
                    continue;
                }
                if (colon != std::string::npos) port[colon] = '-';
                text_ += (first ? "" : ", ") + yaml_text(port);
                first = false;
            }
            text_ += "]\n";
            std::string known;
            for (const std::string& protocol : protocols) {
                if (protocol != "tcp" && protocol != "udp") {
                    note("protocol = " + protocol + " is not known to bandd");
                    continue;
                }
                known += (known.empty() ? "" : ", ") + protocol;
            }
            if (!known.empty()) line("protocol", "[" + known + "]");
        }
    }

    // An action's command as bandd runs it: a shell's program, in which only tags stand whose text
    // nobody outside chooses; the others are its arguments.
    std::vector<std::string> argv_of(const ActionDefinition& action, const char* event) {
        auto prepared = [&](const Options& options) {
            std::string script = option(options, event);
            replace_all(script, "<fid>", "<ip>");
            replace_all(script, "<ipmatches>", "<matches>");
            replace_all(script, "<ipjailmatches>", "<matches>");
            replace_all(script, "<ipfailures>", "<failures>");
            replace_all(script, "<restored>", "0");
            replace_all(script, "<br>", "\n");
            replace_all(script, "<fq-hostname>", "$(hostname -f)");
            replace_all(script, "<sh-hostname>", "$(hostname -s)");
            return script;
        };
        std::string script = prepared(action.options);
        std::string six = prepared(action.options_ipv6);
        if (script.find_first_not_of(" \t\n") == std::string::npos) return {};
        if (!six.empty() && six != script)
            script = "case <family> in\ninet6)\n" + six + "\n;;\n*)\n" + script + "\n;;\nesac";
        std::vector<std::string> arguments;
        for (std::size_t at = 0; (at = script.find('<', at)) != std::string::npos;) {
            auto end = script.find_first_of("<> \n", at + 1);
            if (end == std::string::npos || script[end] != '>') {
                ++at;
                continue;
            }
            std::string tag = script.substr(at + 1, end - at - 1);
            if (std::ranges::find(safe_tags, tag) != safe_tags.end()) {
                at = end + 1;
                continue;
            }
            bool field = tag.starts_with("F-");
            if (tag != "matches" && tag != "reason" && !field) {
                if (!tag.empty())
                    note("action " + action.reference.name + ": <" + tag + "> in " + event +
                         " is not known to bandd and stays as it is");
                at = end + 1;
                continue;
            }
            auto known = std::ranges::find(arguments, "<" + tag + ">");
            auto index = static_cast<std::size_t>(known - arguments.begin()) + 1;
            if (known == arguments.end()) arguments.push_back("<" + tag + ">");
            std::string by = "${" + std::to_string(index) + "}";
            script.replace(at, end + 1 - at, by);
            at += by.size();
        }
        std::vector<std::string> argv{"/bin/sh", "-c", script, action.reference.name};
        argv.insert(argv.end(), arguments.begin(), arguments.end());
        return argv;
    }

    std::string program(const ActionDefinition& action) {
        const std::string& name = action.reference.name;
        for (const char* event : {"actionstart", "actionstop", "actioncheck", "actionflush",
                                  "actionprolong", "actionreload", "actionrepair"})
            if (option(action.options, event).find_first_not_of(" \t\n") != std::string::npos)
                note("action " + name + ": " + event + " has no counterpart in bandd");
        std::string text;
        for (auto [event, key] :
             {std::pair{"actionban", "ban"}, std::pair{"actionunban", "unban"}}) {
            std::vector<std::string> argv = argv_of(action, event);
            if (argv.empty()) continue;
            text += std::string("        ") + key + ":\n";
            for (const std::string& word : argv)
                text += "          - " + yaml_block(word, "            ") + "\n";
        }
        if (text.empty()) {
            note("action " + name + " has neither actionban nor actionunban");
            return {};
        }
        return "    - exec:  # " + name + "\n" + text;
    }

    const JailDefinition& jail_;
    Imported& out_;
    std::string text_;
    std::string name_;
};

}  // namespace

Imported to_yaml(const Definitions& definitions, const std::string& origin) {
    Imported out;
    for (const Error& fault : definitions.faults) out.notes.push_back(to_line(fault));
    std::map<std::string, std::string> by_content;  // filter file -> its name
    std::vector<std::string> left_out;
    for (const JailDefinition& jail : definitions.jails) {
        if (jail.options.empty()) {
            left_out.push_back(jail.name);
            continue;
        }
        // Jails whose filters come out the same share one; otherwise each has its own.
        std::string content = filter_to_yaml(jail.filter, jail.filter.name);
        std::string name = jail.filter.name.empty() ? jail.name : jail.filter.name;
        if (auto known = by_content.find(content); known != by_content.end())
            name = known->second;
        else if (out.files.contains("filters/" + name + ".yaml"))
            name = jail.name;
        for (int again = 2;
             !by_content.contains(content) && out.files.contains("filters/" + name + ".yaml");
             ++again)
            name = jail.name + "-" + std::to_string(again);
        auto text = JailWriter(jail, out).run(name);
        if (!text) continue;
        by_content.emplace(content, name);
        if (out.files.emplace("filters/" + name + ".yaml", content).second) ++out.filters;
        out.files["jails/" + bandd_name(jail.name) + ".yaml"] =
            "# from [" + jail.name + "] of " + origin + ", by bandctl import fail2ban\n" + *text;
        ++out.jails;
        if (jail.enabled) ++out.enabled;
    }
    if (!left_out.empty())
        out.notes.push_back(
            std::to_string(left_out.size()) +
            " jails are not enabled there and were left out; --all takes them, too");
    std::string main = "# Imported from " + origin +
                       " by bandctl import fail2ban.\n"
                       "# Jails are in jails/, their filters in filters/.\n";
    std::string purge = option(definitions.server, "dbpurgeage");
    if (!purge.empty() && parse_duration(purge)) main += "dbpurgeage: " + yaml_text(purge) + "\n";
    if (std::string level = ascii_lower(option(definitions.server, "loglevel")); !level.empty()) {
        std::string ours = level == "critical" || level == "error" ? "error"
                           : level == "warning"                    ? "warning"
                           : level == "debug" || level == "traceback" || level == "heavydebug"
                               ? "debug"
                           : level == "info" ? "info"
                                             : "notice";
        main += "log: {level: " + ours + "}\n";
    }
    out.files["bandd.yaml"] = main;
    return out;
}

}  // namespace bandd::fail2ban

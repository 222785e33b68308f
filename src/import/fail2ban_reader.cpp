// SPDX-License-Identifier: GPL-2.0-or-later
#include "import/fail2ban_reader.h"

#include <algorithm>
#include <array>
#include <filesystem>

#include "import/words.h"

namespace bandd::fail2ban {
namespace fs = std::filesystem;
namespace {

// A value that grows beyond this by its tags is one that refers to itself on some detour.
constexpr std::size_t longest_value = 256 << 10;
constexpr int most_replacements = 25;  // of one tag within one value, as fail2ban

bool is_option_char(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '-' || c == '.';
}
bool is_space(char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; }

std::string strip(std::string_view text) {
    while (!text.empty() && is_space(text.front())) text.remove_prefix(1);
    while (!text.empty() && is_space(text.back())) text.remove_suffix(1);
    return std::string(text);
}

std::vector<std::string> lines_of(std::string_view text) {
    std::vector<std::string> lines;
    while (!text.empty()) {
        auto end = text.find('\n');
        if (std::string line = strip(text.substr(0, end)); !line.empty())
            lines.push_back(std::move(line));
        text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
    }
    return lines;
}

constexpr std::array filter_options{"usedns",   "prefregex",   "ignoreregex", "failregex",
                                    "maxlines", "datepattern", "journalmatch"};
constexpr std::array jail_options{"enabled",
                                  "backend",
                                  "maxretry",
                                  "maxmatches",
                                  "findtime",
                                  "bantime",
                                  "bantime.increment",
                                  "bantime.factor",
                                  "bantime.formula",
                                  "bantime.multipliers",
                                  "bantime.maxtime",
                                  "bantime.rndtime",
                                  "bantime.overalljails",
                                  "ignorecommand",
                                  "ignoreself",
                                  "ignoreip",
                                  "ignorecache",
                                  "filter",
                                  "logtimezone",
                                  "logencoding",
                                  "logpath",
                                  "action",
                                  "skip_if_nologs",
                                  "systemd_if_nologs",
                                  "port",
                                  "protocol",
                                  "usedns",
                                  "prefregex",
                                  "ignoreregex",
                                  "failregex",
                                  "maxlines",
                                  "datepattern",
                                  "journalmatch"};

// Reads what a filter or an action file has, under the options that the jail gives.
struct Definition {
    Ini ini;
    Options own;   // [Definition], as far as the jail did not say it
    Options init;  // the reference's options, then [Init]
    Options vars;  // what %(…)s sees first

    Result<> read(const Options& jail, Options given, bool all) {
        vars = jail;
        for (const auto& [name, value] : given) vars.insert_or_assign(name, value);
        init = std::move(given);
        std::vector<std::string> wanted(filter_options.begin(), filter_options.end());
        if (all) wanted = ini.options("Definition", true);
        for (const std::string& option : wanted) {
            if (vars.contains(option)) continue;
            auto value = ini.get("Definition", option, vars);
            if (!value) return std::unexpected(value.error());
            if (*value) own.insert_or_assign(option, **value);
        }
        for (const std::string& option : ini.options("Init", false)) {
            auto value = ini.get("Init", option);
            if (!value) return std::unexpected(value.error());
            if (!option.starts_with("known/")) init.insert_or_assign("known/" + option, **value);
            init.try_emplace(option, **value);
        }
        return {};
    }
    Result<Options> combined(std::string_view condition = {},
                             const std::set<std::string, std::less<>>& left_alone = {}) const {
        Options all = own;
        for (const auto& [name, value] : init) all.insert_or_assign(name, value);
        return replace_tags(std::move(all), ini, vars, condition, left_alone);
    }
};

}  // namespace

namespace {

void skip_space(std::string_view& rest) {
    while (!rest.empty() && is_space(rest.front())) rest.remove_prefix(1);
}

// The value after "option=", cut off `rest`: in quotes, or up to "," or "]". Empty if its quote is
// not closed.
std::optional<std::string> take_value(std::string_view& rest) {
    if (rest.starts_with('"') || rest.starts_with('\'')) {
        auto close = rest.find(rest.front(), 1);
        if (close == std::string_view::npos) return {};
        std::string value = strip(rest.substr(1, close - 1));
        rest.remove_prefix(close + 1);
        return value;
    }
    auto end = rest.find_first_of(",]");
    std::string value = strip(rest.substr(0, end));
    rest.remove_prefix(end == std::string_view::npos ? rest.size() : end);
    return value;
}

std::string beginning_of(std::string_view text) { return std::string(text.substr(0, 25)); }

}  // namespace

Result<Reference> parse_reference(std::string_view text) {
    Reference reference;
    auto bracket = text.find('[');
    reference.name = strip(text.substr(0, bracket));
    std::string what = "\"" + std::string(text.substr(0, 60)) + "\"";
    if (reference.name.empty()) return fail(what, "has no name");
    if (bracket == std::string_view::npos) return reference;
    std::string whole = strip(text.substr(bracket + 1));
    if (!whole.ends_with(']')) return fail(what, "\"[\" is not closed");
    whole.pop_back();
    std::string_view rest = whole;
    while (true) {
        skip_space(rest);
        if (rest.starts_with(',')) {
            rest.remove_prefix(1);
            continue;
        }
        if (rest.empty()) return reference;
        std::size_t length = 0;
        while (length < rest.size() && is_option_char(rest[length])) ++length;
        std::string name(rest.substr(0, length));
        rest.remove_prefix(length);
        if (name.empty() || !rest.starts_with('='))
            return fail(what, "option=value is expected at \"" + beginning_of(rest) + "\"");
        rest.remove_prefix(1);
        auto value = take_value(rest);
        if (!value) return fail(what, "the quote of \"" + name + "\" is not closed");
        reference.options.insert_or_assign(name, *value);
        skip_space(rest);
        if (rest.empty()) return reference;
        bool another_list = rest.starts_with(']');
        if (!another_list && !rest.starts_with(','))
            return fail(what, "\",\" or \"]\" is expected at \"" + beginning_of(rest) + "\"");
        rest.remove_prefix(1);
        if (!another_list) continue;
        skip_space(rest);
        if (!rest.starts_with('['))
            return fail(what, "has something after \"]\": \"" + beginning_of(rest) + "\"");
        rest.remove_prefix(1);
    }
}

std::vector<std::string> split_references(std::string_view text) {
    std::vector<std::string> parts;
    std::string part;
    int depth = 0;
    char quote = '\0';
    for (std::size_t i = 0; i < text.size(); ++i) {
        char c = text[i];
        if (quote != '\0') {
            if (c == quote) quote = '\0';
        } else if (depth > 0 && (c == '"' || c == '\'') && i > 0 && text[i - 1] == '=') {
            quote = c;
        } else if (c == '[') {
            ++depth;
        } else if (c == ']') {
            --depth;
        } else if (depth <= 0 && is_space(c)) {
            // "name [option=…]" and "…][…]" belong together.
            std::size_t next = text.find_first_not_of(" \t\n\r", i);
            bool goes_on = next != std::string_view::npos && text[next] == '[';
            if (!goes_on && !part.empty()) parts.push_back(std::exchange(part, {}));
            continue;
        }
        part += c;
    }
    if (!part.empty()) parts.push_back(std::move(part));
    return parts;
}

namespace {

// Replaces the tags of one value.
class TagReplacer {
  public:
    TagReplacer(const Options& options, const Ini& ini, const Options& vars,
                std::string_view condition, const std::set<std::string, std::less<>>& left_alone)
        : options_(options),
          ini_(ini),
          vars_(vars),
          condition_(condition),
          left_alone_(left_alone) {}

    // Whether anything was replaced.
    Result<bool> run(const std::string& name, std::string& value) {
        bool changed = false;
        std::size_t at = 0;
        while ((at = value.find('<', at)) != std::string::npos) {
            auto end = value.find_first_of("<> ", at + 1);
            if (end == std::string::npos) break;
            if (value[end] != '>' || end == at + 1) {
                at = value[end] == '<' ? end : end + 1;
                continue;
            }
            std::string tag = value.substr(at + 1, end - at - 1);
            auto by = left_alone_.contains(tag) ? std::nullopt : value_of(tag);
            if (!by) {
                at = end + 1;
                continue;
            }
            if (tag == name || ++counts_[name + "\n" + tag] > most_replacements ||
                value.size() > longest_value)
                return fail("<" + tag + "> in \"" + name + "\"",
                            "refers to itself and cannot be filled in");
            replace_from(at, value, "<" + tag + ">", by->substr(0, longest_value));
            changed = true;
        }
        return changed;
    }

  private:
    std::optional<std::string> value_of(const std::string& tag) const {
        if (!condition_.empty())
            if (auto found = options_.find(tag + "?" + std::string(condition_));
                found != options_.end())
                return found->second;
        if (auto found = options_.find(tag); found != options_.end()) return found->second;
        auto elsewhere = ini_.get_anywhere("Definition", tag, vars_);
        return elsewhere ? *elsewhere : std::nullopt;
    }

    static void replace_from(std::size_t at, std::string& value, const std::string& what,
                             const std::string& by) {
        for (; (at = value.find(what, at)) != std::string::npos && value.size() <= longest_value;
             at += by.size())
            value.replace(at, what.size(), by);
    }

    const Options& options_;
    const Ini& ini_;
    const Options& vars_;
    std::string_view condition_;
    const std::set<std::string, std::less<>>& left_alone_;
    std::map<std::string, int> counts_;  // by value and tag
};

}  // namespace

Result<Options> replace_tags(Options options, const Ini& ini, const Options& vars,
                             std::string_view condition,
                             const std::set<std::string, std::less<>>& left_alone) {
    TagReplacer replacer(options, ini, vars, condition, left_alone);
    for (bool again = true; again;) {
        again = false;
        for (auto& [name, value] : options) {
            // "option?family=inet6" is used in place of "option" and is not replaced itself.
            if (name.find('?') != std::string::npos) continue;
            auto changed = replacer.run(name, value);
            if (!changed) return std::unexpected(changed.error());
            again = again || *changed;
        }
    }
    return options;
}

Result<FilterDefinition> read_filter(const std::string& base, const Reference& reference,
                                     const std::string& backend, const Options& vars,
                                     std::vector<Error>& faults) {
    Definition definition;
    std::string path =
        reference.name.starts_with("./") ? reference.name : "filter.d/" + reference.name;
    if (!definition.ini.read(base, path, faults))
        return fail("filter \"" + reference.name + "\"",
                    "there is no " + base + "/filter.d/" + reference.name + ".conf");
    Options given = reference.options;
    auto own = definition.ini.options("Definition", false);
    if (!given.contains("logtype") && std::ranges::find(own, "logtype") == own.end())
        given["logtype"] = backend.starts_with("systemd") ? "journal" : "file";
    FilterDefinition filter;
    filter.name = reference.name;
    filter.files = definition.ini.files();
    auto take_all = [&](bool all) -> Result<Options> {
        definition.own.clear();
        if (auto done = definition.read(vars, given, all); !done)
            return std::unexpected(done.error());
        return definition.combined();
    };
    auto everything = take_all(true);
    if (!everything) return std::unexpected(everything.error());
    filter.all = std::move(*everything);
    auto options = take_all(false);
    if (!options) return std::unexpected(options.error());
    auto text = [&](const char* name) {
        auto found = options->find(name);
        return found == options->end() ? std::string() : found->second;
    };
    filter.prefregex = text("prefregex");
    filter.failregex = lines_of(text("failregex"));
    filter.ignoreregex = lines_of(text("ignoreregex"));
    filter.datepattern = lines_of(text("datepattern"));
    filter.journalmatch = lines_of(text("journalmatch"));
    filter.maxlines = text("maxlines");
    filter.usedns = text("usedns");
    filter.logtype = text("logtype");
    return filter;
}

namespace {

// An option's value, or why it has none that can be used.
std::optional<std::string> option_of(const Ini& ini, const std::string& jail, const char* name,
                                     std::vector<Error>& problems) {
    auto value = ini.get(jail, name);
    if (value) return *value;
    problems.push_back(value.error());
    return {};
}

// The filter's options as the jail sees them: %(known/…)s, filled in already.
void make_known(const FilterDefinition& filter, const std::string& jail, Ini& ini) {
    for (const auto& [option, value] : filter.all) {
        std::string escaped;
        for (char c : value) escaped += c == '%' ? "%%" : std::string(1, c);
        ini.set(jail, option.starts_with("known/") ? option : "known/" + option, escaped);
    }
}

// What the jail itself says of these goes before what its filter says.
void override_filter(const Options& jail, FilterDefinition& filter) {
    for (auto [option, into] :
         {std::pair{"failregex", &filter.failregex}, std::pair{"ignoreregex", &filter.ignoreregex},
          std::pair{"datepattern", &filter.datepattern},
          std::pair{"journalmatch", &filter.journalmatch}})
        if (auto found = jail.find(option); found != jail.end()) *into = lines_of(found->second);
    for (auto [option, into] :
         {std::pair{"prefregex", &filter.prefregex}, std::pair{"maxlines", &filter.maxlines},
          std::pair{"usedns", &filter.usedns}})
        if (auto found = jail.find(option); found != jail.end()) *into = found->second;
}

// Empty if it cannot be used; the jail's problems say why.
std::optional<ActionDefinition> read_action(const std::string& base, const std::string& text,
                                            JailDefinition& jail, std::vector<Error>& faults) {
    auto parsed = parse_reference(text);
    if (!parsed) {
        jail.problems.push_back(parsed.error());
        return {};
    }
    ActionDefinition action;
    action.reference = std::move(*parsed);
    const std::string& name = action.reference.name;
    if (name.ends_with(".py")) {
        action.python = true;
        return action;
    }
    Definition definition;
    if (!definition.ini.read(base, "action.d/" + name, faults)) {
        jail.problems.push_back({"action \"" + name + "\"",
                                 "there is no " + base + "/action.d/" + name + ".conf",
                                 {},
                                 {}});
        return {};
    }
    action.files = definition.ini.files();
    // Known only when a ban happens.
    static const std::set<std::string, std::less<>> at_ban{
        "ip",       "family",        "fid",  "matches",  "ipmatches", "failures",  "bantime",
        "bancount", "ipjailmatches", "time", "restored", "timeout",   "ipfailures"};
    action.reference.options.try_emplace("name", jail.name);
    action.reference.options.try_emplace("actname", name);
    auto done = definition.read(jail.options, action.reference.options, true);
    for (auto [condition, into] : {std::pair{"family=inet4", &action.options},
                                   std::pair{"family=inet6", &action.options_ipv6}}) {
        auto combined = done ? definition.combined(condition, at_ban)
                             : Result<Options>(std::unexpected(done.error()));
        if (combined)
            *into = std::move(*combined);
        else if (into == &action.options)
            jail.problems.push_back(combined.error());
    }
    return action;
}

JailDefinition read_jail(const std::string& base, Ini ini, const std::string& name,
                         std::vector<Error>& faults) {
    JailDefinition jail;
    jail.name = name;
    std::string backend = option_of(ini, name, "backend", jail.problems).value_or("auto");
    std::string filter = option_of(ini, name, "filter", jail.problems).value_or("");
    jail.enabled = is_true(option_of(ini, name, "enabled", jail.problems).value_or("false"));
    Options first{
        {"backend", backend}, {"enabled", jail.enabled ? "true" : "false"}, {"filter", filter}};
    std::optional<Reference> reference;
    if (!filter.empty()) {
        auto parsed = parse_reference(filter);
        auto read = parsed ? read_filter(base, *parsed, backend, first, faults)
                           : Result<FilterDefinition>(std::unexpected(parsed.error()));
        if (read) {
            make_known(*read, name, ini);
            reference = std::move(*parsed);
        } else {
            jail.problems.push_back(read.error());
        }
    }
    for (const char* option : jail_options)
        if (auto value = option_of(ini, name, option, jail.problems))
            jail.options.insert_or_assign(option, *value);
    if (reference) {
        std::vector<Error> again;  // said once
        auto read = read_filter(base, *reference, backend, jail.options, again);
        if (read)
            jail.filter = std::move(*read);
        else
            jail.problems.push_back(read.error());
    }
    override_filter(jail.options, jail.filter);
    for (const std::string& text : split_references(option(jail.options, "action")))
        if (auto action = read_action(base, text, jail, faults))
            jail.actions.push_back(std::move(*action));
    return jail;
}

}  // namespace

Options read_server(const std::string& base, std::vector<Error>& faults) {
    Options options;
    Ini server;
    if (server.read(base, "fail2ban", faults))
        for (const std::string& option : server.options("Definition", true))
            if (auto value = server.get("Definition", option); value && *value)
                options.insert_or_assign(option, **value);
    return options;
}

Result<Definitions> read_definitions(const std::string& base, bool with_disabled) {
    Definitions all;
    Ini ini;
    std::error_code fault;
    if (!fs::is_directory(base, fault))
        return fail("\"" + base + "\"", "is no directory",
                    "name fail2ban's configuration with --from DIR");
    if (!ini.read(base, "jail", all.faults))
        return fail("\"" + base + "\"", "holds no jail.conf and no jail.local",
                    "name fail2ban's configuration with --from DIR");
    all.files = ini.files();
    ini.set_default("fail2ban_version", "1.0.2");
    ini.set_default("fail2ban_confpath", base);
    all.server = read_server(base, all.faults);
    for (const std::string& name : ini.sections()) {
        if (name == "INCLUDES") continue;
        auto enabled = ini.get(name, "enabled");
        bool wanted = enabled && *enabled && is_true(**enabled);
        if (!wanted && !with_disabled) {
            JailDefinition jail;
            jail.name = name;
            all.jails.push_back(std::move(jail));
            continue;
        }
        all.jails.push_back(read_jail(base, ini, name, all.faults));
    }
    return all;
}

}  // namespace bandd::fail2ban

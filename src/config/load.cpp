// SPDX-License-Identifier: GPL-2.0-or-later
#include "config/load.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <set>

#include "config/actions.h"
#include "config/compile.h"
#include "config/counting.h"
#include "config/endpoints.h"
#include "config/listen.h"
#include "config/section.h"
#include "core/base/suggest.h"

namespace bandd {
namespace fs = std::filesystem;

bool is_jail_name(std::string_view text) {
    auto letter = [](char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); };
    if (text.empty() || text.size() > 63 || !letter(text.front())) return false;
    return std::ranges::all_of(text, [&](char c) {
        return letter(c) || (c >= '0' && c <= '9') || c == '-' || c == '_' || c == '.';
    });
}

bool is_host_name(std::string_view text) {
    constexpr std::size_t longest = 253;
    if (text.empty() || text.size() > longest || text.front() == '.' || text.front() == '-')
        return false;
    auto letter = [](char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); };
    bool letters = false;
    for (char c : text) {
        if (c == '.')
            letters = false;
        else if (letter(c))
            letters = true;
        else if ((c < '0' || c > '9') && c != '-' && c != '_')
            return false;
    }
    return letters;
}

namespace {

WordLists parse_lists(const Section& section, std::string_view key) {
    WordLists lists;
    const Value* value = section.find(key);
    if (value == nullptr) return lists;
    if (value->kind != Value::Kind::map) {
        section.error(*value, fmt::format("\"{}\"", key), "must be a map of lists");
        return lists;
    }
    for (const auto& [name, items] : value->entries) {
        auto& list = lists[name.text];
        if (items.kind == Value::Kind::scalar) list.push_back(items.text);
        for (const Value& item : items.items) {
            if (item.kind != Value::Kind::scalar || item.text.empty())
                section.error(item, fmt::format("\"{}\"", name.text), "must hold words only");
            else
                list.push_back(item.text);
        }
    }
    return lists;
}

class Loader {
  public:
    Loader(const std::vector<std::string>& data, const ZoneReader& read_zone, Samples samples)
        : data_(data), read_zone_(read_zone), samples_(samples) {}

    Loaded run(const std::string& path) {
        fs::path file = path;
        std::error_code fault;
        auto status = fs::status(path, fault);
        if (!fs::exists(status)) {
            out_.errors.push_back({"cannot read \"" + path + "\"",
                                   fault ? fault.message() : "No such file or directory",
                                   "give the configuration with --config DIR",
                                   {}});
            return std::move(out_);
        }
        if (fs::is_directory(status)) file = fs::path(path) / "bandd.yaml";
        directory_ = fs::absolute(file).lexically_normal().parent_path();
        file =
            fs::path(path).is_absolute() ? directory_ / file.filename() : file.lexically_normal();
        out_.config.directory = directory_.string();
        directories_.push_back(directory_.string());
        directories_.insert(directories_.end(), data_.begin(), data_.end());

        Value root;
        if (fs::exists(file, fault) || !fs::is_directory(status)) {
            auto read = read_document(file.string());
            if (!read) {
                out_.errors.push_back(read.error());
                return std::move(out_);
            }
            root = std::move(*read);
        }
        load_root(root);
        return std::move(out_);
    }

  private:
    std::string absolute(const std::string& path) const {
        if (path.empty() || path.starts_with('/')) return path;
        return (directory_ / path).lexically_normal().string();
    }

    void load_root(const Value& root) {
        Section section(root, "bandd.yaml", "bandd.yaml", out_.errors);
        Config& config = out_.config;
        section.text("state", config.state);
        section.text("socket", config.socket);
        config.state = absolute(config.state);
        config.socket = absolute(config.socket);
        section.text("user", config.user);
        config.user_given = section.find("user") != nullptr;
        section.text("group", config.group);
        section.choice("stop", config.flush_on_stop, {{"keep", false}, {"flush", true}});
        section.number("ban_limit", config.ban_limit, 1, 100'000'000);
        section.number("line_limit", config.line_limit, 512, 16 << 20);
        if (const Value* value = section.find("matchers");
            value != nullptr && value->text != "auto")
            section.number("matchers", config.matchers, 1, most_matchers);
        section.duration("dbpurgeage", config.dbpurgeage, false);
        section.duration("checkpoint", config.checkpoint, false);
        read_dns_servers(section, config);
        for (const Value* word : section.words("geoip"))
            config.geoip.push_back(absolute(word->text));
        read_endpoints(section, [&](const std::string& path) { return absolute(path); }, config);
        if (const Value* log = section.find("log")) {
            Section keys(*log, "log", "log", out_.errors);
            keys.text("target", config.log.target);
            if (config.log.target.find('/') != std::string::npos)
                config.log.target = absolute(config.log.target);
            else if (config.log.target != "stderr" && config.log.target != "syslog" &&
                     config.log.target != "journal")
                keys.error(*keys.find("target"), "\"target: " + config.log.target + "\"",
                           "must be stderr, syslog, journal or a path");
            keys.choice("level", config.log.level,
                        {{"error", LogLevel::error},
                         {"warning", LogLevel::warning},
                         {"notice", LogLevel::notice},
                         {"info", LogLevel::info},
                         {"debug", LogLevel::debug}});
        }

        Value nothing;
        const Value* defaults = section.find("defaults");
        if (defaults == nullptr) defaults = &nothing;
        JailConfig base;
        Section default_keys(*defaults, "jail", "defaults", out_.errors);
        read_jail(default_keys, base, "defaults");

        if (const Value* jails = section.find("jails")) load_jails(*jails, base, *defaults);
        for (const std::string& path : glob_files((directory_ / "jails" / "*.yaml").string())) {
            if (read_files_.contains(path)) continue;
            auto file = read_document(path);
            if (!file)
                out_.errors.push_back(file.error());
            else if (file->kind != Value::Kind::null)
                load_jails(*file, base, *defaults);
        }
        if (!names_.contains(std::string(manual_jail))) {
            JailConfig manual = base;
            manual.rules.name = manual_jail;
            manual.description = "bans by hand";
            manual.logs.clear();
            read_actions(default_keys, *defaults, nothing, manual);
            config.jails.push_back(std::move(manual));
        }
        check_remote();
        load_filters();
        load_zones();
        check_databases();
    }

    // Bans of other machines go to jails that there are.
    void check_remote() {
        const RemoteConfig& remote = out_.config.remote;
        auto check = [&](const std::string& name, const std::string& what, const Place& where) {
            std::vector<std::string_view> names;
            for (const JailConfig& jail : out_.config.jails) names.push_back(jail.rules.name);
            if (std::ranges::find(names, name) != names.end()) return;
            std::string hint = did_you_mean(name, names);
            out_.errors.push_back(
                {what + ": jail \"" + name + "\"",
                 names_.contains(name) ? "is not enabled" : "there is no such jail", hint, where});
        };
        for (const PeerConfig& peer : remote.peers)
            check(peer.jail, "peer \"" + peer.name + "\"", peer.where);
        if (!remote.listen.empty()) check(remote.text_jail, "\"text_jail\"", remote.where);
    }

    static void read_dns_servers(const Section& section, Config& config) {
        for (const Value* word : section.words("dns_servers")) {
            auto server = parse_host_and_port(word->text, 53);
            if (!server) {
                section.error(*word, "\"dns_servers: " + word->text + "\"", "is no address",
                              "write 192.0.2.53, 192.0.2.53:5353 or [2001:db8::53]:53");
                continue;
            }
            config.dns_servers += config.dns_servers.empty() ? "" : ",";
            config.dns_servers += to_string_with_port(server->first, server->second);
        }
    }

    void load_jails(const Value& jails, const JailConfig& base, const Value& defaults) {
        if (jails.kind != Value::Kind::map) {
            out_.errors.push_back(
                {"\"jails\"", "must be a map: a name, then its keys", {}, jails.where});
            return;
        }
        for (const auto& [name, keys] : jails.entries) {
            read_files_.insert(name.where.file);
            if (!is_jail_name(name.text)) {
                out_.errors.push_back({"jail \"" + name.text + "\"",
                                       "a jail's name is letters, digits, \"-\", \"_\" and \".\", "
                                       "begins with a letter and has at most 63 characters",
                                       {},
                                       name.where});
                continue;
            }
            if (!names_.insert(name.text).second) {
                out_.errors.push_back({"jail \"" + name.text + "\"", "is defined twice",
                                       "remove one of them", name.where});
                continue;
            }
            JailConfig jail = base;
            jail.where = name.where;
            jail.rules.name = name.text;
            jail.filter = name.text;
            jail.filter_where = name.where;
            Section section(keys, "jail", "jail \"" + name.text + "\"", out_.errors);
            read_jail(section, jail, name.text);
            read_actions(section, defaults, keys, jail);
            finish_jail(section, name, std::move(jail));
        }
    }

    void finish_jail(const Section& section, const Value& name, JailConfig jail) {
        if (jail.enabled == Enabled::no) return;
        bool any = std::ranges::any_of(
            jail.logs, [](const LogSpec& log) { return !glob_files(log.path).empty(); });
        // The journal is for machines without the log: both would count everything twice.
        if (jail.journal && !jail.logs.empty()) {
            if (any || (jail.journal->directory.empty() && !machine_has_journal()))
                jail.journal.reset();
            else
                jail.logs.clear();
        }
        if (jail.enabled == Enabled::automatic) {
            bool reads =
                jail.reads_stdin || any || jail.syslog || jail.is_fed() ||
                (jail.journal && (machine_has_journal() || !jail.journal->directory.empty()));
            if (!reads) return;
        }
        if (!jail.reads_anything() && !jail.is_fed() && name.text != manual_jail)
            section.error(
                name, section.what(), "watches nothing",
                "give it a \"logpath\", \"journal\" or \"syslog\", or \"enabled: false\"");
        if (!jail.reads_anything()) jail.filter.clear();
        out_.config.jails.push_back(std::move(jail));
    }

    void read_jail(const Section& section, JailConfig& jail, const std::string& name) {
        JailRules& rules = jail.rules;
        section.choice("enabled", jail.enabled,
                       {{"true", Enabled::yes},
                        {"yes", Enabled::yes},
                        {"false", Enabled::no},
                        {"no", Enabled::no},
                        {"auto", Enabled::automatic}});
        section.text("description", jail.description);
        if (const Value* filter = section.find("filter")) {
            section.text("filter", jail.filter);
            jail.filter_where = filter->where;
            take_filter_options(section, *filter, jail);
        }
        if (auto words = section.words("mode"); !words.empty()) {
            jail.modes.clear();
            for (const Value* word : words) jail.modes.push_back(word->text);
        }
        for (auto& [list, words] : parse_lists(section, "lists"))
            jail.lists[list].insert(jail.lists[list].end(), words.begin(), words.end());
        section.number("maxretry", rules.maxretry, 1, 1000);
        read_findtime(section, rules);
        section.duration("bantime", rules.bantime.base, true);
        read_increment(section, rules.bantime);
        section.boolean("bantime.extend", rules.bantime.extend);
        if (const Value* prefix = section.find("ban_prefix")) {
            Section keys(*prefix, "ban_prefix", "ban_prefix", out_.errors);
            keys.number("ipv4", rules.v4_length, 8, 32);
            keys.number("ipv6", rules.v6_length, 16, 128);
        }
        read_ignoreip(section, jail);
        section.boolean("ignoreself", rules.ignoreself);
        read_condition(section, jail);
        read_count(section, jail);
        section.boolean("simulate", rules.simulate);
        section.number("maxmatches", rules.maxmatches, 0, 100);
        section.number("track_limit", rules.track_limit, 1, 100'000'000);
        if (const Value* source = section.find("source")) {
            if (source->text == "bans")
                rules.fed_by_bans = true;
            else if (source->text == "access")
                rules.fed_by_access = true;
            else if (source->text == "remote")
                jail.fed_by_remote = true;
            else if (source->text == "stdin")
                jail.reads_stdin = true;
            else
                section.error(*source, "\"source: " + source->text + "\"",
                              "must be bans, access, remote or stdin",
                              "logs are named with \"logpath\"");
        }
        read_logs(section, jail, name);
        read_journal(section, jail);
        read_syslog(section, jail);
    }

    static bool machine_has_journal() {
        std::error_code fault;
        return fs::exists("/run/systemd/journal/socket", fault);
    }

    void read_journal(const Section& section, JailConfig& jail) {
        const Value* value = section.find("journal");
        if (value == nullptr) return;
        JournalSpec spec;
        if (value->kind == Value::Kind::scalar) {
            bool wanted = false;
            section.boolean("journal", wanted);
            if (wanted) jail.journal = spec;
            return;
        }
        Section keys(*value, "journal", "journal", out_.errors);
        for (const Value* unit : keys.words("unit")) {
            std::string name = unit->text;
            if (name.find('.') == std::string::npos) name += ".service";
            spec.alternatives.push_back({"_SYSTEMD_UNIT=" + name});
        }
        for (const Value* match : keys.words("match")) {
            std::vector<std::string> terms;
            std::string_view rest = match->text;
            auto end_alternative = [&] {
                if (!terms.empty()) spec.alternatives.push_back(std::exchange(terms, {}));
            };
            while (!rest.empty()) {
                auto space = rest.find(' ');
                std::string term(rest.substr(0, space));
                rest.remove_prefix(space == std::string_view::npos ? rest.size() : space + 1);
                auto equals = term.find('=');
                if (term == "+")
                    end_alternative();
                else if (equals != std::string::npos && equals > 0)
                    terms.push_back(std::move(term));
                else if (!term.empty())
                    keys.error(*match, "\"match: " + term + "\"", "is not FIELD=value",
                               "write _COMM=sshd, or _SYSTEMD_UNIT=ssh.service");
            }
            end_alternative();
        }
        keys.text("directory", spec.directory);
        spec.directory = absolute(spec.directory);
        if (spec.alternatives.empty() && spec.directory.empty())
            keys.error(*value, "\"journal\"", "names neither unit nor match",
                       "write \"journal: true\" for all of it");
        jail.journal = std::move(spec);
    }

    void read_syslog(const Section& section, JailConfig& jail) {
        const Value* value = section.find("syslog");
        if (value == nullptr) return;
        Section keys(*value, "syslog", "syslog", out_.errors);
        SyslogSpec spec;
        bool open = false;  // to others than this machine
        TlsFiles tls;
        keys.text("certificate", tls.certificate);
        keys.text("key", tls.key);
        keys.text("clients", tls.clients);
        for (std::string* path : {&tls.certificate, &tls.key, &tls.clients})
            *path = absolute(*path);
        for (const Value* word : keys.words("listen")) {
            auto address = parse_listen_address(word->text, 514, 6514);
            if (!address) {
                keys.error(
                    *word, "\"listen: " + word->text + "\"", "is no address to listen at",
                    "write udp://0.0.0.0:514, tcp://[::]:514, tls://[::]:6514 or unix:/run/x.sock");
                continue;
            }
            address->path = absolute(address->path);
            if (address->kind == ListenAddress::Kind::tls) {
                address->tls = tls;
                if (tls.certificate.empty() || tls.key.empty())
                    keys.error(*word, "\"listen: " + word->text + "\"",
                               "needs \"certificate\" and \"key\"", "name two PEM files");
            }
            open = open || address->kind != ListenAddress::Kind::unix_datagram;
            spec.listen.push_back(std::move(*address));
        }
        for (const Value* word : keys.words("from")) {
            if (auto prefix = parse_prefix(word->text))
                spec.from.push_back(*prefix);
            else
                keys.error(*word, "\"from: " + word->text + "\"",
                           "is no address and no CIDR block");
        }
        if (keys.find("listen") == nullptr)
            keys.error(*value, "\"syslog\"", "names nothing to listen at",
                       "add \"listen: udp://0.0.0.0:514\"");
        else if (open && keys.find("from") == nullptr)
            keys.error(*value, "\"syslog\"", "does not say whose messages are believed",
                       "add \"from: [192.168.1.0/24]\": anybody could have others banned else");
        jail.syslog = std::move(spec);
    }

    void take_filter_options(const Section& section, const Value& value, JailConfig& jail) {
        auto bracket = jail.filter.find('[');
        if (bracket == std::string::npos) return;
        std::string options = jail.filter.substr(bracket + 1);
        jail.filter.resize(bracket);
        if (!options.ends_with(']') || !options.starts_with("mode=")) {
            section.error(value, "\"filter: " + value.text + "\"",
                          "only [mode=NAME] is understood");
            return;
        }
        jail.modes = {options.substr(5, options.size() - 6)};
    }

    void read_increment(const Section& section, BantimePolicy& policy) {
        const Value* value = section.find("bantime.increment");
        if (value == nullptr) return;
        if (value->kind == Value::Kind::scalar) {
            section.boolean("bantime.increment", policy.increment);
            return;
        }
        Section keys(*value, "bantime.increment", "bantime.increment", out_.errors);
        policy.increment = true;
        keys.real("factor", policy.factor, 1, 1000);
        keys.duration("maximum", policy.maximum, true);
        keys.duration("jitter", policy.jitter, false);
        keys.boolean("all_jails", policy.all_jails);
    }

    void read_ignoreip(const Section& section, JailConfig& jail) {
        std::vector<Prefix>& prefixes = ignoreip_[jail.rules.name];
        if (prefixes.empty() && jail.rules.name != "") prefixes = ignoreip_[""];
        Ignored ignored{prefixes, jail.ignore_names};
        for (const Value* word : section.words("ignoreip")) {
            // fail2ban lets several stand in one value, with spaces or commas.
            std::string_view rest = word->text;
            while (!rest.empty()) {
                auto end = rest.find_first_of(" ,");
                std::string item(rest.substr(0, end));
                rest.remove_prefix(end == std::string_view::npos ? rest.size() : end + 1);
                if (!item.empty()) add_ignored(section, *word, item, ignored);
            }
        }
        jail.rules.ignoreip = PrefixSet(prefixes);
        if (const Value* value = section.find("ignorecommand")) {
            jail.ignorecommand = read_program(section, "ignorecommand", "ignorecommand", *value);
        }
        jail.rules.asks = !jail.ignore_names.empty() || !jail.ignorecommand.argv.empty();
    }

    struct Ignored {
        std::vector<Prefix>& prefixes;
        std::vector<std::string>& names;
        bool add(const std::string& item) const {
            if (auto prefix = parse_prefix(item))
                prefixes.push_back(*prefix);
            else if (is_host_name(item))
                names.push_back(item);
            else
                return false;
            return true;
        }
    };

    void add_ignored(const Section& section, const Value& at, const std::string& item,
                     const Ignored& ignored) {
        if (!item.starts_with("file:")) {
            if (!ignored.add(item))
                section.error(at, "\"ignoreip: " + item + "\"",
                              "is no address, no CIDR block and no host name");
            return;
        }
        std::string path = absolute(item.substr(5));
        std::ifstream file(path);
        if (!file) {
            section.error(at, "\"ignoreip: " + item + "\"", "cannot read \"" + path + "\"");
            return;
        }
        std::string line;
        for (int number = 1; std::getline(file, line); ++number) {
            line = line.substr(0, line.find('#'));
            auto begin = line.find_first_not_of(" \t\r");
            if (begin == std::string::npos) continue;
            line = line.substr(begin, line.find_last_not_of(" \t\r") - begin + 1);
            if (!ignored.add(line))
                out_.errors.push_back({"\"" + line + "\"",
                                       "is no address, no CIDR block and no host name",
                                       {},
                                       {path, number, static_cast<int>(begin) + 1}});
        }
    }

    void read_logs(const Section& section, JailConfig& jail, const std::string& name) {
        LogSpec options = jail.logs.empty() ? log_defaults_ : jail.logs.front();
        options.path.clear();
        if (const Value* encoding = section.find("encoding")) {
            if (auto known = parse_encoding(encoding->text))
                options.encoding = *known;
            else
                section.error(*encoding, "\"encoding: " + encoding->text + "\"",
                              "must be one of auto, utf-8, latin1, utf-16le, utf-16be");
        }
        if (const Value* zone = section.find("timezone")) {
            options.timezone = zone->text;
            zone_places_.try_emplace(zone->text, zone->where);
        }
        section.choice(
            "start", options.start,
            {{"findtime", Start::findtime}, {"end", Start::end}, {"beginning", Start::beginning}});
        section.choice(
            "escapes", options.escapes,
            {{"auto", Escapes::automatic}, {"undo", Escapes::undo}, {"keep", Escapes::keep}});
        if (name == "defaults") log_defaults_ = options;
        jail.log_options = options;
        for (const Value* word : section.words("logpath")) {
            LogSpec log = options;
            log.path = absolute(word->text);
            if (log.path.empty())
                section.error(*word, "\"logpath\"", "is empty");
            else
                jail.logs.push_back(std::move(log));
        }
    }

    void read_actions(const Section& section, const Value& defaults, const Value& keys,
                      JailConfig& jail) {
        ActionContext context;
        context.jail = jail.rules.name;
        context.directories = directories_;
        Section fallback(defaults, "jail", "defaults", scratch_errors_);
        auto words = section.words("port");
        if (words.empty()) words = fallback.words("port");
        context.ports = parse_ports(words, out_.errors);
        words = section.words("protocol");
        if (words.empty()) words = fallback.words("protocol");
        context.protocols = parse_protocols(words, out_.errors);
        const Value* action = keys.find("action");
        if (action == nullptr) action = defaults.find("action");
        Value standard;
        standard.kind = Value::Kind::scalar;
        standard.text = "nftables";
        standard.where = jail.where;
        jail.actions = parse_actions(action == nullptr ? standard : *action, context, out_.errors);
    }

    void load_filters() {
        for (const JailConfig& jail : out_.config.jails) {
            if (jail.filter.empty() || out_.config.filters.contains(jail.filter)) continue;
            auto path_in = [&](const std::string& directory) {
                return directory + "/filters/" + jail.filter + ".yaml";
            };
            auto holding = std::ranges::find_if(directories_, [&](const std::string& directory) {
                std::error_code ignored;
                return fs::exists(path_in(directory), ignored);
            });
            if (holding != directories_.end()) {
                LoadedFilter loaded = load_filter(path_in(*holding), samples_);
                std::ranges::move(loaded.errors, std::back_inserter(out_.errors));
                out_.config.filters.emplace(jail.filter, std::move(loaded.filter));
                continue;
            }
            std::vector<std::string> names;
            for (const std::string& directory : directories_)
                for (const std::string& file : glob_files(directory + "/filters/*.yaml"))
                    names.push_back(fs::path(file).stem().string());
            std::vector<std::string_view> views(names.begin(), names.end());
            out_.errors.push_back({"filter \"" + jail.filter + "\"",
                                   "there is no filters/" + jail.filter + ".yaml in " +
                                       fmt::format("{}", fmt::join(directories_, ", ")),
                                   did_you_mean(jail.filter, views), jail.filter_where});
        }
        for (JailConfig& jail : out_.config.jails) {
            auto filter = out_.config.filters.find(jail.filter);
            if (filter == out_.config.filters.end()) continue;
            take_logins(filter->second, jail);
            for (const auto& [list, words] : jail.lists) {
                if (filter->second.lists.contains(list)) continue;
                std::vector<std::string_view> views;
                for (const auto& [known, unused] : filter->second.lists) views.push_back(known);
                out_.errors.push_back({"list \"" + list + "\"",
                                       "filter \"" + jail.filter + "\" has no such list",
                                       did_you_mean(list, views), jail.where});
            }
            for (const std::string& mode : jail.modes) {
                std::set<std::string_view> known{"aggressive", "normal"};
                for (const auto& pattern : filter->second.failregex)
                    if (!pattern.mode.empty()) known.insert(pattern.mode);
                if (known.contains(mode)) continue;
                std::vector<std::string_view> views(known.begin(), known.end());
                out_.errors.push_back(
                    {"mode \"" + mode + "\"", "filter \"" + jail.filter + "\" has no such mode",
                     fmt::format("it has {}", fmt::join(views, ", ")), jail.where});
            }
        }
    }

    // Logins count to the accounts, whose limits stand elsewhere; `count` may say so.
    void take_logins(const FilterConfig& filter, JailConfig& jail) {
        if (!filter.finds_logins) return;
        jail.rules.logins = true;
        jail.needed_fields.push_back({"finds: logins", "user", jail.where});
        if (jail.rules.distinct && !jail.rules.distinct->by_user)
            out_.errors.push_back(
                {"\"count\"", "filter \"" + jail.filter + "\" finds logins, not attacks",
                 "write \"count: distinct country by user\", or nothing", jail.where});
        jail.rules.distinct.reset();
    }

    void load_zones() {
        std::set<std::string> names{""};
        for (const JailConfig& jail : out_.config.jails) {
            for (const LogSpec& log : jail.logs) names.insert(log.timezone);
            names.insert(jail.log_options.timezone);
        }
        for (const std::string& name : names) {
            auto zone = read_zone_(name);
            if (zone) {
                out_.config.zones.emplace(name, *zone);
                continue;
            }
            Error error = zone.error();
            error.where = zone_places_[name];
            out_.errors.push_back(std::move(error));
        }
        for (JailConfig& jail : out_.config.jails) {
            if (!jail.rules.today) continue;
            const LogSpec& log = jail.logs.empty() ? jail.log_options : jail.logs.front();
            if (auto zone = out_.config.zones.find(log.timezone); zone != out_.config.zones.end())
                jail.rules.today = zone->second;
        }
    }

    void check_databases() {
        if (!out_.config.geoip.empty()) return;
        auto lacks = [&](const char* key, const Place& where) {
            out_.errors.push_back(
                {"\"" + std::string(key) + "\"", "no database tells countries and networks",
                 "name one in bandd.yaml: geoip: /var/lib/GeoIP/NAME.mmdb", where});
        };
        const AccessConfig& access = out_.config.access;
        if (!access.rules.everywhere) lacks("access", access.where);
        for (const GeoblockConfig& block : out_.config.geoblocks) lacks("geoblock", block.where);
        if (access.rules.accounts.countries > 0)
            lacks("accounts: countries", access.accounts_where);
        for (const JailConfig& jail : out_.config.jails) {
            if (jail.rules.where && jail.rules.where->needs_database())
                lacks("where", jail.condition_where);
            if (jail.rules.distinct && (jail.rules.distinct->of == DistinctCount::Of::country ||
                                        jail.rules.distinct->of == DistinctCount::Of::asn))
                lacks("count", jail.where);
        }
    }

    const std::vector<std::string>& data_;
    const ZoneReader& read_zone_;
    Samples samples_;
    Loaded out_;
    fs::path directory_;
    std::vector<std::string> directories_;
    std::set<std::string> names_;
    std::set<std::string> read_files_;
    std::map<std::string, std::vector<Prefix>> ignoreip_;  // by jail, "" for the defaults
    std::map<std::string, Place> zone_places_;
    LogSpec log_defaults_;
    std::vector<Error> scratch_errors_;  // of the defaults, already reported
};

void read_patterns(const Section& section, std::string_view key,
                   std::vector<PatternConfig>& patterns) {
    const Value* list = section.find(key);
    if (list == nullptr) return;
    auto add = [&](const Value& value) {
        PatternConfig pattern;
        pattern.where = value.where;
        pattern.id = std::to_string(patterns.size() + 1);
        if (value.kind == Value::Kind::scalar) {
            pattern.regex = value.text;
        } else {
            Section keys(value, "pattern", "pattern", section.errors());
            keys.text("id", pattern.id);
            keys.text("regex", pattern.regex);
            keys.text("mode", pattern.mode);
            if (const Value* regex = keys.find("regex")) pattern.where = regex->where;
        }
        if (pattern.regex.empty()) {
            section.error(value, "pattern \"" + pattern.id + "\"", "has no regex");
            return;
        }
        for (const PatternConfig& other : patterns)
            if (other.id == pattern.id)
                section.error(value, "pattern \"" + pattern.id + "\"", "its id is used twice");
        patterns.push_back(std::move(pattern));
    };
    if (list->kind == Value::Kind::list)
        for (const Value& item : list->items) add(item);
    else
        add(*list);
}

}  // namespace

LoadedFilter load_filter(const std::string& path, Samples samples) {
    return load_filter(path, samples == Samples::read ? read_document(path)
                                                      : read_document_without("samples", path));
}

LoadedFilter load_filter(const std::string& path, Result<Value> file) {
    LoadedFilter out;
    if (!file) {
        out.errors.push_back(file.error());
        return out;
    }
    FilterConfig& filter = out.filter;
    filter.name = fs::path(path).stem().string();
    filter.where = {path, 1, 1};
    Section section(*file, "filter", "filter \"" + filter.name + "\"", out.errors);
    section.text("description", filter.description);
    section.choice("finds", filter.finds_logins,
                   {{"attacks", false}, {"logins", true}, {"log-ons", true}});
    section.text("tag", filter.tag);
    if (const Value* tag = section.find("tag")) filter.tag_where = tag->where;
    for (const Value* word : section.words("sender")) {
        if (auto prefix = parse_prefix(word->text))
            filter.senders.push_back(*prefix);
        else
            section.error(*word, "\"sender: " + word->text + "\"",
                          "is no address and no CIDR block");
    }
    read_patterns(section, "failregex", filter.failregex);
    read_patterns(section, "ignoreregex", filter.ignoreregex);
    section.choice("dialect", filter.dialect,
                   {{"bandd", Dialect::bandd}, {"fail2ban", Dialect::fail2ban}});
    if (const Value* prefix = section.find("prefregex")) {
        filter.prefregex.id = "prefregex";
        filter.prefregex.where = prefix->where;
        section.text("prefregex", filter.prefregex.regex);
    }
    for (const Value* word : section.words("datepattern")) {
        filter.datepattern.push_back(word->text);
        filter.datepattern_where = word->where;
    }
    section.number("maxlines", filter.maxlines, 1, 100);
    section.choice(
        "usedns", filter.usedns,
        {{"yes", UseDns::yes}, {"warn", UseDns::warn}, {"no", UseDns::no}, {"raw", UseDns::raw}});
    if (filter.dialect == Dialect::bandd)
        for (const char* key : {"prefregex", "datepattern", "maxlines", "usedns"})
            if (const Value* value = section.find(key))
                section.error(*value, "\"" + std::string(key) + "\"", "is of another dialect",
                              "add \"dialect: fail2ban\" if the patterns are written for that");
    filter.lists = parse_lists(section, "lists");
    filter.sample_lists = parse_lists(section, "sample_lists");
    if (const Value* samples = section.find("samples")) {
        if (samples->kind != Value::Kind::list)
            section.error(*samples, "\"samples\"", "must be a list");
        for (const Value& item : samples->items) {
            Section keys(item, "sample", "sample", out.errors);
            Sample sample;
            sample.where = item.where;
            keys.text("line", sample.line);
            keys.text("match", sample.match);
            keys.text("ip", sample.ip);
            keys.text("user", sample.user);
            if (sample.line.empty() || sample.match.empty())
                section.error(item, "sample", "needs \"line\" and \"match\"",
                              "match is a pattern's id, none or ignored");
            else
                filter.samples.push_back(std::move(sample));
        }
    }
    if (filter.failregex.empty() && out.errors.empty())
        section.error(*file, "filter \"" + filter.name + "\"", "has no failregex");
    return out;
}

Loaded load_config(const std::string& path, const std::vector<std::string>& data_directories,
                   const ZoneReader& read_zone, Samples samples) {
    Loaded loaded = Loader(data_directories, read_zone, samples).run(path);
    std::ranges::stable_sort(loaded.errors, {}, &Error::where);
    return loaded;
}

std::vector<std::string> data_directories() {
    std::vector<std::string> directories;
    if (const char* given = std::getenv("BANDD_DATA"); given != nullptr && *given == '/')
        directories.emplace_back(given);
    std::error_code fault;
    // build/PRESET/bandd in the source tree; PREFIX/bin/bandctl when installed.
    fs::path self = fs::read_symlink("/proc/self/exe", fault).parent_path();
    if (!fault) {
        fs::path tree = self.parent_path().parent_path();
        if (fs::exists(tree / "CMakeLists.txt", fault) && fs::exists(tree / "filters", fault))
            directories.push_back(tree.string());
        fs::path share = self.parent_path() / "share" / "bandd";
        if (fs::exists(share / "filters", fault)) directories.push_back(share.string());
    }
    if (std::ranges::find(directories, BANDD_DATA_DIR) == directories.end())
        directories.emplace_back(BANDD_DATA_DIR);
    return directories;
}

}  // namespace bandd

// SPDX-License-Identifier: GPL-2.0-or-later
#include "config/load.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <set>

#include "config/actions.h"
#include "config/jail.h"
#include "config/names.h"
#include "config/program_table.h"
#include "config/references.h"
#include "config/root.h"
#include "config/settings.h"
#include "config/shipped_jails.h"
#include "core/base/suggest.h"
#include "core/decide/escalation.h"

namespace bandd {
namespace fs = std::filesystem;

namespace {

bool machine_has_journal() {
    std::error_code fault;
    return fs::exists("/run/systemd/journal/socket", fault);
}

bool exists_now(const LogSpec& log) { return !glob_files(log.path).empty(); }

// The journal is for machines without the log: both would count everything twice.
void choose_log_or_journal(JailConfig& jail, bool any_log) {
    if (!jail.journal || jail.logs.empty()) return;
    if (any_log || (jail.journal->directory.empty() && !machine_has_journal()))
        jail.journal.reset();
    else
        jail.logs.clear();
}

// For `enabled: auto`.
bool has_something_to_read(const JailConfig& jail, bool any_log) {
    if (jail.reads_stdin || any_log || jail.syslog || jail.is_fed()) return true;
    return jail.journal && (machine_has_journal() || !jail.journal->directory.empty());
}

class Loader {
  public:
    Loader(const std::vector<std::string>& data, const ZoneReader& read_zone, Samples samples,
           IdleJails idle)
        : data_(data), read_zone_(read_zone), samples_(samples), idle_(idle) {}

    Loaded run(const std::string& path) {
        auto root = read_root(path);
        if (!root)
            reading_.errors.push_back(root.error());
        else
            load(*root);
        std::ranges::stable_sort(reading_.errors, {}, &Error::where);
        return {std::move(config_), std::move(reading_.errors), std::move(reading_.warnings)};
    }

    Loaded run_with(const Candidate& candidate, const std::string& path) {
        candidate_ = candidate;
        return run(path);
    }

    std::expected<Config, std::vector<Error>> keys(const std::string& path,
                                                   const TextReader& read) {
        reading_.read_file = read;
        if (auto root = read_root(path); !root)
            reading_.errors.push_back(root.error());
        else
            load_keys(*root);
        std::ranges::stable_sort(reading_.errors, {}, &Error::where);
        if (!reading_.errors.empty()) return std::unexpected(std::move(reading_.errors));
        return std::move(config_);
    }

  private:
    // bandd.yaml; without it, an empty document.
    Result<Value> read_root(const std::string& path) {
        std::error_code fault;
        auto status = fs::status(path, fault);
        if (!fs::exists(status) && !candidate_)
            return fail("cannot read \"" + path + "\"",
                        fault ? fault.message() : "No such file or directory",
                        "give the configuration with --config DIR");
        fs::path file = path;
        bool is_directory = fs::is_directory(status) || (!fs::exists(status) && candidate_);
        if (is_directory) file /= "bandd.yaml";
        fs::path directory = fs::absolute(file).lexically_normal().parent_path();
        file = fs::path(path).is_absolute() ? directory / file.filename() : file.lexically_normal();
        reading_.directory = directory.string();
        file_ = (directory / file.filename()).string();
        directories_.push_back(reading_.directory);
        directories_.insert(directories_.end(), data_.begin(), data_.end());
        // By the name that it is to have, so that what it includes is looked for there.
        if (candidate_ && candidate_->place == Candidate::For::configuration)
            return read_document(file.string(), [&](const std::string& name) {
                return reading_.read_file(name == file.string() ? candidate_->file : name);
            });
        if (is_directory && !fs::exists(file, fault)) return Value{};
        return read_document(file.string(), reading_.read_file);
    }

    // What stands in bandd.yaml and jails/.
    void load_keys(const Value& document) {
        RootDraft root;
        root_keys().read(document, "bandd.yaml", reading_, root);
        config_ = std::move(root.config);
        config_.directory = reading_.directory;
        config_.file = file_;
        defaults_map_ = root.defaults;
        if (root.defaults != nullptr) read_jail(*root.defaults, "defaults", reading_, defaults_);
        tell_settings(document);
        load_jails(root.jails);
        add_implied_jail(manual_jail, "bans by hand");
        if (!config_.fleet.join.empty())
            add_implied_jail(fleet_jail, "bans of other machines' jails");
        add_programs(config_.access, config_.programs);
    }

    // Jails are told one by one.
    void tell_settings(const Value& document) {
        config_.settings = settings_of(root_keys(), {&document});
        std::erase_if(config_.settings, [](const Setting& setting) {
            return setting.key == "jails" || setting.key.starts_with("jails.");
        });
    }

    void load(const Value& document) {
        load_keys(document);
        check_remote_jails(config_, names_, reading_.errors);
        check_guessing(config_, reading_.warnings);
        check_readable();
        load_filters();
        take_logins(config_, reading_.errors);
        check_filter_uses(config_, reading_.errors);
        load_zones();
        check_databases(config_, reading_.errors);
    }

    // Of bandd.yaml, and of the files in jails/ that it does not include itself.
    void load_jails(const Value* jails) {
        std::set<std::string> included;
        if (candidate_ && candidate_->place == Candidate::For::jails) {
            add_jails_of(candidate_->file);
            replaced_ = names_;
        }
        if (jails != nullptr) {
            for (const auto& [name, keys] : jails->entries) included.insert(name.where.file);
            add_jails(*jails);
        }
        std::string directory = reading_.directory + "/jails";
        if (auto unreadable = unreadable_directory(directory))
            reading_.errors.push_back(std::move(*unreadable));
        for (const std::string& path : glob_files(directory + "/*.yaml")) {
            if (!included.contains(path)) add_jails_of(path);
        }
    }

    void add_jails_of(const std::string& path) {
        auto file = read_document(path, reading_.read_file);
        if (!file)
            reading_.errors.push_back(file.error());
        else if (file->kind != Value::Kind::null)
            add_jails(*file);
    }

    void add_jails(const Value& jails) {
        if (jails.kind != Value::Kind::map) {
            error(jails.where, "\"jails\"", "must be a map: a name, then its keys");
            return;
        }
        for (const auto& [name, keys] : jails.entries) {
            if (replaced_.contains(name.text)) continue;
            std::string what = "jail \"" + name.text + "\"";
            if (!is_jail_name(name.text))
                error(name.where, what,
                      "a jail's name is letters, digits, \"-\", \"_\" and \".\", begins with a "
                      "letter and has at most 63 characters");
            else if (!names_.insert(name.text).second)
                error(name.where, what, "is defined twice", "remove one of them");
            else
                add_jail(name, keys, what);
        }
    }

    void add_jail(const Value& name, const Value& said, const std::string& what) {
        auto whole = shipped_.completed(name.text, said);
        if (!whole) {
            reading_.errors.push_back(whole.error());
            return;
        }
        const Value& keys = *whole;
        JailDraft draft = defaults_;
        JailConfig& jail = draft.jail;
        jail.where = name.where;
        jail.rules.name = name.text;
        jail.filter = name.text;
        jail.filter_where = name.where;
        read_jail(keys, what, reading_, draft);
        add_actions(draft);
        JailSettings& told = config_.jail_settings.emplace_back(
            JailSettings{name.text, name.where, JailUse::used,
                         settings_of(jail_keys(), {&keys, defaults_map_}, {"ignoreip"})});
        if (jail.enabled == Enabled::no) {
            told.use = JailUse::disabled;
            return;
        }
        add_programs(jail, config_.programs);
        // One whose name is misspelt takes no source from a shipped jail, and would wait for ever.
        bool has_source = jail.reads_anything() || jail.is_fed() || name.text == manual_jail ||
                          name.text == fleet_jail;
        if (!has_source) error(name.where, what, "watches nothing", shipped_like(name.text));
        bool any_log = std::ranges::any_of(jail.logs, exists_now);
        choose_log_or_journal(jail, any_log);
        if (idle_ == IdleJails::leave_out && jail.enabled == Enabled::automatic &&
            !has_something_to_read(jail, any_log)) {
            told.use = JailUse::idle;
            return;
        }
        if (!jail.reads_anything()) jail.filter.clear();
        config_.jails.push_back(std::move(jail));
    }

    std::string shipped_like(const std::string& name) {
        auto shipped = shipped_.all();
        std::vector<std::string_view> names;
        for (const auto& [one, jail] : shipped)
            if (one != name) names.push_back(one);
        std::string near = did_you_mean(name, names);
        return near.empty()
                   ? "give it a \"logpath\", \"journal\" or \"syslog\", or \"enabled: false\""
                   : near;
    }

    // The widest IPv6 prefix that the jail bans.
    static int widest_of(const JailRules& rules) {
        int widest = rules.v6_length;
        Prefix counted = make_prefix(Address{}, rules.v6_length);
        Escalation(rules).for_wider(
            counted, [&](const Prefix& wider, std::uint32_t) { widest = wider.length; });
        return widest;
    }

    // Bans by hand need a jail, whether it is configured or not; those of the fleet do, too.
    void add_implied_jail(std::string_view name, std::string_view description) {
        if (names_.contains(std::string(name))) return;
        JailDraft draft = defaults_;
        draft.jail.rules.name = name;
        draft.jail.description = description;
        draft.jail.logs.clear();
        add_actions(draft);
        add_programs(draft.jail, config_.programs);
        config_.jails.push_back(std::move(draft.jail));
        config_.jail_settings.push_back(
            {std::string(name), {}, JailUse::used, settings_of(jail_keys(), {defaults_map_})});
    }

    void add_actions(JailDraft& draft) {
        const JailRules& rules = draft.jail.rules;
        ActionContext context;
        context.jail = rules.name;
        context.ports = draft.ports;
        context.auto_ports = draft.auto_ports;
        context.protocols = draft.protocols;
        context.service_known = draft.jail.service.is_known();
        context.directories = directories_;
        context.widest4 = rules.v4_length;
        context.widest6 = widest_of(rules);
        Value nftables;
        nftables.kind = Value::Kind::scalar;
        nftables.text = "nftables";
        nftables.where = draft.jail.where;
        draft.jail.actions =
            parse_actions(draft.action == nullptr ? nftables : *draft.action, context, reading_);
    }

    // What cannot be read in the configuration is not as good as what is shipped.
    void check_readable() {
        for (const char* place : {"/filters", "/actions"})
            if (auto unreadable = unreadable_directory(reading_.directory + place))
                reading_.errors.push_back(std::move(*unreadable));
    }

    void load_filters() {
        for (const JailConfig& jail : config_.jails) {
            if (jail.filter.empty() || config_.filters.contains(jail.filter)) continue;
            if (auto path = find_filter(jail.filter)) {
                LoadedFilter loaded = load_filter(*path, samples_);
                std::ranges::move(loaded.errors, std::back_inserter(reading_.errors));
                config_.filters.emplace(jail.filter, std::move(loaded.filter));
            } else {
                error(jail.filter_where, "filter \"" + jail.filter + "\"",
                      fmt::format("there is no filters/{}.yaml in {}", jail.filter,
                                  fmt::join(directories_, ", ")),
                      filter_like(jail.filter));
            }
        }
    }

    std::optional<std::string> find_filter(const std::string& name) const {
        for (const std::string& directory : directories_) {
            std::string path = directory + "/filters/" + name + ".yaml";
            std::error_code ignored;
            if (fs::exists(path, ignored)) return path;
        }
        return {};
    }

    std::string filter_like(const std::string& name) const {
        std::vector<std::string> names;
        for (const std::string& directory : directories_)
            for (const std::string& file : glob_files(directory + "/filters/*.yaml"))
                names.push_back(fs::path(file).stem().string());
        std::vector<std::string_view> views(names.begin(), names.end());
        return did_you_mean(name, views);
    }

    void load_zones() {
        std::map<std::string, Place> wanted{{"", {}}};  // where each is named first
        for (const JailConfig& jail : config_.jails) {
            for (const LogSpec& log : jail.logs)
                wanted.try_emplace(log.timezone, jail.timezone_where);
            wanted.try_emplace(jail.log_options.timezone, jail.timezone_where);
        }
        for (const auto& [name, where] : wanted) {
            auto zone = read_zone_(name);
            if (zone) {
                config_.zones.emplace(name, *zone);
                continue;
            }
            reading_.errors.push_back(zone.error());
            reading_.errors.back().where = where;
        }
        for (JailConfig& jail : config_.jails) {
            if (!jail.rules.today) continue;
            const LogSpec& log = jail.logs.empty() ? jail.log_options : jail.logs.front();
            if (auto zone = config_.zones.find(log.timezone); zone != config_.zones.end())
                jail.rules.today = zone->second;
        }
    }

    void error(const Place& where, std::string what, std::string reason, std::string hint = {}) {
        reading_.errors.push_back({std::move(what), std::move(reason), std::move(hint), where});
    }

    const std::vector<std::string>& data_;
    const ZoneReader& read_zone_;
    Samples samples_;
    IdleJails idle_;
    Reading reading_;
    Config config_;
    ShippedJails shipped_{data_, reading_.read_file};
    std::string file_;
    JailDraft defaults_;
    const Value* defaults_map_ = nullptr;   // nullptr: not given
    std::vector<std::string> directories_;  // where filters/ and actions/ are looked for
    std::set<std::string> names_;           // of all jails, disabled ones included
    std::optional<Candidate> candidate_;
    std::set<std::string> replaced_;  // jails of the candidate, which go before others
};

}  // namespace

Loaded load_config(const std::string& path, const std::vector<std::string>& data_directories,
                   const ZoneReader& read_zone, Samples samples, IdleJails idle) {
    return Loader(data_directories, read_zone, samples, idle).run(path);
}

Loaded load_config_with(const Candidate& candidate, const std::string& path,
                        const std::vector<std::string>& data_directories,
                        const ZoneReader& read_zone, Samples samples) {
    return Loader(data_directories, read_zone, samples, IdleJails::keep).run_with(candidate, path);
}

std::expected<Config, std::vector<Error>> load_keys(
    const std::string& path, const std::vector<std::string>& data_directories,
    const TextReader& read) {
    const ZoneReader no_zones;
    return Loader(data_directories, no_zones, Samples::skip, IdleJails::leave_out).keys(path, read);
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

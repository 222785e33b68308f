// SPDX-License-Identifier: GPL-2.0-or-later
// Finds the services of this machine and who administers it, shows what their jails would have
// banned, and writes that down: the address in bandd.yaml, the jails in jails/setup.yaml. What is
// planned is a configuration of its own, in a directory for the time being, so that it is checked
// and tried before anything is written.
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <iostream>
#include <map>
#include <set>

#include "cli/admin_address.h"
#include "cli/call.h"
#include "cli/command.h"
#include "cli/journal_lines.h"
#include "cli/output.h"
#include "cli/replay.h"
#include "cli/scratch_directory.h"
#include "cli/services.h"
#include "cli/setup_files.h"
#include "config/load.h"
#include "config/shipped_jails.h"
#include "core/base/printable.h"
#include "core/base/typed_prefix.h"
#include "os/clock.h"
#include "os/zoneinfo.h"

namespace bandd {
namespace {

namespace fs = std::filesystem;

constexpr const char* own_file = "jails/setup.yaml";
constexpr std::string_view own_head =
    "# Jails that bandctl setup found on this machine, as they are shipped. Change what you like: "
    "it only adds\n"
    "# jails that no file names yet. bandctl config JAIL shows all that holds.\n";
// Of logs that are replayed, the newest; older ones would take minutes.
constexpr std::uintmax_t most_replayed = std::uintmax_t{1} << 30;
constexpr std::size_t most_days = 36'500;

struct Options {
    bool yes = false, simulate = false, force = false;
    std::vector<std::string> admins;
    std::size_t days = 7;
};

// One file that is to be written.
struct PlannedFile {
    std::string path, text, what;  // what: "new", "ignoreip gets 203.0.113.9"
    std::string before;            // its text when this was planned
};

bool on_terminal() { return isatty(STDIN_FILENO) != 0 && isatty(STDOUT_FILENO) != 0; }

std::string ask(const std::string& question) {
    print_wrapped("{} ", question);
    flush_output();
    std::string answer;
    std::getline(std::cin, answer);
    return answer;
}

std::string text_of_file(const std::string& path) { return read_text(path).value_or(""); }

// The one that installations have, for who has none yet.
std::string new_bandd_yaml() {
    for (const std::string& directory : data_directories())
        for (const char* name : {"/bandd.yaml", "/packaging/bandd.yaml"})
            if (auto text = read_text(directory + name)) return *text;
    return "defaults:\n  ignoreip: [127.0.0.0/8, \"::1\"]\n";
}

// "/var/log/mail.log" and what it was rotated to.
std::vector<fs::path> with_rotated(const std::string& pattern) {
    std::vector<fs::path> files;
    for (const std::string& file : glob_files(pattern)) {
        files.emplace_back(file);
        for (const char* rotated : {".[0-9]*", "-[0-9]*"})
            for (const std::string& old : glob_files(file + rotated)) files.emplace_back(old);
    }
    return files;
}

class Setup {
  public:
    Setup(const CommonOptions& common, const Options& options)
        : common_(common), options_(options), directory_(common.config) {}

    int run() {
        std::error_code ignored;
        if (fs::exists(directory_, ignored) && !fs::is_directory(directory_, ignored))
            return refuse({"\"" + directory_ + "\"",
                           "is no directory",
                           "setup writes two files into one",
                           {}});
        // Who is to be asked first may take his time: then others may write meanwhile.
        if (options_.yes && !lock()) return exit_said_no;
        if (!read_what_is_there() || !find_admins()) return exit_usage;
        find_jails();
        if (!plan()) return exit_usage;
        if (auto tried = try_plan(); !tried) {
            for (const Error& error : tried.error()) print_error(error);
            return exit_usage;
        }
        if (common_.json) return finish_json();
        show();
        if (files_.empty()) {
            print_wrapped("nothing is to be written\n");
            return exit_done;
        }
        if (!options_.yes && !is_confirmed()) return exit_said_no;
        if (!write()) return exit_said_no;
        say_next();
        return exit_done;
    }

  private:
    static int refuse(const Error& error) {
        print_error(error);
        return exit_usage;
    }

    bool read_what_is_there() {
        std::error_code ignored;
        if (!fs::exists(directory_, ignored)) return true;
        // Jails only, as logs may be missing and filters may be wrong in a way that is no matter
        // here.
        Loaded loaded = load_config(directory_, data_directories(), read_zone);
        for (const Error& error : loaded.errors) print_error(error);
        if (!loaded.errors.empty()) {
            print_error({"setup",
                         "adds nothing to a configuration with errors",
                         "mend it first: bandctl check",
                         {}});
            return false;
        }
        for (const JailSettings& jail : loaded.config.jail_settings)
            if (!jail.where.file.empty()) configured_[jail.name] = jail.where;
        for (const JailConfig& jail : loaded.config.jails)
            if (jail.rules.name == manual_jail) ignored_ = jail.rules.ignoreip;
        return true;
    }

    Result<Prefix> read_admin(const std::string& word) const {
        auto prefix = read_prefix(word);
        if (prefix && is_too_wide_to_allow(*prefix) && !options_.force)
            return fail("\"" + word + "\"", "is a wide block, of which nobody would ever be banned",
                        "--force takes it");
        return prefix;
    }

    // An empty answer takes what was found.
    std::optional<Prefix> ask_for_admin() const {
        std::string found = login_ ? to_string(*login_) : "";
        std::string question =
            fmt::format("The address that you administer from, which is never banned{}:",
                        found.empty() ? " (none)" : " [" + found + "]");
        for (;;) {
            std::string answer = ask(question);
            if (answer.empty()) answer = found;
            if (answer.empty()) return {};
            auto prefix = read_admin(answer);
            if (prefix) return *prefix;
            print_error(prefix.error());
            if (!std::cin) return {};
        }
    }

    bool find_admins() {
        for (const std::string& word : options_.admins) {
            auto prefix = read_admin(word);
            if (!prefix) {
                print_error(prefix.error());
                return false;
            }
            admins_.push_back(*prefix);
        }
        if (admins_.empty()) {
            login_ = address_of_login();
            std::optional<Prefix> found;
            if (!options_.yes && !common_.json && on_terminal())
                found = ask_for_admin();
            else if (login_)
                found = make_prefix(*login_, login_->bits());
            if (found) admins_.push_back(*found);
        }
        for (const Prefix& admin : admins_)
            if (!ignored_.contains(admin.network)) new_admins_.push_back(admin);
        return true;
    }

    bool lock() {
        if (lock_) return true;
        auto locked = lock_directory(directory_);
        if (locked)
            lock_ = std::move(*locked);
        else
            print_error(locked.error());
        return locked.has_value();
    }

    void find_jails() {
        const std::vector<std::string> directories = data_directories();
        const TextReader reader = read_text;
        ShippedJails shipped(directories, reader);
        for (Service& service : find_services(shipped.all())) {
            if (configured_.contains(service.jail))
                known_.push_back(std::move(service));
            else if (service.must_be_asked_for)
                on_request_.push_back(std::move(service));
            else
                found_.push_back(std::move(service));
        }
    }

    bool plan() {
        std::string yaml = directory_ + "/bandd.yaml";
        std::error_code ignored;
        bool is_there = fs::exists(yaml, ignored);
        std::string old = is_there ? text_of_file(yaml) : new_bandd_yaml();
        auto fresh = with_ignored(old, new_admins_);
        if (!fresh || !parse_document(*fresh, yaml)) {
            refuse({"\"" + yaml + "\"",
                    "its \"ignoreip\" is written in a way that setup does not change",
                    fmt::format("add {} there, then run setup again", admin_list(new_admins_)),
                    {}});
            return false;
        }
        bandd_yaml_ = *fresh;
        if (!is_there)
            files_.push_back(
                {yaml, *fresh,
                 "new" + (new_admins_.empty() ? "" : ", with ignoreip " + admin_list(new_admins_)),
                 ""});
        else if (!new_admins_.empty())
            files_.push_back({yaml, *fresh, "ignoreip gets " + admin_list(new_admins_), old});
        plan_jails();
        return true;
    }

    void plan_jails() {
        std::string path = directory_ + "/" + own_file;
        std::string old = text_of_file(path);
        std::string added;
        for (const Service& service : found_)
            added += fmt::format("{}: {{enabled: auto{}}}{}\n", service.jail,
                                 options_.simulate ? ", simulate: true" : "",
                                 service.description.empty() ? "" : "  # " + service.description);
        setup_yaml_ = old.empty() ? std::string(own_head) + added
                                  : old + (old.ends_with('\n') ? "" : "\n") + added;
        if (added.empty()) return;
        files_.push_back({path, setup_yaml_,
                          old.empty() ? "new, with " + count_of(found_.size(), "jail")
                                      : count_of(found_.size(), "jail") + " more",
                          old});
    }

    static std::string admin_list(const std::vector<Prefix>& admins) {
        std::vector<std::string> words;
        for (const Prefix& one : admins)
            words.push_back(one.is_single() ? to_string(one.network) : to_string(one));
        return fmt::format("{}", fmt::join(words, ", "));
    }

    // What is there, by links, with the two files as planned in place of theirs.
    Result<> make_plan(const fs::path& plan) const {
        std::error_code fault;
        fs::path there = fs::absolute(directory_, fault);
        fs::create_directory(plan / "jails", fault);
        for (const char* folder : {"", "jails"})
            for (const auto& entry : fs::directory_iterator(there / folder, fault))
                if (fs::path link = plan / folder / entry.path().filename();
                    entry.path().filename() != "jails")
                    fs::create_symlink(entry.path(), link, fault);
        for (const auto& [name, text] :
             {std::pair("bandd.yaml", &bandd_yaml_), std::pair(own_file, &setup_yaml_)}) {
            fs::remove(plan / name, fault);
            if (auto done = write_all({{name, *text}}, plan.string()); !done) return done;
        }
        return {};
    }

    std::expected<void, std::vector<Error>> try_plan() {
        auto scratch = ScratchDirectory::make();
        if (!scratch) return std::unexpected(std::vector{scratch.error()});
        if (auto made = make_plan(scratch->path()); !made)
            return std::unexpected(std::vector{made.error()});
        CommonOptions planned = common_;
        planned.config = scratch->path();
        since_ = now() - std::chrono::days(std::min(options_.days, most_days));
        Loaded loaded = load_config(planned.config, data_directories(), read_zone);
        if (!loaded.errors.empty()) return std::unexpected(std::move(loaded.errors));
        std::vector<std::string> logs = logs_of(loaded.config);
        auto of_journal = journals_of(loaded.config, scratch->path());
        if ((logs.empty() && of_journal.empty()) || options_.days == 0) return {};
        if (!common_.json && on_terminal())
            print_wrapped("Looking through {} …\n", count_of(logs.size(), "log"));
        flush_output();
        for (const auto& [path, jail] : of_journal) logs.push_back(path);
        ReplayOptions options{.logs = std::move(logs), .of_jails = std::move(of_journal)};
        return replay(planned, options, [this](const Engine& engine, const Event& event) {
            const auto* banned = std::get_if<Banned>(&event);
            if (banned != nullptr && banned->ban.from >= since_)
                banned_[engine.rules(banned->ban.key.jail).name].insert(banned->ban.key.prefix);
        });
    }

    // New, or named by a file before: a service of this machine.
    bool is_found(const JailConfig& jail) const {
        const std::string& name = jail.rules.name;
        return std::ranges::find(found_, name, &Service::jail) != found_.end() ||
               std::ranges::find(known_, name, &Service::jail) != known_.end();
    }

    // The newest first, while there is room.
    std::vector<std::string> logs_of(const Config& config) {
        std::set<std::string> seen;
        std::vector<std::pair<Instant, fs::path>> files;
        for (const JailConfig& jail : config.jails)
            for (const LogSpec& log : is_found(jail) ? jail.logs : std::vector<LogSpec>())
                for (const fs::path& file : with_rotated(log.path)) {
                    struct stat status{};
                    if (!seen.insert(file.string()).second || ::stat(file.c_str(), &status) != 0 ||
                        !S_ISREG(status.st_mode))
                        continue;
                    Instant written{
                        std::chrono::duration_cast<Duration>(std::chrono::seconds(status.st_mtime))
                            .count()};
                    if (written >= since_ && ::access(file.c_str(), R_OK) == 0)
                        files.emplace_back(written, file);
                }
        std::ranges::sort(files, std::greater{});
        std::uintmax_t bytes = 0;
        std::vector<std::string> logs;
        for (const auto& [written, file] : files) {
            std::error_code fault;
            bytes += fs::file_size(file, fault);
            if (bytes > most_replayed && !logs.empty()) {
                left_out_ = files.size() - logs.size();
                break;
            }
            logs.push_back(file.string());
        }
        return logs;
    }

    // What the journal has for each jail that reads it, as files in `directory`.
    std::map<std::string, std::string> journals_of(const Config& config,
                                                   const std::string& directory) {
        std::map<std::string, std::string> files;
        for (const JailConfig& jail : config.jails) {
            if (!is_found(jail) || !jail.journal || options_.days == 0) continue;
            std::string name = jail.rules.name;
            std::string file = directory + "/" + name + ".journal";
            if (!write_journal(*jail.journal, since_, file)) continue;
            files[file] = name;
            of_journal_.insert(name);
        }
        return files;
    }

    std::string would_have_banned(const Service& service) const {
        if (options_.days == 0) return "";
        bool journal = service.reads == "the journal";
        if (service.reads.empty() || (journal && !of_journal_.contains(service.jail)))
            return "not known";
        auto found = banned_.find(service.jail);
        return found == banned_.end() ? "nobody" : count_of(found->second.size(), "address");
    }

    // Who is to be let in, and would have been banned all the same without `ignoreip`: found among
    // the bans only if he is not ignored, as by a login whose address was not taken.
    std::vector<std::string> jails_that_ban(const Address& address) const {
        std::vector<std::string> jails;
        for (const auto& [jail, prefixes] : banned_)
            if (std::ranges::any_of(prefixes,
                                    [&](const Prefix& one) { return contains(one, address); }))
                jails.push_back(jail);
        return jails;
    }

    void print_services(const char* title, const std::vector<Service>& services) const {
        if (services.empty()) return;
        std::vector<std::vector<std::string>> rows;
        for (const Service& service : services)
            rows.push_back({service.jail,
                            service.reads.empty() ? "nothing yet" : printable(service.reads),
                            would_have_banned(service), printable(service.description)});
        print_wrapped("{}\n\n", bold(title));
        print_table({"JAIL", "READS", fmt::format("BANS IN {} D", options_.days), "SERVICE"}, rows,
                    {"SERVICE"});
        print_wrapped("\n");
    }

    void show() {
        if (found_.empty()) print_wrapped("No service was found that no file names yet.\n\n");
        if (found_.empty() && options_.simulate)
            print_wrapped(
                "{}\n\n",
                yellow("warning: --simulate is for new jails, and changes none that a file "
                       "names: write simulate: true there"));
        print_services("Found", found_);
        print_services("Configured already", known_);
        if (!on_request_.empty()) {
            std::vector<std::string> names;
            for (const Service& service : on_request_) names.push_back(service.jail);
            print_wrapped(
                "Here, too, but to be asked for (enabled: true), as the shipped files say: "
                "{}\n\n",
                fmt::join(names, ", "));
        }
        if (left_out_ > 0)
            print_wrapped("{} more were not looked through: these are more than 1 GiB\n",
                          count_of(left_out_, "log"));
        print_wrapped("Never banned: this machine{}\n",
                      admins_.empty() ? "" : ", " + admin_list(admins_));
        if (admins_.empty())
            print_wrapped("{}\n", yellow("warning: no address of yours is known, so you may ban "
                                         "yourself: --admin ADDRESS"));
        if (login_ && !ignored_.contains(*login_) &&
            std::ranges::none_of(admins_,
                                 [&](const Prefix& one) { return contains(one, *login_); }))
            for (const std::string& jail : jails_that_ban(*login_))
                print_wrapped(
                    "{}\n",
                    yellow(fmt::format(
                        "warning: {}, from which you are logged in, would have been banned by {}",
                        to_string(*login_), jail)));
        for (const PlannedFile& file : files_)
            print_wrapped("{} {}: {}\n", options_.yes ? "Writes" : "To be written:", file.path,
                          file.what);
    }

    bool is_confirmed() const {
        if (!on_terminal()) {
            print_error({"setup", "has written nothing", "--yes writes it", {}});
            return false;
        }
        std::string answer = ask("Write this? [y/N]");
        bool yes = answer == "y" || answer == "Y" || answer == "yes";
        if (!yes) print_wrapped("nothing was written\n");
        return yes;
    }

    bool write() {
        if (!lock()) return false;
        for (const PlannedFile& file : files_)
            if (text_of_file(file.path) != file.before) {
                print_error({"\"" + file.path + "\"",
                             "was changed since it was read, so nothing was written",
                             "run setup again",
                             {}});
                return false;
            }
        for (const PlannedFile& file : files_)
            if (auto done = put_file(file.path, file.text); !done) {
                print_error(done.error());
                return false;
            }
        return true;
    }

    void say_next() const {
        if (options_.simulate && !found_.empty())
            print_wrapped(
                "The new jails ban nobody yet: take \"simulate: true\" out of {}/{} once their "
                "\"would ban\" is right.\n",
                directory_, own_file);
        print_wrapped("next: bandctl check, then {}\n",
                      is_running(common_) ? "bandctl reload" : "start bandd");
    }

    Json to_json(const std::vector<Service>& services) const {
        Json list = Json::array();
        for (const Service& service : services) {
            Json& one = list.emplace_back(Json{{"jail", service.jail},
                                               {"description", service.description},
                                               {"reads", service.reads},
                                               {"file", service.file}});
            auto banned = banned_.find(service.jail);
            Json& addresses = one["would_have_banned"] = Json::array();
            if (banned == banned_.end()) continue;
            for (const Prefix& prefix : banned->second) addresses.push_back(to_string(prefix));
        }
        return list;
    }

    int finish_json() {
        bool changes = !files_.empty();
        if (options_.yes && changes && !write()) return exit_said_no;
        Json files = Json::array();
        for (const PlannedFile& file : files_)
            files.push_back({{"path", file.path}, {"what", file.what}});
        Json admins = Json::array();
        for (const Prefix& one : admins_) admins.push_back(to_string(one));
        print_json({{"found", to_json(found_)},
                    {"on_request", to_json(on_request_)},
                    {"configured", to_json(known_)},
                    {"admins", admins},
                    {"files", files},
                    {"changed", options_.yes && changes}});
        return options_.yes || !changes ? exit_done : exit_said_no;
    }

    const CommonOptions& common_;
    const Options& options_;
    std::string directory_;
    Fd lock_;
    std::map<std::string, Place> configured_;  // jails that a file names
    PrefixSet ignored_;                        // by defaults
    std::optional<Address> login_;
    std::vector<Prefix> admins_, new_admins_;  // new: not in `ignored_` yet
    std::vector<Service> found_, known_, on_request_;
    std::string bandd_yaml_, setup_yaml_;  // as planned
    std::vector<PlannedFile> files_;       // those that change
    Instant since_;
    std::map<std::string, std::set<Prefix>> banned_;  // by jail, since `since_`
    std::set<std::string> of_journal_;                // jails whose journal was looked through
    std::size_t left_out_ = 0;                        // logs
};

}  // namespace

Run setup_command(CommandLine& line) {
    auto options = std::make_shared<Options>();
    line.flag("-y,--yes", options->yes, "write without asking");
    line.texts(
        "--admin", options->admins,
        "addresses or CIDR blocks that are never banned (default: where you are logged in from)");
    line.flag("--force", options->force,
              "even if an --admin is a block wider than a /8 (IPv6: /16)");
    line.flag("--simulate", options->simulate, "new jails only say whom they would ban");
    line.number("--days", options->days, "look through logs of so many days; 0: none");
    return [options](const CommonOptions& common) { return Setup(common, *options).run(); };
}

}  // namespace bandd

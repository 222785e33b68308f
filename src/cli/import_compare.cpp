// SPDX-License-Identifier: GPL-2.0-or-later
// bandd's side is a replay. fail2ban's side is a model of its counting, fed with the failures that
// its own fail2ban-regex finds; or, where that cannot be asked, with those that bandd finds.
#include "cli/import_compare.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <map>

#include "cli/output.h"
#include "cli/replay.h"
#include "cli/scratch_directory.h"
#include "config/load.h"
#include "core/base/printable.h"
#include "import/fail2ban_model.h"
#include "import/to_yaml.h"
#include "import/words.h"
#include "os/fd.h"
#include "os/interfaces.h"
#include "os/zoneinfo.h"

namespace bandd {
namespace {

namespace fs = std::filesystem;
using fail2ban::JailDefinition;
using fail2ban::JailModel;
using fail2ban::ModelRules;

struct Failure {
    Instant at;
    Prefix address;
};

// What a program prints, as far as `most` bytes; nothing if it cannot be run or fails.
std::optional<std::string> output_of(std::vector<std::string> words, std::size_t most) {
    std::array<int, 2> ends{};
    if (::pipe2(ends.data(), O_CLOEXEC) != 0) return {};
    Fd out(ends[0]), in(ends[1]);
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, in.get(), STDOUT_FILENO);
    posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
    std::vector<char*> arguments;
    for (std::string& word : words) arguments.push_back(word.data());
    arguments.push_back(nullptr);
    pid_t pid = 0;
    int failed =
        ::posix_spawnp(&pid, words[0].c_str(), &actions, nullptr, arguments.data(), environ);
    posix_spawn_file_actions_destroy(&actions);
    if (failed != 0) return {};
    in = Fd();
    std::string text;
    std::array<char, 64 << 10> buffer{};
    for (ssize_t got = 0; (got = ::read(out.get(), buffer.data(), buffer.size())) > 0;)
        if (text.size() < most) text.append(buffer.data(), static_cast<std::size_t>(got));
    int status = 0;
    while (::waitpid(pid, &status, 0) < 0 && errno == EINTR) {
    }
    bool good = WIFEXITED(status) && WEXITSTATUS(status) == 0 && text.size() < most;
    return good ? std::optional(std::move(text)) : std::nullopt;
}

// Lines of `fail2ban-regex -o row`: ['203.0.113.9',<tab>1796072416.0,<tab>{…}],
std::vector<Failure> parse_rows(const std::string& text) {
    std::vector<Failure> failures;
    for (std::size_t at = 0; at < text.size();) {
        std::size_t end = std::min(text.find('\n', at), text.size());
        std::string_view line(text.data() + at, end - at);
        at = end + 1;
        auto close = line.find("',\t");
        if (!line.starts_with("['") || close == line.npos) continue;
        auto prefix = parse_prefix(line.substr(2, close - 2));
        double seconds = 0;
        auto [rest, fault] =
            std::from_chars(line.data() + close + 3, line.data() + line.size(), seconds);
        if (!prefix || fault != std::errc{} || !(seconds >= 0 && seconds < 1e11)) continue;
        failures.push_back({Instant{std::llround(seconds * 1e6)}, *prefix});
    }
    return failures;
}

// What its own program finds in these logs. Nothing if it is not installed, or cannot be told what
// the jail says of the filter.
std::optional<std::vector<Failure>> ask_fail2ban(const std::string& from,
                                                 const JailDefinition& jail,
                                                 const std::vector<std::string>& logs) {
    constexpr std::size_t longest_answer = std::size_t{1} << 30;
    for (const char* own : {"failregex", "ignoreregex", "prefregex"})
        if (jail.options.contains(own)) return {};
    std::vector<std::string> words{"fail2ban-regex", "-c", from, "--usedns", "no", "-o", "row"};
    for (auto [option, flag] : {std::pair{"datepattern", "-d"}, std::pair{"logencoding", "-e"},
                                std::pair{"logtimezone", "--TZ"}, std::pair{"maxlines", "-L"}}) {
        std::string value = fail2ban::option(jail.options, option);
        if (!value.empty() && value != "auto") words.insert(words.end(), {flag, value});
    }
    std::vector<Failure> failures;
    for (const std::string& log : logs) {
        std::vector<std::string> all = words;
        all.insert(all.end(), {log, fail2ban::option(jail.options, "filter")});
        auto text = output_of(all, longest_answer);
        if (!text) return {};
        std::ranges::move(parse_rows(*text), std::back_inserter(failures));
    }
    std::ranges::stable_sort(failures, {}, &Failure::at);
    return failures;
}

// One jail on both sides.
struct Compared {
    std::string name;
    const JailConfig* config = nullptr;
    std::vector<Failure> ours, theirs;  // failures, in the order of their times
    bool asked = false;                 // theirs are fail2ban's own
    std::map<Prefix, Instant> banned;   // by bandd, the first time
    std::map<Prefix, Instant> banned_there;
    std::vector<fail2ban::ModelBan> bans_there;
    std::map<Prefix, std::vector<Instant>> times_there;  // theirs, by address
    std::map<Prefix, std::size_t> counts_here;           // ours, by address

    struct Difference {
        Prefix who;
        bool there = false;  // by fail2ban alone
        std::string why;
    };
    std::size_t bans_here = 0;
    std::size_t both = 0;  // addresses
    std::vector<Difference> differences;
};

class Comparison {
  public:
    Comparison(const CommonOptions& common, const std::string& from,
               const fail2ban::Definitions& definitions, const std::vector<std::string>& logs)
        : common_(common), from_(from), definitions_(definitions), logs_(logs) {}

    int run() {
        CommonOptions common = common_;
        std::optional<ScratchDirectory> scratch;
        if (!common.config_given) {
            auto made = ScratchDirectory::make();
            if (made) scratch.emplace(std::move(*made));
            Result<> written =
                made ? write_all(fail2ban::to_yaml(definitions_, from_).files, scratch->path())
                     : std::unexpected(made.error());
            if (!written) {
                print_error(written.error());
                return exit_said_no;
            }
            common.config = scratch->path();
        }
        Loaded loaded = load_config(common.config, data_directories(), read_zone, Samples::skip);
        config_ = std::move(loaded.config);
        if (auto done = replay_ours(common); !done) {
            for (const Error& error : done.error()) print_error(error);
            return exit_usage;
        }
        for (const JailConfig& jail : config_.jails) add(jail);
        feed_with_bans();
        for (Compared& jail : jails_) compare(jail);
        std::erase_if(jails_, [](const Compared& jail) {
            return jail.both == 0 && jail.differences.empty() && jail.ours.empty() &&
                   jail.theirs.empty();
        });
        if (common_.json)
            print_json(to_json());
        else
            print();
        return exit_done;
    }

  private:
    std::expected<void, std::vector<Error>> replay_ours(const CommonOptions& common) {
        return replay(common,
                      {.logs = logs_, .if_unread = "give a log that a jail names in logpath"},
                      [&](const Engine& engine, const Event& event) {
                          auto failed = [&](JailIndex jail, const Address& address, Instant time) {
                              ours_[engine.rules(jail).name].push_back(
                                  {time, make_prefix(address, address.bits())});
                          };
                          if (const auto* found = std::get_if<Found>(&event)) {
                              failed(found->jail, found->address, found->time);
                          } else if (const auto* ignored = std::get_if<Ignored>(&event)) {
                              if (ignored->why == Ignored::Why::already_banned)
                                  failed(ignored->jail, ignored->address, ignored->time);
                          } else if (const auto* banned = std::get_if<Banned>(&event)) {
                              const Ban& ban = banned->ban;
                              const std::string& jail = engine.rules(ban.key.jail).name;
                              banned_[jail].emplace(ban.key.prefix, ban.from);
                              ++bans_[jail];
                          }
                      });
    }

    const JailDefinition* definition_of(const std::string& name) const {
        std::vector<std::string> all;
        for (const JailDefinition& jail : definitions_.jails) all.push_back(jail.name);
        const fail2ban::JailNames names = fail2ban::bandd_names(std::move(all));
        for (const JailDefinition& jail : definitions_.jails)
            if (names.find(jail.name)->second == name && !jail.options.empty()) return &jail;
        return nullptr;
    }

    void add(const JailConfig& config) {
        const JailDefinition* definition = definition_of(config.rules.name);
        if (definition == nullptr) return;
        Compared jail;
        jail.name = config.rules.name;
        jail.config = &config;
        jail.ours = ours_[jail.name];
        jail.banned = banned_[jail.name];
        jail.bans_here = bans_[jail.name];
        std::ranges::stable_sort(jail.ours, {}, &Failure::at);
        std::vector<std::string> logs;
        for (const std::string& log : logs_)
            if (names_log(config, log)) logs.push_back(log);
        std::optional<std::vector<Failure>> theirs;
        if (!config.rules.fed_by_bans && !logs.empty())
            theirs = ask_fail2ban(from_, *definition, logs);
        jail.asked = theirs.has_value();
        jail.theirs = theirs ? std::move(*theirs) : jail.ours;
        std::erase_if(jail.theirs, [&](const Failure& failure) {
            return config.rules.ignoreip.overlaps(failure.address) ||
                   (config.rules.ignoreself && own_.overlaps(failure.address));
        });
        if (!config.rules.fed_by_bans) run_model(jail);
        jails_.push_back(std::move(jail));
    }

    ModelRules rules_of(const Compared& jail) const {
        ModelRules rules;
        rules.maxretry = jail.config->rules.maxretry;
        rules.findtime = jail.config->rules.findtime;
        rules.bantime = jail.config->rules.bantime;
        if (auto purge = parse_duration(fail2ban::option(definitions_.server, "dbpurgeage")))
            rules.purge_age = *purge;
        return rules;
    }

    void run_model(Compared& jail) const {
        JailModel model(rules_of(jail));
        for (const Failure& failure : jail.ours) ++jail.counts_here[failure.address];
        for (const Failure& failure : jail.theirs) {
            jail.times_there[failure.address].push_back(failure.at);
            auto ban = model.on_failure(failure.address, failure.at);
            if (!ban) continue;
            jail.banned_there.emplace(ban->address, ban->from);
            jail.bans_there.push_back(*ban);
        }
    }

    // recidive and the like: the bans of the others are its failures.
    void feed_with_bans() {
        std::vector<Failure> bans;
        for (const Compared& jail : jails_)
            for (const fail2ban::ModelBan& ban : jail.bans_there)
                bans.push_back({ban.from, ban.address});
        std::ranges::stable_sort(bans, {}, &Failure::at);
        for (Compared& jail : jails_) {
            if (!jail.config->rules.fed_by_bans) continue;
            jail.theirs = bans;
            run_model(jail);
        }
    }

    // Of all single addresses in `who`, in a map by them.
    template <class Map, class Each>
    static void for_each_in(const Prefix& who, const Map& map, const Each& each) {
        Prefix first = make_prefix(who.network, who.network.bits());
        for (auto at = map.lower_bound(first); at != map.end(); ++at) {
            if (!contains(who, at->first.network)) break;
            each(at->first, at->second);
        }
    }

    // Runs the model anew under other rules, for one address.
    struct Tried {
        bool banned = false;
        std::uint32_t most = 0;
    };
    static Tried try_model(const ModelRules& rules, const Compared& jail, const Prefix& who) {
        JailModel model(rules);
        Tried tried;
        for (Instant at : jail.times_there.at(who))
            if (model.on_failure(who, at)) tried.banned = true;
        tried.most = model.most_counted(who);
        return tried;
    }

    std::string other_lines(const Compared& jail, const Prefix& who) const {
        std::size_t ours = 0, theirs = 0;
        for_each_in(who, jail.counts_here,
                    [&](const Prefix&, std::size_t count) { ours += count; });
        for_each_in(who, jail.times_there,
                    [&](const Prefix&, const auto& times) { theirs += times.size(); });
        if (ours == theirs) return {};
        if (jail.config->rules.fed_by_bans)
            return fmt::format("{} there, {} here, by the jails before", count_of(theirs, "ban"),
                               ours);
        return fmt::format("its filter finds {}, bandd's {}", count_of(theirs, "failure"), ours);
    }

    std::string why_there(const Compared& jail, const Prefix& who) const {
        if (std::string other = other_lines(jail, who); !other.empty()) return other;
        ModelRules rules = rules_of(jail);
        rules.counts_known_more = false;
        if (!try_model(rules, jail, who).banned)
            return "it was banned before, and fail2ban counts each failure of such an address for "
                   "two or more";
        rules.estimates = false;
        return fmt::format(
            "fail2ban estimates the failures within findtime: it came to {}, there were {} at most",
            rules.maxretry, try_model(rules, jail, who).most);
    }

    std::string why_here(const Compared& jail, const Prefix& who) const {
        std::vector<Prefix> addresses;
        for_each_in(who, jail.counts_here,
                    [&](const Prefix& one, std::size_t) { addresses.push_back(one); });
        if (addresses.size() > 1)
            return fmt::format("{} addresses of one block count together here", addresses.size());
        if (std::string other = other_lines(jail, who); !other.empty()) return other;
        Prefix single = addresses.empty() ? who : addresses.front();
        if (!jail.times_there.contains(single)) return "fail2ban finds no failure of it";
        return fmt::format(
            "fail2ban estimates the failures within findtime: it came to {} at most, of {}",
            try_model(rules_of(jail), jail, single).most, jail.config->rules.maxretry);
    }

    void compare(Compared& jail) const {
        for (const auto& [who, at] : jail.banned_there) {
            bool here = std::ranges::any_of(
                jail.banned, [&](const auto& ban) { return contains(ban.first, who.network); });
            if (here)
                ++jail.both;
            else
                jail.differences.push_back({who, true, why_there(jail, who)});
        }
        for (const auto& [who, at] : jail.banned) {
            bool there = false;
            for_each_in(who, jail.banned_there, [&](const Prefix&, Instant) { there = true; });
            if (!there) jail.differences.push_back({who, false, why_here(jail, who)});
        }
    }

    static std::size_t alone(const Compared& jail, bool there) {
        return static_cast<std::size_t>(
            std::ranges::count(jail.differences, there, &Compared::Difference::there));
    }

    void print() const {
        constexpr std::size_t most_shown = 20;
        std::string unasked;
        for (const Compared& jail : jails_) {
            print_wrapped(
                "{}: {} banned by both, {} by fail2ban alone, {} by bandd alone; {} there, {} "
                "here\n",
                bold(jail.name), jail.both, alone(jail, true), alone(jail, false),
                count_of(jail.bans_there.size(), "ban"), jail.bans_here);
            for (std::size_t i = 0; i < std::min(jail.differences.size(), most_shown); ++i) {
                const Compared::Difference& one = jail.differences[i];
                print_wrapped("  {} alone: {}: {}\n", one.there ? "fail2ban" : "bandd",
                              to_string(one.who), one.why);
            }
            if (jail.differences.size() > most_shown)
                print_wrapped("  … and {} more: --json has all\n",
                              jail.differences.size() - most_shown);
            if (!jail.asked && !jail.config->rules.fed_by_bans)
                unasked += (unasked.empty() ? "" : ", ") + jail.name;
        }
        if (jails_.empty()) print_wrapped("no jail found a failure\n");
        if (!unasked.empty())
            print_wrapped(
                "{}\n", yellow(unasked + ": fail2ban-regex could not be asked, so both sides count "
                                         "the lines that bandd's filters find; only how they count "
                                         "is compared"));
    }

    Json to_json() const {
        Json all = Json::array();
        for (const Compared& jail : jails_) {
            Json differences = Json::array();
            for (const Compared::Difference& one : jail.differences)
                differences.push_back({{"ip", to_string(one.who)},
                                       {"by", one.there ? "fail2ban" : "bandd"},
                                       {"why", one.why}});
            all.push_back({{"jail", jail.name},
                           {"both", jail.both},
                           {"fail2ban_alone", alone(jail, true)},
                           {"bandd_alone", alone(jail, false)},
                           {"fail2ban_bans", jail.bans_there.size()},
                           {"bandd_bans", jail.bans_here},
                           {"asked_fail2ban_regex", jail.asked},
                           {"differences", std::move(differences)}});
        }
        return {{"jails", std::move(all)}};
    }

    const CommonOptions& common_;
    const std::string& from_;
    const fail2ban::Definitions& definitions_;
    const std::vector<std::string>& logs_;
    PrefixSet own_{own_addresses()};
    Config config_;
    std::map<std::string, std::vector<Failure>> ours_;         // by jail
    std::map<std::string, std::map<Prefix, Instant>> banned_;  // by jail
    std::map<std::string, std::size_t> bans_;                  // by jail
    std::vector<Compared> jails_;
};

}  // namespace

int compare_with_fail2ban(const CommonOptions& common, const std::string& from,
                          const fail2ban::Definitions& definitions,
                          const std::vector<std::string>& logs) {
    return Comparison(common, from, definitions, logs).run();
}

}  // namespace bandd

// SPDX-License-Identifier: GPL-2.0-or-later
#include "cli/import_bans.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>

#include "cli/bulk.h"
#include "cli/call.h"
#include "cli/output.h"
#include "cli/progress.h"
#include "config/engine_limits.h"
#include "config/load.h"
#include "control/heritage.h"
#include "core/base/printable.h"
#include "core/decide/engine.h"
#include "import/fail2ban_database.h"
#include "import/to_yaml.h"
#include "os/clock.h"
#include "os/interfaces.h"
#include "os/zoneinfo.h"
#include "store/store.h"

namespace bandd {
namespace {

using fail2ban::FormerBan;
using fail2ban::FormerBans;

// fail2ban forgets an address dbpurgeage after three times its last ban.
constexpr std::uint32_t remembered_times = 3;

// A ban, and which jail of bandd's it goes to.
struct Heirloom {
    std::string jail;
    const FormerBan* ban = nullptr;
    bool ended = false;
};

std::string reason_of(const FormerBan& ban) {
    if (ban.failures == 0) return "fail2ban";
    return "fail2ban: " + count_of(ban.failures, "failure");
}

// Whom the bans are given to. The errors are exit codes, after what failed was said.
class Heir {
  public:
    virtual ~Heir() = default;
    virtual bool has_jail(const std::string& name) const = 0;
    // It takes no bans until it is started.
    virtual bool is_stopped(const std::string&) const { return false; }
    virtual std::expected<Json, int> take(const std::vector<Heirloom>& all) = 0;
};

// A bandd that runs.
class RunningHeir : public Heir {
  public:
    static std::expected<std::unique_ptr<Heir>, int> make(const CommonOptions& common) {
        auto call = begin_call(common, "status", Json::object());
        if (!call) return std::unexpected(call.error());
        std::vector<std::string> jails;
        for (const Json& jail : list(call->result, "jails"))
            jails.push_back(text_argument(jail, "jail"));
        auto stopped = list(call->result, "stopped").get<std::vector<std::string>>();
        return std::unique_ptr<Heir>(new RunningHeir(common, std::move(jails), std::move(stopped)));
    }

    bool has_jail(const std::string& name) const override {
        return std::ranges::find(jails_, name) != jails_.end();
    }

    bool is_stopped(const std::string& name) const override {
        return std::ranges::find(stopped_, name) != stopped_.end();
    }

    std::expected<Json, int> take(const std::vector<Heirloom>& all) override {
        std::vector<Error> refused;
        auto sums = send_slices(
            common_, "inherit many", all.size(),
            [&](std::size_t number) { return order_of(all[number]); }, Json::object(),
            [&](std::size_t, Error error) { refused.push_back(std::move(error)); });
        if (sums && refuse_bad(refused) != exit_done) return std::unexpected<int>(exit_said_no);
        return sums;
    }

  private:
    RunningHeir(const CommonOptions& common, std::vector<std::string> jails,
                std::vector<std::string> stopped)
        : common_(common), jails_(std::move(jails)), stopped_(std::move(stopped)) {}

    static Json order_of(const Heirloom& one) {
        const FormerBan& ban = *one.ban;
        Json order{{"jail", one.jail},
                   {"ip", to_string(ban.prefix)},
                   {"from", ban.from.us},
                   {"offence", ban.offence},
                   {"remembered_times", remembered_times},
                   {"hits", ban.failures},
                   {"reason", reason_of(ban)}};
        if (ban.bantime) order["bantime"] = ban.bantime->count();
        if (one.ended) order["ended"] = true;
        return order;
    }

    const CommonOptions& common_;
    std::vector<std::string> jails_, stopped_;
};

// The state of one that does not run: what bandd would do is done here.
class StoppedHeir : public Heir {
  public:
    static std::expected<std::unique_ptr<Heir>, int> make(const CommonOptions& common) {
        auto refuse = [](const Error& error) {
            print_error(error);
            return std::unexpected<int>(exit_usage);
        };
        Loaded loaded = load_config(common.config, data_directories(), read_zone);
        if (!loaded.errors.empty()) return std::unexpected(refuse_bad(loaded.errors));
        std::error_code fault;
        std::filesystem::create_directories(
            std::filesystem::path(loaded.config.state).parent_path(), fault);
        std::string warning;
        auto store = Store::open(loaded.config.state, warning);
        if (!store) return refuse(store.error());
        if (!warning.empty()) fmt::print(stderr, "{}\n", warning);
        std::unique_ptr<StoppedHeir> made(
            new StoppedHeir(std::move(loaded.config), std::move(*store)));
        if (auto read = made->load(); !read) return refuse(read.error());
        return made;
    }

    bool has_jail(const std::string& name) const override {
        return engine_.find_jail(name).has_value();
    }

    std::expected<Json, int> take(const std::vector<Heirloom>& all) override {
        Json sums = Json::object();
        Instant at = now();
        Outcome outcome;
        for (const Heirloom& one : all) {
            outcome.events.clear();
            Engine::Inherited past = past_of(one);
            auto result = static_cast<std::size_t>(engine_.inherit(past, at, outcome));
            sums[heritages[result]] = sums.value(heritages[result], std::size_t{0}) + 1;
            sums[led_to] = sums.value(led_to, std::size_t{0}) + bans_of_others(outcome, past.jail);
        }
        Checkpoint checkpoint;
        checkpoint.jails = engine_.jail_names();
        checkpoint.at = at;
        checkpoint.changes = engine_.take_changes();
        store_.write(std::move(checkpoint));
        store_.wait();
        if (auto error = store_.take_result()) {
            // Its hint is a daemon's, which bans all the same.
            error->hint = "nothing was taken over; free some space, if that is it, and try again";
            print_error(*error);
            return std::unexpected<int>(exit_said_no);
        }
        return sums;
    }

  private:
    StoppedHeir(Config config, Store store)
        : config_(std::move(config)), store_(std::move(store)), engine_(engine_limits(config_)) {}

    Result<> load() {
        std::vector<JailRules> rules;
        for (const JailConfig& jail : config_.jails) rules.push_back(jail.rules);
        Outcome outcome;
        engine_.set_rules(std::move(rules), now(), outcome);
        engine_.set_own_addresses(PrefixSet(own_addresses()));
        Restore restore;
        restore.expect = [&](std::size_t bans) { engine_.expect_bans(bans); };
        restore.ban = [&](Ban ban) { engine_.restore_ban(std::move(ban)); };
        restore.window = [&](const WindowChange& window) { engine_.restore_window(window); };
        restore.offences = [&](const BanKey& key, const Offences& offences) {
            engine_.restore_offences(key, offences);
        };
        restore.counts = [&](JailIndex jail, const JailCounts& counts) {
            engine_.restore_counts(jail, counts);
        };
        restore.account = [](const AccountChange&) {};
        restore.position = [](const FilePosition&) {};
        return store_.load(engine_.jail_names(), restore);
    }

    Engine::Inherited past_of(const Heirloom& one) const {
        const FormerBan& ban = *one.ban;
        auto story = std::make_shared<Story>();
        story->reason = reason_of(ban);
        Engine::Inherited past;
        past.jail = engine_.find_jail(one.jail).value();
        past.prefix = ban.prefix;
        past.from = ban.from;
        past.bantime = ban.bantime;
        past.ended = one.ended;
        past.offence = ban.offence;
        past.remembered_times = remembered_times;
        past.hits = ban.failures;
        past.story = std::move(story);
        return past;
    }

    Config config_;
    Store store_;
    Engine engine_;
};

std::expected<std::unique_ptr<Heir>, int> find_heir(const CommonOptions& common) {
    auto socket = find_socket(common);
    if (!socket) {
        print_error(socket.error());
        return std::unexpected<int>(exit_usage);
    }
    if (ControlClient::connect(*socket)) return RunningHeir::make(common);
    return StoppedHeir::make(common);
}

// Which bans go to which jail, and of which there is none, by fail2ban's names of them.
struct Shares {
    std::vector<Heirloom> all;
    std::map<std::string, std::size_t> homeless;
    std::map<std::string, std::string> stopped;  // of the homeless; bandd's names of them
};

Shares share_out(const FormerBans& bans, const Heir& heir, const std::string& otherwise) {
    Shares shares;
    std::vector<std::string> homes;  // by fail2ban's jail; empty if there is none
    const fail2ban::JailNames names = fail2ban::bandd_names(bans.jails);
    for (const std::string& jail : bans.jails) {
        const std::string& name = names.find(jail)->second;
        homes.push_back(heir.has_jail(name) ? name : otherwise);
        if (heir.is_stopped(name)) shares.stopped[jail] = name;
    }
    for (const FormerBan& ban : bans.bans)
        if (homes[ban.jail].empty())
            ++shares.homeless[bans.jails[ban.jail]];
        else
            shares.all.push_back({homes[ban.jail], &ban, bans.is_ended(ban)});
    return shares;
}

// Whether all was taken.
bool print_taken(const Json& sums, const Shares& shares, const FormerBans& bans) {
    auto of = [&](const char* key) { return sums.value(key, std::size_t{0}); };
    auto print = [&](const char* key, const char* what) {
        if (of(key) > 0) print_wrapped("{} {}\n", count_of(of(key), "ban"), what);
    };
    print_wrapped("{} in force, to the end that fail2ban gave them\n",
                  count_of(of("banned"), "ban"));
    print("shared", "of addresses that bandd bans, too: until the later end");
    print("over", "over: remembered as offences");
    print("known", "taken over before, or with another address of the same block");
    print(led_to, "more at once, by jails that count bans, as recidive does");
    print("exempt", "left out: ignoreip holds the address, or it is this machine's");
    print("no_room", "left out: ban_limit is reached");
    for (const auto& [jail, count] : shares.homeless) {
        auto stopped = shares.stopped.find(jail);
        std::string why = stopped == shares.stopped.end()
                              ? "bandd has no such jail"
                              : "it is stopped: bandctl start " + stopped->second;
        print_wrapped("{}\n", yellow(fmt::format("{} of jail {} left out, as {}",
                                                 count_of(count, "ban"), printable(jail), why)));
    }
    if (!shares.homeless.empty()) print_wrapped("  --jail manual takes them for the jail manual\n");
    for (const fail2ban::Unusable& row : bans.unusable)
        print_wrapped(
            "{}\n", yellow(fmt::format("{} left out: {}, as of \"{}\"", count_of(row.count, "row"),
                                       row.why, printable(row.example))));
    return shares.homeless.empty() && bans.unusable.empty() && of("no_room") == 0;
}

Json to_json(const Json& sums, const Shares& shares, const FormerBans& bans) {
    Json json{{"homeless", shares.homeless}, {"unusable", Json::array()}};
    json[led_to] = sums.value(led_to, std::size_t{0});
    for (const char* key : heritages) json[key] = sums.value(key, std::size_t{0});
    if (sums.contains("unsaved")) json["unsaved"] = sums["unsaved"];
    for (const fail2ban::Unusable& row : bans.unusable)
        json["unusable"].push_back(
            {{"why", row.why}, {"rows", row.count}, {"example", printable(row.example)}});
    return json;
}

Result<FormerBans> read(const CommonOptions& common, const std::string& database) {
    std::optional<Progress> progress;
    return fail2ban::read_database(database, now(), [&](std::uint64_t done, std::uint64_t all) {
        if (!progress) progress.emplace(all, !common.json);
        progress->show(done);
    });
}

}  // namespace

int import_bans(const CommonOptions& common, const BansImport& options) {
    auto bans = read(common, options.database);
    if (!bans) {
        print_error(bans.error());
        return exit_usage;
    }
    auto heir = find_heir(common);
    if (!heir) return heir.error();
    if (!options.jail.empty() && !(*heir)->has_jail(options.jail)) {
        print_error({"jail \"" + options.jail + "\"", "bandd has no such jail", {}, {}});
        return exit_usage;
    }
    Shares shares = share_out(*bans, **heir, options.jail);
    auto sums = (*heir)->take(shares.all);
    if (!sums) return sums.error();
    bool all = shares.homeless.empty() && bans->unusable.empty();
    if (common.json)
        print_json(to_json(*sums, shares, *bans));
    else
        all = print_taken(*sums, shares, *bans);
    int saved = say_unsaved(*sums);
    return all ? saved : exit_said_no;
}

}  // namespace bandd

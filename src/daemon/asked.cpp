// SPDX-License-Identifier: GPL-2.0-or-later
// What others ask the daemon: logins, accounts, bans from other machines.
#include <sys/epoll.h>

#include <algorithm>

#include "config/endpoints.h"
#include "daemon/daemon.h"
#include "os/clock.h"

namespace bandd {
namespace {

constexpr std::size_t default_limit = 10'000;  // accounts in one answer

std::string_view mark_name(Mark mark) {
    return mark == Mark::blocked ? "blocked" : mark == Mark::allowed ? "allowed" : "";
}

std::string_view standing_name(Standing standing) {
    switch (standing) {
        case Standing::good:
            return "good";
        case Standing::too_many_countries:
            return "too many countries";
        case Standing::too_many_addresses:
            return "too many addresses";
        case Standing::blocked:
            return "blocked";
    }
    return "?";
}

// <user>, <ip> … in an argument of a program. Each tag once, from left to right, so that what
// stands in a name is not taken for another tag.
std::string replace_account_tags(std::string_view text, const AccountOver& over) {
    const std::array<std::pair<std::string_view, std::string>, 6> tags{
        {{"<user>", over.user},
         {"<ip>", to_string(over.address)},
         {"<country>", over.country},
         {"<countries>", std::to_string(over.countries)},
         {"<addresses>", std::to_string(over.addresses)},
         {"<reason>", over.reason}}};
    std::string out;
    while (!text.empty()) {
        auto tag =
            std::ranges::find_if(tags, [&](const auto& t) { return text.starts_with(t.first); });
        if (tag == tags.end()) {
            out += text.front();
            text.remove_prefix(1);
        } else {
            // A program must get each argument whole: NUL would end it.
            for (char c : tag->second)
                if (c != '\0') out += c;
            text.remove_prefix(tag->first.size());
        }
    }
    return out;
}

// A ban of any jail that holds the whole of `prefix`. There may be millions of bans, so each block
// that could be banned is looked up.
const Ban* find_covering(const BanTable& bans, std::size_t jails, const Prefix& prefix) {
    for (int length = prefix.length; length >= 0; --length) {
        Prefix block = make_prefix(prefix.network, length);
        for (std::size_t jail = 0; jail < jails; ++jail)
            if (const Ban* ban = bans.find({static_cast<JailIndex>(jail), block})) return ban;
    }
    return nullptr;
}

}  // namespace

Endpoints::Calls Daemon::endpoint_calls() {
    Endpoints::Calls calls;
    calls.on_login = [this](const LoginRequest& request) { return on_login(request); };
    calls.on_failure = [this](const LoginRequest& request) { on_failed_password(request); };
    calls.on_remote = [this](const PeerConfig& peer, const RemoteRequest& request, const Address&) {
        return on_remote(peer, request);
    };
    calls.metrics = [this] { return metrics(); };
    calls.on_error = [this](const Error& error) { log_.put(Severity::error, to_line(error)); };
    calls.audit = [this](std::string line) { log_.put(Severity::notice, std::move(line)); };
    return calls;
}

Decision Daemon::on_login(const LoginRequest& request) {
    Outcome outcome;
    Decision decision = engine_->on_login(request, outcome);
    bool refused = decision.permit != Permit::yes;
    if (refused || !request.again) log_.put(Severity::notice, access_line(request, decision));
    if (refused && !request.again)
        engine_->on_failed_login(
            request, decision.permit == Permit::country ? "country" : "account", outcome);
    pipeline_->put(outcome, request.at);
    dirty_ = true;
    if (control_ && control_->has_watchers() && !request.again)
        control_->tell_watchers({{"kind", refused ? "log-on refused" : "log-on"},
                                 {"user", request.user},
                                 {"protocol", request.protocol},
                                 {"ip", to_string(request.address)},
                                 {"country", decision.origin.country},
                                 {"reason", decision.reason}});
    return decision;
}

void Daemon::on_failed_password(const LoginRequest& request) {
    Origin origin = facts_.origin(request.address);
    log_.write(Severity::notice, "{} : AUTHFAILED|{} {}|{}|{}", request.user, request.protocol,
               to_string(request.address), origin.country, origin.country_name);
    Outcome outcome;
    engine_->on_failed_login(request, "password", outcome);
    pipeline_->put(outcome, request.at);
}

void Daemon::on_account_over(const AccountOver& over) {
    log_.write(Severity::warning, "account {} has {}: logins are refused; last {} ({})", over.user,
               over.reason, to_string(over.address), over.country);
    if (control_ && control_->has_watchers())
        control_->tell_watchers({{"kind", "account"},
                                 {"user", over.user},
                                 {"reason", over.reason},
                                 {"ip", to_string(over.address)},
                                 {"country", over.country},
                                 {"time", format_rfc3339(over.time)}});
    const AskedProgram& action = config_.access.action;
    if (action.argv.empty()) return;
    std::vector<std::string> argv{action.argv.front()};
    for (std::size_t i = 1; i < action.argv.size(); ++i)
        argv.push_back(replace_account_tags(action.argv[i], over));
    asker_->run(action, std::move(argv));
}

// Users of the file and of the configuration. A file that cannot be read leaves those that were.
void Daemon::load_users(bool starting) {
    AccessRules rules = config_.access.rules;
    std::vector<Error> bad_lines;
    auto users = read_users(config_.access, bad_lines);
    for (const Error& line : bad_lines) log_.put(Severity::warning, to_line(line));
    if (users) {
        rules.users = std::move(*users);
    } else {
        log_.put(Severity::error, to_line(users.error()));
        rules.users = starting ? config_.access.rules.users : engine_->access().users;
    }
    engine_->set_access(std::move(rules));
}

Result<> Daemon::watch_users() {
    if (config_.access.users_file.empty()) {
        if (users_file_) users_file_->set_files({});
        return {};
    }
    if (!users_file_) {
        auto watching = ReplacedFiles::create();
        if (!watching) return std::unexpected(watching.error());
        users_file_ = std::make_unique<ReplacedFiles>(std::move(*watching));
        auto added = loop_->add(users_file_->fd(), EPOLLIN, [this](std::uint32_t) {
            if (!users_file_->were_replaced()) return;
            users_file_->set_files({config_.access.users_file});
            load_users(false);
            log_.write(Severity::notice, "users_file \"{}\" was read again: {} users",
                       config_.access.users_file, engine_->access().users.size());
        });
        if (!added) return added;
    }
    users_file_->set_files({config_.access.users_file});
    return {};
}

RemoteReply Daemon::on_remote(const PeerConfig& peer, const RemoteRequest& request) {
    RemoteReply reply;
    Instant at = now();
    auto jail = engine_->find_jail(peer.jail);
    if (!jail) {
        reply.error = Error{"jail \"" + peer.jail + "\"", "there is no such jail", {}, {}};
        return reply;
    }
    Prefix prefix = *request.prefix;
    // An address alone means what the jail bans as one.
    if (prefix.is_single()) prefix = engine_->key_for(*jail, prefix.network);
    const Ban* standing = engine_->bans().find({*jail, prefix});
    Outcome outcome;
    switch (request.kind) {
        case RemoteRequest::Kind::add: {
            Duration wished = request.bantime.value_or(engine_->rules()[*jail].bantime.base);
            Engine::BanOrder order{
                *jail, prefix, std::min(wished, peer.longest),
                peer.name + (request.reason.empty() ? "" : ": " + request.reason), false};
            if (auto done = engine_->ban_by_hand(order, at, outcome); !done) {
                reply.error = done.error();
                reply.error->hint.clear();
                return reply;
            }
            reply.changed = standing == nullptr;
            break;
        }
        case RemoteRequest::Kind::remove:
            reply.changed = engine_->unban(*jail, prefix, at, outcome) > 0;
            break;
        case RemoteRequest::Kind::check:
            standing = find_covering(engine_->bans(), engine_->rules().size(), prefix);
            break;
        case RemoteRequest::Kind::authenticate:
            break;
    }
    if (request.kind != RemoteRequest::Kind::check) {
        write_soon();
        pipeline_->put(outcome, at);
        Report report;
        dispatch_->flush(at, report);
        on_report(report);
        standing = engine_->bans().find({*jail, prefix});
    }
    if (standing != nullptr) {
        reply.banned = true;
        reply.until = standing->until;
        if (standing->story) reply.reason = standing->story->reason;
    }
    return reply;
}

namespace {

Json account_to_json(const AccountUse& account, const AccountTable& table, Instant at,
                     bool with_places) {
    auto counted = table.counts(account, at);
    Json json{{"user", account.user},
              {"standing", standing_name(counted.standing)},
              {"mark", mark_name(account.mark)},
              {"countries", counted.countries},
              {"addresses", counted.addresses},
              {"log_ons", account.count},
              {"last", format_rfc3339(account.last)}};
    if (account.count > 0) json["first"] = format_rfc3339(account.first);
    Json codes = Json::array();
    for (const CountrySeen& seen : account.countries) codes.push_back(seen.country.view());
    json["country_codes"] = std::move(codes);
    if (!with_places) return json;
    Json places = Json::array();
    for (const AddressSeen& seen : account.addresses)
        places.push_back({{"ip", to_string(seen.address)},
                          {"country", seen.country.view()},
                          {"count", seen.count},
                          {"first", format_rfc3339(seen.first)},
                          {"last", format_rfc3339(seen.last)}});
    json["places"] = std::move(places);
    return json;
}

}  // namespace

Json Daemon::list_accounts(const Json& arguments) {
    Instant at = now();
    const AccountTable& table = engine_->accounts();
    std::string wanted = text_argument(arguments, "user");
    if (!wanted.empty()) {
        const AccountUse* account = table.find(wanted);
        if (account == nullptr)
            return failure({"account \"" + wanted + "\"",
                            "nothing is known of it",
                            "bandctl accounts shows all that are",
                            {}});
        return success({{"accounts", Json::array({account_to_json(*account, table, at, true)})},
                        {"total", 1}});
    }
    struct Row {
        const AccountUse* account;
        AccountTable::Counted counted;
    };
    std::vector<Row> rows;
    table.for_each(
        [&](const AccountUse& account) { rows.push_back({&account, table.counts(account, at)}); });
    std::string sort = text_argument(arguments, "sort");
    std::size_t limit = default_limit;
    if (auto given = arguments.find("limit");
        given != arguments.end() && given->is_number_unsigned())
        limit = given->get<std::size_t>();
    auto shown = rows.begin() + static_cast<std::ptrdiff_t>(std::min(limit, rows.size()));
    std::ranges::partial_sort(rows, shown, [&](const Row& a, const Row& b) {
        auto key = [&](const Row& row) -> std::int64_t {
            if (sort == "user") return 0;
            if (sort == "addresses") return -std::int64_t{row.counted.addresses};
            if (sort == "count") return -static_cast<std::int64_t>(row.account->count);
            if (sort == "last") return -row.account->last.us;
            return -std::int64_t{row.counted.countries};
        };
        if (key(a) != key(b)) return key(a) < key(b);
        if (sort.empty() && a.counted.addresses != b.counted.addresses)
            return a.counted.addresses > b.counted.addresses;
        return a.account->user < b.account->user;
    });
    Json list = Json::array();
    for (auto row = rows.begin(); row != shown; ++row)
        list.push_back(account_to_json(*row->account, table, at, false));
    return success({{"accounts", std::move(list)}, {"total", rows.size()}});
}

Json Daemon::change_account(const Json& arguments) {
    std::string user = text_argument(arguments, "user");
    std::string verb = text_argument(arguments, "verb");
    if (user.empty()) return failure({"account", "has no name", {}, {}}, exit_usage);
    write_soon();
    if (verb == "clear") {
        if (!engine_->forget_account(user))
            return failure({"account \"" + user + "\"", "nothing is known of it", {}, {}});
        log_.write(Severity::notice, "account {} cleared by hand", account_name(user));
        return success({{"user", account_name(user)}, {"mark", ""}});
    }
    if (verb != "block" && verb != "allow")
        return failure({"\"" + verb + "\"", "must be clear, block or allow", {}, {}}, exit_usage);
    Mark mark = verb == "block" ? Mark::blocked : Mark::allowed;
    engine_->mark_account(user, mark, now());
    log_.write(Severity::notice, "account {} {} by hand", account_name(user), mark_name(mark));
    return success({{"user", account_name(user)}, {"mark", mark_name(mark)}});
}

}  // namespace bandd

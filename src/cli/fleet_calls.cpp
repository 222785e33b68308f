// SPDX-License-Identifier: GPL-2.0-or-later
#include "cli/fleet_calls.h"

#include <fmt/format.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <set>

#include "cli/call.h"
#include "cli/output.h"
#include "core/base/typed_prefix.h"
#include "fleet/word_text.h"
#include "os/clock.h"
#include "os/roles.h"

namespace bandd {
namespace {

int print_status(const Json& result) {
    fmt::print("fleet {}, node {}{}\n", text(result, "fleet"), text(result, "node"),
               result.value("counts", false) ? ", which counts for all" : "");
    std::string trouble = text(result, "trouble");
    if (result.value("connected", false))
        fmt::print("connected to {}{}\n", text(result, "server"),
                   trouble.empty() ? "" : ": " + yellow(trouble));
    else
        fmt::print("{}\n", red("not connected: " + trouble + "; this machine bans alone"));
    fmt::print("{} known, {} to be told, {} to be heard\n", count(result, "known", "ban"),
               text(result, "unpublished"), text(result, "behind"));
    if (result.value("clones", 0) > 0)
        fmt::print("{}\n", red("another machine calls itself " + text(result, "node") + ", too"));
    if (result.value("hits_lost", 0) > 0)
        fmt::print("{}\n",
                   yellow(count(result, "hits_lost", "hit") + " lost to the other machines"));
    const Json refused = result.value("refused", Json::object());
    for (const auto& [why, number] : refused.items())
        fmt::print("not taken: {}: {}\n", number.dump(), why);
    for (const Json& jail : result.value("differing_rules", Json::array()))
        fmt::print("{}\n", yellow("jail " + jail.get<std::string>() +
                                  ": its rules differ between machines, which are counted apart"));
    std::vector<std::vector<std::string>> rows;
    Instant at = now();
    for (const Json& node : list(result, "nodes")) {
        std::string heard = relative_time(text(node, "said"), at);
        double clock = node.value("clock_ahead", 0.0);
        rows.push_back({text(node, "node"), text(node, "version"),
                        node.value("silent", false) ? red(heard) : heard,
                        fmt::format("{:+.1f} s", clock), text(node, "unpublished")});
    }
    if (!rows.empty()) print_table({"NODE", "VERSION", "HEARD", "CLOCK", "TO TELL"}, rows, {});
    return exit_done;
}

// bandd-fleet for one errand.
class Messenger {
  public:
    ~Messenger() {
        socket_.reset();
        if (pid_ > 0) waitpid(pid_, nullptr, 0);
    }
    Result<> start() {
        auto pair = make_pair_of_sockets();
        if (!pair) return std::unexpected(pair.error());
        std::string program = find_own_program(role_program(Role::fleet));
        pid_ = fork();
        if (pid_ < 0) return fail_errno("fork");
        if (pid_ == 0) {
            if (::dup2(pair->second.get(), role_socket) < 0) _exit(127);
            ::execl(program.c_str(), role_program(Role::fleet), nullptr);
            _exit(127);
        }
        socket_ = std::move(pair->first);
        return {};
    }
    Result<> send(const ToFleet& said) {
        std::string packet = to_packet(said);
        if (::send(socket_.get(), packet.data(), packet.size(), MSG_NOSIGNAL) < 0)
            return fail(role_program(Role::fleet), "has ended",
                        "is the package bandd-fleet installed?");
        return {};
    }
    // Until `done` of what it says; an error if that takes too long.
    template <class Done>
    Result<> until(Done done) {
        constexpr int patience_ms = 15'000;
        std::string buffer(largest_fleet_packet, '\0');
        double end = stopwatch() + patience_ms / 1000.0;
        std::string why = "the server does not answer";
        while (true) {
            int left = static_cast<int>((end - stopwatch()) * 1000);
            pollfd ready{socket_.get(), POLLIN, 0};
            if (left <= 0 || ::poll(&ready, 1, left) <= 0)
                return fail("fleet", why, "see docs/fleet.md; is the server reachable from here?");
            ssize_t got = ::recv(socket_.get(), buffer.data(), buffer.size(), MSG_DONTWAIT);
            if (got == 0) return fail(role_program(Role::fleet), "has ended");
            if (got < 0) continue;
            auto said = parse_from_fleet({buffer.data(), static_cast<std::size_t>(got)});
            if (!said) continue;
            if (const auto* state = std::get_if<FleetState>(&*said);
                state != nullptr && !state->why_not.empty())
                why = state->why_not;
            if (const auto* refused = std::get_if<FleetRefused>(&*said))
                return fail("fleet", refused->why);
            if (done(*said)) return {};
        }
    }

  private:
    pid_t pid_ = -1;
    Fd socket_;
};

struct Lift {
    std::string jail;
    Prefix prefix;
};

std::expected<std::vector<Lift>, int> find_lifts(const CommonOptions& common,
                                                 const std::vector<std::string>& prefixes,
                                                 const std::string& jail) {
    std::vector<Lift> lifts;
    for (const std::string& text_of_it : prefixes) {
        auto prefix = read_prefix(text_of_it);
        if (!prefix) {
            print_error(prefix.error());
            return std::unexpected(exit_usage);
        }
        if (!jail.empty()) {
            lifts.push_back({jail, *prefix});
            continue;
        }
        auto call = begin_call(common, "fleet jails", {{"ip", to_string(*prefix)}});
        if (!call) return std::unexpected(call.error());
        for (const Json& ban : list(call->result, "bans"))
            lifts.push_back({text(ban, "jail"), *prefix});
        if (list(call->result, "bans").empty())
            fmt::print("{}: no machine of the fleet has banned it\n", to_string(*prefix));
    }
    return lifts;
}

Result<> publish_lifts(const Membership& head, const std::vector<Lift>& lifts) {
    Messenger messenger;
    if (auto started = messenger.start(); !started) return started;
    if (auto sent = messenger.send(head.access); !sent) return sent;
    auto is_connected = [](const FromFleet& said) {
        const auto* state = std::get_if<FleetState>(&said);
        return state != nullptr && state->connected;
    };
    if (auto connected = messenger.until(is_connected); !connected) return connected;
    StampClock clock{std::string(operator_name)};
    std::set<std::uint64_t> waiting;
    for (const Lift& lift : lifts) {
        BanWord word;
        word.kind = BanWord::Kind::lifted;
        word.stamp = clock.next(now());
        // Where it is kept for longest: nobody here knows which words it is to outlive.
        BanSubject subject{BanClass::for_ever, std::string(operator_name), lift.jail,
                           to_string(lift.prefix)};
        std::uint64_t id = waiting.size() + 1;
        waiting.insert(id);
        if (auto sent = messenger.send(FleetPublish{id, to_subject(subject), to_text(word)}); !sent)
            return sent;
    }
    return messenger.until([&](const FromFleet& said) {
        if (const auto* published = std::get_if<FleetPublished>(&said))
            waiting.erase(published->id);
        return waiting.empty();
    });
}

}  // namespace

int print_fleet_status(const CommonOptions& common) {
    return call(common, "fleet status", Json::object(), print_status);
}

int lift_for_all(const CommonOptions& common, const Membership& head,
                 const std::vector<std::string>& prefixes, const std::string& jail) {
    auto lifts = find_lifts(common, prefixes, jail);
    if (!lifts) return lifts.error();
    // bandd-fleet takes so many at a time.
    for (std::size_t first = 0; first < lifts->size(); first += most_publishing / 2) {
        auto begin = lifts->begin() + static_cast<std::ptrdiff_t>(first);
        auto end = lifts->begin() + static_cast<std::ptrdiff_t>(
                                        std::min(lifts->size(), first + most_publishing / 2));
        if (auto done = publish_lifts(head, {begin, end}); !done) {
            print_error(done.error());
            return exit_said_no;
        }
    }
    if (common.json) {
        print_json({{"lifted", lifts->size()}});
    } else {
        for (const Lift& lift : *lifts)
            fmt::print("{} is lifted on all machines, jail {}\n", to_string(lift.prefix),
                       lift.jail);
    }
    return exit_done;
}

}  // namespace bandd

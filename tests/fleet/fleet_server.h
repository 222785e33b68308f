// SPDX-License-Identifier: GPL-2.0-or-later
// A real nats-server with the configuration that `bandctl fleet init` wrote, and nodes of that
// fleet by their files.
#pragma once

#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <deque>
#include <map>
#include <set>

#include "fleet/connection.h"
#include "fleet/membership.h"
#include "support/setup.h"

namespace bandd {

inline bool has_nats_server() {
    if (sh("command -v nats-server").code == 0) return true;
    WARN("skipped: needs nats-server");
    return false;
}

class FleetServerProcess {
  public:
    ~FleetServerProcess() { kill(); }
    void start(const std::string& config, const std::string& log) {
        pid_ = fork();
        if (pid_ == 0) {
            if (freopen(log.c_str(), "a", stderr) == nullptr ||
                freopen(log.c_str(), "a", stdout) == nullptr)
                _exit(1);
            execlp("nats-server", "nats-server", "-c", config.c_str(), nullptr);
            _exit(127);
        }
    }
    void kill() {
        if (pid_ <= 0) return;
        ::kill(pid_, SIGKILL);
        waitpid(pid_, nullptr, 0);
        pid_ = -1;
    }
    void reload() const { ::kill(pid_, SIGHUP); }
    bool runs() const { return pid_ > 0 && ::waitpid(pid_, nullptr, WNOHANG) == 0; }

  private:
    pid_t pid_ = -1;
};

// Of gate, which counts, mx1 and mx2.
struct FleetSetup {
    TempDirectory dir;
    std::string fleet = dir / "fleet";
    FleetServerProcess server;

    explicit FleetSetup(const std::string& address = "127.0.0.1:4222") {
        must(built("bandctl") + " fleet init shop --server " + address +
             " --count gate gate mx1 mx2 --directory " + fleet + " --server-files " + fleet +
             " --store " + (dir / "store"));
    }
    Ran bandctl(const std::string& words) const {
        return sh(built("bandctl") + " fleet " + words + " --directory " + fleet);
    }
    void start() { server.start(fleet + "/nats-server.conf", dir / "log"); }
    Membership membership(const std::string& node) const {
        auto parsed = parse_join_file(read_file(fleet + "/" + node + ".join"), node);
        if (!parsed) FAIL(to_line(parsed.error()));
        return *parsed;
    }
};

// What came is kept; `settles`: and settled at once.
class FleetPeer {
  public:
    explicit FleetPeer(const FleetAccess& access, bool settles = true)
        : settles_(settles),
          readers_(access.node == fleet_operator ? 0
                   : access.counts()             ? 7
                                                 : 6),
          connection(access) {
        all().push_back(this);
    }
    ~FleetPeer() { std::erase(all(), this); }
    FleetPeer(const FleetPeer&) = delete;
    FleetPeer& operator=(const FleetPeer&) = delete;

    // Until `done`, or some seconds have passed. All peers are served meanwhile.
    bool until(const std::function<bool()>& done, double seconds = 15) {
        auto end = std::chrono::steady_clock::now() + std::chrono::duration<double>(seconds);
        while (std::chrono::steady_clock::now() < end) {
            for (FleetPeer* peer : all()) peer->turn();
            if (done()) return true;
            pollfd ready{connection.wake_fd(), POLLIN, 0};
            ::poll(&ready, 1, 20);
        }
        return false;
    }
    void turn() {
        for (FromFleet& said : connection.turn(FleetConnection::Clock::now()))
            std::visit([this](auto& what) { on(std::move(what)); }, said);
    }
    bool connects() {
        return until([&] { return state.connected && progress.size() >= readers_; });
    }
    bool publish(const std::string& subject, const std::string& payload) {
        connection.publish({++id_, subject, payload});
        return until([&] { return published.contains(id_); });
    }
    const FleetMessage* stored(const std::string& subject) const {
        for (const FleetMessage& message : messages)
            if (message.ticket != 0 && message.subject == subject) return &message;
        return nullptr;
    }
    const FleetMessage* live(const std::string& subject) const {
        for (const FleetMessage& message : messages)
            if (message.ticket == 0 && message.subject == subject) return &message;
        return nullptr;
    }

    FleetState state;
    std::deque<FleetMessage> messages;
    std::set<std::uint64_t> published;
    std::map<std::uint64_t, std::string> refused;
    std::map<std::string, FleetProgress> progress;

  private:
    void on(FleetMessage message) {
        if (settles_ && message.ticket != 0) connection.settle({message.ticket});
        messages.push_back(std::move(message));
    }
    void on(FleetPublished said) { published.insert(said.id); }
    void on(FleetRefused said) { refused[said.id] = said.why; }
    void on(FleetState said) { state = std::move(said); }
    void on(FleetProgress said) { progress[said.stream] = std::move(said); }

    static std::vector<FleetPeer*>& all() {
        static std::vector<FleetPeer*> peers;
        return peers;
    }

    bool settles_;
    std::size_t readers_;
    std::uint64_t id_ = 0;

  public:
    FleetConnection connection;
};

}  // namespace bandd

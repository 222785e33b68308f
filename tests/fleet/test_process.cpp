// SPDX-License-Identifier: GPL-2.0-or-later
// bandd-fleet as the daemon has it: a process without rights, on a socket.
#include <pwd.h>
#include <sys/socket.h>

#include <array>
#include <random>

#include "fleet/fleet_server.h"
#include "os/packet.h"
#include "os/roles.h"

using namespace bandd;

namespace {

class FleetHelper {
  public:
    explicit FleetHelper(const std::string& errors) {
        auto pair = make_pair_of_sockets();
        REQUIRE(pair);
        socket_ = std::move(pair->first);
        std::string path = built("bandd-fleet");
        pid_ = fork();
        if (pid_ == 0) {
            if (freopen(errors.c_str(), "a", stderr) == nullptr) _exit(1);
            dup2(pair->second.get(), role_socket);
            execl(path.c_str(), "bandd-fleet", nullptr);
            _exit(127);
        }
    }
    ~FleetHelper() {
        ::kill(pid_, SIGKILL);
        waitpid(pid_, nullptr, 0);
    }
    FleetHelper(const FleetHelper&) = delete;
    FleetHelper& operator=(const FleetHelper&) = delete;

    bool send_raw(const std::string& packet) const {
        timeval patience{10, 0};
        setsockopt(socket_.get(), SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
        return ::send(socket_.get(), packet.data(), packet.size(), MSG_NOSIGNAL) >= 0;
    }
    bool send(const ToFleet& said) const { return send_raw(to_packet(said)); }
    // Until one that `fits` came.
    bool hears(const std::function<bool(const FromFleet&)>& fits, int seconds_at_most = 15) const {
        timeval patience{1, 0};
        setsockopt(socket_.get(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
        std::string buffer(largest_fleet_packet, '\0');
        auto end = std::chrono::steady_clock::now() + std::chrono::seconds(seconds_at_most);
        while (std::chrono::steady_clock::now() < end) {
            ssize_t got = ::recv(socket_.get(), buffer.data(), buffer.size(), 0);
            if (got <= 0) continue;
            auto said = parse_from_fleet({buffer.data(), static_cast<std::size_t>(got)});
            REQUIRE(said);
            if (const auto* state = std::get_if<FleetState>(&*said)) UNSCOPED_INFO(state->why_not);
            if (fits(*said)) return true;
        }
        return false;
    }
    void close() { socket_.reset(); }
    bool ends(double seconds_at_most) {
        return wait_for([&] { return waitpid(pid_, nullptr, WNOHANG) != 0; }, seconds_at_most);
    }
    bool runs() { return waitpid(pid_, nullptr, WNOHANG) == 0; }
    pid_t pid() const { return pid_; }

  private:
    Fd socket_;
    pid_t pid_ = -1;
};

std::string ban(const std::string& prefix) {
    return to_subject({BanClass::hour, "gate", "sshd", prefix});
}

}  // namespace

TEST_CASE("bandd-fleet takes packets of the daemon to the fleet, and back") {
    if (!has_nats_server()) return;
    FleetSetup fleet;
    fleet.start();
    FleetHelper helper(fleet.dir / "errors");
    auto access = fleet.membership("gate").access;
    // A name, which it must look up.
    access.servers = {"localhost:4222"};
    REQUIRE(helper.send(access));
    REQUIRE(helper.hears([](const FromFleet& said) {
        const auto* progress = std::get_if<FleetProgress>(&said);
        return progress != nullptr && progress->stream == "BANS_H";
    }));
    REQUIRE(helper.send(FleetPublish{7, ban("203.0.113.9/32"), "payload"}));
    CHECK(helper.hears([](const FromFleet& said) { return said == FromFleet{FleetPublished{7}}; }));
    CHECK(helper.hears([](const FromFleet& said) {
        const auto* message = std::get_if<FleetMessage>(&said);
        return message != nullptr && message->subject == ban("203.0.113.9/32") &&
               message->payload == "payload";
    }));
    REQUIRE(helper.send(FleetSettled{1}));
    // Whom it runs as.
    std::string status = read_file("/proc/" + std::to_string(helper.pid()) + "/status");
    CHECK(has(status, "CapPrm:\t0000000000000000"));
    CHECK(has(status, "NoNewPrivs:\t1"));
    CHECK(has(status, "Seccomp:\t2"));
    const passwd* own = getpwnam("bandd-fleet");
    REQUIRE(own != nullptr);
    CHECK(has(status, "Uid:\t" + std::to_string(own->pw_uid)));
    fleet.server.kill();
    CHECK(helper.hears([](const FromFleet& said) {
        const auto* state = std::get_if<FleetState>(&said);
        return state != nullptr && !state->connected;
    }));
    helper.close();
    CHECK(helper.ends(5));
    CHECK(read_file(fleet.dir / "errors") == "");
}

TEST_CASE("bandd-fleet under a lying daemon") {
    TempDirectory dir;
    FleetHelper helper(dir / "errors");
    std::mt19937 random(20261201);
    std::vector<std::string> honest{to_packet(ToFleet{FleetPublish{1, "hit.a", "x"}}),
                                    to_packet(ToFleet{FleetSettled{9}}),
                                    to_packet(ToFleet{FleetKeep{"a"}})};
    // One server that nobody is.
    REQUIRE(helper.send(FleetAccess{"shop", "a", {"127.0.0.1:9"}, {"a"}, "PEM", "SU"}));
    for (int i = 0; i < 20'000; ++i) {
        std::string packet = honest[random() % honest.size()];
        for (std::size_t changes = random() % 4; changes > 0; --changes)
            packet[random() % packet.size()] = static_cast<char>(random());
        REQUIRE(helper.send_raw(packet));
        if (i % 1000 == 0) {
            REQUIRE(helper.runs());
            helper.hears([](const FromFleet&) { return true; }, 1);
        }
    }
    CHECK(helper.runs());
}

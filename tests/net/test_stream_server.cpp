// SPDX-License-Identifier: GPL-2.0-or-later
// The limits of the stream server, over all that uses it: the control socket, lines that are asked
// and answered (as Postfix and other machines do), and senders of syslog messages. Sockets are
// real; the loop is turned by hand, and time is an argument.
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <deque>
#include <memory>

#include "control/server.h"
#include "net/listen.h"
#include "os/clock.h"
#include "os/socket_address.h"
#include "source/syslog_listener.h"
#include "support/common.h"
#include "support/machine.h"

using namespace bandd;

namespace {

constexpr std::uint16_t port = 15514;

ListenAddress tcp() {
    ListenAddress address;
    address.kind = ListenAddress::Kind::tcp;
    address.address = ip("127.0.0.1");
    address.port = port;
    return address;
}

// One use, as a client and the operator see it.
struct Use {
    std::string name;
    std::string request;  // is answered, or counted
    std::size_t clients;  // of one peer, at most
    bool answers = true;
    std::function<StreamCounts()> counts;
    std::function<void(Instant)> on_time;
    std::shared_ptr<void> server;
};

struct Uses {
    Loop loop = std::move(*Loop::create());
    TempDirectory dir;
    StreamLimits limits{.clients = 3,
                        .request = 1000,
                        .unread = 64 << 10,
                        .proof = std::chrono::seconds(10),
                        .silence = std::chrono::seconds(60),
                        .recent = std::chrono::hours(1)};
    std::vector<std::string> troubles;

    void spin() {
        for (int i = 0; i < 30; ++i) {
            loop.again();
            loop.turn();
        }
    }
    Use control() {
        auto fd = ControlServer::listen(dir / "socket", geteuid(), getegid());
        REQUIRE(fd);
        auto server = std::make_shared<ControlServer>(
            loop, std::move(*fd), getegid(), geteuid(),
            [](const std::string&, const Json&, Reply) {
                return success(std::string(1000, 'x'));
            });
        ControlServer* one = server.get();
        return {"control",
                "{\"v\":1,\"command\":\"a\"}\n",
                ControlServer::most_of_one_user,
                true,
                [one] {
                    StreamCounts counts;
                    counts.too_many = one->refused();
                    counts.made_room = one->made_room();
                    counts.cut_off = one->cut_off();
                    return counts;
                },
                [one](Instant now) { one->on_time(now); },
                server};
    }
    Use lines() {
        auto fd = listen_at(tcp(), "test");
        REQUIRE(fd);
        StreamUse use{[](StreamClient& client, std::string_view bytes, std::string& answer) {
            auto end = bytes.find('\n');
            if (end == std::string_view::npos) return std::optional<std::size_t>(0);
            client.known = bytes.starts_with("ask");
            answer += std::string(1000, 'x') + "\n";
            return std::optional(end + 1);
        }};
        use.on_trouble = [this](const Error& error) { troubles.push_back(to_line(error)); };
        auto server =
            std::make_shared<StreamServer>(loop, std::move(*fd), tcp(), limits, std::move(use));
        StreamServer* one = server.get();
        return {"lines",
                "ask\n",
                limits.clients,
                true,
                [one] { return one->counts(); },
                [one](Instant now) { one->on_time(now); },
                server};
    }
    Use syslog() {
        auto socket = listen_at(tcp(), "syslog");
        REQUIRE(socket);
        auto opened = SyslogListener::open(loop, std::move(*socket), tcp(), 1000);
        REQUIRE(opened);
        std::shared_ptr<SyslogListener> server = std::move(*opened);
        server->set_believed(PrefixSet(std::vector<Prefix>{*parse_prefix("127.0.0.0/8")}));
        SyslogListener* one = server.get();
        return {"syslog",
                "<13>app: one\n",
                SyslogListener::most_of_one_sender,
                false,
                [one] {
                    StreamCounts counts;
                    counts.accepted = one->counts().messages;
                    counts.too_many = one->counts().clients_refused;
                    counts.made_room = one->counts().clients_made_room;
                    counts.refused = one->counts().refused;
                    return counts;
                },
                [one](Instant now) { one->on_time(now); },
                server};
    }
    Fd connect(const Use& use, const std::string& from = "127.0.0.1") {
        sockaddr_storage to{};
        socklen_t size = 0;
        if (use.name == "control") {
            auto& local = reinterpret_cast<sockaddr_un&>(to);
            local.sun_family = AF_UNIX;
            (dir / "socket").copy(local.sun_path, sizeof local.sun_path - 1);
            size = sizeof local;
        } else {
            size = to_sockaddr(ip("127.0.0.1"), port, to);
        }
        Fd fd(::socket(to.ss_family, SOCK_STREAM | SOCK_NONBLOCK, 0));
        if (use.name != "control") {
            sockaddr_storage source{};
            socklen_t length = to_sockaddr(ip(from), 0, source);
            REQUIRE(::bind(fd.get(), reinterpret_cast<sockaddr*>(&source), length) == 0);
        }
        ::connect(fd.get(), reinterpret_cast<sockaddr*>(&to), size);
        spin();
        return fd;
    }
    static bool is_closed(const Fd& fd) {
        char buffer[65536];
        while (true) {
            ssize_t got = ::recv(fd.get(), buffer, sizeof buffer, 0);
            if (got <= 0) return got == 0 || errno != EAGAIN;
        }
    }
    static void say(const Fd& fd, const std::string& text) {
        [[maybe_unused]] auto sent = ::send(fd.get(), text.data(), text.size(), MSG_NOSIGNAL);
    }
    // True if a request on this connection is answered, or counted where nothing is answered.
    bool is_served(const Use& use, const Fd& fd) {
        std::uint64_t before = use.counts().accepted;
        say(fd, use.request);
        spin();
        if (!use.answers) return use.counts().accepted == before + 1;
        char byte = 0;
        return ::recv(fd.get(), &byte, 1, 0) == 1;
    }
};

}  // namespace

TEST_CASE_METHOD(Uses, "stream server: clients that keep silent keep nobody out") {
    for (auto make : {&Uses::control, &Uses::lines, &Uses::syslog}) {
        Use use = (this->*make)();
        INFO(use.name);
        std::deque<Fd> silent;
        for (std::size_t i = 0; i < use.clients; ++i) silent.push_back(connect(use));
        Fd fresh = connect(use);
        CHECK(is_served(use, fresh));
        CHECK(use.counts().made_room == 1);
        // The oldest one made room.
        CHECK(is_closed(silent.front()));
        CHECK_FALSE(is_closed(silent[1]));
        // However many come, who has shown whom it is stays.
        for (std::size_t i = 0; i < 3 * use.clients; ++i) silent.push_back(connect(use));
        CHECK(is_served(use, fresh));
        CHECK(use.counts().too_many == 0);
    }
}

TEST_CASE_METHOD(Uses,
                 "stream server: who is served keeps its place, who was silent for long not") {
    Use use = lines();
    std::deque<Fd> inside;
    for (std::size_t i = 0; i < use.clients; ++i) {
        inside.push_back(connect(use));
        CHECK(is_served(use, inside.back()));
    }
    CHECK(is_closed(connect(use)));
    CHECK(use.counts().too_many == 1);
    CHECK(troubles == std::vector<std::string>{
                          "tcp://127.0.0.1:15514: 127.0.0.1: is refused: all places are taken"});
    for (const Fd& client : inside) CHECK(is_served(use, client));
    inside.pop_back();  // a place is free again
    spin();
    CHECK(is_served(use, connect(use)));
    use = {};
    limits.recent = Duration{0};
    use = lines();
    inside.clear();
    for (std::size_t i = 0; i < use.clients; ++i) {
        inside.push_back(connect(use));
        CHECK(is_served(use, inside.back()));
    }
    CHECK(is_served(use, inside[0]));
    Fd fresh = connect(use);
    CHECK(is_served(use, fresh));
    CHECK_FALSE(is_closed(inside[0]));
    CHECK(is_closed(inside[1]));  // whose last request is the oldest
    CHECK(use.counts().made_room == 1);
}

TEST_CASE_METHOD(Uses, "stream server: one peer has no more than its share of the places") {
    limits.share = 2;
    Use use = lines();
    Fd other = connect(use, "127.0.0.2");
    std::deque<Fd> many;
    for (int i = 0; i < 10; ++i) many.push_back(connect(use));
    CHECK(use.counts().made_room == 8);
    CHECK(troubles.size() == 1);  // not each time
    CHECK(is_served(use, other));
    CHECK(is_closed(many[7]));
    CHECK(is_served(use, many[8]));
    CHECK(is_served(use, many[9]));
    // These two are served, so there is no place for a third one.
    CHECK(is_closed(connect(use)));
    CHECK(use.counts().too_many == 1);
}

TEST_CASE_METHOD(Uses,
                 "stream server: a client has its time to show whom it is, whatever it sends") {
    Use use = lines();
    Fd good = connect(use);
    CHECK(is_served(use, good));
    Fd drips = connect(use);
    Fd chatters = connect(use);
    for (int i = 1; i <= 5; ++i) {
        say(drips, "x");
        say(chatters, "nonsense\n");
        spin();
        use.on_time(now() + std::chrono::seconds(i));
    }
    CHECK_FALSE(is_closed(drips));
    CHECK_FALSE(is_closed(chatters));
    use.on_time(now() + std::chrono::seconds(11));
    CHECK(is_closed(drips));
    CHECK(is_closed(chatters));
    CHECK(use.counts().cut_off == 2);
    CHECK(is_served(use, good));
}

TEST_CASE_METHOD(Uses, "stream server: no descriptors left is no reason to spin, and passes") {
    Use use = lines();
    Fd inside = connect(use);
    // A connection for which there will be no descriptor.
    Fd waits(::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0));
    sockaddr_storage to{};
    socklen_t size = to_sockaddr(ip("127.0.0.1"), port, to);
    rlimit before{};
    getrlimit(RLIMIT_NOFILE, &before);
    rlimit few{64, before.rlim_max};
    setrlimit(RLIMIT_NOFILE, &few);
    std::deque<Fd> taken;
    for (Fd fd(::dup(0)); fd; fd = Fd(::dup(0))) taken.push_back(std::move(fd));
    ::connect(waits.get(), reinterpret_cast<sockaddr*>(&to), size);
    spin();
    taken.clear();
    setrlimit(RLIMIT_NOFILE, &before);
    CHECK(use.counts().no_descriptors == 1);
    CHECK(troubles.size() == 1);
    CHECK(is_served(use, inside));
    spin();
    CHECK_FALSE(is_served(use, waits));
    use.on_time(now() + std::chrono::seconds(2));
    spin();
    char byte = 0;
    CHECK(::recv(waits.get(), &byte, 1, 0) == 1);
}

TEST_CASE_METHOD(Uses, "stream server: a request without end is cut off, the others are served") {
    for (auto make : {&Uses::control, &Uses::lines}) {
        Use use = (this->*make)();
        INFO(use.name);
        Fd good = connect(use);
        Fd bad = connect(use);
        for (int i = 0; i < 10; ++i) {
            say(bad, std::string(20'000, 'x'));
            spin();
        }
        CHECK(is_closed(bad));
        CHECK(use.counts().cut_off == 1);
        CHECK(is_served(use, good));
    }
}

TEST_CASE_METHOD(Uses, "stream server: a client that fetches nothing is cut off, with a bound") {
    limits.request = 1 << 20;
    Use use = lines();
    Fd good = connect(use);
    Fd bad = connect(use);
    std::string many;
    for (int i = 0; i < 4000; ++i) many += use.request;  // 4 MB of answers
    for (int i = 0; i < 10 && use.counts().cut_off == 0; ++i) {
        say(bad, many);
        spin();
    }
    CHECK(use.counts().cut_off == 1);
    CHECK(is_closed(bad));
    CHECK(is_served(use, good));
}

TEST_CASE_METHOD(Uses, "stream server: the time between requests is bounded where it is to be") {
    Use quick = lines();
    Fd silent = connect(quick);
    CHECK(is_served(quick, silent));
    quick.on_time(now() + std::chrono::seconds(30));
    CHECK(is_served(quick, silent));
    quick.on_time(now() + std::chrono::seconds(61));
    CHECK(is_closed(silent));
    CHECK(quick.counts().cut_off == 1);
    quick = {};
    Use patient = syslog();
    Fd sender = connect(patient);
    patient.on_time(now() + std::chrono::hours(24));
    CHECK(is_served(patient, sender));
}

TEST_CASE_METHOD(Uses, "stream server: whoever may not connect is refused, and counted") {
    Use use = syslog();
    static_cast<SyslogListener*>(use.server.get())->set_believed({});
    Fd stranger = connect(use);
    CHECK(is_closed(stranger));
    CHECK(use.counts().refused == 1);
}

TEST_CASE_METHOD(Uses, "stream server: a handshake that is not finished is cut off") {
    must("cd " + dir.path() +
         " && openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -keyout "
         "k.pem -out c.pem -subj /CN=x 2>&1");
    ListenAddress address = tcp();
    address.kind = ListenAddress::Kind::tls;
    address.tls = {dir / "c.pem", dir / "k.pem", ""};
    auto socket = listen_at(address, "syslog");
    REQUIRE(socket);
    auto server = SyslogListener::open(loop, std::move(*socket), address, 1000);
    REQUIRE(server);
    (*server)->set_believed(PrefixSet(std::vector<Prefix>{*parse_prefix("127.0.0.0/8")}));
    Use use{.name = "syslog", .request = "", .clients = 0};
    Fd silent = connect(use);
    CHECK((*server)->clients() == 1);
    REQUIRE((*server)->next_deadline());
    (*server)->on_time(now() + std::chrono::seconds(11));
    CHECK(is_closed(silent));
    CHECK((*server)->counts().failed_handshakes == 1);
}

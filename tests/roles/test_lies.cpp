// SPDX-License-Identifier: GPL-2.0-or-later
// Helper programs under a daemon that was taken over and sends them anything. The real programs,
// with our end of their socket; they must neither break nor stop serving. What the daemon makes of
// lies from them: tests/fuzz, target "helpers".
#include <arpa/inet.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <random>

#include "os/packet.h"
#include "os/resolver.h"
#include "os/roles.h"
#include "protocols/http_helper.h"
#include "support/common.h"
#include "support/setup.h"

using namespace bandd;

namespace {

class Helper {
  public:
    // `extra`: what it has as `role_extra`, or -1.
    Helper(const char* program, int extra) {
        std::array<int, 2> ends{};
        REQUIRE(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends.data()) == 0);
        socket = Fd(ends[0]);
        Fd theirs(ends[1]);
        std::string path = built(program);
        pid_ = fork();
        if (pid_ == 0) {
            int one = fcntl(theirs.get(), F_DUPFD, 20), other = fcntl(extra, F_DUPFD, 20);
            dup2(one, role_socket);
            if (other >= 0) dup2(other, role_extra);
            execl(path.c_str(), program, nullptr);
            _exit(127);
        }
    }
    ~Helper() {
        if (pid_ > 0) {
            kill(pid_, SIGKILL);
            waitpid(pid_, nullptr, 0);
        }
    }
    bool runs() {
        int status = 0;
        if (waitpid(pid_, &status, WNOHANG) == 0) return true;
        UNSCOPED_INFO("ended with status " << status);
        pid_ = -1;
        return false;
    }
    // Waits while it is behind.
    bool send(const std::string& packet) const {
        timeval patience{10, 0};
        setsockopt(socket.get(), SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
        return ::send(socket.get(), packet.data(), packet.size(), MSG_NOSIGNAL) >= 0;
    }
    // Empty: nothing came within `seconds`.
    std::string receive(int seconds) const {
        timeval patience{seconds, 0};
        setsockopt(socket.get(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
        std::string packet(300'000, '\0');
        ssize_t got = ::recv(socket.get(), packet.data(), packet.size(), 0);
        packet.resize(got > 0 ? static_cast<std::size_t>(got) : 0);
        return packet;
    }
    void forget_answers() const {
        char bytes[64];
        while (::recv(socket.get(), bytes, sizeof bytes, MSG_DONTWAIT) > 0) {
        }
    }

    Fd socket;

  private:
    pid_t pid_ = -1;
};

std::string fields(std::initializer_list<std::string_view> all) {
    std::string packet;
    for (std::string_view field : all) append_field(packet, field);
    return packet;
}

// Packets that are nearly right: lengths that lie, cuts, doubled and missing fields, noise.
class Liar {
  public:
    explicit Liar(std::vector<std::string> honest) : honest_(std::move(honest)) {}
    std::string next() {
        std::string packet = honest_[any(honest_.size())];
        for (std::size_t changes = 1 + any(4); changes > 0; --changes) {
            std::size_t at = any(packet.size());
            switch (any(6)) {
                case 0:
                    packet[at] = static_cast<char>(random_());
                    break;
                case 1:
                    packet.resize(at + 1);
                    break;
                case 2:
                    packet.insert(at, packet.substr(any(packet.size()), any(40)));
                    break;
                case 3:
                    if (packet.size() >= 4)
                        packet.replace(any(packet.size() - 3), 4,
                                       as_bytes(static_cast<std::uint32_t>(random_())));
                    break;
                case 4:
                    packet += as_bytes(std::uint32_t{0xffffffff});
                    break;
                default:
                    packet.insert(at, any(9000), static_cast<char>(random_()));
            }
        }
        return packet.empty() ? "x" : packet;
    }

  private:
    std::size_t any(std::size_t below) { return random_() % std::max<std::size_t>(below, 1); }
    std::vector<std::string> honest_;
    std::mt19937 random_{20261129};
};

constexpr int lies = 20'000;

}  // namespace

TEST_CASE("bandd-resolver under a lying daemon") {
    Helper helper("bandd-resolver", -1);
    std::string id = as_bytes(std::uint64_t{7});
    // Nobody answers at this port; a name server that is silent would have each question wait.
    REQUIRE(helper.send(fields({{}, "servers", "127.0.0.1:9"})));
    Liar liar({fields({id, "name", "localhost"}), fields({id, "address", std::string(16, '\1')}),
               fields({{}, "servers", "127.0.0.1:9,[::1]:9"})});
    for (int i = 0; i < lies; ++i) {
        REQUIRE(helper.send(liar.next()));
        helper.forget_answers();
        if (i % 1000 == 0) REQUIRE(helper.runs());
    }
    REQUIRE(helper.send(fields({as_bytes(std::uint64_t{99}), "name", "localhost"})));
    bool answered = wait_for(
        [&] {
            std::string packet = helper.receive(1);
            auto result = parse_look_up(packet);
            return result && result->id == 99;
        },
        60);
    CHECK(answered);
    CHECK(helper.runs());
}

TEST_CASE("bandd-http under a lying daemon") {
    Fd listening(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_in at{};
    at.sin_family = AF_INET;
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    REQUIRE(::bind(listening.get(), reinterpret_cast<sockaddr*>(&at), sizeof at) == 0);
    REQUIRE(::listen(listening.get(), 50) == 0);
    socklen_t size = sizeof at;
    ::getsockname(listening.get(), reinterpret_cast<sockaddr*>(&at), &size);
    Helper helper("bandd-http", listening.get());
    auto ask = [&] {
        Fd client(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
        REQUIRE(::connect(client.get(), reinterpret_cast<sockaddr*>(&at), sizeof at) == 0);
        const std::string request = "GET /health HTTP/1.1\r\nHost: x\r\n\r\n";
        REQUIRE(::send(client.get(), request.data(), request.size(), MSG_NOSIGNAL) > 0);
        return client;
    };
    auto next_request = [&] {
        auto parsed = parse_http_packet(helper.receive(10));
        REQUIRE(parsed);
        return parsed->request.id;
    };
    HttpReply reply;
    reply.body = "fine\n";
    reply.headers = {{"Auth-Status", "OK"}};
    {
        // Some lies have the number of a request that waits.
        std::vector<Fd> clients;
        std::vector<std::string> honest;
        for (int i = 0; i < 40; ++i) {
            clients.push_back(ask());
            honest.push_back(to_packet(next_request(), reply));
        }
        Liar liar(honest);
        for (int i = 0; i < lies; ++i) {
            REQUIRE(helper.send(liar.next()));
            if (i % 1000 == 0) REQUIRE(helper.runs());
        }
    }
    Fd client = ask();
    REQUIRE(helper.send(to_packet(next_request(), reply)));
    std::string got(1000, '\0');
    timeval patience{10, 0};
    setsockopt(client.get(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    ssize_t length = ::recv(client.get(), got.data(), got.size(), 0);
    got.resize(static_cast<std::size_t>(std::max<ssize_t>(length, 0)));
    INFO(got);
    CHECK(got.starts_with("HTTP/1.1 200"));
    CHECK(has(got, "Auth-Status: OK"));
    CHECK(helper.runs());
}

// SPDX-License-Identifier: GPL-2.0-or-later
// A real socket, a real loop in a thread of its own.
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <thread>

#include "control/client.h"
#include "control/server.h"
#include "support/common.h"
#include "support/machine.h"

using namespace bandd;

namespace {

class Server {
  public:
    Server() {
        REQUIRE(::pipe(wake_) == 0);
        auto listening = ControlServer::listen(path, geteuid(), getegid());
        REQUIRE(listening);
        REQUIRE(loop_.add(wake_[0], 1, [this](std::uint32_t) {
            char byte = 0;
            [[maybe_unused]] auto got = ::read(wake_[0], &byte, 1);
            if (byte == 'e')
                server_->tell_watchers({{"kind", "ban"}, {"ip", std::string(1000, 'x')}});
            if (byte == 'l' && later_) later_(success("late"));
            if (byte == 'q') quit_ = true;
        }));
        server_ = std::make_unique<ControlServer>(
            loop_, std::move(*listening), getegid(), geteuid(),
            [this](const std::string& command, const Json& arguments,
                   Reply reply) -> std::optional<Json> {
                if (command == "later") {
                    later_ = std::move(reply);
                    return {};
                }
                if (command == "big") return success(std::string(8 << 20, 'x'));
                if (command == "watch") return success("watching");
                if (command == "echo") return success(arguments);
                return failure({"command", "unknown", {}, {}});
            });
        thread_ = std::thread([this] {
            while (!quit_) loop_.turn();
            cut_off = server_->cut_off();
            refused = server_->refused();
            server_.reset();
        });
    }
    ~Server() { stop(); }
    void poke(char what) { [[maybe_unused]] auto put = ::write(wake_[1], &what, 1); }
    void stop() {
        if (!thread_.joinable()) return;
        poke('q');
        thread_.join();
        ::close(wake_[0]);
        ::close(wake_[1]);
    }

    TempDirectory dir;
    std::string path = dir / "socket";
    std::uint64_t cut_off = 0, refused = 0;

  private:
    Loop loop_ = std::move(*Loop::create());
    std::unique_ptr<ControlServer> server_;
    Reply later_;
    std::atomic<bool> quit_ = false;
    int wake_[2] = {-1, -1};
    std::thread thread_;
};

Fd raw_client(const std::string& path) {
    Fd fd(socket(AF_UNIX, SOCK_STREAM, 0));
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    path.copy(address.sun_path, sizeof address.sun_path - 1);
    REQUIRE(connect(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) == 0);
    return fd;
}
std::string read_line(const Fd& fd) {
    std::string line;
    char c = 0;
    while (::recv(fd.get(), &c, 1, 0) == 1 && c != '\n') line += c;
    return line;
}
std::string say(const Fd& fd, const std::string& text) {
    REQUIRE(::send(fd.get(), text.data(), text.size(), MSG_NOSIGNAL) ==
            static_cast<ssize_t>(text.size()));
    return read_line(fd);
}

}  // namespace

TEST_CASE("control: request and answer, several on one connection") {
    Server server;
    auto client = ControlClient::connect(server.path);
    REQUIRE(client);
    for (int i = 0; i < 3; ++i) {
        REQUIRE(client->send("echo", {{"n", i}}));
        auto answer = client->receive();
        REQUIRE(answer);
        CHECK((*answer)["ok"] == true);
        CHECK((*answer)["result"]["n"] == i);
    }
}

TEST_CASE("control: what is no request is answered with what one looks like") {
    Server server;
    Fd fd = raw_client(server.path);
    for (const char* nonsense :
         {"hello\n", "[]\n", "{}\n", "{\"command\": 5}\n", "{\"v\":1,\"command\":\n"})
        CHECK(say(fd, nonsense).find("\"what\":\"request\"") != std::string::npos);
    CHECK(say(fd, "{\"v\":2,\"command\":\"echo\"}\n").find("another version") != std::string::npos);
    CHECK(say(fd, "{\"v\":1,\"command\":\"echo\",\"arguments\":7}\n").find("\"ok\":true") !=
          std::string::npos);
    CHECK(
        say(fd, "{\"v\":1,\"command\":\"echo\",\"arguments\":{\"a\":\"\xff\"}}\n").find("\"ok\"") !=
        std::string::npos);
}

TEST_CASE("control: an answer that takes longer holds up nobody, and keeps the order") {
    Server server;
    Fd slow = raw_client(server.path);
    std::string both = "{\"v\":1,\"command\":\"later\"}\n{\"v\":1,\"command\":\"echo\"}\n";
    REQUIRE(::send(slow.get(), both.data(), both.size(), 0) > 0);
    Fd other = raw_client(server.path);
    CHECK(say(other, "{\"v\":1,\"command\":\"echo\"}\n").find("\"ok\":true") != std::string::npos);
    server.poke('l');
    CHECK(read_line(slow).find("late") != std::string::npos);
    CHECK(read_line(slow).find("\"ok\":true") != std::string::npos);
    // Who has left by the time of the answer is not missed.
    REQUIRE(::send(slow.get(), both.data(), both.size(), 0) > 0);
    CHECK(say(other, "{\"v\":1,\"command\":\"echo\"}\n").find("\"ok\":true") != std::string::npos);
    slow.reset();
    CHECK(say(other, "{\"v\":1,\"command\":\"echo\"}\n").find("\"ok\":true") != std::string::npos);
    server.poke('l');
    CHECK(say(other, "{\"v\":1,\"command\":\"echo\"}\n").find("\"ok\":true") != std::string::npos);
}

TEST_CASE("control: a request without end is cut off, others are served") {
    Server server;
    Fd bad = raw_client(server.path);
    std::string flood(20'000, 'x');
    for (int i = 0; i < 10; ++i) [[maybe_unused]]
        auto sent = ::send(bad.get(), flood.data(), flood.size(), MSG_NOSIGNAL);
    Fd good = raw_client(server.path);
    CHECK(say(good, "{\"v\":1,\"command\":\"echo\"}\n").find("\"ok\":true") != std::string::npos);
    CHECK(read_line(bad).find("is longer than 64 KiB") != std::string::npos);
    server.stop();
    CHECK(server.cut_off >= 1);
}

TEST_CASE("control: who does not read is cut off, others are served") {
    Server server;
    SECTION("answers") {
        Fd slow = raw_client(server.path);
        std::string request = "{\"v\":1,\"command\":\"big\"}\n";
        for (int i = 0; i < 20; ++i) [[maybe_unused]]
            auto sent = ::send(slow.get(), request.data(), request.size(), MSG_NOSIGNAL);
        Fd good = raw_client(server.path);
        CHECK(say(good, "{\"v\":1,\"command\":\"echo\"}\n").find("\"ok\":true") !=
              std::string::npos);
        server.stop();
    }
    SECTION("events") {
        Fd slow = raw_client(server.path);
        CHECK(say(slow, "{\"v\":1,\"command\":\"watch\"}\n").find("watching") != std::string::npos);
        for (int i = 0; i < 3000; ++i) server.poke('e');
        Fd good = raw_client(server.path);
        CHECK(say(good, "{\"v\":1,\"command\":\"echo\"}\n").find("\"ok\":true") !=
              std::string::npos);
        server.stop();
    }
    CHECK(server.cut_off == 1);
}

TEST_CASE("control: more clients than there are places are told so") {
    Server server;
    std::vector<Fd> clients;
    // Those that listen keep their places; others make room once they are silent.
    for (std::size_t i = 0; i < ControlServer::most_of_one_user; ++i) {
        clients.push_back(raw_client(server.path));
        CHECK(say(clients.back(), "{\"v\":1,\"command\":\"watch\"}\n").find("watching") !=
              std::string::npos);
    }
    auto client = ControlClient::connect(server.path);
    REQUIRE(client);
    auto answer = client->receive();
    REQUIRE(answer);
    CHECK((*answer)["error"]["reason"] == "too many clients are connected");
    clients.clear();
    CHECK(wait_for([&] {
        return say(raw_client(server.path), "{\"v\":1,\"command\":\"echo\"}\n").find("true") !=
               std::string::npos;
    }));
}

TEST_CASE(
    "control: the socket is its owner's and group's; a live one is not taken over, a dead one is") {
    std::string path;
    {
        Server server;
        struct stat status{};
        REQUIRE(stat(server.path.c_str(), &status) == 0);
        CHECK((status.st_mode & 0777) == 0660);
        auto second = ControlServer::listen(server.path, geteuid(), getegid());
        REQUIRE_FALSE(second);
        CHECK(to_line(second.error()) ==
              "socket \"" + server.path +
                  "\": another bandd is listening there; stop that one first, or give "
                  "this one another \"socket:\"");
        server.stop();
        CHECK_FALSE(std::filesystem::exists(server.path));
    }
    TempDirectory dir;
    {
        auto left_behind = ControlServer::listen(dir / "s", geteuid(), getegid());
    }
    REQUIRE(std::filesystem::exists(dir / "s"));
    CHECK(ControlServer::listen(dir / "s", geteuid(), getegid()));
    auto none = ControlClient::connect(dir / "nothing");
    REQUIRE_FALSE(none);
    CHECK(to_line(none.error()) == "cannot reach bandd at \"" + dir / "nothing" +
                                       "\": No such file or directory; is it running?");
}

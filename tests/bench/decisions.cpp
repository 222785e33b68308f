// SPDX-License-Identifier: GPL-2.0-or-later
// How long who asks waits for a decision, over loopback: Postfix (one connection, one question
// after the other), nginx (a connection for each), Dovecot (one connection). ACCOUNTS accounts with
// LOG_ONS logins each, from 20 addresses; then many Postfix processes at once, for decisions a
// second.
#include <fmt/format.h>
#include <sys/socket.h>
#include <sys/time.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <random>
#include <thread>

#include "os/fd.h"
#include "os/socket_address.h"
#include "support/common.h"
#include "support/machine.h"

using namespace bandd;

namespace {

std::size_t setting(const char* name, std::size_t standard) {
    const char* given = std::getenv(name);
    return given == nullptr ? standard : std::strtoul(given, nullptr, 10);
}

Fd connect_to(std::uint16_t port) {
    Fd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    timeval limit{10, 0};
    setsockopt(fd.get(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    sockaddr_storage to{};
    socklen_t size = to_sockaddr(ip("127.0.0.1"), port, to);
    if (::connect(fd.get(), reinterpret_cast<sockaddr*>(&to), size) != 0) fd.reset();
    return fd;
}

// Sends, and waits for an answer that ends so.
bool ask(const Fd& fd, const std::string& text, std::string_view ending) {
    if (::send(fd.get(), text.data(), text.size(), MSG_NOSIGNAL) < 0) return false;
    std::string heard;
    char buffer[4096];
    while (!std::string_view(heard).ends_with(ending)) {
        ssize_t got = ::recv(fd.get(), buffer, sizeof buffer, 0);
        if (got <= 0) return false;
        heard.append(buffer, static_cast<std::size_t>(got));
    }
    return true;
}

std::string address_of_login(std::size_t account, std::size_t login) {
    return fmt::format("8.{}.{}.{}", login % 4, account % 250, 1 + login % 20);
}
std::string policy_request(std::size_t account, std::size_t login) {
    return fmt::format(
        "request=smtpd_access_policy\nprotocol_state=RCPT\nprotocol_name=ESMTP\n"
        "helo_name=client.example.org\nqueue_id=\nsender=user{0}@example.org\n"
        "recipient=somebody@example.net\nrecipient_count=0\nclient_address={1}\n"
        "client_name=unknown\nreverse_client_name=unknown\ninstance={2}.{0}\nsasl_method=PLAIN\n"
        "sasl_username=user{0}@example.org\nsasl_sender=\nsize=12345\nccert_subject=\n"
        "encryption_protocol=TLSv1.3\nencryption_keysize=256\nserver_port=465\n\n",
        account, address_of_login(account, login), login);
}

void tell(const char* what, std::vector<double>& seconds) {
    std::ranges::sort(seconds);
    fmt::print("{:<40} median {:.3f} ms, p99 {:.3f} ms, most {:.1f} ms, {} decisions\n", what,
               seconds[seconds.size() / 2] * 1e3, seconds[seconds.size() * 99 / 100] * 1e3,
               seconds.back() * 1e3, seconds.size());
}

template <class Once>
std::vector<double> measure(std::size_t count, Once&& once) {
    std::vector<double> seconds(count);
    for (std::size_t i = 0; i < count; ++i) {
        auto begin = std::chrono::steady_clock::now();
        REQUIRE(once(i));
        seconds[i] =
            std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
    }
    return seconds;
}

double cpu_seconds(pid_t pid) {
    std::string stat = sh("cut -d')' -f2 /proc/" + std::to_string(pid) + "/stat").out;
    long user = 0, system = 0;
    std::sscanf(stat.c_str(), " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %ld %ld", &user,
                &system);
    return static_cast<double>(user + system) / static_cast<double>(sysconf(_SC_CLK_TCK));
}

}  // namespace

TEST_CASE("decisions: how long Postfix, nginx and Dovecot wait") {
    std::size_t accounts = setting("ACCOUNTS", 10'000);
    std::size_t logins = setting("LOG_ONS", 100);
    clean_namespace();
    TempDirectory dir;
    must("chmod 755 " + dir.path());
    std::string blocks;
    for (const char* block : {"8.0.0.0/16 country_code=US", "8.1.0.0/16 country_code=DE",
                              "8.2.0.0/16 country_code=FR", "8.3.0.0/16 country_code=IT"})
        blocks += std::string(block) + "\n";
    write_file(dir / "geo.txt", blocks);
    must("support/make_mmdb " + dir / "geo.mmdb" + " < " + dir / "geo.txt");
    write_file(dir / "bandd.yaml",
               "state: run/state.db\nsocket: run/socket\nuser: nobody\ngroup: nogroup\n"
               "geoip: geo.mmdb\naccess: {countries: [US, DE, FR, IT]}\n"
               "accounts: {countries: 5, addresses: 20}\n"
               "policy: {listen: tcp://127.0.0.1:10040}\n"
               "http: {listen: tcp://127.0.0.1:10041, imap: 127.0.0.1:143}\njails: {}\n");
    DaemonProcess daemon(dir.path());
    REQUIRE(daemon.start());

    std::mt19937 random(1);
    std::vector<std::uint32_t> order(accounts * logins);
    for (std::size_t i = 0; i < order.size(); ++i) order[i] = static_cast<std::uint32_t>(i);
    std::ranges::shuffle(order, random);
    Fd postfix = connect_to(10040);
    auto waits = measure(order.size() / 2, [&](std::size_t i) {
        return ask(postfix, policy_request(order[i] / logins, order[i] % logins), "\n\n");
    });
    tell("Postfix policy, one smtpd", waits);

    // Twenty smtpds at once: what the daemon's one thread can do.
    constexpr std::size_t smtpds = 20;
    std::atomic<std::size_t> next = order.size() / 2;
    std::atomic<bool> good = true;
    double cpu = cpu_seconds(daemon.pid());
    auto begin = std::chrono::steady_clock::now();
    std::vector<std::thread> threads;
    for (std::size_t thread = 0; thread < smtpds; ++thread)
        threads.emplace_back([&] {
            Fd fd = connect_to(10040);
            for (std::size_t i = next++; i < order.size(); i = next++)
                if (!ask(fd, policy_request(order[i] / logins, order[i] % logins), "\n\n")) {
                    good = false;
                    return;
                }
        });
    for (std::thread& thread : threads) thread.join();
    double took = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
    cpu = cpu_seconds(daemon.pid()) - cpu;
    REQUIRE(good);
    auto half = static_cast<double>(order.size() - order.size() / 2);
    fmt::print("{:<40} {:.0f} decisions/s; {:.0f} for each second of its processor time\n",
               "Postfix policy, 20 smtpds", half / took, cpu > 0 ? half / cpu : 0);

    std::size_t few = std::min<std::size_t>(20'000, order.size());
    auto nginx = measure(few, [&](std::size_t i) {
        Fd fd = connect_to(10041);
        return ask(
            fd,
            fmt::format("GET /auth/nginx HTTP/1.0\r\nHost: localhost\r\nAuth-Method: plain\r\n"
                        "Auth-User: user{}@example.org\r\nAuth-Pass: secret\r\n"
                        "Auth-Protocol: imap\r\nAuth-Login-Attempt: 1\r\nClient-IP: {}\r\n\r\n",
                        order[i] / logins, address_of_login(order[i] / logins, order[i] % logins)),
            "\r\n\r\n");
    });
    tell("nginx auth_http, a connection each", nginx);
    Fd dovecot = connect_to(10041);
    auto allow = measure(few, [&](std::size_t i) {
        std::string body = fmt::format(
            "{{\"login\":\"user{}@example.org\",\"remote\":\"{}\",\"protocol\":\"imap\","
            "\"device_id\":\"\",\"session_id\":\"abc\",\"pwhash\":\"00\",\"tls\":true}}",
            order[i] / logins, address_of_login(order[i] / logins, order[i] % logins));
        return ask(dovecot,
                   fmt::format("POST /auth/dovecot?command=allow HTTP/1.1\r\nHost: localhost\r\n"
                               "Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{}",
                               body.size(), body),
                   "}\n");
    });
    tell("Dovecot auth policy, one connection", allow);
    std::string memory = sh("grep VmRSS /proc/" + std::to_string(daemon.pid()) + "/status").out;
    fmt::print("{} accounts: {}", accounts, memory);
    CHECK(daemon.ctl("accounts --limit 1").code == 0);
}

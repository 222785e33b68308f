// SPDX-License-Identifier: GPL-2.0-or-later
// Filters that have become blind. Logs are made up by a generator that knows nothing of how that is
// noticed: a month of a host on the Internet, with bursts of guesses, quiet days, and all that
// sshd, Postfix and Dovecot write of clients that do no harm.
#include <fmt/format.h>

#include <functional>
#include <random>

#include "config/compile.h"
#include "core/decide/filter_health.h"
#include "support/common.h"

using namespace bandd;

namespace {

// Filters as they were before the programs changed their lines.
FilterConfig filter_of(const std::string& name, const std::string& tag,
                       const std::vector<std::pair<std::string, std::string>>& patterns) {
    FilterConfig filter;
    filter.name = name;
    filter.tag = tag;
    for (const auto& [id, regex] : patterns) filter.failregex.push_back({id, regex, {}, {}});
    return filter;
}
FilterConfig old_sshd() {
    return filter_of(
        "sshd", "^sshd$",
        {{"failed-password",
          R"(^Failed (?:password|none) for (?:invalid user )?<F-USER>.*?</F-USER> from <HOST> port \d+ ssh2$)"},
         {"invalid-user", R"(^Invalid user <F-USER>.*?</F-USER> from <HOST> port \d+$)"},
         {"too-many",
          R"(^error: maximum authentication attempts exceeded for (?:invalid user )?<F-USER>.*?</F-USER> from <HOST> port \d+ ssh2 \[preauth\]$)"}});
}
// It knows its tag after an upgrade, what scanners and keys write, and takes bad banners for
// attacks.
FilterConfig long_sshd() {
    FilterConfig filter = old_sshd();
    filter.tag = "^sshd(?:-session)?$";
    filter.failregex.push_back(
        {"bad-banner",
         R"(^banner exchange: Connection from <HOST> port \d+: invalid format$)",
         {},
         {}});
    filter.failregex.push_back(
        {"left-without-login",
         R"(^(?:Connection (?:closed|reset) by|Disconnected from) invalid user <F-USER>[^:]*?</F-USER> <HOST> port \d+ \[preauth\]$)",
         {},
         {}});
    filter.failregex.push_back(
        {"left-as-user",
         R"(^(?:Connection (?:closed|reset) by|Disconnected from) authenticating user <F-USER>[^:]*?</F-USER> <HOST> port \d+ \[preauth\]$)",
         "ddos",
         {}});
    filter.failregex.push_back({"closed-before-log-on",
                                R"(^Connection (?:closed|reset) by <HOST> port \d+ \[preauth\]$)",
                                "ddos",
                                {}});
    filter.ignoreregex.push_back(
        {"keys", R"(^Failed publickey for [^ ]+ from [\da-f.:]+ port \d+ ssh2: \S+ \S+$)", {}, {}});
    return filter;
}
FilterConfig old_dovecot() {
    return filter_of(
        "dovecot", "",
        {{"auth-worker", R"(^auth-worker\(\d+\): sql\([^,()]*,<HOST>,<\w+>\): unknown user$)"},
         {"auth-failed",
          R"(^(?:imap|pop3)-login: (?:Disconnected|Aborted login)(?:: [^(<]*)? \(auth failed, \d+ attempts in \d+ secs\): user=<<F-USER>[^>]*</F-USER>>, method=\w+, rip=<HOST>, )"}});
}
FilterConfig old_postfix() {
    return filter_of(
        "postfix", "^postfix(?:/\\w+)*/smtpd$",
        {{"sasl-failed",
          R"(^warning: [^\[\s]*\[<HOST>\]: SASL [\w-]+ authentication failed: [\w+/=]*$)"},
         {"relay-denied",
          R"(^NOQUEUE: reject: RCPT from [^\[\s]*\[<HOST>\]: 454 4\.7\.1 <[^>]*>: Relay access denied; )"}});
}

struct Host {
    explicit Host(std::uint64_t seed) : random(seed) {}

    std::mt19937_64 random;
    std::int64_t second = 1'790'000'000;
    bool new_sshd_tag = false, new_sshd_text = false, new_dovecot = false, new_postfix = false;
    bool keys_only = false;
    // In words that no pattern has a text of.
    bool other_imap = false, other_sasl = false;
    // The share of attacks that other patterns match.
    double bad_banners = 0, unknown_users = 0;
    // The share of attackers among what happens, which changes by the hour.
    double attacks = 0.3;

    std::size_t below(std::size_t end) { return random() % end; }
    bool happens(double chance) {
        return std::uniform_real_distribution<double>(0, 1)(random) < chance;
    }
    template <class... Texts>
    std::string one_of(Texts... texts) {
        std::vector<std::string> all{texts...};
        return all[below(all.size())];
    }
    std::string address() {
        return fmt::format("{}.{}.{}.{}", 20 + below(180), below(256), below(256), 1 + below(254));
    }
    std::string user() {
        return one_of("root", "admin", "test", "oracle", "pi", "ubuntu", "info", "postgres", "git",
                      "failed", "error", "user" + std::to_string(below(1000)));
    }
    std::string line(const std::string& tag, const std::string& message) {
        second += static_cast<std::int64_t>(below(60));
        std::string time = format_rfc3339(Instant{second * 1'000'000});
        return time.substr(0, 19) + "+00:00 mx " + tag + ": " + message + "\n";
    }
    std::string sshd(const std::string& message) {
        return line(fmt::format("{}[{}]", new_sshd_tag ? "sshd-session" : "sshd", below(60000)),
                    message);
    }
    std::string postfix(const std::string& program, const std::string& message) {
        return line(fmt::format("postfix/{}[{}]", program, below(60000)), message);
    }

    std::string guess_ssh() {
        std::string ip = address(), name = user();
        auto port = 1024 + below(60000);
        std::string text, invalid = happens(0.5) ? "invalid user " : "";
        if (happens(bad_banners))
            return sshd(fmt::format("banner exchange: Connection from {} port {}: invalid format",
                                    ip, port));
        if (keys_only)
            return sshd(fmt::format("Failed publickey for {} from {} port {} ssh2: RSA SHA256:x",
                                    name, ip, port)) +
                   sshd(happens(0.5)
                            ? fmt::format("Connection closed by {} port {} [preauth]", ip, port)
                            : fmt::format(
                                  "Disconnected from authenticating user {} {} port {} [preauth]",
                                  name, ip, port));
        if (!invalid.empty())
            text += sshd(
                fmt::format(fmt::runtime(new_sshd_text ? "No such account: {} (client {}, port {})"
                                                       : "Invalid user {} from {} port {}"),
                            name, ip, port));
        for (std::size_t i = 0, tries = 1 + below(4); i < tries; ++i) {
            if (happens(0.3))
                text +=
                    sshd(fmt::format("pam_unix(sshd:auth): authentication failure; logname= uid=0 "
                                     "euid=0 tty=ssh ruser= rhost={}  user={}",
                                     ip, name));
            text += sshd(
                new_sshd_text
                    ? fmt::format("Authentication of {} by password rejected, client {}", name, ip)
                    : fmt::format("Failed password for {}{} from {} port {} ssh2", invalid, name,
                                  ip, port));
        }
        text += sshd(
            fmt::format("{} {}user {} {} port {} [preauth]",
                        one_of("Connection closed by", "Disconnected from", "Connection reset by"),
                        invalid.empty() ? "authenticating " : "invalid ", name, ip, port));
        return text;
    }
    std::string guess_smtp() {
        std::string ip = address();
        std::string client = one_of("unknown", "host.example.net") + "[" + ip + "]";
        std::string text = postfix("smtpd", "connect from " + client);
        if (happens(0.2))
            text += postfix("smtpd",
                            fmt::format("warning: hostname host.example.net does not resolve to "
                                        "address {}: Name or service not known",
                                        ip));
        if (other_sasl && happens(0.8))
            text +=
                postfix("smtpd", fmt::format("sasl login of {} rejected, method=LOGIN", client));
        else if (other_sasl || happens(0.2))
            text += postfix("smtpd",
                            fmt::format("NOQUEUE: reject: RCPT from {}: 454 4.7.1 <a@b.example>: "
                                        "Relay access denied; from=<x@y.example> to=<a@b.example> "
                                        "proto=ESMTP helo=<h>",
                                        client));
        else
            text += postfix(
                "smtpd", fmt::format("warning: {}: SASL LOGIN authentication failed: {}", client,
                                     new_postfix ? "(reason unavailable), sasl_username=" + user()
                                                 : one_of("UGFzc3dvcmQ6", "VXNlcm5hbWU6")));
        text += postfix("smtpd", fmt::format("lost connection after {} from {}",
                                             one_of("AUTH", "RCPT"), client));
        return text +
               postfix("smtpd",
                       fmt::format("disconnect from {} ehlo=1 auth=0/1 commands=1/2", client));
    }
    std::string guess_imap() {
        std::string rip = address(), name = user();
        std::string head = one_of("imap", "pop3");
        if (happens(unknown_users))
            return line("dovecot", fmt::format("auth-worker({}): sql({},{},<abc>): unknown user",
                                               below(9999), name, rip));
        if (other_imap)
            return line("dovecot",
                        fmt::format("{}-login: event auth_failed user=\"{}\" remote_ip={} "
                                    "session=abc",
                                    head, name, rip));
        std::string how =
            new_dovecot ? "Login aborted: Connection closed (auth failed, 1 attempts in 2 secs) "
                          "(auth_failed): user=<{}>, method=PLAIN, rip={}, lip=192.0.2.1, TLS"
                        : "Disconnected: Connection closed (auth failed, 1 attempts in 2 secs): "
                          "user=<{}>, method=PLAIN, rip={}, lip=192.0.2.1, TLS";
        return line("dovecot", head + "-login: " + fmt::format(fmt::runtime(how), name, rip));
    }
    std::string ordinary() {
        std::string ip = address(), name = user();
        switch (below(14)) {
            case 0:
                return line(fmt::format("CRON[{}]", below(60000)),
                            "pam_unix(cron:session): session opened for "
                            "user root(uid=0) by (uid=0)");
            case 1:
                return sshd(fmt::format(
                    "Accepted publickey for {} from {} port 22 ssh2: ED25519 SHA256:x", name, ip));
            case 2:
                return sshd(fmt::format("error: kex_exchange_identification: {}",
                                        one_of("Connection closed by remote host",
                                               "read: Connection reset by peer"))) +
                       sshd(fmt::format("Connection {} by {} port {}", one_of("closed", "reset"),
                                        ip, below(60000)));
            case 3:
                return sshd(
                    fmt::format("Received disconnect from {} port {}:11: disconnected by user", ip,
                                below(60000)));
            case 4:
                return sshd(fmt::format("fatal: Timeout before authentication for {} port {}", ip,
                                        below(60000)));
            case 5:
                return line(
                    "dovecot",
                    fmt::format(
                        "imap-login: Login: user=<{}>, method=PLAIN, rip={}, lip=192.0.2.1, "
                        "mpid=1, TLS, session=<x>",
                        name, ip));
            case 6:
                return line("dovecot",
                            fmt::format("imap({})<1><x>: Disconnected: {} in=1 out=2", name,
                                        one_of("Logged out", "Connection closed", "Inactivity")));
            case 7:
                return line(
                    "dovecot",
                    fmt::format(
                        "imap-login: Disconnected: {} (no auth attempts in 0 secs): user=<>, "
                        "rip={}, lip=192.0.2.1, TLS{}",
                        one_of("Connection closed", "Too many invalid commands"), ip,
                        one_of("",
                               " handshaking: SSL_accept() failed: error:0A: unsupported "
                               "protocol")));
            case 8:
                return postfix(
                    "smtp",
                    fmt::format(
                        "ABC{}: to=<x@example.org>, relay=mx.example.org[{}]:25, delay=1, "
                        "status={}",
                        below(1000), ip,
                        one_of("sent (250 ok)", "deferred (host refused to talk to me: 421)",
                               "bounced (host said: 550 unknown user)")));
            case 9:
                return postfix("smtpd", fmt::format("connect from mail.example.com[{}]", ip)) +
                       postfix(
                           "smtpd",
                           fmt::format("NOQUEUE: reject: RCPT from mail.example.com[{}]: 450 4.2.0 "
                                       "<u@example.org>: Recipient address rejected: Greylisted; "
                                       "from=<a@b> "
                                       "to=<u@example.org> proto=ESMTP helo=<mail>",
                                       ip)) +
                       postfix("smtpd",
                               fmt::format("disconnect from mail.example.com[{}] ehlo=1", ip));
            case 10:
                return postfix(
                    "smtpd", fmt::format("SSL_accept error from unknown[{}]: lost connection", ip));
            case 11:
                return postfix(
                    "qmgr",
                    fmt::format("ABC{}: from=<x@example.org>, size=1, nrcpt=1 (queue active)",
                                below(1000)));
            case 12:
                // Rare things.
                if (happens(0.9)) return "";
                return postfix(
                    "smtpd",
                    fmt::format(
                        "warning: unknown[{}]: SASL PLAIN authentication failed: Connection "
                        "lost to authentication server",
                        ip));
            default:
                return line("kernel",
                            fmt::format("[UFW BLOCK] IN=eth0 SRC={} DST=192.0.2.1 PROTO=TCP", ip));
        }
    }
    std::string next() {
        if (below(200) == 0)
            attacks = one_of("a", "b", "c") == "a" ? 0.02 : happens(0.5) ? 0.3 : 0.7;
        if (!happens(attacks)) return ordinary();
        switch (below(3)) {
            case 0:
                return guess_ssh();
            case 1:
                return guess_smtp();
            default:
                return guess_imap();
        }
    }
};

struct Watched {
    std::shared_ptr<const Ruleset> ruleset;
    std::vector<Error> errors, warnings;
    Scratch scratch;
    Hits hits;
    FilterHealth health;
    std::vector<FilterHealth::Change> changes;
    std::size_t lines = 0;

    explicit Watched(const std::vector<FilterConfig>& filters) {
        JailFilters compiled;
        std::vector<JailIndex> jails;
        for (const FilterConfig& filter : filters) {
            jails.push_back(static_cast<JailIndex>(compiled.size()));
            compiled.push_back(compile_filter(filter, {}, errors, warnings));
        }
        REQUIRE(errors.empty());
        ruleset = make_ruleset(compiled, jails, Zone{}, Escapes::automatic, 65536);
    }
    void take(std::string_view text) {
        hits.clear();
        scan(*ruleset, Chunk{0, text, {}}, Instant{}, scratch, hits);
        health.take(*ruleset, text, hits, Instant{});
        lines += static_cast<std::size_t>(std::ranges::count(text, '\n'));
        std::ranges::move(health.take_changes(), std::back_inserter(changes));
    }
};
Watched all_three() { return Watched({old_sshd(), old_dovecot(), old_postfix()}); }
Watched all_long() { return Watched({long_sshd(), old_dovecot(), old_postfix()}); }

// Some thousand lines a day, in pieces as they come.
void live(Watched& watched, Host& host, std::size_t lines) {
    for (std::size_t end = watched.lines + lines; watched.lines < end;) {
        std::string text;
        for (std::size_t i = host.below(3) + 1; i > 0; --i) text += host.next();
        if (!text.empty()) watched.take(text);
    }
}

std::string told(const std::vector<FilterHealth::Change>& changes) {
    std::string text;
    for (const auto& change : changes) {
        text += change.filter;
        if (change.blindness)
            text +=
                fmt::format(" {} lines, kind {}: {}", change.blindness->lines,
                            static_cast<int>(change.blindness->kind), change.blindness->example);
        else
            text += " sees";
        text += "\n";
    }
    return text;
}

constexpr std::size_t month = 60'000;  // lines
// Statistics are the same with sanitizers, which take twenty times as long.
#ifdef BANDD_ADDRESS_SANITIZER
constexpr std::uint64_t months = 1, in_pieces = 1;
constexpr std::uint64_t most_seeds(std::uint64_t) { return 1; }
#else
constexpr std::uint64_t months = 12, in_pieces = 6;
constexpr std::uint64_t most_seeds(std::uint64_t seeds) { return seeds; }
#endif

}  // namespace

TEST_CASE("filter health: a month of ordinary use, and nothing is said") {
    for (std::uint64_t seed = 1; seed <= months; ++seed) {
        INFO("seed " << seed);
        Watched watched = all_three();
        Host host(seed);
        live(watched, host, month);
        CHECK(told(watched.changes) == "");
        CHECK(watched.health.counts("sshd")->hits > 100);
    }
}

TEST_CASE("filter health: a month in large pieces, as a backlog or a replay reads it") {
    for (std::uint64_t seed = 1; seed <= in_pieces; ++seed) {
        INFO("seed " << seed);
        Watched watched = all_three();
        Host host(seed);
        while (watched.lines < month) {
            std::string text;
            while (text.size() < 64 << 10) text += host.next();
            watched.take(text);
        }
        CHECK(told(watched.changes) == "");
    }
}

TEST_CASE("filter health: a new format is noticed within 200 lines") {
    struct Change {
        const char* name;
        const char* filter;
        void (*make)(Host&);
    };
    // OpenSSH 9.8's sshd-session; Postfix' smtpd_sasl_glue.c since 3.8; Dovecot 2.4's
    // login-common/client-common.c ("Login aborted: %s (%s)"); texts that no gate knows.
    for (const Change& change :
         {Change{"sshd-session", "sshd", [](Host& host) { host.new_sshd_tag = true; }},
          Change{"sasl_username", "postfix", [](Host& host) { host.new_postfix = true; }},
          Change{"Login aborted", "dovecot", [](Host& host) { host.new_dovecot = true; }},
          Change{"other texts", "sshd", [](Host& host) { host.new_sshd_text = true; }}})
        for (std::uint64_t seed = 1; seed <= most_seeds(10); ++seed) {
            INFO(change.name << ", seed " << seed);
            Watched watched = all_three();
            Host host(seed);
            live(watched, host, 20'000);
            REQUIRE(told(watched.changes) == "");
            change.make(host);
            host.attacks = 0.5;
            std::size_t before = watched.lines;
            while (watched.changes.empty() && watched.lines < before + 2000) {
                host.attacks = 0.5;
                live(watched, host, 1);
            }
            CHECK(watched.lines - before <= 200);
            REQUIRE(watched.changes.size() == 1);
            CHECK(watched.changes[0].filter == change.filter);
            CHECK(watched.changes[0].blindness);
            CHECK(watched.changes[0].blindness->since);
            // It is said once, and taken back when the filter was mended.
            live(watched, host, 5000);
            CHECK(watched.changes.size() == 1);
            host.new_sshd_tag = host.new_sshd_text = host.new_dovecot = host.new_postfix = false;
            live(watched, host, 2000);
            REQUIRE(watched.changes.size() == 2);
            CHECK_FALSE(watched.changes[1].blindness);
        }
}

namespace {

// So many lines of the program until it is noticed, if that takes at most 3000 of the log.
std::size_t lines_until_noticed(Watched& watched, Host& host, std::string_view program) {
    std::size_t lines = 0;
    std::size_t end = watched.lines + 3000;
    while (watched.changes.empty() && watched.lines < end) {
        host.attacks = 0.5;
        std::string text = host.next();
        if (text.empty()) continue;
        watched.take(text);
        for (std::size_t at = 0; (at = text.find(program, at)) != std::string::npos; ++at) ++lines;
    }
    return watched.changes.empty() ? SIZE_MAX : lines;
}

}  // namespace

TEST_CASE("filter health: a new format is noticed while other patterns go on to match") {
    struct Change {
        const char* name;
        const char* filter;
        void (*make)(Host&);
    };
    for (const Change& change :
         {Change{"sshd", "sshd", [](Host& host) { host.new_sshd_text = true; }},
          Change{"postfix", "postfix", [](Host& host) { host.other_sasl = true; }},
          Change{"dovecot", "dovecot", [](Host& host) { host.other_imap = true; }},
          Change{"dovecot 2.4", "dovecot", [](Host& host) { host.new_dovecot = true; }}})
        for (double others : {0.1, 0.2}) {
            std::size_t longest = 0;
            for (std::uint64_t seed = 1; seed <= most_seeds(8); ++seed) {
                INFO(change.name << ", others " << others << ", seed " << seed);
                Watched watched = all_long();
                Host host(seed);
                host.bad_banners = host.unknown_users = others;
                live(watched, host, 20'000);
                // Attacks are as frequent as before.
                for (std::size_t end = watched.lines + 500; watched.lines < end;) {
                    host.attacks = 0.5;
                    live(watched, host, 1);
                }
                REQUIRE(told(watched.changes) == "");
                change.make(host);
                std::size_t lines =
                    lines_until_noticed(watched, host, fmt::format(" mx {}", change.filter));
                CHECK(lines <= 200);
                longest = std::max(longest, lines);
                REQUIRE(watched.changes.size() == 1);
                INFO(told(watched.changes));
                CHECK(watched.changes[0].filter == change.filter);
                // It is said once.
                live(watched, host, 5000);
                CHECK(watched.changes.size() == 1);
            }
            fmt::print("{}, others {}: {} lines at most\n", change.name, others, longest);
        }
}

TEST_CASE("filter health: thirty hits are enough to be judged by") {
    for (bool is_long : {false, true})
        for (std::uint64_t seed = 1; seed <= most_seeds(20); ++seed) {
            INFO(is_long << " seed " << seed);
            Watched watched = is_long ? all_long() : all_three();
            Host host(seed);
            // Of a filter; and of each of four patterns of another.
            std::uint64_t hits = FilterHealth::least_hits * (is_long ? 4 : 1);
            while (!watched.health.counts("sshd") || watched.health.counts("sshd")->hits < hits) {
                host.attacks = 0.3;
                live(watched, host, 1);
            }
            REQUIRE(told(watched.changes) == "");
            host.new_sshd_text = true;
            CHECK(lines_until_noticed(watched, host, " mx sshd") <= 200);
            CHECK(told(watched.changes).starts_with("sshd"));
        }
}

TEST_CASE("filter health: an upgrade that changes the tag only is no change") {
    for (double attacks : {0.3, 0.0})
        for (std::uint64_t seed = 1; seed <= most_seeds(4); ++seed) {
            INFO("attacks " << attacks << ", seed " << seed);
            Watched watched = all_long();
            Host host(seed);
            live(watched, host, month / 2);
            host.new_sshd_tag = true;
            for (std::size_t end = watched.lines + month / 2; watched.lines < end;) {
                if (attacks == 0) host.attacks = 0;
                live(watched, host, 1);
            }
            CHECK(told(watched.changes) == "");
        }
}

TEST_CASE("filter health: keys in place of passwords, and scanners that stay, are no change") {
    for (std::uint64_t seed = 1; seed <= most_seeds(5); ++seed) {
        INFO("seed " << seed);
        Watched watched = all_long();
        Host host(seed);
        host.bad_banners = 0.1;
        live(watched, host, month / 2);
        host.keys_only = true;
        live(watched, host, month / 2);
        CHECK(told(watched.changes) == "");
    }
}

TEST_CASE("filter health: months in which other patterns come and go") {
    for (std::uint64_t seed = 1; seed <= months; ++seed) {
        INFO("seed " << seed);
        Watched watched = all_long();
        Host host(seed);
        for (int week = 0; week < 4; ++week) {
            host.bad_banners = host.happens(0.3) ? 0 : host.happens(0.5) ? 0.1 : 0.9;
            host.unknown_users = host.happens(0.3) ? 0 : host.happens(0.5) ? 0.1 : 0.9;
            live(watched, host, month / 4);
        }
        CHECK(told(watched.changes) == "");
    }
}

TEST_CASE("filter health: what visitors of a web server ask for is no failure") {
    FilterConfig scan =
        filter_of("scan", "", {{"exploit", R"(^<HOST> \S+ \S+ "GET /(?:wp-login|shell)\.php )"}});
    Watched watched({scan});
    Host host(3);
    auto visit = [&](const std::string& path) {
        watched.take(
            fmt::format("{} - - [21/Nov/2026:10:00:00 +0000] \"GET {} HTTP/1.1\" 200 {} "
                        "\"https://example.org/error-{}\" \"Mozilla/5.0\"\n",
                        host.address(), path, host.below(10000), host.below(100)));
    };
    for (int i = 0; i < 20'000; ++i)
        visit(host.below(50) == 0 ? "/wp-login.php" : fmt::format("/page/{}", host.below(1000)));
    // A page that many read, while no scanner comes.
    for (int i = 0; i < 20'000; ++i)
        visit(fmt::format("/why-all-that-failed/invalid-{}-error", host.user()));
    CHECK(told(watched.changes) == "");
}

TEST_CASE("filter health: what was learned comes back from the state") {
    Watched watched = all_three();
    Host host(1);
    live(watched, host, 20'000);
    std::string saved = watched.health.save();
    CHECK(saved.size() < 3 * 4096);
    Watched after = all_three();
    after.health.restore(saved);
    after.take(host.next());
    host.new_dovecot = true;
    while (after.changes.empty() && after.lines < 400) live(after, host, 1);
    REQUIRE(after.changes.size() == 1);
    CHECK(after.changes[0].filter == "dovecot");
    // And that it is blind: that is there before the next line, and is not said again.
    Watched third = all_three();
    third.health.restore(after.health.save());
    REQUIRE(third.health.blindness("dovecot") != nullptr);
    CHECK(third.health.blindness("dovecot")->example == after.changes[0].blindness->example);
    third.take(host.next());
    CHECK(third.changes.empty());
    REQUIRE(third.health.blindness("dovecot") != nullptr);
    CHECK(third.health.blindness("dovecot")->example == after.changes[0].blindness->example);
}

TEST_CASE("filter health: a state that is cut, or of another filter, is forgotten") {
    Watched watched = all_three();
    Host host(1);
    live(watched, host, 20'000);
    std::string saved = watched.health.save();
    for (std::size_t length = 0; length < saved.size(); length += 7) {
        Watched after = all_three();
        after.health.restore(saved.substr(0, length));
        after.take(host.next());
        CHECK(after.health.save().size() < saved.size() + 1000);
    }
    Watched other({filter_of("sshd", "^sshd$", {{"a", "^x <HOST>$"}})});
    other.health.restore(saved);
    other.take(host.next());
    CHECK(other.health.counts("sshd")->hits == 0);
}

TEST_CASE("filter health: a tag of which no line came within a day of reading") {
    Watched watched({old_sshd(), filter_of("dropbear", "^dropbear$",
                                           {{"a", "^Bad password for '.*' from <HOST>:\\d+$"}})});
    Host host(1);
    live(watched, host, 2000);
    std::int64_t begin = host.second;
    while (watched.changes.empty() && host.second < begin + 5 * 86400) live(watched, host, 1);
    REQUIRE(watched.changes.size() == 1);
    CHECK(watched.changes[0].filter == "dropbear");
    CHECK(watched.changes[0].blindness->kind == Blindness::Kind::tag);
    watched.take(host.line("dropbear[1]", "Child connection from 192.0.2.7:1"));
    REQUIRE(watched.changes.size() == 2);
    CHECK_FALSE(watched.changes[1].blindness);
}

TEST_CASE("filter health: bytes of all kinds are no harm") {
    std::mt19937_64 random(1);
    Watched watched = all_three();
    for (int i = 0; i < 2000; ++i) {
        std::string text;
        for (std::size_t size = random() % 300; size > 0; --size)
            text += random() % 3 == 0 ? "Failed password for 1.2.3.4::ffff:\t "[random() % 37]
                                      : static_cast<char>(random());
        watched.take(text + "\n");
    }
    CHECK(watched.health.save().size() < 1 << 16);
}

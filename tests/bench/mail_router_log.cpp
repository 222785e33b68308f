// SPDX-License-Identifier: GPL-2.0-or-later
#include "bench/mail_router_log.h"

#include <fmt/format.h>

#include <array>
#include <ctime>
#include <iterator>
#include <random>
#include <string_view>

namespace bandd {
namespace {

constexpr std::array<std::string_view, 12> users{"anna",      "bert.smith", "claire", "dmitri",
                                                 "e.mueller", "fatima",     "george", "helen.k",
                                                 "info",      "jobs",       "office", "webmaster"};
constexpr std::array<std::string_view, 8> domains{
    "example.com",   "example.org",       "mail.example.net", "shop.example.de",
    "example.co.uk", "lists.example.com", "example.fr",       "post.example.at"};

class Writer {
  public:
    Writer(const LogShape& shape, std::string& out)
        : shape_(shape), out_(out), random_(shape.seed) {}

    void run() {
        auto limit = static_cast<std::uint32_t>(shape_.attacks * 4294967295.0);
        for (std::uint64_t i = 0; i < shape_.lines; ++i) {
            set_time(shape_.begin +
                     static_cast<std::int64_t>(static_cast<double>(i) / shape_.lines_per_second));
            bool attack = random_() <= limit && limit > 0;
            switch (any(4)) {
                case 0:
                    attack ? bad_hmailserver() : good_hmailserver();
                    break;
                case 1:
                    attack ? bad_postfix() : good_postfix();
                    break;
                case 2:
                    attack ? bad_dovecot() : good_dovecot();
                    break;
                default:
                    attack ? bad_sshd() : good_sshd();
            }
        }
    }

  private:
    std::uint32_t any(std::uint32_t below) { return static_cast<std::uint32_t>(random_() % below); }
    std::string_view user() { return users[any(users.size())]; }
    std::string_view domain() { return domains[any(domains.size())]; }
    std::string good_ip() { return fmt::format("192.0.{}.{}", 2 + any(4), 1 + any(250)); }
    std::string bad_ip() {
        std::uint32_t n = any(shape_.attackers);
        return fmt::format("203.{}.{}.{}", 1 + n / 62500 % 250, n / 250 % 250, 1 + n % 250);
    }

    void set_time(std::int64_t seconds) {
        if (seconds == time_) return;
        time_ = seconds;
        std::time_t at = seconds;
        std::tm parts{};
        gmtime_r(&at, &parts);
        std::array<char, 64> text{};
        strftime(text.data(), text.size(), "%b %e %H:%M:%S", &parts);
        stamp_ = text.data();
        strftime(text.data(), text.size(), "%Y-%m-%d %H:%M:%S", &parts);
        iso_ = text.data();
    }

    template <class... Arguments>
    void line(fmt::format_string<Arguments...> text, Arguments&&... arguments) {
        out_ += stamp_;
        fmt::format_to(std::back_inserter(out_), text, std::forward<Arguments>(arguments)...);
        out_ += '\n';
    }

    void hmailserver(const std::string& ip, const std::string& what) {
        line(" win \"SMTPD\"#011{}#011{}#011\"{}.{:03}\"#011\"{}\"#011\"{}\"", 1000 + any(9000),
             any(100000), iso_, any(1000), ip, what);
    }
    void good_hmailserver() {
        std::string ip = good_ip();
        switch (any(6)) {
            case 0:
                return hmailserver(ip, "SENT: 220 mail.example.com ESMTP");
            case 1:
                return hmailserver(ip, fmt::format("RECEIVED: EHLO [{}]", ip));
            case 2:
                return hmailserver(ip, fmt::format("RECEIVED: MAIL FROM:<{}@{}> SIZE={}", user(),
                                                   domain(), any(1000000)));
            case 3:
                return hmailserver(ip, "SENT: 250 OK");
            case 4:
                return hmailserver(ip, fmt::format("RECEIVED: RCPT TO:<{}@{}>", user(), domain()));
            default:
                return hmailserver(ip, "SENT: 250 Queued (0.328 seconds)");
        }
    }
    void bad_hmailserver() {
        hmailserver(bad_ip(), any(2) == 0
                                  ? "SENT: 503 Bad sequence of commands"
                                  : "SENT: 535 Authentication failed. Restarting authentication "
                                    "process.");
    }

    void good_postfix() {
        std::string ip = good_ip();
        switch (any(5)) {
            case 0:
                return line(" mx postfix/smtpd[{}]: connect from mail.{}[{}]", 1000 + any(30000),
                            domain(), ip);
            case 1:
                return line(
                    " mx postfix/smtpd[{}]: disconnect from mail.{}[{}] ehlo=2 starttls=1 mail=1 "
                    "rcpt=1 data=1 quit=1 commands=7",
                    1000 + any(30000), domain(), ip);
            case 2:
                return line(
                    " mx postfix/qmgr[{}]: {:010X}: from=<{}@{}>, size={}, nrcpt=1 (queue active)",
                    1000 + any(30000), random_(), user(), domain(), any(100000));
            case 3:
                return line(
                    " mx postfix/lmtp[{}]: {:010X}: to=<{}@{}>, relay=mx[private/dovecot-lmtp], "
                    "delay=0.4, dsn=2.0.0, status=sent (250 2.0.0 Saved)",
                    1000 + any(30000), random_(), user(), domain());
            default:
                return line(" mx postfix/cleanup[{}]: {:010X}: message-id=<{:08x}.{}@{}>",
                            1000 + any(30000), random_(), random_(), any(10000), domain());
        }
    }
    void bad_postfix() {
        line(
            " mx postfix/smtpd[{}]: warning: unknown[{}]: SASL LOGIN authentication failed: "
            "UGFzc3dvcmQ6, sasl_username={}@{}",
            1000 + any(30000), bad_ip(), user(), domain());
    }

    void good_dovecot() {
        switch (any(3)) {
            case 0:
                return line(
                    " mx dovecot: imap-login: Login: user=<{}@{}>, method=PLAIN, rip={}, "
                    "lip=192.0.2.1, mpid={}, TLS, session=<{:08x}>",
                    user(), domain(), good_ip(), 1000 + any(30000), random_());
            case 1:
                return line(
                    " mx dovecot: imap({}@{})<{}><{:08x}>: Disconnected: Logged out in={} out={} "
                    "deleted=0 expunged=0 hdr_count=1 hdr_bytes=450",
                    user(), domain(), any(30000), random_(), any(5000), any(90000));
            default:
                return line(
                    " mx dovecot: lmtp({}@{})<{}><{:08x}>: msgid=<{:08x}@{}>: saved mail to INBOX",
                    user(), domain(), any(30000), random_(), random_(), domain());
        }
    }
    void bad_dovecot() {
        line(
            " mx dovecot: imap-login: Disconnected: Connection closed (auth failed, 1 attempts in "
            "2 secs): user=<{}@{}>, method=PLAIN, rip={}, lip=192.0.2.1, session=<{:08x}>",
            user(), domain(), bad_ip(), random_());
    }

    void good_sshd() {
        switch (any(4)) {
            case 0:
                return line(
                    " mx sshd[{}]: Accepted publickey for {} from {} port {} ssh2: ED25519 "
                    "SHA256:{:08x}{:08x}{:08x}{:08x}",
                    1000 + any(30000), user(), good_ip(), 1024 + any(60000), random_(), random_(),
                    random_(), random_());
            case 1:
                return line(
                    " mx sshd[{}]: pam_unix(sshd:session): session opened for user "
                    "{}(uid=1000) by (uid=0)",
                    1000 + any(30000), user());
            case 2:
                return line(
                    " mx sshd[{}]: Received disconnect from {} port {}:11: disconnected by "
                    "user",
                    1000 + any(30000), good_ip(), 1024 + any(60000));
            default:
                return line(
                    " mx CRON[{}]: (root) CMD (   cd / && run-parts --report "
                    "/etc/cron.hourly && test -e /run/systemd/system || true)",
                    1000 + any(30000));
        }
    }
    void bad_sshd() {
        line(" mx sshd[{}]: Failed password for invalid user {} from {} port {} ssh2",
             1000 + any(30000), user(), bad_ip(), 1024 + any(60000));
    }

    const LogShape& shape_;
    std::string& out_;
    std::mt19937 random_;
    std::int64_t time_ = 0;
    std::string stamp_, iso_;
};

}  // namespace

void write_mail_router_log(const LogShape& shape, std::string& out) { Writer(shape, out).run(); }

}  // namespace bandd

// SPDX-License-Identifier: GPL-2.0-or-later
#include "bench/ordinary_day.h"

#include <fmt/format.h>

#include <array>
#include <ctime>
#include <iterator>
#include <queue>
#include <random>
#include <string_view>
#include <utility>
#include <vector>

namespace bandd {
namespace {

using Words = std::vector<std::string_view>;

const Words users{"anna",      "bert.smith", "claire",  "dmitri", "e.mueller", "fatima",
                  "george",    "helen.k",    "info",    "jobs",   "office",    "support",
                  "webmaster", "shop",       "kontakt", "ivan"};
const Words domains{"example.com",   "example.org", "shop.example.de",
                    "example.co.uk", "example.fr",  "post.example.at"};
const Words senders{"mail-lf1-f51.mailer.example.net", "mta42.news.example.com",
                    "mx3.partner.example.org",         "a27-18.smtp-out.example.net",
                    "mout.provider.example.de",        "o1.list.example.io"};
const Words guessed{"root", "admin", "test",     "oracle",  "ubuntu",
                    "user", "git",   "postgres", "ftpuser", "pi"};
const Words pages{"/",
                  "/index.html",
                  "/shop/cart",
                  "/api/v1/items?page=3",
                  "/wp-content/uploads/2026/11/team.jpg",
                  "/assets/css/main.4f3a1c.css",
                  "/assets/js/app.9b2d.js",
                  "/favicon.ico",
                  "/robots.txt",
                  "/blog/2026/11/winter-opening-hours/",
                  "/login",
                  "/feed/",
                  "/images/logo.svg",
                  "/wp-admin/admin-ajax.php",
                  "/wp-cron.php?doing_wp_cron=1795000000.1234"};
const Words probes{"/wp-login.php",         "/.env",
                   "/phpmyadmin/index.php", "/.git/config",
                   "/xmlrpc.php",           "/vendor/phpunit/phpunit/src/Util/PHP/eval-stdin.php",
                   "/admin/config.php"};
const Words agents{
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) "
    "Chrome/131.0.0.0 Safari/537.36",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like "
    "Gecko) Version/18.1 "
    "Mobile/15E148 Safari/604.1",
    "Mozilla/5.0 (X11; Linux x86_64; rv:133.0) Gecko/20100101 Firefox/133.0",
    "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)",
    "Mozilla/5.0 (compatible; bingbot/2.0; +http://www.bing.com/bingbot.htm)",
    "WordPress/6.7.1; https://www.example.org",
    "Uptime-Kuma/1.23.15"};

// Something that happens on such a machine, and how often.
class Day {
  public:
    Day(const LogShape& shape, std::string& out) : shape_(shape), out_(out), random_(shape.seed) {}

    void run() {
        while (lines_ < shape_.lines) {
            now_ =
                shape_.begin * 1'000'000 + static_cast<std::int64_t>(static_cast<double>(begun_) /
                                                                     shape_.lines_per_second * 1e6);
            bool attack = random_() < shape_.attacks * 4294967296.0;
            pick(attack ? attacks : ordinary);
            write_until(now_);
        }
    }

  private:
    struct Event {
        std::uint32_t weight;
        void (Day::*write)();
    };
    using Events = std::vector<Event>;
    static const Events ordinary, attacks;

    struct Line {
        std::int64_t at = 0;  // microseconds since 1970
        std::uint64_t number = 0;
        std::string
            text;  // a space and what follows the date; a whole line, if it does not begin so
        bool operator>(const Line& other) const {
            return std::pair(at, number) > std::pair(other.at, other.number);
        }
    };

    std::uint32_t any(std::uint32_t below) { return static_cast<std::uint32_t>(random_() % below); }
    bool one_in(std::uint32_t many) { return any(many) == 0; }
    std::string_view of(const Words& words) {
        return words[any(static_cast<std::uint32_t>(words.size()))];
    }
    std::string mailbox() { return fmt::format("{}@{}", of(users), of(domains)); }
    std::string good_ip() { return fmt::format("192.{}.{}.{}", any(4), any(250), 1 + any(250)); }
    std::string bad_ip() {
        std::uint32_t n = any(shape_.attackers);
        return fmt::format("203.{}.{}.{}", 1 + n / 62500 % 250, n / 250 % 250, 1 + n % 250);
    }
    std::string queue_id() { return fmt::format("{:010X}", 0x4F00000000 + random_()); }
    std::string session() {
        return fmt::format("{:08x}{:04x}/{:03x}", random_(), any(65536), any(4096));
    }
    std::uint32_t pid() { return 1000 + any(400'000); }

    void pick(const Events& events) {
        std::uint32_t all = 0;
        for (const Event& event : events) all += event.weight;
        std::uint32_t left = any(all);
        for (const Event& event : events) {
            if (left < event.weight) return (this->*event.write)();
            left -= event.weight;
        }
    }

    // A line of syslog, up to `later` microseconds after the one before it of this event.
    template <class... Arguments>
    void log(std::uint32_t later, fmt::format_string<Arguments...> text, Arguments&&... arguments) {
        at_ = std::max(at_, now_) + 1 + any(later);
        pending_.push(
            {at_, begun_++, " mx " + fmt::format(text, std::forward<Arguments>(arguments)...)});
    }
    void begin() { at_ = now_; }
    void write_until(std::int64_t time) {
        while (!pending_.empty() && pending_.top().at <= time && lines_ < shape_.lines) {
            const Line& line = pending_.top();
            if (line.text.starts_with(' '))
                fmt::format_to(std::back_inserter(out_), "{}+00:00", stamp(line.at, "%FT%T", true));
            out_ += line.text;
            out_ += '\n';
            pending_.pop();
            ++lines_;
        }
    }
    static std::string stamp(std::int64_t at, const char* format, bool with_micros) {
        std::time_t seconds = at / 1'000'000;
        std::tm parts{};
        gmtime_r(&seconds, &parts);
        std::array<char, 64> text{};
        std::size_t size = strftime(text.data(), text.size(), format, &parts);
        std::string stamp(text.data(), size);
        return with_micros ? stamp + fmt::format(".{:06}", at % 1'000'000) : stamp;
    }

    // Mail.
    void connect(std::uint32_t smtpd, std::string_view name, std::string_view ip,
                 std::string_view service = "smtpd") {
        begin();
        if (name == "unknown" && one_in(2))
            log(1,
                "postfix/{}[{}]: warning: hostname host-{}.{} does not resolve to address {}: Name "
                "or service not known",
                service, smtpd, any(10'000), of(domains), ip);
        log(1, "postfix/{}[{}]: connect from {}[{}]", service, smtpd, name, ip);
    }
    void disconnect(std::uint32_t smtpd, std::string_view name, std::string_view ip,
                    std::string_view said, std::string_view service = "smtpd") {
        log(90'000, "postfix/{}[{}]: disconnect from {}[{}] {}", service, smtpd, name, ip, said);
    }
    void mail_for_us() {
        std::string ip = good_ip(), id = queue_id(), to = mailbox(), of_lmtp = session();
        std::string_view host = of(senders), from = of(domains);
        std::uint32_t smtpd = pid(), lmtp = pid(), size = 1500 + any(90'000);
        connect(smtpd, host, ip);
        if (one_in(2))
            log(90'000,
                "postfix/smtpd[{}]: Anonymous TLS connection established from {}[{}]: TLSv1.3 with "
                "cipher "
                "TLS_AES_256_GCM_SHA384 (256/256 bits) key-exchange X25519 server-signature "
                "RSA-PSS (2048 bits) "
                "server-digest SHA256",
                smtpd, host, ip);
        log(90'000, "postfix/smtpd[{}]: {}: client={}[{}]", smtpd, id, host, ip);
        log(90'000, "postfix/cleanup[{}]: {}: message-id=<{:08x}.{}@{}>", pid(), id, random_(),
            any(100'000), from);
        log(9'000, "opendkim[711]: {}: {} [{}] not internal", id, host, ip);
        log(9'000, "opendkim[711]: {}: s=mail{} d={} a=rsa-sha256 SSL", id, any(9), from);
        log(9'000, "postfix/qmgr[845]: {}: from=<bounce-{}@{}>, size={}, nrcpt=1 (queue active)",
            id, any(100'000), from, size);
        disconnect(smtpd, host, ip, "ehlo=2 starttls=1 mail=1 rcpt=1 data=1 quit=1 commands=7");
        log(9'000, "dovecot: lmtp({}): Connect from local", lmtp);
        log(90'000, "dovecot: lmtp({})<{}><{}>: msgid=<{:08x}.{}@{}>: saved mail to INBOX", to,
            lmtp, of_lmtp, random_(), any(100'000), from);
        log(9'000,
            "postfix/lmtp[{}]: {}: to=<{}>, relay=mx.example.org[private/dovecot-lmtp], "
            "delay=0.{}, "
            "delays=0.2{}/0.01/0.02/0.0{}, dsn=2.0.0, status=sent (250 2.0.0 <{}> {} Saved)",
            pid(), id, to, 10 + any(90), any(10), any(10), to, of_lmtp);
        log(9'000, "dovecot: lmtp({}): Disconnect from local: Logged out (state=READY)", lmtp);
        log(9'000, "postfix/qmgr[845]: {}: removed", id);
    }
    void mail_of_ours() {
        std::string ip = good_ip(), id = queue_id(), user = mailbox();
        std::uint32_t smtpd = pid();
        connect(smtpd, "dsl-17.access.example.net", ip, "submission/smtpd");
        log(900'000,
            "postfix/submission/smtpd[{}]: {}: client=dsl-17.access.example.net[{}], "
            "sasl_method=PLAIN, sasl_username={}",
            smtpd, id, ip, user);
        log(90'000, "postfix/cleanup[{}]: {}: message-id=<{:08x}-{:04x}@{}>", pid(), id, random_(),
            any(65536), of(domains));
        log(9'000, "opendkim[711]: {}: DKIM-Signature field added (s=mail, d={})", id, of(domains));
        log(9'000, "postfix/qmgr[845]: {}: from=<{}>, size={}, nrcpt=1 (queue active)", id, user,
            900 + any(900'000));
        disconnect(smtpd, "dsl-17.access.example.net", ip,
                   "ehlo=2 starttls=1 auth=1 mail=1 rcpt=1 data=1 quit=1 commands=8",
                   "submission/smtpd");
        if (one_in(12))
            return log(900'000,
                       "postfix/smtp[{}]: {}: to=<{}>, relay=none, delay=30, delays=0.2/0.01/30/0, "
                       "dsn=4.4.1, "
                       "status=deferred (connect to mx.slow.example.net[192.0.2.99]:25: Connection "
                       "timed out)",
                       pid(), id, mailbox());
        log(900'000,
            "postfix/smtp[{}]: {}: to=<{}>, relay={}[192.0.2.{}]:25, delay=1.{}, "
            "delays=0.1/0.01/0.6/0.5, dsn=2.0.0, "
            "status=sent (250 2.0.0 Ok: queued as {})",
            pid(), id, mailbox(), of(senders), any(250), any(10), queue_id());
        log(9'000, "postfix/qmgr[845]: {}: removed", id);
    }
    void refused_mail() {
        std::string ip = good_ip(), from = mailbox(), to = mailbox();
        std::uint32_t smtpd = pid();
        std::string_view name = one_in(2) ? std::string_view("unknown") : of(senders);
        connect(smtpd, name, ip);
        auto refuse = [&](std::string_view why) {
            log(900'000,
                "postfix/smtpd[{}]: NOQUEUE: reject: RCPT from {}[{}]: {}; from=<{}> to=<{}> "
                "proto=ESMTP helo=<{}>",
                smtpd, name, ip, why, from, to, of(senders));
        };
        switch (any(4)) {
            case 0:
                refuse(
                    fmt::format("554 5.7.1 Service unavailable; Client host [{}] blocked using "
                                "zen.spamhaus.org; "
                                "https://www.spamhaus.org/query/ip/{}",
                                ip, ip));
                break;
            case 1:
                refuse(fmt::format(
                    "450 4.7.1 <host{}.local>: Helo command rejected: Host not found", any(999)));
                break;
            case 2:
                refuse(
                    fmt::format("550 5.1.1 <{}>: Recipient address rejected: User unknown in "
                                "virtual mailbox table",
                                to));
                break;
            default:
                refuse(fmt::format(
                    "450 4.7.25 Client host rejected: cannot find your hostname, [{}]", ip));
        }
        if (one_in(3))
            log(90'000, "postfix/smtpd[{}]: lost connection after RCPT from {}[{}]", smtpd, name,
                ip);
        disconnect(smtpd, name, ip, "ehlo=1 mail=1 rcpt=0/1 quit=1 commands=3/4");
    }
    void lost_connection() {
        std::string ip = good_ip();
        std::uint32_t smtpd = pid();
        bool greeted = one_in(2);
        connect(smtpd, "unknown", ip);
        log(900'000, "postfix/smtpd[{}]: lost connection after {} from unknown[{}]", smtpd,
            greeted ? "EHLO" : "CONNECT", ip);
        disconnect(smtpd, "unknown", ip, greeted ? "ehlo=1 commands=1" : "commands=0/0");
    }
    void anvil() {
        begin();
        std::uint32_t by = pid();
        std::string ip = good_ip(), when = stamp(now_ - 200'000'000, "%b %e %T", false);
        log(1, "postfix/anvil[{}]: statistics: max connection rate 1/60s for (smtp:{}) at {}", by,
            ip, when);
        log(1, "postfix/anvil[{}]: statistics: max connection count 1 for (smtp:{}) at {}", by, ip,
            when);
        log(1, "postfix/anvil[{}]: statistics: max cache size {} at {}", by, 1 + any(9), when);
    }
    void mailbox_session() {
        begin();
        std::string user = mailbox(), id = session();
        std::uint32_t by = pid();
        bool pop3 = one_in(8);
        log(1,
            "dovecot: {}-login: Login: user=<{}>, method=PLAIN, rip={}, lip=192.0.2.1, mpid={}, "
            "TLS, session=<{}>",
            pop3 ? "pop3" : "imap", user, good_ip(), by, id);
        if (pop3)
            return log(900'000,
                       "dovecot: pop3({})<{}><{}>: Disconnected: Logged out top=0/0, retr=0/0, "
                       "del=0/{}, size={}",
                       user, by, id, any(300), any(9'000'000));
        log(90'000'000,
            "dovecot: imap({})<{}><{}>: Disconnected: {} in={} out={} deleted=0 expunged=0 "
            "trashed=0 hdr_count={} "
            "hdr_bytes={} body_count=0 body_bytes=0",
            user, by, id,
            one_in(3) ? std::string("Logged out")
                      : fmt::format("Connection closed (IDLE running for 0.001 + waiting input for "
                                    "{}.{:03} secs, 2 B in + 10 B "
                                    "out, state=wait-input)",
                                    any(1700), any(1000)),
            any(5000), any(90'000), any(9), any(9000));
    }
    void mailbox_glance() {
        begin();
        log(1,
            "dovecot: imap-login: Disconnected: Connection closed (no auth attempts in 0 secs): "
            "user=<>, rip={}, "
            "lip=192.0.2.1, TLS, session=<{}>",
            good_ip(), session());
    }

    // Web.
    void request(std::string_view ip, std::string_view path, int status) {
        begin();
        pending_.push(
            {now_ + 1, begun_++,
             fmt::format("{} - - [{}] \"{} {} HTTP/{}\" {} {} \"{}\" \"{}\"", ip,
                         stamp(now_, "%d/%b/%Y:%T +0000", false), one_in(12) ? "POST" : "GET", path,
                         one_in(3) ? "1.1" : "2.0", status, any(90'000),
                         one_in(2) ? "-" : "https://www.example.org/", of(agents))});
    }
    void page() {
        constexpr std::array<int, 12> statuses{200, 200, 200, 200, 200, 200,
                                               200, 304, 304, 301, 302, 404};
        request(good_ip(), of(pages), statuses[any(statuses.size())]);
    }

    // The machine.
    void cron() {
        begin();
        std::uint32_t by = pid();
        log(1, "CRON[{}]: pam_unix(cron:session): session opened for user root(uid=0) by (uid=0)",
            by);
        log(900, "CRON[{}]: (root) CMD ({})", by + 1,
            one_in(4) ? "   cd / && run-parts --report /etc/cron.hourly"
                      : "  [ -x /usr/lib/php/sessionclean ] && if [ ! -d /run/systemd/system ]; "
                        "then /usr/lib/php/sessionclean; fi");
        log(90'000, "CRON[{}]: pam_unix(cron:session): session closed for user root", by);
    }
    void service() {
        begin();
        bool clean = one_in(2);
        std::string_view unit = clean ? "phpsessionclean.service" : "sysstat-collect.service";
        std::string_view what =
            clean ? "Clean php session files" : "system activity accounting tool";
        log(1, "systemd[1]: Starting {} - {}...", unit, what);
        log(90'000, "systemd[1]: {}: Deactivated successfully.", unit);
        log(900, "systemd[1]: Finished {} - {}.", unit, what);
    }
    void administrator() {
        begin();
        std::uint32_t by = pid(), port = 1024 + any(60'000), number = any(9000);
        std::string ip = good_ip();
        std::string_view user = of(users);
        log(1,
            "sshd[{}]: Accepted publickey for {} from {} port {} ssh2: ED25519 "
            "SHA256:{:08x}{:08x}{:08x}{:08x}{:08x}ab",
            by, user, ip, port, random_(), random_(), random_(), random_(), random_());
        log(900,
            "sshd[{}]: pam_unix(sshd:session): session opened for user {}(uid=1000) by (uid=0)", by,
            user);
        log(900, "systemd-logind[611]: New session {} of user {}.", number, user);
        log(900, "systemd[1]: Started session-{}.scope - Session {} of User {}.", number, number,
            user);
        if (one_in(2))
            log(900'000,
                "sudo:   {} : TTY=pts/0 ; PWD=/home/{} ; USER=root ; COMMAND=/usr/bin/systemctl "
                "reload nginx",
                user, user);
        log(90'000'000, "sshd[{}]: Received disconnect from {} port {}:11: disconnected by user",
            by, ip, port);
        log(900, "sshd[{}]: Disconnected from user {} {} port {}", by, user, ip, port);
        log(900, "sshd[{}]: pam_unix(sshd:session): session closed for user {}", by, user);
        log(900, "systemd[1]: session-{}.scope: Deactivated successfully.", number);
        log(900, "systemd-logind[611]: Session {} logged out. Waiting for processes to exit.",
            number);
        log(900, "systemd-logind[611]: Removed session {}.", number);
    }
    void dropped_packet() {
        begin();
        log(1,
            "kernel: [{}.{:06}] [UFW BLOCK] IN=eth0 OUT= "
            "MAC=52:54:00:12:34:56:00:00:5e:00:01:01:08:00 SRC={} DST=192.0.2.1 "
            "LEN=40 TOS=0x00 PREC=0x00 TTL={} ID={} PROTO=TCP SPT={} DPT={} WINDOW=1024 RES=0x00 "
            "SYN URGP=0",
            any(9'000'000), any(1'000'000), good_ip(), 30 + any(220), any(65536), any(65536),
            any(65536));
    }
    void name_server() {
        begin();
        std::string_view domain = of(domains);
        log(1,
            "named[655]: client @0x7f2b{:08x} {}#{} ({}): query '{}/ANY/IN' denied "
            "(allow-query-cache did not match)",
            random_(), good_ip(), any(65536), domain, domain);
    }

    // Attacks, with all that is written of them.
    void guess_ssh() {
        begin();
        std::uint32_t by = pid(), port = 1024 + any(60'000);
        std::string ip = bad_ip();
        std::string_view user = of(guessed);
        bool known = user == "root", closes = one_in(4);
        if (!known) {
            log(1, "sshd[{}]: Invalid user {} from {} port {}", by, user, ip, port);
            log(90'000, "sshd[{}]: pam_unix(sshd:auth): check pass; user unknown", by);
        }
        log(900,
            "sshd[{}]: pam_unix(sshd:auth): authentication failure; logname= uid=0 euid=0 tty=ssh "
            "ruser= rhost={}{}",
            by, ip, known ? "  user=root" : "");
        log(2'000'000, "sshd[{}]: Failed password for {}{} from {} port {} ssh2", by,
            known ? "" : "invalid user ", user, ip, port);
        if (!closes)
            log(90'000, "sshd[{}]: Received disconnect from {} port {}:11: Bye Bye [preauth]", by,
                ip, port);
        log(900, "sshd[{}]: {} {} user {} {} port {} [preauth]", by,
            closes ? "Connection closed by" : "Disconnected from",
            known ? "authenticating" : "invalid", user, ip, port);
    }
    void scan_ssh() {
        begin();
        std::uint32_t by = pid(), port = 1024 + any(60'000);
        std::string ip = bad_ip();
        if (one_in(3)) {
            log(1, "sshd[{}]: error: kex_exchange_identification: Connection closed by remote host",
                by);
            return log(900, "sshd[{}]: Connection closed by {} port {}", by, ip, port);
        }
        log(1, "sshd[{}]: Connection closed by {} port {} [preauth]", by, ip, port);
    }
    void guess_smtp() {
        std::string ip = bad_ip();
        std::uint32_t smtpd = pid();
        connect(smtpd, "unknown", ip);
        log(4'000'000,
            "postfix/smtpd[{}]: warning: unknown[{}]: SASL LOGIN authentication failed: "
            "UGFzc3dvcmQ6",
            smtpd, ip);
        if (one_in(2))
            log(90'000, "postfix/smtpd[{}]: lost connection after AUTH from unknown[{}]", smtpd,
                ip);
        disconnect(smtpd, "unknown", ip, "ehlo=1 auth=0/1 quit=1 commands=2/3");
    }
    void guess_imap() {
        begin();
        log(1,
            "dovecot: imap-login: Disconnected: Connection closed (auth failed, 1 attempts in {} "
            "secs): user=<{}>, method=PLAIN, "
            "rip={}, lip=192.0.2.1, TLS, session=<{}>",
            2 + any(9), mailbox(), bad_ip(), session());
    }
    void probe_web() { request(bad_ip(), of(probes), 404); }

    const LogShape& shape_;
    std::string& out_;
    std::mt19937 random_;
    std::int64_t now_ = 0;  // of the event that begins
    std::int64_t at_ = 0;   // of its last line
    std::uint64_t begun_ = 0, lines_ = 0;
    std::priority_queue<Line, std::vector<Line>, std::greater<>> pending_;
};

const Day::Events Day::ordinary{{600, &Day::page},
                                {150, &Day::mailbox_session},
                                {5, &Day::mailbox_glance},
                                {25, &Day::mail_for_us},
                                {3, &Day::mail_of_ours},
                                {13, &Day::refused_mail},
                                {14, &Day::lost_connection},
                                {3, &Day::anvil},
                                {40, &Day::dropped_packet},
                                {10, &Day::name_server},
                                {8, &Day::cron},
                                {4, &Day::service},
                                {2, &Day::administrator}};
const Day::Events Day::attacks{{22, &Day::guess_ssh},
                               {5, &Day::scan_ssh},
                               {9, &Day::guess_smtp},
                               {4, &Day::guess_imap},
                               {10, &Day::probe_web}};

}  // namespace

void write_ordinary_day(const LogShape& shape, std::string& out) { Day(shape, out).run(); }

}  // namespace bandd

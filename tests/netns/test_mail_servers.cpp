// SPDX-License-Identifier: GPL-2.0-or-later
// Postfix, Dovecot and nginx as Debian has them, asking bandd whether a login may be. Clients have
// addresses of several countries, in a network namespace of their own.
//
//   clients 8.1.0.1 (US), 8.2.0.1 (DE) … -- nginx, Postfix, Dovecot, bandd at 192.0.2.1
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <csignal>
#include <cstring>

#include "os/fd.h"
#include "os/socket_address.h"
#include "support/setup.h"

using namespace bandd;

namespace {

constexpr const char* mail_host = "192.0.2.1";

// A conversation of lines with a server.
class Talk {
  public:
    Talk(const std::string& from, std::uint16_t port) {
        socket_ = Fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
        timeval limit{20, 0};
        setsockopt(socket_.get(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
        sockaddr_storage own{}, peer{};
        socklen_t size = to_sockaddr(ip(from), 0, own);
        REQUIRE(::bind(socket_.get(), reinterpret_cast<sockaddr*>(&own), size) == 0);
        size = to_sockaddr(ip(mail_host), port, peer);
        connected_ = ::connect(socket_.get(), reinterpret_cast<sockaddr*>(&peer), size) == 0;
    }
    bool connected() const { return connected_; }
    // The next line that begins so; the last one read, if the connection ends first.
    std::string hear(const std::string& beginning) {
        std::string line;
        while (true) {
            auto end = rest_.find('\n');
            if (end != std::string::npos) {
                line = rest_.substr(0, end);
                rest_.erase(0, end + 1);
                if (line.ends_with('\r')) line.pop_back();
                if (line.starts_with(beginning)) return line;
                continue;
            }
            char buffer[4096];
            ssize_t got = ::recv(socket_.get(), buffer, sizeof buffer, 0);
            if (got <= 0) return line;
            rest_.append(buffer, static_cast<std::size_t>(got));
        }
    }
    std::string say(const std::string& text, const std::string& answer_begins = "") {
        put(text + "\r\n");
        return hear(answer_begins);
    }
    void put(const std::string& text) {
        [[maybe_unused]] auto sent = ::send(socket_.get(), text.data(), text.size(), MSG_NOSIGNAL);
    }
    // The last line of SMTP's next reply; empty if the connection ends first.
    std::string reply() {
        std::string line = hear("");
        while (line.size() > 3 && line[3] == '-') line = hear("");
        return line;
    }

  private:
    Fd socket_;
    std::string rest_;
    bool connected_ = false;
};

bool answers(std::uint16_t port) {
    return wait_for([&] { return Talk(mail_host, port).connected(); }, 20);
}

// printf '\0joe@example.org\0secret' | base64
constexpr const char* joe = "AGpvZUBleGFtcGxlLm9yZwBzZWNyZXQ=";

// Ways to send mail without knowing a password: what is said after EHLO.
struct Attack {
    std::string name;
    std::vector<std::string> lines;
};
const std::vector<Attack> attacks{
    {"PLAIN", {"AUTH PLAIN AGpvZUBleGFtcGxlLm9yZwB3cm9uZw=="}},  // … wrong
    {"PLAIN in two lines", {"AUTH PLAIN", "AGpvZUBleGFtcGxlLm9yZwB3cm9uZw=="}},
    {"LOGIN", {"AUTH LOGIN", "am9lQGV4YW1wbGUub3Jn", "d3Jvbmc="}},
    // joe@example.org 0123456789abcdef0123456789abcdef
    {"CRAM-MD5",
     {"AUTH CRAM-MD5", "am9lQGV4YW1wbGUub3JnIDAxMjM0NTY3ODlhYmNkZWYwMTIzNDU2Nzg5YWJjZGVm"}},
    {"EXTERNAL", {"AUTH EXTERNAL am9lQGV4YW1wbGUub3Jn"}},
    {"no login", {}},
    {"XCLIENT", {"XCLIENT ADDR=127.0.0.1 LOGIN=joe@example.org"}},
};

bool installed() {
    return sh("command -v postfix && command -v dovecot && command -v nginx && "
              "ls /usr/lib/nginx/modules/ngx_mail_module.so")
               .code == 0;
}

struct MailServer : Setup {
    std::vector<std::unique_ptr<Background>> servers;
    bool has_postfix = false;

    MailServer() {
        must("ip address replace 192.0.2.1/32 dev lo");
        // Clients' addresses are here without being the machine's own.
        must("ip route replace local 8.0.0.0/8 dev lo");
        make_database(
            "8.1.0.0/16 country_code=US\n8.2.0.0/16 country_code=DE\n"
            "8.3.0.0/16 country_code=FR\n8.4.0.0/16 country_code=IT\n"
            "8.5.0.0/16 country_code=CN\n8.6.0.0/16 country_code=BR\n"
            "8.7.0.0/16 country_code=RU\n");
    }
    ~MailServer() {
        if (has_postfix) sh("postfix -c " + dir / "postfix" + " stop");
    }
    void start_bandd(const std::string& rules, const std::string& backend_checks = "true") {
        // The machine's own addresses are never banned; here the clients' are that, too.
        write_config(
            "geoip: geo.mmdb\ndefaults: {ignoreself: false}\n"
            "policy: {listen: tcp://127.0.0.1:10040}\n"
            "http: {listen: tcp://127.0.0.1:10041, imap: 127.0.0.1:10143, smtp: "
            "127.0.0.1:10025, backend_checks: " +
            backend_checks + "}\n" + rules);
        start();
    }
    // `asks`: it asks bandd itself; otherwise it only serves those who do.
    void start_dovecot(bool asks) {
        must("mkdir -p " + dir / "mail" + " && chmod 777 " + dir / "mail");
        write_file(dir / "dovecot.conf",
                   "base_dir = " + dir / "dovecot-run" +
                       "\nprotocols = imap\nlog_path = " + dir / "dovecot.log" +
                       "\nlisten = 127.0.0.1, 192.0.2.1\nssl = no\n"
                       "disable_plaintext_auth = no\nauth_mechanisms = plain login\n"
                       "mail_location = maildir:" +
                       dir / "mail/%u" +
                       "\npassdb {\n  driver = static\n  args = password=secret\n}\n"
                       "userdb {\n  driver = static\n  args = uid=mail gid=mail home=" +
                       dir / "mail/%u" + "\n}\nfirst_valid_uid = 1\n" +
                       (asks ? "auth_policy_server_url = http://127.0.0.1:10041/auth/dovecot\n"
                               "auth_policy_hash_nonce = test\n"
                             : "") +
                       "auth_failure_delay = 0\n"
                       "service imap-login {\n  inet_listener imap {\n    port = 10143\n  }\n"
                       "  inet_listener imaps {\n    port = 0\n  }\n}\n"
                       "service auth {\n  inet_listener {\n    address = 127.0.0.1\n"
                       "    port = 10055\n  }\n}\n");
        servers.push_back(std::make_unique<Background>("exec dovecot -F -c " + dir / "dovecot.conf",
                                                       dir / "dovecot.out"));
        bool up = answers(10143);
        INFO(read_file(dir / "dovecot.out"));
        INFO(sh("cat " + dir / "dovecot.log").out);
        REQUIRE(up);
    }
    // `trusted`: who may send to everywhere without a login.
    void start_postfix(const std::string& trusted = "") {
        std::string conf = dir / "postfix";
        must("mkdir -p " + conf + " " + dir / "spool" + " " + dir / "data" + " && chown postfix " +
             dir / "data");
        write_file(conf + "/main.cf",
                   "compatibility_level = 3.6\nqueue_directory = " + dir / "spool" +
                       "\ndata_directory = " + dir / "data" +
                       "\nmyhostname = mx.example.org\ninet_interfaces = all\n"
                       "inet_protocols = ipv4\nmydestination =\nmynetworks = 127.0.0.1/32\n"
                       "maillog_file = /dev/stdout\nalias_maps =\nalias_database =\n"
                       "smtpd_sasl_auth_enable = yes\nsmtpd_sasl_type = dovecot\n"
                       "smtpd_sasl_path = inet:127.0.0.1:10055\n"
                       "smtpd_authorized_xclient_hosts = 127.0.0.1\n"
                       "smtpd_relay_restrictions = " +
                       trusted +
                       " permit_sasl_authenticated, reject\n"
                       "smtpd_recipient_restrictions = check_policy_service "
                       "inet:127.0.0.1:10040, " +
                       trusted +
                       " permit_sasl_authenticated, reject\n"
                       "default_transport = discard\nsmtpd_delay_reject = yes\n");
        write_file(conf + "/master.cf",
                   "10025 inet n - n - - smtpd\npickup unix n - n 60 1 pickup\n"
                   "cleanup unix n - n - 0 cleanup\nqmgr unix n - n 300 1 qmgr\n"
                   "rewrite unix - - n - - trivial-rewrite\nbounce unix - - n - 0 bounce\n"
                   "defer unix - - n - 0 bounce\nproxymap unix - - n - - proxymap\n"
                   "anvil unix - - n - 1 anvil\ndiscard unix - - n - - discard\n"
                   "postlog unix-dgram n - n - 1 postlogd\n");
        must("postfix -c " + conf + " set-permissions || true");
        servers.push_back(std::make_unique<Background>("exec postfix -c " + conf + " start-fg",
                                                       dir / "postfix.log"));
        has_postfix = true;
        bool up = answers(10025);
        INFO(read_file(dir / "postfix.log"));
        REQUIRE(up);
    }
    // `smtp`: what its proxy for SMTP does besides.
    void start_nginx(const std::string& smtp = "proxy_smtp_auth on; xclient on;") {
        write_file(dir / "nginx.conf",
                   "load_module /usr/lib/nginx/modules/ngx_mail_module.so;\nuser root;\n"
                   "daemon off;\nmaster_process off;\npid " +
                       dir / "nginx.pid" + ";\nerror_log " + dir / "nginx.log" +
                       " info;\nevents {}\nmail {\n  server_name mx.example.org;\n"
                       "  auth_http 127.0.0.1:10041/auth/nginx;\n"
                       "  proxy_pass_error_message on;\n"
                       "  server { listen 192.0.2.1:20143; protocol imap; imap_auth plain; }\n"
                       "  server { listen 192.0.2.1:20025; protocol smtp;\n"
                       "           smtp_auth plain login cram-md5 external none; " +
                       smtp + " }\n}\n");
        servers.push_back(std::make_unique<Background>(
            "exec nginx -c " + dir / "nginx.conf" + " -p " + dir.path(), dir / "nginx.out"));
        bool up = answers(20143);
        INFO(sh("cat " + dir / "nginx.out " + dir / "nginx.log").out);
        REQUIRE(up);
    }
    // What Postfix says to the recipient of a message that is sent with a login.
    static std::string send(const std::string& from, std::uint16_t port = 10025) {
        Talk smtp(from, port);
        smtp.hear("220 ");
        smtp.say("EHLO client.example", "250 ");
        std::string logged_in = smtp.say(std::string("AUTH PLAIN ") + joe);
        if (!logged_in.starts_with("235")) return logged_in;
        smtp.say("MAIL FROM:<joe@example.org>");
        return smtp.say("RCPT TO:<ann@example.net>");
    }
    // Whether a message to somebody elsewhere is taken from this client of nginx.
    static bool relays(const Attack& attack, bool pipelined) {
        Talk smtp("8.1.0.1", 20025);
        smtp.reply();
        std::vector<std::string> lines{"EHLO client.example"};
        lines.insert(lines.end(), attack.lines.begin(), attack.lines.end());
        for (const char* line :
             {"MAIL FROM:<joe@example.org>", "RCPT TO:<ann@example.net>", "DATA", "Hello\r\n."})
            lines.emplace_back(line);
        std::string all;
        for (const std::string& line : lines) all += line + "\r\n";
        if (pipelined) smtp.put(all);
        for (const std::string& line : lines) {
            if (!pipelined) smtp.put(line + "\r\n");
            std::string reply = smtp.reply();
            if (reply.find("queued") != std::string::npos) return true;
            if (reply.empty()) return false;
        }
        return false;
    }
    static std::string imap(const std::string& from, std::uint16_t port,
                            const std::string& password = "secret") {
        Talk imap(from, port);
        imap.hear("* OK");
        return imap.say("a LOGIN joe@example.org " + password, "a ");
    }
};

}  // namespace

#define NEEDS_MAIL_SERVERS                                                            \
    if (!installed()) {                                                               \
        WARN("skipped: needs postfix, dovecot-imapd and nginx with its mail module"); \
        return;                                                                       \
    }

TEST_CASE_METHOD(MailServer,
                 "postfix: after its sixth country an account sends no more mail, until it is "
                 "cleared") {
    NEEDS_MAIL_SERVERS
    start_bandd("accounts: {countries: 5}\njails: {}\n");
    start_dovecot(false);
    start_postfix();
    for (int i = 1; i <= 5; ++i) {
        INFO(i << " " << daemon.log());
        CHECK(send("8." + std::to_string(i) + ".0.1").starts_with("250 "));
    }
    std::string refused = send("8.6.0.1");
    INFO(read_file(dir / "postfix.log"));
    CHECK(refused.starts_with("554 5.7.1 "));
    CHECK(refused.find("This account was used from too many places") != std::string::npos);
    CHECK(send("8.1.0.1").starts_with("554 5.7.1 "));
    CHECK(daemon.said("joe@example.org : ACCOUNTFAILED|smtp 8.6.0.1|BR|Brazil|6 countries in 1d"));
    CHECK(daemon.said("account joe@example.org has 6 countries in 1d"));
    CHECK(daemon.ctl("accounts").out.find("too many countries") != std::string::npos);
    CHECK(daemon.ctl("account joe@example.org clear").code == 0);
    CHECK(send("8.1.0.1").starts_with("250 "));
    CHECK(daemon.ctl("account joe@example.org block").code == 0);
    CHECK(send("8.1.0.1").starts_with("554 5.7.1 "));
    // Who did not log on is none of bandd's business.
    Talk smtp("8.7.0.1", 10025);
    smtp.hear("220 ");
    smtp.say("HELO client.example");
    smtp.say("MAIL FROM:<x@example.org>");
    CHECK(smtp.say("RCPT TO:<ann@example.net>").find("too many places") == std::string::npos);
}

TEST_CASE_METHOD(MailServer,
                 "nginx: IMAP and SMTP logins pass to the servers behind it, or are refused by "
                 "country") {
    NEEDS_MAIL_SERVERS
    start_bandd("access: {countries: [US, DE], users: {joe@example.org: [8.7.0.1]}}\njails: {}\n");
    start_dovecot(false);
    start_postfix();
    start_nginx();
    INFO(daemon.log());
    INFO(sh("cat " + dir / "nginx.log").out);
    CHECK(imap("8.1.0.1", 20143).starts_with("a OK"));
    CHECK(imap("8.2.0.1", 20143).starts_with("a OK"));
    CHECK(imap("8.7.0.1", 20143).starts_with("a OK"));
    // The server behind still checks the password.
    CHECK(imap("8.1.0.1", 20143, "wrong").starts_with("a NO"));
    CHECK(imap("8.5.0.1", 20143) == "a NO Login is not allowed from there");
    CHECK(daemon.said("joe@example.org : AUTHPASS|imap 8.7.0.1|RU|"));
    CHECK(daemon.said("joe@example.org : COUNTRYFAILED|imap 8.5.0.1|CN|"));
    CHECK(send("8.1.0.1", 20025).starts_with("250 "));
    CHECK(send("8.5.0.1", 20025) == "535 5.7.8 Login is not allowed from there");
    CHECK(daemon.log().find("secret") == std::string::npos);
}

TEST_CASE_METHOD(MailServer,
                 "nginx: it is no open relay, though the server behind it trusts it and checks no "
                 "password") {
    NEEDS_MAIL_SERVERS
    // As a mail proxy is often set up: the server behind sees nginx alone, which is this machine.
    const char* smtp = GENERATE("xclient off;", "xclient on;");
    INFO(smtp);
    start_bandd("jails: {}\n", "true");
    start_dovecot(false);
    start_postfix("permit_mynetworks,");
    start_nginx(smtp);
    INFO(sh("cat " + dir / "nginx.log").out);
    // Whoever says that the server behind checks, and it does not, has an open relay: the attack is
    // a real one.
    CHECK(relays(attacks[0], false));
    CHECK(relays(attacks[2], false));

    daemon.stop(SIGTERM);
    start_bandd("jails: {}\n", "false");
    CHECK(daemon.said("nginx may let clients send mail without a password"));
    for (const Attack& attack : attacks)
        for (bool pipelined : {false, true}) {
            INFO(attack.name << (pipelined ? ", pipelined" : ""));
            CHECK_FALSE(relays(attack, pipelined));
        }
    CHECK(send("8.1.0.1", 20025) ==
          "535 5.7.8 bandd is not told that the mail server checks passwords (http: "
          "backend_checks)");
    CHECK(json("status")["decisions"]["nginx"]["refused_unchecked"].get<int>() >= 10);
    // It is said, and not for each of them.
    const std::string said = "error: http: a login by smtp: is refused";
    std::string log = daemon.log();
    std::size_t times = 0;
    for (auto at = log.find(said); at != std::string::npos; at = log.find(said, at + 1)) ++times;
    CHECK(times >= 1);
    CHECK(times <= 5);
    // IMAP's passwords are checked behind it in any case.
    CHECK(imap("8.1.0.1", 20143).starts_with("a OK"));
    CHECK(imap("8.1.0.1", 20143, "wrong").starts_with("a NO"));
}

TEST_CASE_METHOD(MailServer, "nginx: as docs/logins.md sets it up it is no open relay") {
    NEEDS_MAIL_SERVERS
    start_bandd("jails: {}\n", "true");
    start_dovecot(false);
    start_postfix("permit_mynetworks,");
    start_nginx();
    INFO(sh("cat " + dir / "nginx.log").out);
    for (const Attack& attack : attacks)
        for (bool pipelined : {false, true}) {
            INFO(attack.name << (pipelined ? ", pipelined" : ""));
            CHECK_FALSE(relays(attack, pipelined));
        }
    CHECK(send("8.1.0.1", 20025).starts_with("250 "));
}

TEST_CASE_METHOD(MailServer,
                 "dovecot: logins are allowed and refused by country, and what it reports counts") {
    NEEDS_MAIL_SERVERS
    start_bandd(
        "access: {countries: [US, DE, FR]}\naccounts: {countries: 2}\n"
        "jails:\n  refused: {source: access, maxretry: 3, where: 'protocol is imap'}\n");
    start_dovecot(true);
    INFO(daemon.log());
    INFO(sh("cat " + dir / "dovecot.log").out);
    CHECK(imap("8.1.0.1", 10143).starts_with("a OK"));
    CHECK(imap("8.5.0.1", 10143).starts_with("a NO"));
    CHECK(daemon.said("joe@example.org : COUNTRYFAILED|imap 8.5.0.1|CN|"));
    CHECK(imap("8.2.0.1", 10143).starts_with("a OK"));
    CHECK(wait_for([&] {
        return daemon.ctl("account joe@example.org").out.find("2 countries") != std::string::npos;
    }));
    // The third country is refused before the password is known to be right, the first two are not.
    CHECK(imap("8.3.0.1", 10143).starts_with("a NO"));
    CHECK(imap("8.1.0.1", 10143).starts_with("a OK"));
    // Wrong passwords feed the jail, as refusals do.
    for (int i = 0; i < 3; ++i) CHECK(imap("8.2.0.1", 10143, "wrong").starts_with("a NO"));
    CHECK(daemon.said("joe@example.org : AUTHFAILED|imap 8.2.0.1|DE|"));
    CHECK(daemon.said("ban 8.2.0.1 jail=refused"));
    CHECK(sh("nft list set inet bandd refused-ipv4").out.find("8.2.0.1") != std::string::npos);
}

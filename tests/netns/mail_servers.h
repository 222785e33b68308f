// SPDX-License-Identifier: GPL-2.0-or-later
// Postfix, Dovecot and nginx as Debian has them, in a network namespace of their own, with clients
// of several countries.
//
//   clients 8.1.0.1 (US), 8.2.0.1 (DE) … -- nginx, Postfix, Dovecot, bandd at 192.0.2.1
#pragma once

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

namespace bandd {

inline constexpr const char* mail_host = "192.0.2.1";

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

inline bool answers(std::uint16_t port) {
    return wait_for([&] { return Talk(mail_host, port).connected(); }, 20);
}

// printf '\0joe@example.org\0secret' | base64
inline constexpr const char* joe = "AGpvZUBleGFtcGxlLm9yZwBzZWNyZXQ=";

// Ways to send mail without knowing a password: what is said after EHLO.
struct Attack {
    std::string name;
    std::vector<std::string> lines;
};
inline const std::vector<Attack> attacks{
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

inline bool installed() {
    return sh("command -v postfix && command -v dovecot && command -v nginx && "
              "ls /usr/lib/nginx/modules/ngx_mail_module.so")
               .code == 0;
}

struct MailServer : Setup {
    std::vector<std::unique_ptr<Background>> servers;
    bool has_postfix = false;
    std::string policy_keys;  // lines of `policy:` besides `listen`

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
    // `checks`: who checks passwords, as keys of `http`.
    void start_bandd(const std::string& rules, const std::string& checks = "backend_checks: true") {
        // The machine's own addresses are never banned; here the clients' are that, too.
        write_config(
            "geoip: geo.mmdb\ndefaults: {ignoreself: false}\n"
            "policy:\n  listen: tcp://127.0.0.1:10040\n" +
            policy_keys +
            "http: {listen: tcp://127.0.0.1:10041, imap: 127.0.0.1:10143, smtp: "
            "127.0.0.1:10025, pop3: 127.0.0.1:10110, " +
            checks + "}\n" + rules);
        start();
    }
    // `asks`: it asks bandd itself; otherwise it only serves those who do.
    void start_dovecot(bool asks) {
        must("mkdir -p " + dir / "mail" + " && chmod 777 " + dir / "mail");
        write_file(dir / "users",
                   "joe@example.org:{plain}secret\nann@example.org:{plain}s3\"\\cr et\n"
                   "shut@example.org:{plain}secret::::::nologin=y\n"
                   "uml@example.org:{plain}gr\u00fcn%41\n");
        write_file(dir / "dovecot.conf",
                   "base_dir = " + dir / "dovecot-run" +
                       "\nprotocols = imap pop3\nlog_path = " + dir / "dovecot.log" +
                       "\nlisten = 127.0.0.1, 192.0.2.1\nssl = no\n"
                       "login_trusted_networks = 127.0.0.1\ndisable_plaintext_auth = "
                       "no\nauth_mechanisms = plain login\n"
                       "mail_location = maildir:" +
                       dir / "mail/%u" +
                       "\npassdb {\n  driver = passwd-file\n  args = " + dir / "users" +
                       "\n}\n"
                       "userdb {\n  driver = static\n  args = uid=mail gid=mail home=" +
                       dir / "mail/%u" + "\n}\nfirst_valid_uid = 1\n" +
                       (asks ? "auth_policy_server_url = http://127.0.0.1:10041/auth/dovecot\n"
                               "auth_policy_hash_nonce = test\n"
                             : "") +
                       "auth_failure_delay = 0\n"
                       "service imap-login {\n  inet_listener imap {\n    port = 10143\n  }\n"
                       "  inet_listener imaps {\n    port = 0\n  }\n}\n"
                       "service pop3-login {\n  inet_listener pop3 {\n    port = 10110\n  }\n"
                       "  inet_listener pop3s {\n    port = 0\n  }\n}\n"
                       "service auth {\n  inet_listener {\n    address = 127.0.0.1\n"
                       "    port = 10055\n  }\n"
                       "  unix_listener auth-client {\n    mode = 0600\n"
                       "    user = bandd-auth\n  }\n}\n");
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
                       smtp +
                       " }\n"
                       "  server { listen 192.0.2.1:20110; protocol pop3;\n"
                       "           pop3_auth plain apop cram-md5; }\n}\n");
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

}  // namespace bandd

#define NEEDS_MAIL_SERVERS                                                            \
    if (!installed()) {                                                               \
        WARN("skipped: needs postfix, dovecot-imapd and nginx with its mail module"); \
        return;                                                                       \
    }

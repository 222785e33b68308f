// SPDX-License-Identifier: GPL-2.0-or-later
// Requests of programs and machines: what they get, what they are refused, and that neither a
// restart nor their rudeness loses anything.
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>

#include <csignal>
#include <cstring>
#include <regex>
#include <set>

#include "os/fd.h"
#include "os/socket_address.h"
#include "support/setup.h"

using namespace bandd;

namespace {

// Sends, and gives what comes back until `lines` empty lines were heard or the other side closes.
std::string exchange(std::uint16_t port, const std::string& text, int answers,
                     const std::string& ending = "\n\n") {
    Fd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    timeval limit{10, 0};
    setsockopt(fd.get(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    sockaddr_storage to{};
    socklen_t size = to_sockaddr(ip("127.0.0.1"), port, to);
    if (::connect(fd.get(), reinterpret_cast<sockaddr*>(&to), size) != 0) return "not connected";
    [[maybe_unused]] auto sent = ::send(fd.get(), text.data(), text.size(), MSG_NOSIGNAL);
    std::string heard;
    char buffer[4096];
    while (answers > 0) {
        ssize_t got = ::recv(fd.get(), buffer, sizeof buffer, 0);
        if (got <= 0) return heard + (got == 0 ? "<closed>" : "<silence>");
        heard.append(buffer, static_cast<std::size_t>(got));
        int count = 0;
        for (std::size_t at = 0; (at = heard.find(ending, at)) != std::string::npos;
             at += ending.size())
            ++count;
        if (count >= answers) break;
    }
    return heard;
}

// For the shell.
std::string quoted(const std::string& text) {
    std::string out = "'";
    for (char c : text) out += c == '\'' ? "'\\''" : std::string(1, c);
    return out + "'";
}

std::string policy_request(const std::string& user, const std::string& address,
                           const std::string& instance) {
    return "request=smtpd_access_policy\nprotocol_state=RCPT\nclient_address=" + address +
           "\nsasl_username=" + user + "\ninstance=" + instance + "\n\n";
}
std::string postfix_asks(const std::string& user, const std::string& address,
                         const std::string& instance = "") {
    return exchange(10040, policy_request(user, address, instance), 1);
}
constexpr const char* pass = "action=DUNNO\n\n";

struct AskedSetup : Setup {
    AskedSetup() {
        make_database(
            "8.1.0.0/16 country_code=US\n8.2.0.0/16 country_code=DE\n"
            "8.3.0.0/16 country_code=FR\n");
    }
    void configure(const std::string& text) {
        write_config(
            "geoip: geo.mmdb\ncheckpoint: 1s\n"
            "policy: {listen: tcp://127.0.0.1:10040}\n" +
            text);
    }
    std::string exported() { return daemon.ctl("state export").out; }
    std::string bans() { return Setup::bans({"ip", "jail"}); }
};

}  // namespace

TEST_CASE_METHOD(AskedSetup,
                 "accounts: what was counted outlives kill -9, and the action runs once") {
    configure(
        "accounts:\n  countries: 2\n  action: {user: root, run: [/bin/sh, -c, 'echo \"$1 $2 $3\" "
        ">> " +
        dir / "told" + "', x, <user>, <country>, <reason>]}\njails: {}\n");
    start();
    CHECK(postfix_asks("joe", "8.1.0.1") == pass);
    CHECK(postfix_asks("joe", "8.2.0.1") == pass);
    CHECK(has(postfix_asks("joe", "8.3.0.1"), "action=554 5.7.1 "));
    CHECK(daemon.ctl("account ann block").code == 0);
    CHECK(wait_for([&] { return has(sh("cat " + dir / "told").out, "joe FR 3 countries in 1d"); }));
    CHECK(wait_for([&] { return has(exported(), "\"joe\"") && has(exported(), "\"ann\""); }));
    daemon.stop(SIGKILL);
    start();
    CHECK(has(postfix_asks("joe", "8.1.0.1"), "action=554 5.7.1 "));
    CHECK(has(postfix_asks("ann", "8.1.0.1"), "action=554 5.7.1 "));
    CHECK(daemon.ctl("account joe allow").code == 0);
    CHECK(postfix_asks("joe", "8.1.0.1") == pass);
    CHECK(daemon.ctl("account nobody clear").code == 1);
    CHECK(wait_for([&] { return has(exported(), "\"data\":\"1:21:"); }));
    CHECK(sh("wc -l < " + dir / "told").out == "1\n");
    // A backup holds them, too.
    must(built("bandctl") + " --config " + dir.path() + " state export " + dir / "backup.json");
    daemon.stop(SIGTERM);
    must("rm -r " + dir / "run");
    must(built("bandctl") + " --config " + dir.path() + " state import " + dir / "backup.json");
    start();
    CHECK(has(postfix_asks("ann", "8.1.0.1"), "action=554 5.7.1 "));
    CHECK(has(daemon.ctl("account joe").out, "allowed"));
}

TEST_CASE_METHOD(AskedSetup,
                 "accounts: what is only tried is told and counted, but refuses nobody") {
    auto with = [&](const std::string& simulate) {
        configure("access: {countries: [US, DE], simulate: " + simulate +
                  "}\naccounts: {countries: 1, simulate: " + simulate +
                  ", action: {user: root, run: [/usr/bin/touch, " + dir / "told" +
                  "]}}\njails:\n  refused: {source: access, maxretry: 1}\n");
    };
    with("true");
    start();
    CHECK(postfix_asks("ann", "8.3.0.1") == pass);
    CHECK(daemon.said("ann : COUNTRYFAILED|smtp 8.3.0.1|FR|"));
    CHECK(postfix_asks("joe", "8.1.0.1") == pass);
    CHECK(postfix_asks("joe", "8.2.0.1") == pass);
    CHECK(daemon.said("joe : ACCOUNTFAILED|smtp 8.2.0.1|DE|"));
    CHECK(daemon.said("account joe has 2 countries in 1d: logins would be refused (simulate)"));
    CHECK(has(daemon.ctl("status").out,
              "policy: of those that passed, 1 would be refused by country, 1 by account"));
    CHECK(has(daemon.ctl("accounts").out, "simulate: only what is blocked by hand is refused"));
    CHECK(bans() == "");
    // In earnest. Nobody has to be told of joe before he is refused.
    with("false");
    CHECK(daemon.ctl("reload").code == 0);
    CHECK(has(postfix_asks("joe", "8.2.0.1"), "action=554"));
    CHECK_FALSE(has(daemon.ctl("accounts").out, "simulate"));
    CHECK(wait_for([&] { return sh("ls " + dir / "told").code == 0; }));
    CHECK(daemon.said("account joe has 2 countries in 1d: logins are refused"));
}

TEST_CASE_METHOD(AskedSetup, "accounts: some may more than all, by name or by a file of names") {
    write_file(dir / "robots", "# fetch mail for everybody\nBackup\n");
    configure(
        "accounts: {countries: 1, exempt: [file:robots], users: {J\u00d6RG: {countries: 2}}}\n"
        "jails: {}\n");
    start();
    auto countries = [&](const std::string& user) {
        int passed = 0;
        for (const char* address : {"8.1.0.1", "8.2.0.1", "8.3.0.1"})
            passed += postfix_asks(user, address) == pass ? 1 : 0;
        return passed;
    };
    CHECK(countries("joe") == 1);
    CHECK(countries("j\u00f6rg") == 2);
    CHECK(countries("BACKUP") == 3);
    CHECK(has(daemon.ctl("account backup").out, "exempt"));
    CHECK(has(daemon.ctl("account J\u00f6rg").out, "3 countries"));
    must("rm " + dir / "robots");
    Ran reload = daemon.ctl("reload");
    CHECK(reload.code == 2);
    CHECK(has(reload.out, "\"exempt: file:robots\": cannot read \"" + dir / "robots" + "\""));
    CHECK(daemon.ctl("check").code == 2);
    CHECK(countries("backup") == 3);
}

TEST_CASE_METHOD(AskedSetup,
                 "policy: an end user's host is refused, and told of at a bounded rate") {
    configure("jails: {}\n");
    auto asks = [](int message, const std::string& name, const std::string& more = "") {
        return exchange(10040,
                        "request=smtpd_access_policy\nprotocol_state=RCPT\nclient_address=8.1.0.1\n"
                        "client_name=" +
                            name + "\nreverse_client_name=" + name + "\n" + more +
                            "instance=" + std::to_string(message) + "\n\n",
                        1);
    };
    start();
    CHECK(asks(0, "dsl-1.isp.example") == pass);  // nobody said so
    write_config(
        "policy: {listen: tcp://127.0.0.1:10040, reject_broadband: 550 Not from <hostname>}\n"
        "jails: {}\n");
    CHECK(daemon.ctl("reload").code == 0);
    for (int i = 1; i <= 100; ++i)
        CHECK(asks(i, "dsl-1.isp.example") == "action=550 Not from dsl-1.isp.example\n\n");
    CHECK(asks(101, "dsl-1.isp.example", "sasl_username=joe\n") == pass);
    CHECK(asks(102, "dsl-1.isp.example", "server_port=587\n") == pass);
    CHECK(asks(103, "mail.isp.example") == pass);
    Json status = Json::parse(daemon.ctl("status --json").out);
    CHECK(status["decisions"]["policy"]["refused_broadband"] == 100);
    std::string log = daemon.log();
    std::size_t lines = 0;
    for (std::size_t at = 0; (at = log.find("is an end user's host", at)) != std::string::npos;
         ++at)
        ++lines;
    CHECK(lines >= 60);
    CHECK(lines < 70);
}

TEST_CASE_METHOD(AskedSetup,
                 "accounts: twelve thousand outlive a restart, and what was said of them") {
    configure("accounts: {addresses: 1}\njails: {}\n");
    start();
    CHECK(daemon.ctl("account joe block").code == 0);
    constexpr int many = 12'000;
    std::string requests;
    for (int i = 0; i < many; ++i)
        requests +=
            policy_request("user" + std::to_string(i) + std::string(100, 'x'), "8.1.0.1", "");
    CHECK(exchange(10040, requests, many).size() == std::string(pass).size() * many);
    daemon.stop(SIGTERM);
    start();
    CHECK(has(postfix_asks("joe", "8.1.0.1"), "action=554 5.7.1 "));
    CHECK(json("status")["accounts"].get<int>() == many + 1);
    CHECK(daemon.log().find("cannot read it") == std::string::npos);
}

TEST_CASE_METHOD(AskedSetup,
                 "policy: many recipients are one login; what is no request gets no answer") {
    configure("accounts: {countries: 2}\njails: {}\n");
    start();
    std::string three = policy_request("joe", "8.1.0.1", "m1") +
                        policy_request("joe", "8.1.0.1", "m1") +
                        policy_request("joe", "8.1.0.1", "m2");
    CHECK(exchange(10040, three, 3) == std::string(pass) + pass + pass);
    CHECK(has(daemon.ctl("account joe").out, "2 logins"));
    CHECK(exchange(10040, "GET / HTTP/1.0\n\n", 1) == "<closed>");
    CHECK(exchange(10040, std::string(70'000, 'x'), 1).ends_with(">"));
    CHECK(postfix_asks("", "8.1.0.1") == pass);
    CHECK(postfix_asks("joe", "unknown") == pass);
    // Names with what no name should hold stay one line of the log, and one account.
    CHECK(postfix_asks("evil\x1b[2J\xff name", "8.1.0.1") == pass);
    CHECK(daemon.said("evil\\x1b[2J\\xff name : AUTHPASS|smtp 8.1.0.1|US|"));
}

TEST_CASE_METHOD(AskedSetup, "access: who is refused is told who and where he is") {
    configure(
        "access: {countries: [US], message: '554 5.7.1 <user>: not from <country_name> (<country>, "
        "<ip>)'}\njails: {}\n");
    start();
    CHECK(postfix_asks("joe", "8.1.0.1") == pass);
    CHECK(postfix_asks("joe", "8.2.0.1") ==
          "action=554 5.7.1 joe: not from Germany (DE, 8.2.0.1)\n\n");
}

TEST_CASE_METHOD(AskedSetup, "access: a line about each login goes to syslog under its own name") {
    Background syslogd("rm -f /dev/log; umask 0; exec nc -lkuU /dev/log", dir / "syslog");
    REQUIRE(wait_for([] { return sh("test -S /dev/log").code == 0; }));
    configure(
        "access: {countries: [US], syslog: {facility: local0, ident: NGINXMAILAUTH}}\n"
        "jails: {}\n");
    start();
    CHECK(postfix_asks("joe", "8.1.0.1") == pass);
    CHECK(has(postfix_asks("x\x1by", "8.2.0.1"), "action=554 5.7.1 "));
    // local0.info is 16 * 8 + 6.
    CHECK(wait_for([&] {
        std::string text = read_file(dir / "syslog");
        return has(text, "<134>") && has(text, " NGINXMAILAUTH") &&
               has(text, ": joe : AUTHPASS|smtp 8.1.0.1|US|United States") &&
               has(text, ": x\\x1by : COUNTRYFAILED|smtp 8.2.0.1|DE|Germany");
    }));
    CHECK(daemon.said("joe : AUTHPASS|smtp 8.1.0.1|US|"));
}

TEST_CASE_METHOD(AskedSetup, "http: a program asks where an address is, and whether it is banned") {
    configure(
        "http: {listen: tcp://127.0.0.1:10041}\njails:\n  trial: {filter: sshd, logpath: none.log, "
        "simulate: true}\n");
    start();
    auto get = [](const std::string& path) {
        return sh("curl -s http://127.0.0.1:10041" + path).out;
    };
    CHECK(get("/geo/8.2.0.1") ==
          "{\"country\":\"Germany\",\"countryCode\":\"DE\",\"ip\":\"8.2.0.1\"}\n");
    CHECK(has(get("/geo/192.168.1.1"), "\"countryCode\":\"\""));
    CHECK(has(get("/geo/9.9.9.9"), "\"countryCode\":\"\""));
    CHECK(has(get("/geo/2001:db8::1"), "\"ip\":\"2001:db8::1\""));
    CHECK(has(get("/verdict/8.2.0.1"), "\"banned\":false"));
    CHECK(daemon.ctl("ban 8.2.0.0/24 --for 1h --reason spam").code == 0);
    CHECK(daemon.ctl("ban 8.2.0.1 --for forever").code == 0);
    std::string verdict = get("/verdict/8.2.0.1");
    CHECK(has(verdict, "\"banned\":true"));
    CHECK(has(verdict, "\"jail\":\"manual\""));
    CHECK(has(verdict, "\"until\":null"));
    CHECK(has(get("/verdict/8.2.0.2"), "spam"));
    CHECK(has(get("/verdict/8.2.1.1"), "\"banned\":false"));
    // A ban that is only simulated is none.
    CHECK(daemon.ctl("ban 8.3.0.1 --jail trial").code == 0);
    CHECK(has(get("/verdict/8.3.0.1"), "\"banned\":false"));
    for (const char* bad : {"/geo/", "/geo/x", "/verdict/8.2.0.1/24", "/verdict/8.2.0"})
        CHECK(get(bad) == "not understood\n");
    CHECK(has(get("/geo"), "there are "));
    CHECK(sh("setpriv --reuid 12345 --clear-groups curl -s http://127.0.0.1:10041/geo/8.2.0.1")
              .out.find("may not ask") != std::string::npos);
}

TEST_CASE_METHOD(AskedSetup,
                 "access: the users' file is read again when it changes, bad lines are said") {
    write_file(dir / "users", "joe|DE\n");
    configure("access: {countries: [US], users_file: users}\njails: {}\n");
    start();
    CHECK(postfix_asks("joe", "8.2.0.1") == pass);
    CHECK(postfix_asks("ann", "8.2.0.1") == "action=554 5.7.1 You may not log in from there.\n\n");
    write_file(dir / "users.new", "joe|DE\nann|8.2.0.0/16\nnonsense\n");
    must("mv " + dir / "users.new" + " " + dir / "users");
    CHECK(daemon.said("was read again: 2 users"));
    CHECK(daemon.said("users:3:1: \"nonsense\": is not user|COUNTRY and not user|ADDRESS"));
    CHECK(postfix_asks("ann", "8.2.0.1") == pass);
    must("echo 'bob|DE' >> " + dir / "users");
    CHECK(daemon.said("was read again: 3 users"));
    CHECK(postfix_asks("bob", "8.2.0.1") == pass);
    // The same as YAML; one that cannot be read leaves those that were known.
    write_file(dir / "users.yaml", "bob: [DE]\nann: FR\neve: [X]\n");
    configure("access: {countries: [US], users_file: users.yaml}\njails: {}\n");
    CHECK(daemon.ctl("reload").code == 0);
    CHECK(daemon.said("users.yaml:3:7: \"eve: X\": is no country's code"));
    CHECK(postfix_asks("ann", "8.3.0.1") == pass);
    CHECK(has(postfix_asks("ann", "8.2.0.1"), "554"));
    write_file(dir / "users.yaml", "bob: [DE\n");
    CHECK(daemon.said("users.yaml:2:"));
    CHECK(postfix_asks("ann", "8.3.0.1") == pass);
    configure("access: {countries: [US], users_file: users}\njails: {}\n");
    CHECK(daemon.ctl("reload").code == 0);
    Ran check = daemon.ctl("check");
    CHECK(check.code == 0);
    CHECK(has(check.out, "warning: " + dir / "users" + ":3:1: \"nonsense\": is not user|COUNTRY"));
    // Gone: those that were known stay.
    must("rm " + dir / "users");
    CHECK(daemon.ctl("check").code == 0);
    CHECK(has(daemon.ctl("check").out, "cannot read"));
    CHECK(daemon.ctl("reload").code == 0);
    CHECK(daemon.said("cannot read"));
    CHECK(postfix_asks("bob", "8.2.0.1") == pass);
}

TEST_CASE_METHOD(AskedSetup,
                 "http: who has no token is refused, what is too large too, and the rest goes on") {
    configure(
        "http: {listen: tcp://127.0.0.1:10041, token: 0123456789abcdef, imap: 127.0.0.1:143}\n"
        "access: {countries: [US]}\njails: {}\n");
    start();
    auto curl = [&](const std::string& rest) {
        return sh("curl -si --max-time 20 http://127.0.0.1:10041" + rest).out;
    };
    const std::string key = " -H 'X-Auth-Key: 0123456789abcdef'";
    std::string login =
        "/auth/nginx -H 'Auth-User: joe' -H 'Auth-Pass: s3cret' "
        "-H 'Auth-Protocol: imap' -H 'Client-IP: 8.1.0.1'";
    CHECK(has(curl(login), "401"));
    CHECK(has(curl(login + " -H 'X-Auth-Key: wrong-0123456789'"), "401"));
    std::string passed = curl(login + key);
    CHECK(has(passed, "Auth-Status: OK"));
    CHECK(has(passed, "Auth-Server: 127.0.0.1"));
    CHECK(has(curl("/metrics -H 'Authorization: Bearer 0123456789abcdef'"), "bandd_lines_total 0"));
    CHECK(has(curl("/nothing" + key), "404"));
    CHECK(has(curl("/auth/dovecot?command=allow -d nonsense" + key), "400"));
    write_file(dir / "large", std::string(100'000, 'x'));
    CHECK_FALSE(has(curl("/auth/dovecot --data-binary @" + dir / "large" + key), "200 OK"));
    CHECK(curl("/" + std::string(60'000, 'x') + key).find(" 200 ") == std::string::npos);
    // The process that speaks HTTP may die; another one takes its place.
    ::kill(daemon.role("bandd-http"), SIGKILL);
    CHECK(wait_for([&] { return has(curl(login + key), "Auth-Status: OK"); }));
    // It has no rights, and passwords are nowhere.
    std::string user = sh("ps -o user:32= -p " + std::to_string(daemon.role("bandd-http"))).out;
    CHECK((user == "nobody\n" || user == "bandd-http\n"));
    CHECK_FALSE(has(daemon.log(), "s3cret"));
    // Silent clients do not keep others out.
    must("for i in $(seq 50); do (sleep 20 | timeout 20 nc 127.0.0.1 10041 &) ; done");
    CHECK(has(curl(login + key), "Auth-Status: OK"));
}

TEST_CASE_METHOD(AskedSetup, "http: numbers for Prometheus are well formed") {
    write_file(dir / "app.log", "");
    write_file(dir / "filters/app.yaml",
               "description: test\nfailregex:\n  - {id: denied, regex: '^denied <HOST>$'}\n");
    configure(
        "http: {listen: tcp://127.0.0.1:10041}\n"
        "jails:\n  app:\n    logpath: app.log\n    maxretry: 1\n    action:\n      - nftables\n"
        "      - exec: {ban: [/bin/true, one]}\n      - exec: {ban: [/bin/false]}\n");
    start();
    append_file(dir / "app.log", "denied 203.0.113.9\nfine\n");
    REQUIRE(wait_for([&] { return bans() == "203.0.113.9 app\n"; }));
    postfix_asks("joe", "8.1.0.1");
    auto read_page = [] { return must("curl -s http://127.0.0.1:10041/metrics"); };
    // Of two programs one fails, and it is told which; its run is none that was carried out.
    for (const char* line : {"bandd_action_failures_total{jail=\"app\",action=\"exec\"} 0\n",
                             "bandd_action_applied_total{jail=\"app\",action=\"exec\"} 1\n",
                             "bandd_action_failures_total{jail=\"app\",action=\"exec-2\"} 1\n",
                             "bandd_action_applied_total{jail=\"app\",action=\"exec-2\"} 0\n"}) {
        INFO(line);
        CHECK(wait_for([&] { return has(read_page(), line); }));
    }
    std::string page = read_page();
    write_file(dir / "page", page);
    if (sh("command -v promtool").code == 0)
        CHECK(sh("promtool check metrics < " + dir / "page").out == "");
    else
        WARN("promtool is not installed (prometheus), so the page was not shown to it");
    std::istringstream lines(page);
    std::set<std::string> series;
    const std::regex comment("# (HELP|TYPE) bandd_[a-z_]+ .+");
    const std::regex sample(
        "bandd_[a-z_]+(\\{[a-z]+=\"[^\"]*\"(,[a-z]+=\"[^\"]*\")*\\})? [0-9.e+-]+");
    for (std::string line; std::getline(lines, line);) {
        INFO(line);
        CHECK((std::regex_match(line, comment) || std::regex_match(line, sample)));
        if (!line.starts_with('#')) CHECK(series.insert(line.substr(0, line.rfind(' '))).second);
    }
    for (const char* line :
         {"bandd_lines_total 2\n", "bandd_hits_total{jail=\"app\"} 1\n",
          "bandd_bans{jail=\"app\"} 1\n", "bandd_jail_bans_total{jail=\"app\"} 1\n",
          "bandd_decisions_total{endpoint=\"policy\",verdict=\"pass\"} 1\n",
          "bandd_decision_seconds_count{endpoint=\"policy\"} 1\n", "bandd_accounts 1\n",
          "bandd_action_applied_total{jail=\"app\",action=\"nftables\"} 1\n"}) {
        INFO(line);
        CHECK(has(page, line));
    }
    CHECK(has(page, "bandd_source_lines_total{source=\"" + dir / "app.log" + "\"} 2\n"));
    CHECK(has(page, "bandd_source_hits_total{source=\"" + dir / "app.log" + "\"} 1\n"));
    CHECK(has(page, "bandd_source_size_bytes{path=\"" + dir / "app.log" + "\"} 24\n"));
}

namespace {

struct Remote : AskedSetup {
    Remote() {
        must("cd " + dir.path() + R"( && exec 2>&1
            ca() { openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 30 \
                     -keyout $1.key -out $1.pem -subj /CN=$1; }
            leaf() { openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout $2.key \
                       -out $2.csr -subj /CN=$2 -addext subjectAltName=IP:127.0.0.1 &&
                     openssl x509 -req -in $2.csr -CA $1.pem -CAkey $1.key -CAcreateserial -out $2.pem \
                       -copy_extensions copy -days $3; }
            ca ours && ca theirs && leaf ours server 30 && leaf ours mx 30 && leaf ours other 30 &&
            leaf theirs stranger 30 && leaf ours late -1)");
        write_file(dir / "token", "0123456789abcdef\n");
        write_file(dir / "wrong", "fedcba9876543210\n");
    }
    void configure_remote(const std::string& remote) {
        configure("remote:\n  certificate: server.pem\n  key: server.key\n" + remote +
                  "jails:\n  mail: {source: remote, bantime: 1h, ignoreip: [198.51.100.0/24]}\n");
    }
    Ran remote(const std::string& arguments, const std::string& who) {
        return sh("cd " + dir.path() + " && " + built("bandctl") +
                  " --remote 127.0.0.1 --authority ours.pem " +
                  (who.empty() ? "" : "--certificate " + who + ".pem --key " + who + ".key ") +
                  arguments);
    }
};

}  // namespace

TEST_CASE_METHOD(Remote, "remote: a mail server with its certificate has hosts banned here") {
    configure_remote(
        "  listen: tls://127.0.0.1\n  clients: ours.pem\n  peers:\n"
        "    mx: {certificate: mx, jail: mail, longest: 2h}\n"
        "    looker: {certificate: other, may: check, jail: mail}\n");
    start();
    Ran banned = remote("ban 203.0.113.9 --for 30m --reason broadband", "mx");
    INFO(banned.out << daemon.log());
    CHECK(banned.code == 0);
    CHECK(has(banned.out, "203.0.113.9 is banned there, until "));
    CHECK(bans() == "203.0.113.9 mail\n");
    CHECK(has(sh("nft list set inet bandd mail-ipv4").out, "203.0.113.9"));
    CHECK(has(daemon.ctl("explain 203.0.113.9").out, "by hand: mx: broadband"));
    CHECK(daemon.said("remote peer=mx from=127.0.0.1 add 203.0.113.9 reason=\"broadband\" done"));
    CHECK(has(remote("explain 203.0.113.9", "mx").out, "is banned there"));
    // Longer than it may is as long as it may.
    remote("ban 203.0.113.10 --for forever", "mx");
    Json all = Json::parse(daemon.ctl("bans --json -p 203.0.113.10").out);
    CHECK_FALSE(all["bans"][0]["until"].is_null());
    // Never what the jail ignores, never a whole net, and not this machine.
    Ran ignored = remote("ban 198.51.100.7", "mx");
    CHECK(ignored.code == 1);
    CHECK(has(ignored.out, "ignoreip of jail \"mail\" holds it"));
    CHECK(remote("ban 198.51.0.0/16", "mx").code == 1);
    CHECK(remote("ban 127.0.0.1", "mx").code == 1);
    CHECK(remote("ban 203.0.113.9 --force", "mx").code == 2);
    CHECK(remote("status", "mx").code == 2);
    // Rights.
    Ran looked = remote("explain 203.0.113.9", "other");
    CHECK(looked.code == 0);
    Ran refused = remote("ban 203.0.113.11", "other");
    CHECK(refused.code == 1);
    CHECK(has(refused.out, "peer \"looker\" may not do that"));
    CHECK(has(remote("unban 203.0.113.9", "mx").out, "203.0.113.9 is now free there"));
    CHECK(bans() == "203.0.113.10 mail\n");
    // A ban of another jail is not its to lift.
    CHECK(daemon.ctl("ban 203.0.113.50").code == 0);
    CHECK(has(remote("unban 203.0.113.50", "mx").out, "is banned") == false);
    CHECK(has(bans(), "203.0.113.50 manual"));
}

TEST_CASE_METHOD(Remote, "remote: wrong, expired or no certificate and plain text are refused") {
    configure_remote(
        "  listen: tls://127.0.0.1\n  clients: ours.pem\n  peers: {mx: {certificate: mx, jail: "
        "mail}}\n");
    start();
    for (const char* who : {"", "stranger", "late"}) {
        INFO(who);
        CHECK(remote("ban 203.0.113.9", who).code == 1);
    }
    // One of ours, but nobody's peer.
    Ran unknown = remote("ban 203.0.113.9", "other");
    CHECK(has(unknown.out, "peer: is not known"));
    CHECK(exchange(7071, "add 203.0.113.9\n", 1, "\n").find("OK") == std::string::npos);
    CHECK(exchange(7071,
                   R"({"v":1,"command":"add","arguments":{"ip":"203.0.113.9"}})"
                   "\n",
                   1, "\n")
              .find("true") == std::string::npos);
    CHECK(bans() == "");
    Json status = Json::parse(daemon.ctl("status --json").out);
    CHECK(status["endpoints"][1]["bad_tls"] == 5);
    CHECK(daemon.said("remote from=127.0.0.1 refused: peer: is not known"));
    CHECK(remote("ban 203.0.113.9", "mx").code == 0);
}

TEST_CASE_METHOD(Remote, "remote: with a token instead of a certificate, and not too fast") {
    configure_remote(
        "  listen: tls://127.0.0.1\n  rate: 5\n  peers: {mx: {token: 'file:token', jail: mail}}\n");
    start();
    CHECK(remote("ban 203.0.113.9", "").code == 1);
    Ran wrong = remote("--token-file wrong ban 203.0.113.9", "");
    CHECK(wrong.code == 1);
    CHECK(has(wrong.out, "token: is not known"));
    CHECK(bans() == "");
    for (int i = 1; i <= 5; ++i)
        CHECK(remote("--token-file token ban 203.0.113." + std::to_string(i), "").code == 0);
    Ran fast = remote("--token-file token ban 203.0.113.6", "");
    CHECK(fast.code == 1);
    CHECK(has(fast.out, "too many in one minute"));
    CHECK_FALSE(has(daemon.log(), "0123456789abcdef"));
    // The server is checked, too: by its authority, and its name.
    Ran doubted =
        sh("cd " + dir.path() + " && " + built("bandctl") +
           " --remote 127.0.0.1 --authority theirs.pem --token-file token ban 203.0.113.7");
    CHECK(doubted.code == 1);
    CHECK_FALSE(has(bans(), "203.0.113.7"));
}

TEST_CASE_METHOD(Remote,
                 "remote: the shipped jail rejects and logs, as a router with a script did") {
    std::string jail = read_file("../jails/spam-block.yaml");
    std::string enabled = std::regex_replace(jail, std::regex("enabled: false"), "enabled: true");
    must("mkdir -p " + dir / "jails");
    write_file(dir / "jails/spam-block.yaml", enabled);
    configure("remote: {listen: tcp://127.0.0.1:7070, text_jail: spam-block}\n");
    start();
    CHECK(has(exchange(7070, "add 203.0.113.9 Broadband\n", 2, "\n"), "OK ++ - add 203.0.113.9"));
    std::string rules = sh("nft list ruleset").out;
    INFO(rules);
    CHECK(has(rules,
              "tcp dport 25 ip saddr @spam-block-ipv4 limit rate 10/second burst 10 packets log "
              "prefix \"SPAM_BLOCK: \""));
    CHECK(has(rules, "tcp dport 25 ip saddr @spam-block-ipv4 counter packets 0 bytes 0 reject"));
    CHECK(has(sh("nft list set inet bandd spam-block-ipv4").out, "203.0.113.9"));
}

TEST_CASE_METHOD(Remote, "remote: the plain text of old, from this machine and those listed only") {
    configure_remote(
        "  listen: tcp://0.0.0.0:7070\n  text_jail: mail\n  text_from: [192.0.2.77]\n");
    must("ip address replace 192.0.2.77/32 dev lo; ip address replace 192.0.2.78/32 dev lo");
    start();
    CHECK(exchange(7070, "", 1, "\n") == "Firewall server available\n");
    CHECK(exchange(7070, "add 203.0.113.9\nadd 203.0.113.9\r\ncheck 203.0.113.9\n", 4, "\n") ==
          "Firewall server available\nOK ++ - add 203.0.113.9\nOK -- - add 203.0.113.9\n"
          "OK banned - check 203.0.113.9\n");
    CHECK(bans() == "203.0.113.9 mail\n");
    CHECK(exchange(7070, "del 203.0.113.9\nadd 198.51.100.1\n", 3, "\n") ==
          "Firewall server available\nOK ++ - del 203.0.113.9\n"
          "ERROR ban 198.51.100.1: ignoreip of jail \"mail\" holds it\n");
    // Who speaks something else has a browser send it, perhaps: no later line of it counts.
    CHECK(exchange(7070, "flush\nadd 203.0.113.30\n", 2, "\n") ==
          "Firewall server available\nERROR command: there is no such command\n");
    sh("curl -s -m2 --http0.9 -d $'x\\nadd 203.0.113.31\\n' http://127.0.0.1:7070/");
    CHECK(bans() == "");
    CHECK(has(sh("echo 'add 203.0.113.20' | nc -q1 -s 192.0.2.77 192.0.2.77 7070").out, "OK ++"));
    CHECK_FALSE(
        has(sh("echo 'add 203.0.113.21' | nc -q1 -s 192.0.2.78 192.0.2.77 7070").out, "OK"));
    CHECK(bans() == "203.0.113.20 mail\n");
    // Nobody is cut off who may ask, nor what is no host.
    auto from = [&](const std::string& source, const std::string& address) {
        return sh("echo 'add " + address + "' | nc -q1 -s " + source + " 192.0.2.77 7070").out;
    };
    CHECK(has(from("192.0.2.77", "192.0.2.77"), "ERROR ban 192.0.2.77: the peer that asks"));
    CHECK(has(from("127.0.0.1", "192.0.2.77"), "ERROR ban 192.0.2.77: "));
    CHECK(has(from("192.0.2.77", "192.0.2.78"), "ERROR ban 192.0.2.78: it is an address of this"));
    CHECK(has(from("192.0.2.77", "0.0.0.0"), "ERROR ban 0.0.0.0: no host has such an address"));
    CHECK(has(from("192.0.2.77", "224.0.0.1"), "ERROR ban 224.0.0.1: no host"));
    CHECK(has(from("192.0.2.77", "ff02::1"), "ERROR ban ff02::/64: no host"));
    CHECK(bans() == "203.0.113.20 mail\n");
    CHECK(exchange(7070, std::string(10'000, 'a'), 2, "\n").ends_with(">"));
}

// Other users of this machine, and whoever only holds connections.

namespace {

// `command` as another user than root and than bandd (which is nobody here).
Ran as_games(const std::string& command, const std::string& group = "games") {
    return sh("setpriv --reuid=games --regid=" + group + " --clear-groups " + command);
}

// A program of Python's, with a socket `s` at the address `from`.
std::string with_socket(const std::string& from, const std::string& then) {
    return "timeout 20 python3 -c 'import socket; s = socket.socket(); s.settimeout(10)\n"
           "s.bind((\"" +
           from + "\", 0))\n" + then + "' 2>&1; true";
}

}  // namespace

TEST_CASE_METHOD(Remote, "remote: no other user of this machine has hosts banned by plain text") {
    configure_remote(
        "  listen: tcp://0.0.0.0:7070\n  text_jail: mail\n  text_from: [192.0.2.0/24]\n");
    must("ip address replace 192.0.2.77/32 dev lo; ip address replace 192.0.2.78/32 dev lo");
    start();
    CHECK(has(exchange(7070, "add 203.0.113.7\n", 2, "\n"), "OK ++"));
    CHECK(bans() == "203.0.113.7 mail\n");
    const std::string text = "s.send(b\"add 203.0.113.0/24\\ndel 203.0.113.7\\n\"); ";
    for (const char* address : {"127.0.0.1", "127.0.0.9", "192.0.2.77"})
        for (const char* to : {"127.0.0.1", "192.0.2.77", "192.0.2.78"}) {
            INFO(address << " to " << to);
            auto attack = [&](const std::string& first, const std::string& last) {
                std::string connect = "s.connect((\"" + std::string(to) + "\", 7070)); ";
                return as_games("bash -c " +
                                quoted(with_socket(address, first + connect + text + last)))
                    .out;
            };
            CHECK_FALSE(has(attack("", "print(s.recv(1000), s.recv(1000))"), "OK"));
            // A socket that is bound to an interface is found only by who names it.
            attack("s.setsockopt(socket.SOL_SOCKET, 25, b\"lo\"); ",
                   "print(s.recv(1000), s.recv(1000))");
            // One that is closed is root's, the kernel says.
            ::kill(daemon.pid(), SIGSTOP);
            attack("", "s.close()");
            ::kill(daemon.pid(), SIGCONT);
            attack("", "s.close()");
        }
    CHECK(bans() == "203.0.113.7 mail\n");
    Json remote = json("status")["endpoints"][1];
    CHECK(remote["what"] == "remote");
    CHECK(remote["refused"].get<int>() >= 18);
    std::string log = daemon.log();
    const std::string said = "warning: remote: tcp://0.0.0.0:7070: ";
    CHECK(has(log, said + "user 5 of this machine: may not ask; name it in \"users\""));
    CHECK(has(exchange(7070, "del 203.0.113.7\n", 2, "\n"), "OK ++"));
    // Those who are listed may.
    configure_remote(
        "  listen: tcp://0.0.0.0:7070\n  text_jail: mail\n  text_users: [5, no-such-user]\n");
    CHECK(daemon.ctl("reload").code == 0);
    CHECK(daemon.said("user \"no-such-user\": does not exist"));
    CHECK(has(as_games("bash -c 'echo add 203.0.113.8 | nc -q1 127.0.0.1 7070'").out, "OK ++"));
    CHECK_FALSE(has(exchange(7070, "add 203.0.113.9\n", 2, "\n"), "OK"));
}

TEST_CASE_METHOD(AskedSetup, "policy: no other user of this machine gets an account refused") {
    configure("accounts: {countries: 2}\njails: {}\n");
    start();
    write_file(dir / "queries", policy_request("joe", "8.1.0.1", "") +
                                    policy_request("joe", "8.2.0.1", "") +
                                    policy_request("joe", "8.3.0.1", ""));
    CHECK(as_games("bash -c 'nc -q1 127.0.0.1 10040 < " + dir / "queries" + "'").out == "");
    CHECK(postfix_asks("joe", "8.1.0.1") == pass);
    CHECK(has(daemon.ctl("account joe").out, "1 login"));
    CHECK(has(sh("setpriv --reuid=postfix --clear-groups bash -c 'nc -q1 127.0.0.1 10040 < " +
                 dir / "queries" + "'")
                  .out,
              "554 5.7.1"));
}

TEST_CASE_METHOD(AskedSetup, "policy: a Unix socket is for its users and its group") {
    auto configure_socket = [&](const std::string& keys) {
        write_config(
            "geoip: geo.mmdb\naccess: {countries: [US]}\njails: {}\npolicy: {listen: 'unix:" +
            dir / "policy.sock" + "'" + keys + "}\n");
    };
    write_file(dir / "query", policy_request("joe", "8.1.0.1", ""));
    std::string ask = "bash -c 'nc -q1 -U " + dir / "policy.sock" + " < " + dir / "query" + "'";
    configure_socket("");
    start();
    CHECK(sh(ask).out == pass);
    CHECK(sh("setpriv --reuid=postfix --clear-groups " + ask).out == pass);
    CHECK(as_games(ask).out == "");
    CHECK(daemon.said("policy: unix:" + dir / "policy.sock" +
                      ": user 5 of this machine: may not ask"));
    daemon.stop(SIGTERM);
    configure_socket(", group: games");
    start();
    CHECK(sh("stat -c '%a %G' " + dir / "policy.sock").out == "660 games\n");
    CHECK(as_games(ask).out == pass);
    CHECK(as_games(ask, "mail").out != pass);
    daemon.stop(SIGTERM);
    configure_socket(", mode: 0600");
    start();
    CHECK(sh("stat -c '%a %U' " + dir / "policy.sock").out == "600 root\n");
    daemon.stop(SIGTERM);
    configure_socket(", mode: 888");
    CHECK(has(daemon.ctl("check").out, "\"mode: 888\": is no mode of a file"));
    configure_socket(", group: no-such-group");
    CHECK_FALSE(daemon.start());
    CHECK(has(daemon.log(), "group \"no-such-group\": does not exist"));
}

TEST_CASE_METHOD(AskedSetup, "http: no other user of this machine has hosts banned by reports") {
    configure(
        "http: {listen: tcp://127.0.0.1:10041, imap: 127.0.0.1:143}\n"
        "jails:\n  wrong: {source: access, maxretry: 3}\n");
    start();
    write_file(dir / "report", R"({"login":"joe","remote":"203.0.113.9","protocol":"imap",)"
                               R"("success":false,"policy_reject":false})");
    std::string report = "curl -s -o /dev/null -w '%{http_code}' -d @" + dir / "report" +
                         " 'http://127.0.0.1:10041/auth/dovecot?command=report'";
    for (int i = 0; i < 5; ++i) CHECK(as_games(report).out == "403");
    CHECK(
        as_games("curl -s -o /dev/null -w '%{http_code}' http://127.0.0.1:10041/auth/nginx").out ==
        "403");
    CHECK(has(as_games("curl -s http://127.0.0.1:10041/metrics").out,
              "bandd_http_refused_total 6\n"));
    CHECK(daemon.said("http: user 5 of this machine: may not ask"));
    // Closed before anybody could ask whose it was.
    std::string raw = "POST /auth/dovecot?command=report HTTP/1.1\r\nHost: x\r\nContent-Length: " +
                      std::to_string(read_file(dir / "report").size()) + "\r\n\r\n" +
                      read_file(dir / "report");
    write_file(dir / "raw", raw);
    for (int i = 0; i < 5; ++i)
        as_games(
            "timeout 10 python3 -c 'import socket; s = socket.create_connection((\"127.0.0.1\", "
            "10041)); s.send(open(\"" +
            dir / "raw" + "\", \"rb\").read()); s.close()'");
    CHECK(bans() == "");
    for (int i = 0; i < 3; ++i)
        CHECK(sh("setpriv --reuid=www-data --clear-groups " + report).out == "200");
    CHECK(wait_for([&] { return bans() == "203.0.113.9 wrong\n"; }));
}

namespace {

// Connections that keep silent, until the end of the scope.
struct Silent {
    std::string out;
    Background program;
    Silent(const TempDirectory& dir, const std::string& arguments)
        : out(dir / "silent.out"), program("exec support/hold_connections " + arguments, out) {
        CHECK(wait_for([&] { return has(sh("cat " + out).out, "ready"); }, 60));
    }
};

}  // namespace

TEST_CASE_METHOD(AskedSetup, "policy: silent connections do not keep Postfix out") {
    configure("jails: {}\n");
    start();
    Silent silent(dir, "600 tcp:10040");
    for (int i = 0; i < 20; ++i) CHECK(postfix_asks("joe", "8.1.0.1") == pass);
    Json policy = json("status")["endpoints"][0];
    CHECK(policy["made_room"].get<int>() > 0);
    CHECK(daemon.said("made room for another client"));
}

TEST_CASE_METHOD(AskedSetup,
                 "http: who asks again and again, and reads nothing, keeps nobody out") {
    configure("http: {listen: tcp://127.0.0.1:10041}\njails: {}\n");
    start();
    Background greedy(
        "exec setpriv --reuid=games --regid=nogroup --clear-groups "
        "support/hold_connections 300 tcp:10041 --greedy",
        dir / "silent.out");
    CHECK(wait_for([&] { return has(sh("cat " + dir / "silent.out").out, "ready"); }, 60));
    for (int i = 0; i < 20; ++i)
        CHECK(sh("curl -s -m5 http://127.0.0.1:10041/health").out == "ok\n");
}

TEST_CASE_METHOD(AskedSetup, "policy: what another protocol sends is no request") {
    configure("jails: {}\naccounts: {addresses: 1}\n");
    start();
    for (int i = 1; i < 9; ++i)
        sh("curl -s -m1 --http0.9 --data-binary $'request=smtpd_access_policy\\nsasl_username=joe"
           "\\nclient_address=8.1.0." +
           std::to_string(i) + "\\n\\n' http://127.0.0.1:10040/");
    CHECK(postfix_asks("joe", "8.1.0.1") == pass);
}

TEST_CASE_METHOD(Remote, "remote: silent connections do not keep peers out") {
    configure_remote(
        "  listen: tls://127.0.0.1\n  peers: {mx: {token: 'file:token', jail: mail}}\n");
    start();
    for (const char* kind : {"tls", "tcp"}) {
        INFO(kind);
        Silent silent(dir, "150 " + std::string(kind) + ":7071 --sources 8");
        for (int i = 1; i <= 3; ++i) {
            Ran banned = remote("--token-file token ban 203.0.113.1", "");
            INFO(banned.out);
            CHECK(banned.code == 0);
        }
    }
    CHECK(json("status")["endpoints"][1]["made_room"].get<int>() > 0);
}

TEST_CASE_METHOD(AskedSetup, "http: silent and slow connections do not keep others out") {
    configure("http: {listen: tcp://127.0.0.1:10041, imap: 127.0.0.1:143}\njails: {}\n");
    start();
    std::string ask =
        "curl -s -o /dev/null -w '%{http_code}' --max-time 20 http://127.0.0.1:10041/";
    for (const char* how : {"", " --drip"}) {
        INFO(how);
        Silent silent(dir, "400 tcp:10041" + std::string(how));
        for (int i = 0; i < 20; ++i) CHECK(sh(ask + "health").out == "200");
    }
    CHECK(json("status")["http_put_out"].get<int>() > 0);
    // A request that comes byte by byte has its time.
    CHECK(sh("timeout 60 python3 -c 'import socket, time; s = "
             "socket.create_connection((\"127.0.0.1\","
             " 10041)); s.setblocking(False)\n"
             "for _ in range(500):\n"
             "  try:\n"
             "    s.send(b\"G\"); time.sleep(0.1)\n"
             "    if s.recv(1000) == b\"\": break\n"
             "  except BlockingIOError: pass\n"
             "  except OSError: break\n"
             "else: print(\"still there\")'")
              .out == "");
}

TEST_CASE_METHOD(AskedSetup, "control: silent connections of its group do not keep root out") {
    configure("jails: {}\n");
    start();
    Background silent(
        "exec setpriv --reuid=games --regid=nogroup --clear-groups "
        "support/hold_connections 100 unix:" +
            dir / "run/socket",
        dir / "silent.out");
    CHECK(wait_for([&] { return has(sh("cat " + dir / "silent.out").out, "ready"); }, 60));
    for (int i = 0; i < 20; ++i) CHECK(daemon.ctl("status").code == 0);
    CHECK(daemon.said("control: unix:"));
}

// SPDX-License-Identifier: GPL-2.0-or-later
// What is no file: syslog messages from other machines, and the journal. The senders are the real
// ones: logger, rsyslogd, systemd-journald.
#include <csignal>
#include <ctime>
#include <fstream>
#include <thread>

#include "config/compile.h"
#include "config/filter_file.h"
#include "core/text/syslog_line.h"
#include "core/text/unescape.h"
#include "os/clock.h"
#include "support/setup.h"

using namespace bandd;
namespace fs = std::filesystem;

namespace {

// hMailServer's own line, as it stands in its log on Windows.
std::string raw_line(const std::string& ip) {
    std::string date = format_local(now(), Zone{});
    return "\"SMTPD\"\t2824\t9493\t\"" + date.substr(0, 19) + ".000\"\t\"" + ip +
           "\"\t\"SENT: 503 Bad sequence of commands\"";
}

struct SourceSetup : AppSetup {
    Json status(const std::string& jail) { return json("status " + jail)["jails"][0]["logs"][0]; }
    bool banned(const std::string& ip, const std::string& jail = "app") {
        bool done = wait_for(
            [&] { return has(daemon.ctl("bans --json --jail " + jail).out, "\"" + ip + "\""); });
        if (!done)
            UNSCOPED_INFO(ip << " is not banned\n"
                             << daemon.log() << daemon.ctl("status " + jail).out
                             << sh("journalctl -o short-iso-precise 2>/dev/null | tail -5").out);
        return done;
    }
    bool not_banned(const std::string& ip) {
        return !has(daemon.ctl("bans --json").out, "\"" + ip + "\"");
    }
};

}  // namespace

TEST_CASE_METHOD(SourceSetup,
                 "syslog over udp, tcp (both framings) and a Unix socket, from logger") {
    configure(
        "  app: {maxretry: 1, syslog: {listen: [\"udp://0.0.0.0:5514\", \"tcp://127.0.0.1:5514\",\n"
        "        \"udp://[::1]:5514\", \"unix:run/dev-log\"], from: [127.0.0.0/8, \"::1\"]}}\n");
    REQUIRE(daemon.start());
    must("logger --udp -n 127.0.0.1 -P 5514 -t app 'denied bob 203.0.113.1'");
    CHECK(banned("203.0.113.1"));
    must("logger --udp --rfc3164 -n ::1 -P 5514 -t app 'denied bob 203.0.113.2'");
    CHECK(banned("203.0.113.2"));
    must("logger --tcp -n 127.0.0.1 -P 5514 -t app 'denied bob 203.0.113.3'");
    CHECK(banned("203.0.113.3"));
    must("logger --tcp --octet-count -n 127.0.0.1 -P 5514 -t app 'denied bob 203.0.113.4'");
    CHECK(banned("203.0.113.4"));
    must("logger --socket " + dir / "run/dev-log" + " -t app 'denied bob 203.0.113.5'");
    CHECK(banned("203.0.113.5"));
    std::string text = daemon.ctl("status app").out;
    INFO(text);
    CHECK(has(text, "log udp://0.0.0.0:5514: listening, 1 messages, 0 refused, 0 dropped"));
    CHECK(has(text, "log tcp://127.0.0.1:5514: listening, 2 messages"));
}

// By systemd's own program, which waits for the first client and then starts bandd.
TEST_CASE_METHOD(SourceSetup, "sockets that a supervisor opened are used, and left to it") {
    configure(
        "  app: {maxretry: 1, syslog: {listen: \"udp://127.0.0.1:5514\", from: [127.0.0.0/8]}}\n");
    SECTION("syslog: the message that woke bandd is its first one") {
        DaemonProcess woken(
            dir.path(), "systemd-socket-activate --datagram -l 127.0.0.1:5514 -l 127.0.0.1:5515");
        Background sender(
            "sleep 1; logger --udp -n 127.0.0.1 -P 5514 -t app 'denied bob 203.0.113.1'");
        INFO(woken.log());
        REQUIRE(woken.start());
        CHECK(wait_for([&] { return has(daemon.ctl("bans").out, "203.0.113.1"); }));
        CHECK(
            woken.said("socket udp://127.0.0.1:5515, which bandd was handed at its start: is "
                       "named nowhere in the configuration"));
        CHECK(sh("ss -Hlun sport = 5515").out.empty());
    }
    SECTION("bandctl's: its file stays when bandd ends, and the next bandd takes it up") {
        must("mkdir -p " + dir / "run");
        DaemonProcess woken(dir.path(), "systemd-socket-activate -l " + dir / "run/socket");
        Background asker("for i in 1 2 3 4 5; do sleep 0.5; " + built("bandctl") + " --socket " +
                         dir / "run/socket" + " status; done");
        INFO(woken.log());
        REQUIRE(woken.start());
        CHECK(daemon.ctl("status").code == 0);
        asker.end();
        woken.stop(SIGTERM);
        CHECK(fs::is_socket(dir / "run/socket"));
    }
}

TEST_CASE_METHOD(SourceSetup,
                 "a log and a sender that are dated an hour off: said, corrected, shown, kept") {
    configure(
        "  app: {maxretry: 2, logpath: app.log}\n"
        "  sent: {filter: app, maxretry: 2, syslog: {listen: \"udp://127.0.0.1:5514\", from: "
        "[127.0.0.0/8]}}\n");
    REQUIRE(daemon.start());
    auto line = [&](const std::string& message) {
        std::string stamp = format_rfc3339(now() - std::chrono::hours(1)).substr(0, 19);
        append_file(log, stamp + " " + message + "\n");
        // A date that names its zone could not be read in a wrong one.
        must(
            "bash -c 'printf %s \"<13>$(LC_ALL=C date -u -d \"1 hour ago\" \"+%b %e %T\") mail "
            "app: " +
            message + "\" > /dev/udp/127.0.0.1/5514'");
    };
    must("date +%Z | grep -q UTC");  // as the test's dates name no zone
    for (int i = 0; i < 15; ++i) {
        line("allowed bob 203.0.113.1");
        std::this_thread::sleep_for(std::chrono::milliseconds(1700));
    }
    CHECK(daemon.said("log \"" + log +
                      "\": its lines are dated 1h behind the clock (they are read in this "
                      "machine's zone); bandd corrects that from here on; set \"timezone:\" of "
                      "app to the zone of whoever writes them"));
    CHECK(
        daemon.said("log \"udp://127.0.0.1:5514 from 127.0.0.1\": its lines are dated 1h behind"));
    for (int i = 0; i < 2; ++i) line("denied bob 203.0.113.9");
    CHECK(banned("203.0.113.9"));
    CHECK(banned("203.0.113.9", "sent"));
    CHECK(
        status("app")["dates_off"] ==
        Json::parse(R"([{"log":")" + log + R"(","dates":"1h behind the clock","seconds":3600}])"));
    CHECK(status("sent")["dates_off"][0]["log"] == "127.0.0.1");
    CHECK(has(daemon.ctl("status app").out, "dated 1h behind the clock, which is corrected: set"));
    CHECK(has(daemon.ctl("status").out, "dated 1h behind"));
    daemon.stop(SIGKILL);
    line("denied bob 203.0.113.10");
    line("denied bob 203.0.113.10");
    std::string before = daemon.log();
    REQUIRE(daemon.start());
    CHECK(banned("203.0.113.10"));
    CHECK(status("app")["dates_off"][0]["seconds"] == 3600);
    CHECK_FALSE(has(daemon.log().substr(before.size()), "behind the clock"));
    // An export has it, too.
    CHECK(has(daemon.ctl("state export").out, "\"clock\":3600000000"));
}

TEST_CASE_METHOD(SourceSetup, "hits that are too old when they are written are said, once") {
    configure_app();
    // These are old, and nobody is told.
    auto old = [&](int count) {
        for (int i = 0; i < count; ++i)
            append_file(log, format_rfc3339(now() - std::chrono::minutes(20)) +
                                 " denied bob 203.0.113.9\n");
    };
    old(100);
    REQUIRE(daemon.start());
    append_file(log, format_rfc3339(now()) + " allowed bob 203.0.113.9\n");
    REQUIRE(wait_for([&] { return status("app")["files"][0]["offset"] == fs::file_size(log); }));
    CHECK_FALSE(has(daemon.log(), "older than findtime when"));
    old(19);
    REQUIRE(wait_for([&] { return json("status app")["jails"][0]["too_old"] == 19; }));
    CHECK_FALSE(has(daemon.log(), "older than findtime when"));
    old(1);
    std::string said = "log \"" + log +
                       "\": 20 hits were older than findtime when they were written, and did not "
                       "count; the clocks or zones of who writes it differ: set them right, or "
                       "\"timezone:\" of app";
    CHECK(daemon.said(said));
    old(100);
    REQUIRE(wait_for([&] { return json("status app")["jails"][0]["too_old"] == 120; }));
    std::string all = daemon.log();
    CHECK(all.find("older than findtime when") == all.rfind("older than findtime when"));
}

TEST_CASE_METHOD(SourceSetup, "syslog: senders that are not named are refused, and counted") {
    must("ip addr replace 192.0.2.77/32 dev lo");
    configure(
        "  app: {maxretry: 1, syslog: {listen: [\"udp://0.0.0.0:5514\", \"tcp://0.0.0.0:5515\"],\n"
        "        from: [127.0.0.1]}}\n");
    REQUIRE(daemon.start());
    must("echo '<13>app: denied bob 203.0.113.1' | nc -u -w1 -q0 -s 192.0.2.77 127.0.0.1 5514");
    sh("echo '<13>app: denied bob 203.0.113.1' | nc -w1 -q0 -s 192.0.2.77 127.0.0.1 5515");
    must("echo '<13>app: denied bob 203.0.113.2' | nc -u -w1 -q0 -s 127.0.0.1 127.0.0.1 5514");
    CHECK(banned("203.0.113.2"));
    CHECK(not_banned("203.0.113.1"));
    CHECK(wait_for([&] { return status("app")["refused"] == 1; }));
}

TEST_CASE_METHOD(SourceSetup,
                 "syslog over TLS: believed with a certificate of ours, else refused") {
    // Two authorities; a server; clients of the right one, of the wrong one, and one out of date.
    must("cd " + dir.path() + R"( && exec 2>&1
        ca() { openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 30 \
                 -keyout $1.key -out $1.pem -subj /CN=$1; }
        leaf() { openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout $2.key \
                   -out $2.csr -subj /CN=$2 &&
                 openssl x509 -req -in $2.csr -CA $1.pem -CAkey $1.key -CAcreateserial -out $2.pem \
                   -days $3; }
        ca ours && ca theirs && leaf ours server 30 && leaf ours client 30 &&
        leaf theirs stranger 30 && leaf ours late -1)");
    configure(
        "  app: {maxretry: 1, syslog: {listen: \"tls://127.0.0.1\", certificate: server.pem,\n"
        "        key: server.key, clients: ours.pem, from: [127.0.0.1]}}\n");
    REQUIRE(daemon.start());
    auto send = [&](const std::string& ip, const std::string& who) {
        std::string message = "<13>app: denied bob " + ip;
        return sh("cd " + dir.path() + " && (printf '" + std::to_string(message.size()) + " " +
                  message +
                  "'; sleep 0.5) | timeout 5 openssl s_client -quiet -connect "
                  "127.0.0.1:6514 -CAfile ours.pem " +
                  (who.empty() ? "" : "-cert " + who + ".pem -key " + who + ".key"));
    };
    send("203.0.113.1", "client");
    CHECK(banned("203.0.113.1"));
    for (const char* who : {"", "stranger", "late"}) send("203.0.113.2", who);
    must("printf '<13>app: denied bob 203.0.113.3\\n' | timeout 5 nc -q1 127.0.0.1 6514 || true");
    CHECK(wait_for([&] { return status("app")["failed_handshakes"] == 4; }));
    CHECK(not_banned("203.0.113.2"));
    CHECK(not_banned("203.0.113.3"));
    std::string text = daemon.ctl("status app").out;
    INFO(text);
    CHECK(has(text, "4 TLS failures (last: 127.0.0.1: "));

    // A renewed certificate is taken at a reload, a broken one is not.
    must("cd " + dir.path() + " && cp stranger.pem server.pem && cp stranger.key server.key");
    CHECK(daemon.ctl("reload").code == 0);
    auto shown = [] {
        return sh("timeout 5 openssl s_client -connect 127.0.0.1:6514 < /dev/null 2>&1").out;
    };
    CHECK(has(shown(), "CN = stranger"));
    must("echo broken > " + dir / "server.pem");
    daemon.ctl("reload");
    CHECK(daemon.said("syslog: tls://127.0.0.1:6514: certificate \"" + dir / "server.pem" + "\":"));
    CHECK(has(shown(), "CN = stranger"));
}

TEST_CASE_METHOD(
    SourceSetup,
    "syslog: a filter may look at one sender's messages only, and tells whose it was") {
    must("ip addr replace 192.0.2.77/32 dev lo");
    write_file(dir / "filters/far.yaml",
               "sender: 192.0.2.0/24\nfailregex:\n  - {id: denied, regex: '^denied \\S+ <HOST>$'}\n"
               "samples:\n  - {line: denied bob 203.0.113.9, match: denied}\n");
    configure(
        "  app: {maxretry: 1, filter: far, syslog: {listen: [\"udp://0.0.0.0:5514\"],\n"
        "        from: [127.0.0.1, 192.0.2.77]}}\n");
    REQUIRE(daemon.start());
    must("echo '<13>app: denied bob 203.0.113.1' | nc -u -w1 -q0 -s 127.0.0.1 127.0.0.1 5514");
    must("echo '<13>app: denied bob 203.0.113.2' | nc -u -w1 -q0 -s 192.0.2.77 127.0.0.1 5514");
    CHECK(banned("203.0.113.2"));
    CHECK(not_banned("203.0.113.1"));
    CHECK(has(daemon.ctl("explain 203.0.113.2 --json").out, "\"log_sender\":\"192.0.2.77\""));
}

TEST_CASE_METHOD(SourceSetup,
                 "syslog: pieces, several messages in one, overlong ones, lines within a message") {
    configure("  app: {maxretry: 1, syslog: {listen: tcp://127.0.0.1:5514, from: [127.0.0.1]}}\n");
    write_file(dir / "bandd.yaml", read_file(dir / "bandd.yaml") + "line_limit: 1024\n");
    REQUIRE(daemon.start());
    auto counted = [](const std::string& message) {
        return std::to_string(message.size()) + " " + message;
    };
    write_file(dir / "rest", "ied bob 203.0.113.1\n<13>app: denied bob 203.0.113.2\n" +
                                 counted("<13>app: denied bob 203.0.113.3") +
                                 counted("<13>app: denied bob 203.0.113.4"));
    must("(printf '<13>app: den'; sleep 0.2; cat " + dir / "rest" +
         ") | nc -w1 -q0 127.0.0.1 5514");
    CHECK(banned("203.0.113.3"));
    CHECK(banned("203.0.113.4"));
    CHECK(banned("203.0.113.1"));
    CHECK(banned("203.0.113.2"));
    // A message without a line end, too, when the sender goes.
    must("printf '<13>app: denied bob 203.0.113.5' | nc -w1 -q0 127.0.0.1 5514");
    CHECK(banned("203.0.113.5"));
    must(
        "(head -c 5000 /dev/zero | tr '\\0' x; printf '\\n<13>app: denied bob 203.0.113.6\\n') | "
        "nc "
        "-w1 -q0 127.0.0.1 5514");
    CHECK(banned("203.0.113.6"));
    CHECK(status("app")["cut"] == 1);
    // A length that is none: read on at the next line.
    must("printf '999999999 x\\n<13>app: denied bob 203.0.113.7\\n' | nc -w1 -q0 127.0.0.1 5514");
    CHECK(banned("203.0.113.7"));
    // A line end in an octet-counted message does not make a message of its own.
    write_file(dir / "within", counted("<13>app: x\n<13>app: denied bob 203.0.113.8") +
                                   "<13>app: denied bob 203.0.113.9\n");
    must("nc -w1 -q0 127.0.0.1 5514 < " + dir / "within");
    CHECK(banned("203.0.113.9"));
    CHECK(not_banned("203.0.113.8"));
}

TEST_CASE_METHOD(
    SourceSetup,
    "syslog: a burst of 100,000 datagrams: what arrives and what the kernel drops is told") {
    configure("  app: {maxretry: 1, syslog: {listen: udp://127.0.0.1:5514, from: [127.0.0.1]}}\n");
    REQUIRE(daemon.start());
    must(
        "timeout 60 python3 -c '\n"
        "import socket\n"
        "s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\n"
        "for i in range(100000): s.sendto(b\"<13>app: welcome %d\" % i, (\"127.0.0.1\", 5514))\n"
        "import time; time.sleep(0.5)\n"
        "s.sendto(b\"<13>app: denied bob 203.0.113.9\", (\"127.0.0.1\", 5514))\n'");
    CHECK(banned("203.0.113.9"));
    Json heard = status("app");
    INFO(heard.dump());
    CHECK(heard["messages"].get<int>() + heard["dropped"].get<int>() == 100'001);
    CHECK(heard["messages"].get<int>() > 1000);
}

TEST_CASE_METHOD(SourceSetup,
                 "syslog: fail2ban's own filters see messages of both RFCs as lines of a file") {
    must(built("bandctl") + " import fail2ban --all --to " + dir / "imported");
    must("cp " + dir / "imported/filters/sshd.yaml " + dir / "filters/");
    configure(
        "  app: {filter: sshd, maxretry: 1, syslog: {listen: \"udp://127.0.0.1:5514\",\n"
        "        from: [127.0.0.0/8]}}\n");
    REQUIRE(daemon.start());
    const std::string logger = "logger --udp -n 127.0.0.1 -P 5514 ";
    const std::string says = " 'Failed password for root from 203.0.113.";
    must(logger + "--rfc3164 -t 'sshd[123]'" + says + "1 port 22 ssh2'");
    CHECK(banned("203.0.113.1"));
    must(logger + "--rfc5424 -t sshd --id=124" + says + "2 port 22 ssh2'");
    CHECK(banned("203.0.113.2"));
    write_file(dir / "raw", "<38>1 " + format_rfc3339(now()) +
                                " mx sshd 7 - [x@1 a=\"]\"] Failed password for root from "
                                "203.0.113.3 port 22 ssh2");
    must("nc -u -w1 -q0 127.0.0.1 5514 < " + dir / "raw");
    CHECK(banned("203.0.113.3"));
}

// The oracle is rsyslogd, which writes each message to a file.
TEST_CASE_METHOD(SourceSetup, "syslog: a message becomes the line that rsyslogd makes of it") {
    if (!fs::exists("/usr/sbin/rsyslogd")) {
        WARN("rsyslogd is not installed");
        return;
    }
    must("touch " + dir / "out; chmod 666 " + dir / "out");
    write_file(dir / "rsyslog.conf",
               "module(load=\"imudp\")\ninput(type=\"imudp\" port=\"5520\")\n"
               "action(type=\"omfile\" file=\"" +
                   dir / "out" + "\" template=\"RSYSLOG_FileFormat\")\n");
    Background rsyslogd(
        "exec /usr/sbin/rsyslogd -n -i " + dir / "rsyslog.pid" + " -f " + dir / "rsyslog.conf",
        dir / "rsyslog.out");
    REQUIRE(wait_for([&] { return !sh("ss -Hlun sport = 5520").out.empty(); }));
    const std::string head = "<38>1 2026-11-29T22:36:54.123456+00:00 mx sshd ";
    const std::vector<std::string> messages{
        head + "123 - - Failed password for root from 203.0.113.1 port 22",
        head + "- - - Failed password",
        head + "- ID47 - x",
        head + "1 - [x@1 a=\"b\"] one element",
        head + "1 - [x@1 a=\"b\"][y@1 c=\"d\"] two elements",
        head + "1 - [x@1 a=\"]\"] a bracket in quotes",
        head + "1 - [x@1 a=\"\\\"]\\]\"] escapes",
        head + "1 - - [ not data ] in brackets",
        "<13>1 2003-10-11T22:14:15.003Z mymachine.example.com su - ID47 - 'su root' failed",
        "<165>1 2003-08-24T05:14:15.000003-07:00 192.0.2.1 myproc 8710 - - %% It's time",
        "<34>1 2003-10-11T22:14:15.003Z 2001:db8::1 postfix/smtpd 7 - - connect from x[192.0.2.1]",
    };
    std::string expected;
    for (const std::string& message : messages) {
        write_file(dir / "message", message);
        must("nc -u -w1 -q0 127.0.0.1 5520 < " + dir / "message");
        std::string line;
        append_file_line(message, line);
        line.erase(line.find(": "), 1);  // rsyslog's tag has one only if the sender wrote it
        expected += line + "\n";
    }
    CHECK(wait_for([&] { return read_file(dir / "out") == expected; }, 5));
    CHECK(read_file(dir / "out") == expected);
}

TEST_CASE_METHOD(
    SourceSetup,
    "hMailServer's tabbed lines: straight from NXLog, and through rsyslogd's escaping") {
    std::string log = dir / "hmail.log";
    write_file(log, "");
    must("chmod 755 " + dir.path() + "; chmod 666 " + log);
    configure(
        "  straight: {filter: hmailserver, maxretry: 1, syslog: {listen: "
        "[\"udp://127.0.0.1:5514\",\n"
        "        \"tcp://127.0.0.1:5515\"], from: [127.0.0.1]}}\n"
        "  file: {filter: hmailserver, maxretry: 1, logpath: hmail.log}\n"
        "  forwarded: {filter: hmailserver, maxretry: 1, syslog: {listen: tcp://127.0.0.1:5516,\n"
        "        from: [127.0.0.1]}}\n");
    REQUIRE(daemon.start());
    // NXLog's om_udp and om_tcp send the line as it is.
    write_file(dir / "one", raw_line("203.0.113.1"));
    must("nc -u -w1 -q0 127.0.0.1 5514 < " + dir / "one");
    CHECK(banned("203.0.113.1", "straight"));
    write_file(dir / "two", raw_line("203.0.113.2") + "\r\n");
    must("nc -w1 -q0 127.0.0.1 5515 < " + dir / "two");
    CHECK(banned("203.0.113.2", "straight"));
    if (!fs::exists("/usr/sbin/rsyslogd")) {
        WARN("rsyslogd is not installed");
        return;
    }
    write_file(dir / "rsyslog.conf",
               "module(load=\"imtcp\")\ninput(type=\"imtcp\" port=\"5520\")\n"
               "action(type=\"omfile\" file=\"" +
                   log +
                   "\" template=\"RSYSLOG_TraditionalFileFormat\")\n"
                   "action(type=\"omfwd\" target=\"127.0.0.1\" port=\"5516\" protocol=\"tcp\")\n");
    Background rsyslogd(
        "exec /usr/sbin/rsyslogd -n -i " + dir / "rsyslog.pid" + " -f " + dir / "rsyslog.conf",
        dir / "rsyslog.out");
    REQUIRE(wait_for([&] { return sh("nc -z 127.0.0.1 5520").code == 0; }));
    write_file(dir / "three", "<13>mail hmail: " + raw_line("203.0.113.3") + "\n");
    must("nc -w1 -q0 127.0.0.1 5520 < " + dir / "three");
    CHECK(banned("203.0.113.3", "file"));
    CHECK(has(read_file(log), "#011"));
    CHECK(banned("203.0.113.3", "forwarded"));
}

namespace {

// Samples of hMailServer's filters, as they go through syslog.
struct HmailSamples {
    FilterConfig filter;
    std::vector<std::string> messages;  // as NXLog sends them, without head
    std::size_t hits = 0;

    explicit HmailSamples(const std::string& name) {
        filter = load_filter("../filters/" + name + ".yaml").filter;
        for (const Sample& sample : filter.samples) {
            std::string text;
            std::size_t head = sample.line.find(" mail ");
            unescape(sample.line.substr(head == std::string::npos ? 0 : head + 6), text);
            messages.push_back(text.substr(0, text.find_last_not_of('\r') + 1));
            if (sample.match != "none" && sample.match != "ignored") ++hits;
        }
        REQUIRE(hits > 1);
    }
    // What of each line is not as its sample says; `times` lines belong to one.
    std::string wrong(const std::vector<std::string>& lines, std::size_t times) const {
        std::vector<Error> errors, warnings;
        auto compiled =
            compile_filter(filter, {{"aggressive"}, filter.sample_lists}, errors, warnings);
        MatchScratch scratch;
        std::string text;
        for (std::size_t i = 0; i < lines.size(); ++i) {
            const Sample& sample = filter.samples[i / times];
            Seen seen = see(*compiled, lines[i], Zone{}, now(), Escapes::automatic, scratch);
            FilterMatch found = match(*compiled, seen.tag, seen.text, scratch);
            std::string got = found.fate == LineFate::hit ? found.pattern->id : "none";
            if (found.fate == LineFate::ignored) got = "ignored";
            if (got != sample.match || (got != "none" && got != "ignored" && !sample.ip.empty() &&
                                        to_string(*found.captured.address) != sample.ip))
                text += got + ", not " + sample.match + ": " + lines[i] + "\n";
        }
        return text;
    }
};

std::string syslog_date() {
    std::time_t at = std::time(nullptr);
    char text[64];
    std::strftime(text, sizeof text, "%b %e %H:%M:%S", std::gmtime(&at));
    return text;
}
std::string iso_date() { return format_rfc3339(now()); }

// By syslog of both RFCs: `"SMTPD"` stands where a tag would, or behind its own.
std::vector<std::string> in_syslog(const std::string& message) {
    return {"<189>" + syslog_date() + " mail " + message,
            "<189>1 " + iso_date() + " mail - - - - " + message,
            "<189>1 " + iso_date() + " mail hMailServer 12 - [NXLOG@14506 x=\"y\"] " + message};
}

void send_to(const std::string& file, const std::string& bytes, const std::string& to) {
    write_file(file, bytes);
    must("bash -c 'cat " + file + " > /dev/" + to + "'");
}

std::vector<std::string> lines_of(const std::string& file) {
    std::ifstream in(file);
    std::vector<std::string> lines;
    for (std::string line; std::getline(in, line);) lines.push_back(line);
    return lines;
}

}  // namespace

TEST_CASE_METHOD(SourceSetup,
                 "hMailServer's lines as rsyslog's own templates write and send them") {
    if (!fs::exists("/usr/sbin/rsyslogd")) {
        WARN("rsyslogd is not installed");
        return;
    }
    std::string name = GENERATE("hmailserver", "hmailserver-events", "hmailserver-connections");
    HmailSamples samples(name);
    std::string lists = name != "hmailserver" ? ""
                                              : ", lists: {unwanted_ehlo: [\"*.us\", "
                                                "\"*clickdimensions.com\", adams.edu], "
                                                "unwanted_senders: [bounce@aweber.com, "
                                                "goof@gmail.com, spameri@tiscali.it]}";
    configure("  forwarded: {filter: " + name + lists +
              ", mode: aggressive, maxretry: 1, syslog: {listen: tcp://127.0.0.1:5516, from: "
              "[127.0.0.1]}}\n");
    REQUIRE(daemon.start());
    std::string conf =
        "module(load=\"imudp\")\ninput(type=\"imudp\" port=\"5520\")\n"
        "action(type=\"omfwd\" target=\"127.0.0.1\" port=\"5516\" protocol=\"tcp\"\n"
        "       template=\"RSYSLOG_ForwardFormat\")\n";
    const std::vector<std::string> templates{"TraditionalFileFormat", "FileFormat",
                                             "SyslogProtocol23Format"};
    for (const std::string& one : templates) {
        write_file(dir / one, "");
        conf += "action(type=\"omfile\" file=\"" + (dir / one) + "\" template=\"RSYSLOG_" + one +
                "\")\n";
    }
    must("chmod 666 " + dir.path() + "/*Format");
    write_file(dir / "rsyslog.conf", conf);
    Background rsyslogd(
        "exec /usr/sbin/rsyslogd -n -i " + dir / "rsyslog.pid" + " -f " + dir / "rsyslog.conf",
        dir / "rsyslog.out");
    REQUIRE(wait_for([&] { return !sh("ss -Hlun sport = 5520").out.empty(); }));
    std::size_t sent = 0;
    std::size_t forms = 0;
    for (const std::string& message : samples.messages) {
        forms = 0;
        for (const std::string& packet : in_syslog(message)) {
            send_to(dir / "message", packet, "udp/127.0.0.1/5520");
            ++sent;
            ++forms;
        }
    }
    for (const std::string& one : templates) {
        INFO(one);
        CHECK(wait_for([&] { return lines_of(dir / one).size() == sent; }));
        CHECK(samples.wrong(lines_of(dir / one), forms).empty());
    }
    auto hits = [&] { return json("status forwarded")["jails"][0]["hits"].get<std::size_t>(); };
    CHECK(wait_for([&] { return hits() == samples.hits * forms; }));
    CHECK(hits() == samples.hits * forms);
}

TEST_CASE_METHOD(
    SourceSetup,
    "hMailServer's lines by NXLog's om_tcp: RFC 5424, octets counted, tabs as they are") {
    HmailSamples samples("hmailserver");
    configure(
        "  ietf: {filter: hmailserver, maxretry: 1, syslog: {listen: tcp://127.0.0.1:5515, from: "
        "[127.0.0.1]},\n    lists: {unwanted_ehlo: [\"*.us\", \"*clickdimensions.com\", "
        "adams.edu], "
        "unwanted_senders: [bounce@aweber.com, goof@gmail.com, spameri@tiscali.it]}}\n");
    REQUIRE(daemon.start());
    std::string stream;
    std::size_t forms = 0;
    for (const std::string& message : samples.messages) {
        std::string escaped;
        for (char c : message) escaped += c == '\t' ? "#011" : std::string(1, c);
        forms = 0;
        for (const std::string& text : {message, escaped})
            for (const std::string& packet : in_syslog(text)) {
                stream += std::to_string(packet.size()) + " " + packet;
                ++forms;
            }
    }
    send_to(dir / "message", stream, "tcp/127.0.0.1/5515");
    auto hits = [&] { return json("status ietf")["jails"][0]["hits"].get<std::size_t>(); };
    CHECK(wait_for([&] { return hits() == samples.hits * forms; }));
    CHECK(hits() == samples.hits * forms);
    CHECK(banned("2001:db8::/64", "ietf"));
    CHECK(not_banned("198.51.100.7"));  // that the forged ones name
}

TEST_CASE_METHOD(SourceSetup, "syslog: a port that is taken is said; a reload listens at another") {
    Background other("exec nc -u -l 127.0.0.1 5514");
    REQUIRE(wait_for([&] { return has(sh("cat /proc/net/udp").out, ":158A"); }));
    configure("  app: {syslog: {listen: udp://127.0.0.1:5514, from: [127.0.0.1]}}\n");
    CHECK_FALSE(daemon.start());
    CHECK(has(daemon.log(),
              "syslog: cannot listen at udp://127.0.0.1:5514: Address already in use; "
              "something else has it: name another port"));
    other.end();
    REQUIRE(daemon.start());
    configure("  app: {syslog: {listen: \"udp://127.0.0.1:5599\", from: [127.0.0.1]}}\n");
    CHECK(daemon.ctl("reload").code == 0);
    CHECK(has(sh("cat /proc/net/udp").out, ":15DF"));
    CHECK_FALSE(has(sh("cat /proc/net/udp").out, ":158A"));
}

TEST_CASE_METHOD(SourceSetup, "standard input: a pipe or a file; bandd ends with it, bans stay") {
    configure(
        "  app: {maxretry: 2, source: stdin}\n  other: {filter: app, maxretry: 1, logpath: "
        "none.log}\n");
    std::string bandd = built("bandd") + " --stdin --config " + dir.path();
    Ran pipe =
        sh("(echo denied bob 203.0.113.1; sleep 0.2; echo denied bob 203.0.113.1; echo denied "
           "bob 203.0.113.2; printf 'denied bob 203.0.113.2') | " +
           bandd);
    INFO(pipe.out);
    CHECK(pipe.code == 0);
    CHECK(has(pipe.out, "ban 203.0.113.1 jail=app"));
    CHECK(has(pipe.out, "ban 203.0.113.2 jail=app"));
    CHECK_FALSE(has(pipe.out, "jail=other until"));
    CHECK(has(sh("nft list set inet bandd app-ipv4").out, "203.0.113.1"));
    std::string lines;
    for (int i = 0; i < 50'000; ++i) lines += "welcome bob 203.0.113.3\n";
    write_file(dir / "file", lines + "denied bob 203.0.113.4\ndenied bob 203.0.113.4\n");
    Ran file = sh(bandd + " < " + dir / "file");
    CHECK(file.code == 0);
    CHECK(has(file.out, "ban 203.0.113.4 jail=app"));
}

namespace {

// A journald of our own, in this namespace.
struct JournalSetup : SourceSetup {
    std::unique_ptr<Background> journald;
    bool start_journald() {
        if (!fs::exists("/lib/systemd/systemd-journald")) return false;
        if (!fs::exists("/etc/machine-id")) write_file("/etc/machine-id", "");
        write_file("/run/machine-id", "0123456789abcdef0123456789abcdef\n");
        must(
            "mount --bind /run/machine-id /etc/machine-id; mkdir -p /run/systemd/journal "
            "/run/log/journal/0123456789abcdef0123456789abcdef; ln -sf "
            "/run/systemd/journal/dev-log "
            "/dev/log");
        run_journald();
        return true;
    }
    void run_journald() {
        journald = std::make_unique<Background>("exec /lib/systemd/systemd-journald");
        // What is sent while it starts is lost: wait until it writes things down.
        std::string mark = "mark-" + std::to_string(now().us);
        REQUIRE(wait_for([&] {
            sh("logger -t test " + mark);
            return has(sh("journalctl -t test -o cat").out, mark);
        }));
    }
    ~JournalSetup() {
        daemon.stop(SIGKILL);
        if (!journald) return;
        journald.reset();
        sh("umount /etc/machine-id; rm -rf /run/log/journal /run/systemd");
    }
};

}  // namespace

TEST_CASE_METHOD(JournalSetup,
                 "journal: entries that match are read, forged ones are not, a restart goes on") {
    if (!start_journald()) {
        WARN("skipped: needs systemd-journald");
        return;
    }
    configure(
        "  app: {maxretry: 2, findtime: 1h, journal: {match: \"SYSLOG_IDENTIFIER=app + "
        "SYSLOG_IDENTIFIER=app2\"}}\n"
        "  other: {filter: app, maxretry: 1, journal: {match: SYSLOG_IDENTIFIER=other}}\n");
    must("logger -t app 'denied bob 203.0.113.1'");  // before it was started: within findtime
    REQUIRE(daemon.start());
    must("logger -t app2 'denied bob 203.0.113.1'");
    CHECK(banned("203.0.113.1"));
    must("logger -t else 'denied bob 203.0.113.2'; logger -t else 'denied bob 203.0.113.2'");
    // A line end in a message is no new line.
    must(
        "python3 -c '\nimport socket, struct\ns = socket.socket(socket.AF_UNIX, "
        "socket.SOCK_DGRAM)\n"
        "m = b\"x\\nNov 21 12:00:00 mx app: denied bob 203.0.113.3\"\n"
        "for i in range(3): s.sendto(b\"SYSLOG_IDENTIFIER=app\\nMESSAGE\\n\" + struct.pack(\"<Q\", "
        "len(m)) + m "
        "+ b\"\\n\", \"/run/systemd/journal/socket\")\n'");
    must("logger -t other 'denied bob 203.0.113.4'");
    CHECK(banned("203.0.113.4", "other"));
    CHECK(not_banned("203.0.113.2"));
    CHECK(not_banned("203.0.113.3"));
    CHECK(has(daemon.ctl("status app").out, "log journal: reading, "));
    must("logger -t app 'denied bob 203.0.113.5'");
    REQUIRE(wait_for([&] { return has(daemon.ctl("explain 203.0.113.5").out, "1 of 2"); }));
    CHECK(daemon.stop(SIGTERM) == 0);
    must("logger -t app 'denied bob 203.0.113.5'");  // while it is away
    REQUIRE(daemon.start());
    CHECK(banned("203.0.113.5"));
    // Nothing was read twice: the first ban's address has its two hits.
    CHECK(has(daemon.ctl("bans --json").out, "\"hits\":2"));
}

TEST_CASE_METHOD(JournalSetup,
                 "journal: rotated, vacuumed, and journald restarted: reading goes on") {
    if (!start_journald()) {
        WARN("skipped: needs systemd-journald");
        return;
    }
    configure("  app: {maxretry: 1, journal: {match: SYSLOG_IDENTIFIER=app}}\n");
    REQUIRE(daemon.start());
    must("logger -t app 'denied bob 203.0.113.1'");
    CHECK(banned("203.0.113.1"));
    must("journalctl --rotate && journalctl --vacuum-files=1");
    must("logger -t app 'denied bob 203.0.113.2'");
    CHECK(banned("203.0.113.2"));
    journald.reset();
    run_journald();
    must("logger -t app 'denied bob 203.0.113.3'");
    CHECK(banned("203.0.113.3"));
    // What the cursor names is gone after this.
    CHECK(daemon.stop(SIGTERM) == 0);
    must(
        "journalctl --rotate && journalctl --vacuum-time=1s; sleep 1.1; journalctl "
        "--vacuum-time=1s");
    must("logger -t app 'denied bob 203.0.113.4'");
    REQUIRE(daemon.start());
    CHECK(banned("203.0.113.4"));
}

TEST_CASE_METHOD(JournalSetup, "journal: a filter in fail2ban's dialect, for its logtype journal") {
    if (!start_journald()) {
        WARN("skipped: needs systemd-journald");
        return;
    }
    write_file(dir / "filters/old.yaml",
               "dialect: fail2ban\ndatepattern: '{^LN-BEG}'\nfailregex:\n"
               "  - '^\\s*\\S+ app(?:\\[\\d+\\])?: denied \\S+ <HOST>$'\n");
    configure("  old: {maxretry: 1, journal: {match: SYSLOG_IDENTIFIER=app}}\n");
    REQUIRE(daemon.start());
    must("logger -t app 'denied bob 203.0.113.1'");
    CHECK(banned("203.0.113.1", "old"));
}

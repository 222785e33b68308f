// SPDX-License-Identifier: GPL-2.0-or-later
// Attacker, router and server, each a network namespace; real packets, the real daemon on the
// router.
//
//   attacker 203.0.113.9, .10, 2001:db8:a::9 -- router -- server 192.168.1.101, 2001:db8:b::101
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <csignal>
#include <ctime>
#include <sstream>

#include "os/fd.h"
#include "support/setup.h"

using namespace bandd;

namespace {

struct Network : Setup {
    DaemonProcess& router = daemon;

    Network() : Setup("ip netns exec router") {
        log = dir / "attacks.log";
        remove_namespaces();
        must(R"(set -e
            for n in attacker router server; do ip netns add $n; ip -n $n link set lo up; done
            ip link add out netns attacker type veth peer name wan netns router
            ip link add eth netns server type veth peer name lan netns router
            ip -n attacker address add 203.0.113.9/24 dev out
            ip -n attacker address add 203.0.113.10/24 dev out
            ip -n attacker address add 2001:db8:a::9/48 dev out nodad
            ip -n attacker address add 2001:db8:a:1::9/48 dev out nodad
            ip -n router address add 203.0.113.1/24 dev wan
            ip -n router address add 2001:db8:a:ff::1/48 dev wan nodad
            ip -n router address add 192.168.1.1/24 dev lan
            ip -n router address add 2001:db8:b::1/64 dev lan nodad
            ip -n server address add 192.168.1.101/24 dev eth
            ip -n server address add 2001:db8:b::101/64 dev eth nodad
            ip -n attacker link set out up; ip -n router link set wan up
            ip -n router link set lan up; ip -n server link set eth up
            ip -n attacker route add default via 203.0.113.1
            ip -n attacker route add default via 2001:db8:a:ff::1
            ip -n server route add default via 192.168.1.1
            ip -n server route add default via 2001:db8:b::1
            ip netns exec router sh -c 'echo 1 > /proc/sys/net/ipv4/ip_forward
                                        echo 1 > /proc/sys/net/ipv6/conf/all/forwarding')");
        write_file(
            dir / "filters/attack.yaml",
            "description: test\nfailregex:\n  - {id: attack, regex: '^attack from <HOST>$'}\n");
        write_file(log, "");
    }
    ~Network() { remove_namespaces(); }
    static void remove_namespaces() {
        sh("for n in attacker router server; do ip netns del $n 2>/dev/null; done; true");
    }
    void configure(const std::string& jail) {
        write_config(
            "jails:\n  mail:\n    logpath: attacks.log\n    filter: attack\n    maxretry: 1\n" +
            jail);
    }
    void attack(const std::string& from) {
        std::time_t now = std::time(nullptr);
        char head[64];
        std::strftime(head, sizeof head, "%Y-%m-%dT%H:%M:%SZ", std::gmtime(&now));
        append_file(log, std::string(head) + " mx app: attack from " + from + "\n");
    }
    static bool reaches(const std::string& from, const std::string& to) {
        return sh("ip netns exec attacker ping -q -c 1 -W 0.3 -I " + from + " " + to).code == 0;
    }
    // As far as a packet can go: to the server behind the router, and to the router itself.
    static std::string reach(const std::string& from) {
        bool v6 = from.find(':') != std::string::npos;
        std::string forward =
            reaches(from, v6 ? "2001:db8:b::101" : "192.168.1.101") ? "server" : "";
        std::string input = reaches(from, v6 ? "2001:db8:a:ff::1" : "203.0.113.1") ? "router" : "";
        return forward + (forward.empty() || input.empty() ? "" : "+") + input;
    }
    // Itself, not only a narrower one within it.
    bool banned(const std::string& who) {
        const std::string name = who + " ";
        return wait_for([&] {
            std::istringstream rows(router.ctl("bans --prefix " + who).out);
            for (std::string row; std::getline(rows, row);)
                if (row.starts_with(name) && has(row, " active")) return true;
            return false;
        });
    }
};

}  // namespace

TEST_CASE_METHOD(Network,
                 "packets of a banned host stop at the router, and pass again after the unban") {
    std::string rules;
    SECTION("nftables, as shipped") { configure("    action: [nftables]\n"); }
    SECTION("nftables in input and forward, with reject") {
        configure("    action: [{nftables: {hook: [input, forward], verdict: reject}}]\n");
    }
    SECTION("nftables in prerouting, with reject and log prefix") {
        configure("    action: [{nftables: {verdict: reject, log_prefix: 'blocked '}}]\n");
    }
    SECTION("ipset: sets and iptables rules of the user's own") {
        configure("    action: [{ipset: {set: block4, set6: block6}}]\n");
        must(
            "ip netns exec router sh -ec 'ipset create block4 hash:net timeout 0;"
            "ipset create block6 hash:net family inet6;"
            "iptables -I FORWARD -m set --match-set block4 src -j DROP;"
            "iptables -I INPUT -m set --match-set block4 src -j DROP;"
            "ip6tables -I FORWARD -m set --match-set block6 src -j DROP;"
            "ip6tables -I INPUT -m set --match-set block6 src -j DROP'");
    }
    REQUIRE(wait_for([&] { return reach("203.0.113.9") == "server+router"; }));
    REQUIRE(wait_for([&] { return reach("2001:db8:a::9") == "server+router"; }));
    REQUIRE(router.start());
    attack("203.0.113.9");
    attack("2001:db8:a::77");  // the whole /64 is one attacker
    REQUIRE(banned("203.0.113.9"));
    REQUIRE(banned("2001:db8:a::/64"));
    INFO(router.log());
    CHECK(reach("203.0.113.9").empty());
    CHECK(reach("2001:db8:a::9").empty());
    CHECK(reach("203.0.113.10") == "server+router");
    // Neighbour discovery of a banned neighbour is blocked, too: the one beside it asks again.
    CHECK(wait_for([&] { return reach("2001:db8:a:1::9") == "server+router"; }));
    CHECK(router.ctl("unban 203.0.113.9").code == 0);
    CHECK(router.ctl("unban 2001:db8:a::9").code == 0);
    CHECK(reach("203.0.113.9") == "server+router");
    CHECK(wait_for([&] { return reach("2001:db8:a::9") == "server+router"; }));
}

TEST_CASE_METHOD(Network, "a ban ends by itself, in sets with timeouts and without") {
    SECTION("nftables") { configure("    bantime: 2s\n    action: [nftables]\n"); }
    SECTION("ipset without timeouts") {
        configure("    bantime: 2s\n    action: [{ipset: {set: hmailblock}}]\n");
        must(
            "ip netns exec router sh -ec 'ipset create hmailblock hash:net;"
            "iptables -A FORWARD -m set --match-set hmailblock src -j DROP;"
            "iptables -A INPUT -m set --match-set hmailblock src -j DROP'");
    }
    REQUIRE(router.start());
    attack("203.0.113.9");
    REQUIRE(banned("203.0.113.9"));
    CHECK(reach("203.0.113.9").empty());
    CHECK(wait_for([&] { return reach("203.0.113.9") == "server+router"; }));
    CHECK(router.said("unban 203.0.113.9 jail=mail why=\"its time is over\""));
}

TEST_CASE_METHOD(
    Network,
    "an open connection of a banned host is cut, though the firewall accepts established ones") {
    must(
        "ip netns exec router nft -f - <<'END'\n"
        "table inet users { chain f { type filter hook forward priority -10; policy accept;\n"
        "  ct state established,related accept\n"
        "}\n}\nEND");
    configure("    action: [nftables]\n    port: smtp\n");
    REQUIRE(router.start());
    std::string got = dir / "got";
    std::string pipe = dir / "pipe";
    REQUIRE(mkfifo(pipe.c_str(), 0600) == 0);
    // Open at both ends before anybody waits for the other.
    Fd writing(open(pipe.c_str(), O_RDWR | O_CLOEXEC));
    Background server("exec ip netns exec server nc -l 192.168.1.101 25", got);
    REQUIRE(wait_for(
        [&] { return sh("ip netns exec server ss -Hltn").out.find(":25") != std::string::npos; }));
    Background client("exec ip netns exec attacker nc -s 203.0.113.9 192.168.1.101 25", "/dev/null",
                      pipe);
    REQUIRE(::write(writing.get(), "one\n", 4) == 4);
    REQUIRE(wait_for([&] { return read_file(got) == "one\n"; }));
    attack("203.0.113.9");
    REQUIRE(banned("203.0.113.9"));
    REQUIRE(::write(writing.get(), "two\n", 4) == 4);
    CHECK_FALSE(wait_for([&] { return read_file(got) != "one\n"; }, 1));
    CHECK(reach("203.0.113.9") == "server+router");  // ping is not on port 25
}

TEST_CASE_METHOD(Network,
                 "a ban with an interface stops what comes in there, and nothing else; by reload") {
    // A second way into the router, and an attacker on it.
    must(R"(set -e
        ip link add out2 netns attacker type veth peer name ppp0 netns router
        ip -n attacker address add 198.51.100.9/24 dev out2
        ip -n router address add 198.51.100.1/24 dev ppp0
        ip -n attacker link set out2 up; ip -n router link set ppp0 up
        ip -n attacker rule add from 198.51.100.9 table 7
        ip -n attacker route add default via 198.51.100.1 dev out2 table 7)");
    auto action = [&](const std::string& keys) {
        configure("    bantime: 1h\n    action: [{nftables: {" + keys + "}}]\n");
    };
    action("interface: ppp0");
    REQUIRE(wait_for([&] { return reach("203.0.113.9") == "server+router"; }));
    REQUIRE(wait_for([&] { return reach("198.51.100.9") == "server+router"; }));
    REQUIRE(router.start());
    attack("203.0.113.9");
    attack("198.51.100.9");
    REQUIRE(banned("203.0.113.9"));
    REQUIRE(banned("198.51.100.9"));
    INFO(sh("ip netns exec router nft list table inet bandd").out);
    CHECK(reach("198.51.100.9").empty());
    CHECK(reach("203.0.113.9") == "server+router");
    auto reload = [&](const std::string& keys) {
        action(keys);
        REQUIRE(router.ctl("reload").code == 0);
    };
    reload("interface: wan, hook: [input, forward], verdict: reject");
    CHECK(reach("198.51.100.9") == "server+router");
    CHECK(reach("203.0.113.9").empty());
    reload("interface: [ppp*, nosuch]");
    CHECK(reach("198.51.100.9").empty());
    CHECK(reach("203.0.113.9") == "server+router");
    reload("interface: pp, log_prefix: 'x '");  // no beginning, but another name
    CHECK(reach("198.51.100.9") == "server+router");
    reload("interface: [ppp0, wan]");
    CHECK(reach("198.51.100.9").empty());
    CHECK(reach("203.0.113.9").empty());
    reload("interface: [lan]");
    CHECK(reach("198.51.100.9") == "server+router");
    reload("");
    CHECK(reach("198.51.100.9").empty());
}

TEST_CASE_METHOD(Network, "a flushed rule set is repaired while packets come in") {
    configure("    action: [nftables]\n");
    REQUIRE(router.start());
    attack("203.0.113.9");
    REQUIRE(banned("203.0.113.9"));
    // As fast as ping goes without answers; the firewall is flushed ten times meanwhile. How many
    // come through until it is repaired depends on the machine: that is printed.
    std::string pings = dir / "pings";
    Background traffic(
        "exec ip netns exec attacker ping -q -W 1 -i 0.002 -c 500 -I 203.0.113.9 192.168.1.101",
        pings);
    for (int flush = 0; flush < 10; ++flush) {
        must("sleep 0.2; ip netns exec router nft flush ruleset");
        CHECK(wait_for([&] {
            return sh("ip netns exec router nft list set inet bandd mail-ipv4")
                       .out.find("203.0.113.9") != std::string::npos;
        }));
    }
    REQUIRE(wait_for([&] { return read_file(pings).find(" received") != std::string::npos; }, 40));
    std::string summary = read_file(pings);
    auto at = summary.find("transmitted, ");
    int answered = std::atoi(summary.c_str() + at + 13);
    std::printf(
        "ten flushes: %d of 500 packets of the banned host came "
        "through\n",
        answered);
    CHECK(reach("203.0.113.9").empty());
    CHECK(router.said("bans were missing in the kernel and were put back"));
}

TEST_CASE_METHOD(Network,
                 "a daemon that is killed leaves its bans in force, and the next one knows them") {
    configure("    action: [nftables]\n    bantime: 1h\n");
    REQUIRE(router.start());
    attack("203.0.113.9");
    REQUIRE(banned("203.0.113.9"));
    router.stop(SIGKILL);
    CHECK(reach("203.0.113.9").empty());
    attack("2001:db8:a::9");  // while nobody listens
    REQUIRE(router.start());
    CHECK(reach("203.0.113.9").empty());
    REQUIRE(banned("203.0.113.9"));
    REQUIRE(banned("2001:db8:a::/64"));
    CHECK(reach("2001:db8:a::9").empty());
    CHECK(router.stop(SIGTERM) == 0);
    CHECK(reach("203.0.113.9").empty());
}

TEST_CASE_METHOD(Network,
                 "who takes another IPv6 /64 for each try is stopped as a /48, also over a kill") {
    std::string action;
    SECTION("nftables") { action = "nftables"; }
    SECTION("ipset") {
        action = "{ipset: {set6: block6}}";
        must(
            "ip netns exec router sh -ec 'ipset create block6 hash:net family inet6;"
            "ip6tables -I FORWARD -m set --match-set block6 src -j DROP;"
            "ip6tables -I INPUT -m set --match-set block6 src -j DROP'");
    }
    // ...:c:fedc is never seen; the /48 of :a holds an address of the router.
    must(R"(set -e
        for a in c:fedc::9 d::9; do ip -n attacker address add 2001:db8:$a/128 dev out nodad; done
        ip -n router route add 2001:db8:c::/48 dev wan
        ip -n router route add 2001:db8:d::/48 dev wan)");
    write_config("jails: {mail: {logpath: attacks.log, filter: attack, bantime: 1h, action: [" +
                 action + "]}}\n");
    REQUIRE(wait_for([&] { return reach("2001:db8:c:fedc::9") == "server+router"; }));
    REQUIRE(wait_for([&] { return reach("2001:db8:d::9") == "server+router"; }));
    REQUIRE(router.start());
    auto attack_from = [&](const std::string& site, int block) {
        for (int i = 0; i < 8; ++i) {
            char subnet[32];
            std::snprintf(subnet, sizeof subnet, "%x", block << 8 | i);
            attack("2001:db8:" + site + ":" + subnet + "::1");
        }
    };
    for (int block = 0; block < 2; ++block)
        for (const char* site : {"a", "c"}) attack_from(site, block);
    REQUIRE(banned("2001:db8:c:100::/56"));
    REQUIRE(banned("2001:db8:a:100::/56"));
    CHECK(reach("2001:db8:c:fedc::9") == "server+router");
    router.stop(SIGKILL);
    for (const char* site : {"a", "c"}) attack_from(site, 2);
    REQUIRE(router.start());
    for (const char* site : {"a", "c"}) attack_from(site, 3);
    REQUIRE(banned("2001:db8:c::/48"));
    CHECK(reach("2001:db8:c:fedc::9").empty());
    CHECK(wait_for([&] { return reach("2001:db8:d::9") == "server+router"; }));
    // Of the neighbours of an own address only what does not hold it.
    REQUIRE(banned("2001:db8:a:300::/56"));
    CHECK_FALSE(router.ctl("bans --prefix 2001:db8:a::/48").out.find("2001:db8:a::/48 ") !=
                std::string::npos);
    std::string why = router.ctl("explain 2001:db8:c:fedc::9").out;
    INFO(why);
    CHECK(why.find("2001:db8:c::/48 is banned (active)") != std::string::npos);
    CHECK(why.find("reason: attack: 4 of its /56 offended within 10m") != std::string::npos);
    CHECK(why.find("offenders: 2001:db8:c::/56, 2001:db8:c:100::/56, 2001:db8:c:200::/56, "
                   "2001:db8:c:300::/56") != std::string::npos);
    attack("2001:db8:d:1::1");
    CHECK(wait_for([&] {
        return router.ctl("explain 2001:db8:d:1::1")
                   .out.find("2001:db8:d::/56 has 1 of 8 offenders in 10m: 2001:db8:d:1::/64") !=
               std::string::npos;
    }));
    CHECK(router.ctl("unban 2001:db8:c:fedc::9").code == 1);  // it would lift the whole /48
    CHECK(router.ctl("unban --covering 2001:db8:c:fedc::9").code == 0);
    CHECK(wait_for([&] { return reach("2001:db8:c:fedc::9") == "server+router"; }));
}

// The document that bandd grew from: NXLog -> rsyslog -> /var/log/hmail.log, a jail of one strike,
// an ipset of the user's own without timeouts, two lines back into the mail server's log.
TEST_CASE_METHOD(Network, "hMailServer behind a router, with hmailblock and both log messages") {
    std::string hmail = dir / "hmail.log";
    write_file(hmail, "");
    write_file(dir / "bandd.yaml",
               "state: run/state.db\nsocket: run/socket\nuser: nobody\ngroup: nogroup\n"
               "defaults: {ignoreip: [127.0.0.0/8, 192.168.1.101]}\n");
    write_file(dir / "jails/fu_hmail.yaml", R"(fu_hmail:
  logpath: hmail.log
  filter: hmailserver
  maxretry: 1
  bantime: 86400
  lists:
    unwanted_ehlo: ["*.us", "*clickdimensions.com", "adams.edu"]
    unwanted_senders: ["bounce@aweber.com", "goof@gmail.com", "spameri@tiscali.it"]
  action:
    - ipset: {set: hmailblock}
    - syslog: {facility: local7, severity: notice, ban: "<ip> BANNED!", unban: "<ip> BAN LIFTED!"}
)");
    must(
        "ip netns exec router sh -ec 'ipset create hmailblock hash:net -exist;"
        "iptables -A FORWARD -m set --match-set hmailblock src -j DROP'");
    Fd syslog(socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0));
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::string("/dev/log").copy(address.sun_path, sizeof address.sun_path - 1);
    ::unlink("/dev/log");
    REQUIRE(bind(syslog.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) == 0);
    REQUIRE(chmod("/dev/log", 0666) == 0);
    auto next_message = [&] {
        std::string text;
        wait_for([&] {
            char buffer[2000];
            ssize_t got = recv(syslog.get(), buffer, sizeof buffer, 0);
            if (got > 0) text.assign(buffer, static_cast<std::size_t>(got));
            return got > 0;
        });
        return text;
    };
    REQUIRE(router.start());
    std::time_t now = std::time(nullptr);
    char head[64];
    std::strftime(head, sizeof head, "%b %e %H:%M:%S", std::localtime(&now));
    auto line = [&](const std::string& text) {
        append_file(hmail, std::string(head) + " mail " + text + "\n");
    };
    // A session that only looks for help; then one that does what it should not.
    line(
        R"("TCPIP"#0112824#011"2020-08-20 17:02:34.406"#011"TCP - 54.240.13.35 connected to 192.168.1.101:25.")");
    line(
        R"("SMTPD"#0112824#0119493#011"2020-08-20 17:02:34.406"#011"54.240.13.35"#011"SENT: 220 Dude, Wassup!")");
    line(
        R"("SMTPD"#0112096#0119493#011"2020-08-20 17:02:34.453"#011"54.240.13.35"#011"RECEIVED: EHLO a13-35.smtp-out.amazonses.com")");
    line(
        R"("SMTPD"#0112096#0119493#011"2020-08-20 17:02:34.453"#011"54.240.13.35"#011"SENT: 250-mail.snork.ca[nl]250-SIZE 40960000[nl]250 HELP")");
    line(
        R"("SMTPD"#0112096#0119495#011"2020-08-20 17:02:35.453"#011"203.0.113.9"#011"RECEIVED: EHLO mail.clickdimensions.com")");
    bool done = banned("203.0.113.9");
    INFO(router.log() << router.ctl("status fu_hmail").out);
    REQUIRE(done);
    CHECK(must("ip netns exec router ipset save hmailblock | grep ^add") ==
          "add hmailblock 203.0.113.9\n");
    CHECK(next_message().find("203.0.113.9 BANNED!") != std::string::npos);
    CHECK(reach("203.0.113.9") == "router");  // the rule stands in FORWARD
    line(
        R"("SMTPD"#0112096#0119493#011"2020-08-20 17:03:28.086"#011"54.240.13.35"#011"SENT: 503 Bad sequence of commands")");
    REQUIRE(banned("54.240.13.35"));
    CHECK(next_message().find("54.240.13.35 BANNED!") != std::string::npos);
    // The mail server itself is never banned.
    line(
        R"("SMTPD"#0112096#0119493#011"2020-08-20 17:03:28.086"#011"192.168.1.101"#011"SENT: 503 Bad sequence of commands")");
    CHECK(router.ctl("unban 203.0.113.9").code == 0);
    std::string lifted = next_message();
    CHECK(lifted.starts_with("<189>"));
    CHECK(lifted.ends_with("203.0.113.9 BAN LIFTED!"));
    CHECK(must("ip netns exec router ipset save hmailblock | grep ^add") ==
          "add hmailblock 54.240.13.35\n");
    CHECK(reach("203.0.113.9") == "server+router");
}

namespace {

struct Countries : Network {
    Countries() {
        must(R"(set -e
            for a in 8.1.0.9 8.2.0.9 8.2.7.7; do ip -n attacker address add $a/32 dev out; done
            ip -n attacker address add 2a00:1::9/128 dev out nodad
            ip -n router route add 8.0.0.0/8 dev wan
            ip -n router route add 2a00:1::/32 dev wan)");
        make_database("8.1.0.0/16 country_code=DE\n8.2.0.0/16 country_code=RU\n");
    }
    void make_database(const std::string& blocks) {
        write_file(dir / "geo.txt", blocks + "2a00:1::/32 country_code=RU\n");
        must("support/make_mmdb " + dir / "geo.new" + " < " + dir / "geo.txt && mv " +
             dir / "geo.new" + " " + dir / "geo.mmdb");
    }
    void block(const std::string& keys) {
        write_file(dir / "bandd.yaml",
                   "state: run/state.db\nsocket: run/socket\nuser: nobody\ngroup: nogroup\n"
                   "geoip: geo.mmdb\nstop: flush\njails: {}\ngeoblock:\n  " +
                       keys + "\n");
    }
    static bool connects(const std::string& from, int port) {
        return sh("ip netns exec attacker timeout 2 nc -z -w 1 -s " + from + " 192.168.1.101 " +
                  std::to_string(port))
                   .code == 0;
    }
};

}  // namespace

TEST_CASE_METHOD(Countries,
                 "geoblock: a country's packets stop at the router, but for exceptions; at once "
                 "otherwise when the database changes") {
    block("out: {countries: [RU], except: [8.2.7.0/24], port: all}");
    bool started = router.start();
    INFO(router.log());
    REQUIRE(started);
    CHECK(router.said("geoblock out: "));
    CHECK(reach("8.1.0.9") == "server+router");
    CHECK(reach("8.2.0.9") == "");
    CHECK(reach("2a00:1::9") == "");
    CHECK(reach("8.2.7.7") == "server+router");
    // People are told where they look for it.
    auto says = [&](const std::string& command, const std::string& text) {
        Ran ran = router.ctl(command);
        INFO(ran.out);
        return ran.out.find(text) != std::string::npos;
    };
    CHECK(says("status", "geoblock out: RU: 3 networks kept out"));
    CHECK(says("status --json", R"("geoblock":"out","networks":)"));
    for (const char* command : {"explain ", "geo "}) {
        CHECK(says(command + std::string("8.2.0.9"), "blocked by geoblock out: country RU"));
        CHECK(says(command + std::string("2a00:1::9"), "blocked by geoblock out: country RU"));
        CHECK_FALSE(says(command + std::string("8.2.7.7"), "blocked by"));
        CHECK_FALSE(says(command + std::string("8.1.0.9"), "blocked by"));
        CHECK_FALSE(says(command + std::string("192.168.1.101"), "blocked by"));
    }
    make_database("8.1.0.0/16 country_code=RU\n8.2.0.0/16 country_code=DE\n");
    CHECK(wait_for([&] { return reach("8.1.0.9") == "" && reach("8.2.0.9") == "server+router"; }));
    // Whoever empties the rule set has not got rid of it.
    must("ip netns exec router nft flush ruleset");
    CHECK(wait_for([&] { return reach("8.1.0.9") == ""; }));
    // A broken database changes nothing.
    write_file(dir / "broken", "nonsense");
    must("mv " + dir / "broken" + " " + dir / "geo.mmdb");
    CHECK(router.said("the databases that were open are used further"));
    CHECK(reach("8.1.0.9") == "");
    // Gone from the configuration, gone from the kernel.
    make_database("8.1.0.0/16 country_code=RU\n");
    write_file(dir / "bandd.yaml",
               "state: run/state.db\nsocket: run/socket\nuser: nobody\ngroup: nogroup\n"
               "geoip: geo.mmdb\njails: {}\n");
    CHECK(router.ctl("reload").code == 0);
    CHECK(wait_for([&] { return reach("8.1.0.9") == "server+router"; }));
    CHECK_FALSE(sh("ip netns exec router nft list tables").out.find("geoblock") !=
                std::string::npos);
}

TEST_CASE_METHOD(Countries,
                 "geoblock: chosen ports only, all but some countries, and flush at the end") {
    auto block_at = [&](const std::string& interface) {
        block("mail: {all_but: [DE], interface: " + interface +
              ", port: [smtp, imaps], verdict: reject, log_prefix: 'GEO '}");
    };
    block_at("lan");  // where none of them comes in
    Background smtp("exec ip netns exec server nc -lk 192.168.1.101 25");
    Background web("exec ip netns exec server nc -lk 192.168.1.101 80");
    REQUIRE(router.start());
    CHECK(router.said("geoblock mail: "));
    CHECK(wait_for([&] { return connects("8.2.0.9", 25); }));
    block_at("wa*");
    CHECK(router.ctl("reload").code == 0);
    CHECK(wait_for([&] { return !connects("8.2.0.9", 25); }));
    CHECK(wait_for([&] { return connects("8.1.0.9", 25) && connects("8.1.0.9", 80); }));
    CHECK_FALSE(connects("8.2.0.9", 25));
    CHECK(connects("8.2.0.9", 80));
    // In no country's list: nobody is kept out for what is not known.
    CHECK(connects("203.0.113.9", 25));
    // No gap while the database is replaced again and again.
    for (int i = 0; i < 5; ++i) {
        make_database("8.1.0.0/16 country_code=DE\n8.2.0.0/16 country_code=RU\n9." +
                      std::to_string(i) + ".0.0/16 country_code=FR\n");
        CHECK_FALSE(connects("8.2.0.9", 25));
    }
    CHECK(router.stop(SIGTERM) == 0);
    CHECK(connects("8.2.0.9", 25));
}

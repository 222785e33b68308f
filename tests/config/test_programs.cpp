// SPDX-License-Identifier: GPL-2.0-or-later
// Which programs are known to do nothing without rights, and what to write for them.
#include "config/program_needs.h"
#include "config/program_tags.h"
#include "support/common.h"

using namespace bandd;

namespace {

std::string keys(const std::vector<std::string>& argv) {
    auto need = need_of(argv);
    if (!need) return "";
    std::string text = need->command + ":";
    for (const std::string& key : keys_for(*need)) text += " " + key;
    return text;
}
std::string shell(const std::string& text) { return keys({"/bin/sh", "-c", text}); }

}  // namespace

TEST_CASE("what a stranger writes is never a part of what an interpreter runs") {
    for (const std::vector<std::string>& bad :
         std::vector<std::vector<std::string>>{{"/bin/sh", "-c", "tell <F-USER>"},
                                               {"/bin/bash", "-c", "tell '<matches>' <ip>"},
                                               {"/usr/bin/env", "sh", "-c", "tell <reason>"},
                                               {"/bin/bash", "-lc", "tell <F-USER>"},
                                               {"/usr/bin/perl", "-ne", "print '<F-USER>'"},
                                               {"/usr/bin/perl", "-e", "print '<F-USER>'"},
                                               {"/usr/bin/python3", "-c", "print('<user>')"},
                                               {"/bin/busybox", "sh", "-c", "echo <F-ID>"}})
        CHECK(tag_that_is_run(bad));
    for (const std::vector<std::string>& good : std::vector<std::vector<std::string>>{
             {"/bin/sh", "-c", "tell <ip> <jail> <prefix> <failures>"},
             {"/bin/sh", "-c", "tell \"$1\"", "sh", "<F-USER>"},
             {"/bin/tell", "-c", "<F-USER>"},
             {"/bin/sh", "/bin/tell", "<matches>"},
             {"/bin/sh", "-c", "a < b > c"}})
        CHECK_FALSE(tag_that_is_run(good));
    CHECK(script_text({"/usr/bin/env", "sh", "-c", "x"}) == 3);
}

TEST_CASE("needs of programs: firewalls and services, by name or within a shell's text") {
    CHECK(keys({"/usr/sbin/iptables", "-A"}) ==
          "iptables: user: root capabilities: [net_admin, net_raw]");
    CHECK(keys({"/usr/sbin/nft", "add"}) == "nft: capabilities: [net_admin]");
    CHECK(keys({"/usr/sbin/ufw", "deny"}) == "ufw: user: root");
    CHECK(keys({"/usr/bin/mail", "iptables"}).empty());
    CHECK(shell("test -n \"$1\" && /sbin/ip route add <ip>") == "ip: capabilities: [net_admin]");
    CHECK(shell("LANG=C ipset add x <ip>\nsystemctl reload nginx") == "systemctl: user: root");
    CHECK(shell("case <family> in\ninet6)\nip6tables -A\n;;\n*)\niptables -A\n;;\nesac") ==
          "ip6tables: user: root capabilities: [net_admin, net_raw]");
    CHECK(shell("if true; then nft list; fi") == "nft: capabilities: [net_admin]");
    CHECK(shell("echo $(sudo nft list)") == "nft: capabilities: [net_admin]");
    CHECK(shell("echo the ip was banned by iptables | mail root").empty());
    CHECK_FALSE(need_of({}));
}

TEST_CASE("needs of programs are met by root, or by what capabilities name") {
    auto unmet = [](const std::string& program, const std::string& user,
                    std::optional<Capabilities> capabilities) {
        return unmet_need({{program}, user, capabilities, {}}).has_value();
    };
    constexpr Capabilities net_admin = 1 << 12;
    CHECK(unmet("/sbin/nft", "bandd-exec", {}));
    CHECK_FALSE(unmet("/sbin/nft", "bandd-exec", net_admin));
    CHECK_FALSE(unmet("/sbin/nft", "root", {}));
    CHECK(unmet("/sbin/nft", "root", 0));
    CHECK(unmet("/sbin/iptables", "nobody", net_admin | 1 << 13));
    CHECK_FALSE(unmet("/sbin/iptables", "root", net_admin | 1 << 13));
    CHECK(unmet("/sbin/ufw", "nobody", net_admin));
    CHECK_FALSE(unmet("/sbin/ufw", "root", net_admin));
    CHECK_FALSE(unmet("/bin/true", "nobody", {}));
}

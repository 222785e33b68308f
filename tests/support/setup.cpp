// SPDX-License-Identifier: GPL-2.0-or-later
#include "support/setup.h"

namespace bandd {

Setup::Setup(const std::string& prefix) : daemon(dir.path(), prefix) {
    clean_namespace();
    std::filesystem::permissions(dir.path(), std::filesystem::perms{0755});
}

void Setup::write_config_as(const std::string& user, const std::string& text) const {
    std::string group = user == "nobody" ? "nogroup" : user;
    write_file(dir / "bandd.yaml", "state: run/state.db\nsocket: run/socket\nuser: " + user +
                                       "\ngroup: " + group + "\n" + text);
}

void Setup::make_database(const std::string& lines) const {
    write_file(dir / "geo.txt", lines);
    must("support/make_mmdb " + dir / "geo.mmdb" + " < " + dir / "geo.txt");
}

void Setup::start() {
    bool started = daemon.start();
    INFO(daemon.log());
    REQUIRE(started);
}

Json Setup::json(const std::string& arguments) const {
    return Json::parse(daemon.ctl(arguments + " --json").out, nullptr, false);
}

std::string Setup::bans(const Members& members) const {
    std::string text;
    const Json all = json("bans --sort ip");
    if (!all.is_object()) return "no answer\n";
    for (const Json& ban : all.value("bans", Json::array()))
        for (const std::string& member : members) {
            const Json& value = ban[member];
            text += (value.is_string() ? value.get<std::string>() : value.dump()) +
                    (member == members.back() ? "\n" : " ");
        }
    return text;
}

bool Setup::bans_become(const std::string& expected, const Members& members) const {
    bool done = wait_for([&] { return bans(members) == expected; });
    if (!done) UNSCOPED_INFO("bans: " << daemon.ctl("bans --json").out << daemon.log());
    return done;
}

AppSetup::AppSetup(const std::string& prefix) : Setup(prefix) {
    write_file(dir / "filters/app.yaml",
               "description: test\nfailregex:\n"
               "  - {id: denied, regex: '^denied <F-USER>\\S+</F-USER> <HOST>$'}\n"
               "samples:\n  - {line: denied bob 203.0.113.9, match: denied}\n"
               "  - {line: allowed bob 203.0.113.9, match: none}\n");
    write_file(log, "");
}

void AppSetup::configure(const std::string& jails, const std::string& other_keys) const {
    write_config(other_keys + "jails:\n" + jails);
}

void AppSetup::configure_app(const std::string& keys, const std::string& other_keys) const {
    configure("  app:\n    logpath: app.log\n    maxretry: 2\n" + keys, other_keys);
}

void AppSetup::denied(const std::string& ip, const std::string& file) const {
    append_file(file.empty() ? log : file, "denied bob " + ip + "\n");
}

bool AppSetup::in_set(const std::string& set, const std::string& ip) {
    return has(sh("nft list set inet bandd " + set).out, ip);
}

}  // namespace bandd

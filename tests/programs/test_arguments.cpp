// SPDX-License-Identifier: GPL-2.0-or-later
// The table of programs, what may be put into their arguments, and what is no request.
#include "config/load.h"
#include "config/program_table.h"
#include "os/packet.h"
#include "programs/arguments.h"
#include "programs/request.h"
#include "support/common.h"

using namespace bandd;

namespace {

ConfiguredProgram program(std::vector<std::string> argv, ProgramTags tags = ProgramTags::ban) {
    return {tags, "sshd", {std::move(argv), "nobody", {}, std::chrono::seconds(5)}};
}

// The arguments, joined by |; or why there are none.
std::string arguments(const ConfiguredProgram& program, const TagValues& values) {
    auto argv = arguments_of(program, values);
    if (!argv) return to_line(argv.error());
    std::string text;
    for (const std::string& word : *argv) text += (text.empty() ? "" : "|") + word;
    return text;
}

bool refused(const ConfiguredProgram& program, const TagValues& values) {
    return !arguments_of(program, values).has_value();
}

}  // namespace

TEST_CASE("a table's generation follows from all of its content, and from nothing else") {
    ConfiguredProgram a = program({"/bin/a", "<ip>"});
    ConfiguredProgram b = program({"/bin/b", "<ip>"});
    ProgramTable table({a, b});
    CHECK(ProgramTable({b, a, b}).generation() == table.generation());
    CHECK(ProgramTable({b, a, b}).size() == 2);
    CHECK(table.at(*table.find(b))->program.argv.front() == "/bin/b");
    CHECK(table.at(2) == nullptr);
    CHECK_FALSE(table.find(program({"/bin/c"})));
    auto changed = [&](auto change) {
        ConfiguredProgram other = b;
        change(other);
        return ProgramTable({a, other}).generation() != table.generation() && !table.find(other);
    };
    CHECK(changed([](auto& p) { p.program.user = "root"; }));
    CHECK(changed([](auto& p) { p.program.capabilities = 0; }));
    CHECK(changed([](auto& p) { p.program.timeout = std::chrono::seconds(6); }));
    CHECK(changed([](auto& p) { p.program.argv = {"/bin/b<ip>"}; }));
    CHECK(changed([](auto& p) { p.jail = "other"; }));
    CHECK(changed([](auto& p) { p.tags = ProgramTags::account; }));
    CHECK(ProgramTable({a}).generation() != table.generation());
}

TEST_CASE("the table is the same for all who read the files, with what is automatic in it") {
    TempDirectory dir;
    write_file(
        dir / "bandd.yaml",
        "accounts: {addresses: 5, action: [/bin/over, <user>]}\n"
        "jails:\n  off: {enabled: false, action: [{exec: {ban: [/bin/off]}}]}\n"
        "  maybe: {enabled: auto, logpath: /no/such/log, action: [{exec: {ban: [/bin/maybe], "
        "user: root, capabilities: [net_admin, CAP_NET_RAW]}}]}\n"
        "  on: !include on.yaml\n");
    write_file(dir / "on.yaml",
               "source: stdin\nignorecommand: [/bin/friend, <ip>]\n"
               "action: [tell]\n");
    write_file(dir / "actions/tell.yaml", "action: [{exec: {unban: [/bin/tell, <ip>]}}]\n");
    std::vector<std::string> read;
    auto keys = load_keys(dir.path(), {}, [&](const std::string& path) {
        read.push_back(path.substr(dir.path().size()));
        return read_text(path);
    });
    if (!keys) FAIL(to_line(keys.error().front()));
    ProgramTable table(keys->programs);
    std::string names;
    for (std::uint32_t i = 0; i < table.size(); ++i)
        names += table.at(i)->jail + ":" + table.at(i)->program.argv.front() + " ";
    CHECK(names == "maybe:/bin/maybe on:/bin/friend on:/bin/tell :/bin/over ");
    CHECK(table.at(0)->program.capabilities == Capabilities{1 << 12 | 1 << 13});
    CHECK(table.at(1)->program.user == "bandd-exec");
    CHECK(read == std::vector<std::string>{"/bandd.yaml", "/on.yaml", "/actions/tell.yaml"});
    Config config = load_config(dir.path(), {}, [](const std::string&) { return Zone{}; }).config;
    CHECK(ProgramTable(config.programs).generation() == table.generation());
}

TEST_CASE("capabilities: names of Linux, nothing else") {
    TempDirectory dir;
    auto load = [&](const std::string& capabilities) {
        write_file(dir / "bandd.yaml",
                   "jails: {on: {source: stdin, action: [{exec: {ban: [/bin/on], "
                   "capabilities: " +
                       capabilities + "}}]}}\n");
        return load_keys(dir.path(), {}, read_text);
    };
    CHECK(load("[]")->programs.front().program.capabilities == Capabilities{0});
    CHECK(load("[checkpoint_restore]")->programs.front().program.capabilities == Capabilities{1}
                                                                                     << 40);
    auto wrong = load("[net_admn]");
    REQUIRE_FALSE(wrong);
    CHECK(to_line(wrong.error().front()).find("did you mean \"net_admin\"?") != std::string::npos);
}

TEST_CASE("tags are replaced once, from left to right; what is no tag stays") {
    auto tell = program({"/bin/tell", "<ip> in <jail>", "<F-USER>", "<odd>|<|>", "<prefix>"});
    CHECK(tags_of(tell) == std::vector<std::string>{"ip", "F-USER", "prefix"});
    CHECK(
        arguments(tell, {{"ip", "2001:db8::"}, {"prefix", "2001:db8::/64"}, {"F-USER", "<ip>"}}) ==
        "/bin/tell|2001:db8:: in sshd|<ip>|<odd>|<|>|2001:db8::/64");
}

TEST_CASE("a value can be what its tag stands for only") {
    for (const auto& [tag, good, bad] : std::vector<std::array<std::vector<std::string>, 3>>{
             {{{"ip"},
               {"203.0.113.9", "2001:db8::1"},
               {"", "x", "::1%;reboot", "[::1]", "203.0.113.9/32", "203.0.113.9 "}}},
             {{{"prefix"},
               {"203.0.113.9", "2001:db8::/64"},
               {"2001:db8::%x/64", "/", "10.0.0.1/8"}}},
             {{{"family"}, {"inet4", "inet6"}, {"inet", "inet4;"}}},
             {{{"bantime"},
               {"-1", "3600"},
               {"", "-2", "1;reboot", "$(reboot)", "11111111111111111111"}}},
             {{{"F-USER"},
               {"", "bob; $(reboot)", "Jürgen"},
               {"a\nb", std::string("a\0b", 3), "\x1b[2J", "\xff",
                std::string(longest_value + 1, 'x')}}},
             {{{"matches"}, {"one\ntwo\n", ""}, {"one\r\n", std::string("\0", 1)}}}}) {
        auto shown = program({"/bin/tell", "v=<" + tag.front() + ">"});
        for (const std::string& value : good) {
            INFO(tag.front() << "=" << value);
            CHECK(arguments(shown, {{tag.front(), value}}) == "/bin/tell|v=" + value);
        }
        for (const std::string& value : bad) {
            INFO(tag.front() << "=" << value);
            CHECK(refused(shown, {{tag.front(), value}}));
        }
    }
    auto account = program({"/bin/tell", "<country>", "<user>"}, ProgramTags::account);
    CHECK(arguments(account, {{"country", "DE"}, {"user", "bob"}}) == "/bin/tell|DE|bob");
    CHECK(refused(account, {{"country", "de"}, {"user", "bob"}}));
}

TEST_CASE("values: all that are wanted, each once, and no other") {
    auto tell = program({"/bin/tell", "<ip>"});
    CHECK(arguments(tell, {}).find("nothing is given for <ip>") != std::string::npos);
    CHECK(refused(tell, {{"ip", "::1"}, {"ip", "::1"}}));
    CHECK(refused(tell, {{"ip", "::1"}, {"reason", "x"}}));
    CHECK(refused(tell, {{"ip", "::1"}, {"jail", "x"}}));
    CHECK(refused(tell, {{"ip", "::1"}, {"odd", "x"}}));
}

TEST_CASE("a value that begins with a dash is never an option") {
    auto user = [](std::vector<std::string> argv, const std::string& name) {
        argv.insert(argv.begin(), "/bin/mail");
        return arguments(program(argv), {{"F-USER", name}});
    };
    CHECK(user({"<F-USER>"}, "-oQueueDirectory=/tmp").find("would be an option") !=
          std::string::npos);
    CHECK(user({"<F-USER><jail>"}, "-x").find("would be an option") != std::string::npos);
    // Nothing, before a dash of the configuration's.
    CHECK(user({"<F-USER>-x"}, "").find("would be an option") != std::string::npos);
    CHECK(user({"user=<F-USER>"}, "-x") == "/bin/mail|user=-x");
    CHECK(user({"-s<F-USER>"}, "-x") == "/bin/mail|-s-x");
    CHECK(user({"-s", "x", "--", "<F-USER>"}, "-x") == "/bin/mail|-s|x|--|-x");
    CHECK(user({"<F-USER>", "--"}, "-x").find("would be an option") != std::string::npos);
    // "--" from outside does not begin operands.
    CHECK(arguments(program({"/bin/mail", "<reason>", "<F-USER>"}),
                    {{"reason", "--"}, {"F-USER", "-x"}})
              .find("would be an option") != std::string::npos);
    auto shell = program({"/bin/sh", "-c", "echo \"$1\"", "tell", "<F-USER>"});
    CHECK(arguments(shell, {{"F-USER", "-x"}}) == "/bin/sh|-c|echo \"$1\"|tell|-x");
    CHECK(refused(program({"/bin/sh", "-c", "<F-USER>"}), {{"F-USER", "-x"}}));
    CHECK(refused(program({"/bin/sh", "<F-USER>"}), {{"F-USER", "-x"}}));
    // For ever.
    CHECK(arguments(program({"/bin/tell", "<bantime>"}), {{"bantime", "-1"}}) == "/bin/tell|-1");
    CHECK(refused(program({"/bin/tell", "<F-USER>"}), {{"F-USER", "-1"}}));
}

TEST_CASE("text of strangers becomes a value that is taken") {
    for (const std::string& text :
         {std::string("\x1b[2J\n\xff"), std::string("a\0b", 3), std::string(200'000, '\xff'),
          std::string(longest_value - 1, 'x') + "ä"}) {
        CHECK(is_value(TagKind::text, as_value(TagKind::text, text)));
        CHECK(is_value(TagKind::lines, as_value(TagKind::lines, text)));
    }
    CHECK(as_value(TagKind::lines, "a\nb\n") == "a\nb\n");
    CHECK(as_value(TagKind::text, "a\nb") == "a\\x0ab");
}

TEST_CASE("packets: what was written is read; cut, longer or changed ones are no request") {
    RunRequest run{7, 0x123456789abcdef0, 3, {{"ip", "::1"}, {"F-USER", ""}}};
    std::string packet = to_packet(run);
    auto parsed = parse_program_request(packet);
    REQUIRE(parsed);
    const auto& same = std::get<RunRequest>(*parsed);
    CHECK((same.id == run.id && same.generation == run.generation && same.index == run.index &&
           same.values == run.values));
    // Without its last value but one the packet is whole again; it lacks tags then.
    for (std::size_t size = 0; size < packet.size(); ++size)
        if (auto cut = parse_program_request(packet.substr(0, size)))
            CHECK(std::get<RunRequest>(*cut).values.size() < run.values.size());
    CHECK_FALSE(parse_program_request(packet + "x"));
    auto read = parse_program_request(to_packet(ReadRequest{9}));
    REQUIRE(read);
    CHECK(std::get<ReadRequest>(*read).id == 9);
    CHECK_FALSE(parse_program_request(to_packet(ReadRequest{9}) + std::string(4, '\0')));
    for (std::size_t i = 0; i < 2 * most_values; ++i) run.values.emplace_back("ip", "::1");
    CHECK_FALSE(parse_program_request(to_packet(run)));
    std::string huge = to_packet(ReadRequest{9});
    huge.replace(0, 4, "\xff\xff\xff\xff");
    CHECK_FALSE(parse_program_request(huge));
    auto answer =
        parse_program_answer(to_packet(ProgramAnswer{5, ProgramAnswer::Outcome::refused, 6, "no"}));
    REQUIRE(answer);
    CHECK((answer->id == 5 && answer->outcome == ProgramAnswer::Outcome::refused &&
           answer->generation == 6 && answer->message == "no"));
}

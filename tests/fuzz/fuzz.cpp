// SPDX-License-Identifier: GPL-2.0-or-later
// Fuzz targets: what takes bytes from strangers must neither crash nor hang, whatever they are.
// An own program for each (name.cpp says which). With clang's -fsanitize=fuzzer it is a
// libFuzzer target; without, it mutates its own seeds for a while, so that every build runs it.
//
//   fuzz_NAME [runs] [seed]      or fuzz_NAME --seeds DIR, which writes the seeds there as files
#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <random>
#include <string>
#include <vector>

#include "action/kernel_protocol.h"
#include "auth/dialogue.h"
#include "auth/helper.h"
#include "cli/state_json.h"
#include "config/compile.h"
#include "config/document.h"
#include "config/load.h"
#include "core/base/reserved.h"
#include "core/decide/access.h"
#include "core/decide/broadband.h"
#include "core/decide/condition.h"
#include "core/decide/conversation.h"
#include "core/decide/waiting.h"
#include "core/match/fail2ban_pattern.h"
#include "core/match/pattern.h"
#include "core/match/scanner.h"
#include "core/regex/two_hosts.h"
#include "core/text/datepattern.h"
#include "core/text/encoding.h"
#include "core/text/envelope.h"
#include "core/text/json_string.h"
#include "core/text/unescape.h"
#include "fleet/membership.h"
#include "fleet/packets.h"
#include "fleet/plan.h"
#include "import/to_yaml.h"
#include "os/resolver.h"
#include "programs/arguments.h"
#include "protocols/http.h"
#include "protocols/http_helper.h"
#include "protocols/postfix.h"
#include "protocols/remote.h"
#include "source/framing.h"

using namespace bandd;

extern const char* const fuzz_target;

namespace {

struct Target {
    std::vector<std::string> seeds;
    void (*run)(const std::string& bytes);
};

void use(const std::string& text) {
    // An empty asm with the text as its input: the compiler must make it.
    asm volatile("" : : "r"(text.data()) : "memory");
}

void run_envelope(const std::string& bytes) {
    Envelope envelope = open_envelope(bytes, Zone{}, Instant{1'700'000'000'000'000});
    std::string message;
    unescape(envelope.message, message);
    use(message);
}
void run_scan(const std::string& bytes) {
    static const Ruleset rules = [] {
        auto filter = std::make_shared<Filter>();
        for (const char* regex :
             {"^denied <HOST>$", "<F-USER>.*</F-USER> from <HOST>", "^\"A\"\\t\"<HOST>\""})
            filter->patterns.push_back(std::move(*compile_pattern("p", regex, {}, true)));
        Ruleset made;
        made.rules.push_back({filter, {0}});
        prepare(made);
        return made;
    }();
    Scratch scratch;
    Hits hits;
    scan(rules, Chunk{0, bytes, {}}, Instant{1'700'000'000'000'000}, scratch, hits);
}
// Lines of a JSON log. A line that is read is the same if it is made good first; and no line costs
// a hit whose address the line does not hold.
void run_json(const std::string& bytes) {
    static const Ruleset rules = [] {
        auto layout = std::make_shared<JsonLayout>();
        layout->ip = {layout->paths.add({"ip"})};
        layout->message = layout->paths.add({"msg", "0"});
        layout->time = layout->paths.add({"ts"});
        layout->fields.emplace_back("user", layout->paths.add({"u", "n"}));
        auto filter = std::make_shared<Filter>();
        filter->json = layout;
        filter->patterns.push_back(std::move(*compile_pattern("p", "^denied", {}, false)));
        filter->patterns.back().json = true;
        filter->patterns.back().keys = {"ip"};
        Ruleset made;
        made.rules.push_back({filter, {0}});
        prepare(made);
        return made;
    }();
    Scratch scratch;
    Hits hits;
    scan(rules, Chunk{0, bytes, {}}, Instant{1'700'000'000'000'000}, scratch, hits);
    const JsonPaths& paths = rules.rules[0].filter->json->paths;
    JsonReader once;
    if (once.read(bytes, paths) != JsonReader::Outcome::read) return;
    std::string mended;
    mend_json(bytes, mended);
    JsonReader twice;
    if (twice.read(mended, paths) != JsonReader::Outcome::read) abort();
    for (std::size_t i = 0; i < paths.size(); ++i)
        if (once.value(i) != twice.value(i)) abort();
}
void run_pattern(const std::string& bytes) {
    auto compiled = compile_pattern("p", bytes, {}, true);
    if (!compiled) use(to_line(compiled.error()));
}
// "pattern NUL text": a pattern's own program takes the captures that RE2 takes.
void run_captures(const std::string& bytes) {
    std::size_t nul = bytes.find('\0');
    if (nul == std::string::npos) return;
    std::string regex = bytes.substr(0, nul);
    std::string_view text = std::string_view(bytes).substr(nul + 1);
    LazyRegex lazy(regex, pattern_options());
    const RE2& re2 = lazy.re2();
    if (lazy.outline() && !re2.ok()) abort();
    if (!re2.ok()) return;
    auto count = static_cast<std::size_t>(re2.NumberOfCapturingGroups()) + 1;
    if (count > most_groups) return;
    std::vector<std::string_view> ours(count);
    std::vector<re2::StringPiece> theirs(count);
    re2::StringPiece piece(text.data(), text.size());
    bool matches =
        re2.Match(piece, 0, piece.size(), RE2::UNANCHORED, theirs.data(), static_cast<int>(count));
    if (matches != lazy.search(text, ours)) abort();
    for (std::size_t i = 0; matches && i < count; ++i)
        if (ours[i].data() != theirs[i].data() || ours[i].size() != theirs[i].size()) abort();
}
// A condition, and what it says of somebody: parsing must end, and evaluating what was parsed, too.
void run_where(const std::string& bytes) {
    auto condition = Condition::parse(bytes, {"kunde*"});
    if (!condition) {
        if (condition.error().offset > bytes.size()) std::abort();
        use(condition.error().what);
        return;
    }
    Address who = *parse_address("24.196.192.21");
    for (const Fields& fields :
         {Fields{}, Fields{{"user", bytes}, {"port", bytes}, {"hostname", bytes}}})
        if (condition->evaluate({who, fields, nullptr}) == Truth::yes)
            use(std::to_string(condition->used_facts({who, fields, nullptr}).size()));
}
// A host name is whatever somebody's name server says.
// What is asked is one line of what is answered, whatever the names in it are.
void run_policy(const std::string& bytes) {
    std::size_t size = policy_request_size(bytes);
    if (size > bytes.size()) abort();
    auto request = parse_policy_request(std::string_view(bytes).substr(0, size));
    if (!request || !request->address) return;
    MailClient client{*request->address, request->client_name, request->reverse_client_name};
    if (auto why = end_user_reason({}, client)) {
        use(*why);
        // What goes back is one line of what a host name may hold.
        std::string message = client_message("<hostname>", client.address, name_of(client));
        if (message.find_first_of("\r\n\t <>") != std::string::npos) abort();
    }
    use(is_mail_from_server(*request) ? "server" : "user");
    AccountTable accounts;
    LoginRequest login{"smtp", request->user, *request->address, Instant{}, true};
    if (decide_access({}, accounts, nullptr, login).permit != Permit::yes) abort();
    if (accounts.size() != (is_private(*request->address) ? 0 : 1)) abort();
}
void run_remote(const std::string& bytes) {
    std::string line = bytes.substr(0, bytes.find('\n'));
    for (auto* parse : {&parse_text_request, &parse_json_request}) {
        RemoteReply reply;
        auto request = parse(line);
        if (!request)
            reply.error = request.error();
        else if (request->prefix &&
                 request->prefix->length < (request->prefix->is_v4() ? widest_v4 : widest_v6))
            abort();
        for (const std::string& answer : {text_reply(line, reply), json_reply(reply)})
            if (answer.find('\n') != answer.size() - 1) abort();
    }
}
// What bandd-programs gets is what was written, or no request; no value becomes an option.
void run_programs(const std::string& bytes) {
    auto request = parse_program_request(bytes);
    if (!request) return;
    if (to_packet(*request) != bytes) abort();
    const auto* run = std::get_if<RunRequest>(&*request);
    if (run == nullptr) return;
    for (ProgramTags tags : {ProgramTags::ban, ProgramTags::account}) {
        ConfiguredProgram program{tags, "sshd", {{"/bin/tell"}, "nobody", {}, {}}};
        for (const auto& [tag, value] : run->values)
            if (tag_kind(tags, tag) && tag != "bantime")
                program.program.argv.push_back("<" + tag + ">");
        auto argv = arguments_of(program, run->values);
        if (!argv) continue;
        for (const std::string& word : *argv)
            if (word.starts_with('-') || word.find('\0') != std::string::npos) abort();
    }
}
// What bandd-http and bandd-resolver send, if strangers have taken them over.
void run_helpers(const std::string& bytes) {
    if (auto parsed = parse_http_packet(bytes)) {
        use(parsed->request.path);
        if (auto login = parse_nginx(parsed->request)) let_in(*login, {});
        if (auto login = parse_dovecot(parsed->request)) use(login->user);
        is_authorized(parsed->request, "0123456789abcdef");
    }
    if (auto result = parse_look_up(bytes))
        if (result->addresses.size() > Resolver::most_addresses ||
            result->name.size() > Resolver::longest_name)
            abort();
}
// In both directions; and what a message's subject and the files of a fleet say.
void run_fleet_packets(const std::string& bytes) {
    auto same = [](const auto& parsed, const auto& again) {
        if (!again || *again != parsed) abort();
    };
    if (auto said = parse_to_fleet(bytes)) same(*said, parse_to_fleet(to_packet(*said)));
    if (auto said = parse_from_fleet(bytes)) same(*said, parse_from_fleet(to_packet(*said)));
    if (auto ban = parse_ban_subject(bytes))
        if (to_subject(*ban) != bytes) abort();
    if (auto node = node_of_subject(bytes)) use(*node);
    if (auto server = parse_fleet_server(bytes)) use(to_string(*server));
    if (auto joined = parse_join_file(bytes, "x")) use(to_join_file(*joined));
    if (auto plan = parse_fleet_plan(bytes, "x")) use(to_server_config(*plan, Instant{}));
}
std::string http_packet_seed(const char* path, const char* header) {
    std::string packet;
    append_field(packet, as_bytes(std::uint64_t{1}));
    append_field(packet, as_bytes(std::uint32_t{2}));
    append_field(packet, "right");
    append_field(packet, std::string(16, '\1'));
    append_field(packet, as_bytes(std::uint16_t{1000}));
    append_field(packet, std::string(16, '\2'));
    append_field(packet, as_bytes(std::uint16_t{80}));
    for (const char* text :
         {"POST", path, "", "{\"login\":\"joe\",\"remote\":\"192.0.2.1\"}", header, "joe"})
        append_field(packet, text);
    return packet;
}
std::string look_up_seed(bool name) {
    std::string packet;
    append_field(packet, as_bytes(std::uint64_t{1}));
    if (!name) append_field(packet, std::string(16, '\3'));
    append_field(packet, {});
    append_field(packet, "mail.example.org");
    return packet;
}
// A mail server that says these lines, whatever it is told.
struct SayingServer : Wire {
    explicit SayingServer(std::string_view text) : rest(text) {}
    Result<> say(std::string_view) override { return {}; }
    Result<std::string> hear() override {
        auto end = rest.find('\n');
        if (end == std::string_view::npos) return fail("mail server", "closed the connection");
        std::string line(rest.substr(0, end));
        rest.remove_prefix(end + 1);
        return line;
    }
    Result<> start_tls() override { return {}; }
    std::string_view rest;
};
// What bandd-auth hears from mail servers, from bandd-http and from the daemon. Nobody is let in
// unless the server said so in so many words.
void run_auth(const std::string& bytes) {
    auto ask = [&](const std::string& user, const std::string& password) {
        PasswordQuestion question;
        question.user = user;
        question.client = "192.0.2.1";
        question.password = Secret(std::string(password));
        SayingServer imap(bytes), dovecot(bytes);
        auto says = [&](std::string_view ok) {
            auto same = [](char one, char other) { return (one | 0x20) == (other | 0x20); };
            return std::ranges::search(bytes, ok, same).begin() != bytes.end();
        };
        bool right = check_by_imap(imap, {}, question, "a").verdict == PasswordVerdict::right;
        if (right && !says("a OK") && !says("a\tOK")) abort();
        right = check_by_dovecot(dovecot, question, 7).verdict == PasswordVerdict::right;
        if (right && bytes.find("OK\t1") == std::string::npos) abort();
    };
    ask("joe", "secret");
    ask("j\xff", "\r\n");
    if (auto question = parse_question(bytes)) {
        if (question->password.view().size() > longest_password) abort();
        use(question->user);
    }
    if (auto answer = parse_answer(bytes)) use(std::string(to_string(answer->verdict)));
    if (auto fault = parse_fault(bytes)) use(to_line(*fault));
    if (auto server = parse_password_server(bytes)) use(server->socket);
}
void run_http(const std::string& bytes) {
    HttpRequest request;
    request.body = bytes;
    if (auto question = parse_dovecot(request)) use(question->user);
    auto half = bytes.size() / 2;
    request.headers = {{"auth-user", bytes.substr(0, half)},
                       {"client-ip", "192.0.2.1"},
                       {"auth-protocol", bytes.substr(half)},
                       {"authorization", bytes}};
    is_authorized(request, "0123456789abcdef");
    if (auto question = parse_nginx(request))
        for (const auto& [name, value] : let_in(*question, {}).headers)
            if (header_text(value) != value) abort();
}
void run_accounts(const std::string& bytes) {
    if (auto account = AccountTable::undump("joe", bytes)) {
        // What was taken is given back, and can be counted on.
        std::string dump = AccountTable::dump(*account);
        auto again = AccountTable::undump("joe", dump);
        if (!again || AccountTable::dump(*again) != dump) abort();
        AccountTable table;
        table.restore(std::move(*account));
        table.add({"joe", *parse_address("192.0.2.1"), CountryCode::from("DE"), Instant{}});
    }
    UsersPlaces users;
    read_places(bytes, users);
    std::string name = account_name(bytes);
    if (name.size() > longest_account_name || account_name(name) != name) abort();
}
void run_broadband(const std::string& bytes) {
    for (const char* who : {"24.196.192.21", "2001:db8:12:34:1:2:3:abcd"})
        if (auto why = is_broadband(bytes, *parse_address(who), {})) use(*why);
}
void run_state(const std::string& bytes) {
    Checkpoint checkpoint;
    auto read = read_state_line(bytes, checkpoint);
    if (!read) use(to_line(read.error()));
}
// What the control socket does with a line, up to the command.
void run_control(const std::string& bytes) {
    Json request = Json::parse(bytes, nullptr, false);
    if (request.is_object() && request.value("command", Json()).is_string())
        use(to_line_of_json(success(request)));
    use(to_line_of_json(failure({bytes, bytes, {}, {}})));
}
void run_yaml(const std::string& bytes) {
    auto document = parse_document(bytes, "fuzz");
    if (!document) use(to_line(document.error()));
}

// fail2ban's files: the reader, and what stands within values.
void run_ini(const std::string& bytes) {
    std::vector<Error> faults;
    fail2ban::IniFile file = fail2ban::parse_ini(bytes, "fuzz", faults);
    fail2ban::Ini none;
    for (const auto& [name, options] : file.sections) {
        if (auto filled = fail2ban::replace_tags(options, none, {}); !filled)
            use(to_line(filled.error()));
        for (const auto& [option, value] : options) {
            if (auto reference = fail2ban::parse_reference(value); !reference)
                use(to_line(reference.error()));
            for (const std::string& one : fail2ban::split_references(value)) use(one);
            use(fail2ban::yaml_block(value, "  "));
        }
    }
}
// A pattern on the first line, a text on the others.
void run_fail2ban(const std::string& bytes) {
    auto end = bytes.find('\n');
    auto compiled = compile_fail2ban("p", bytes.substr(0, std::min<std::size_t>(end, 300)), {});
    if (!compiled) return use(to_line(compiled.error()));
    MatchScratch scratch;
    Captured captured;
    capture(*compiled,
            end == std::string::npos ? std::string_view() : std::string_view(bytes).substr(end),
            scratch, captured);
    use(captured.name);
    for (const TwoHosts& one :
         lines_with_two_hosts(compiled->source, "203.0.113.9", "198.51.100.7")) {
        use(one.line);
        use(std::string(one.where));
    }
}
void run_dates(const std::string& bytes) {
    static const DatePatterns usual = *DatePatterns::compile({});
    constexpr Instant arrival{1'700'000'000'000'000};
    DateScratch scratch;
    auto check = [&](const DatePatterns& dates, std::string_view line) {
        auto found = dates.find(line, Zone{}, arrival, scratch);
        if (found && (found->from > found->to || found->to > line.size())) {
            std::abort();
        }
    };
    check(usual, bytes);
    auto end = bytes.find('\n');
    auto own = DatePatterns::compile({bytes.substr(0, std::min<std::size_t>(end, 100))});
    if (own && end != std::string::npos) check(*own, std::string_view(bytes).substr(end + 1));
}
void run_encoding(const std::string& bytes) {
    for (Encoding encoding :
         {Encoding::utf16le, Encoding::utf16be, Encoding::latin1, Encoding::utf8}) {
        std::string out;
        decode(encoding, bytes, out);
        if (last_line_end(encoding, bytes) > bytes.size()) std::abort();
        use(out);
    }
}
void run_conversations(const std::string& bytes) {
    Conversations conversations;
    conversations.restore(bytes);
    std::string dump = conversations.dump();
    Conversations again;
    again.restore(dump);
    if (again.dump() != dump) std::abort();
}

void run_waiting(const std::string& bytes) {
    const std::vector<std::string> jails{"a", "b"};
    WaitingHits waiting;
    waiting.restore(bytes, jails);
    std::string dump = waiting.dump(jails);
    WaitingHits again;
    again.restore(dump, jails);
    if (again.dump(jails) != dump) std::abort();
}
// However a stream is cut into reads, its messages are the same.
void run_framing(const std::string& bytes) {
    constexpr std::size_t limit = 64;
    auto messages = [&](std::size_t step) {
        SyslogFraming framing(limit);
        std::string out;
        auto take = [&](std::string_view message) {
            out += std::to_string(message.size()) + ":";
            out += message.substr(0, limit);
        };
        for (std::size_t at = 0; at < bytes.size(); at += step) {
            framing.take(std::string_view(bytes).substr(at, step), take);
            if (framing.waiting() > 2 * limit + 16 + step) std::abort();
        }
        framing.end(take);
        return out;
    };
    use(messages(bytes.size() + 1));
    // A line over the limit is cut where a read ends, so only honest ones are compared.
    bool longer = false;
    std::size_t run = 0;
    for (char c : bytes) longer = (run = c == '\n' ? 0 : run + 1) > limit || longer;
    if (!longer && messages(bytes.size() + 1) != messages(1)) std::abort();
}
// A filter's file, all the way to matching with it.
void run_filter(const std::string& bytes) {
    LoadedFilter loaded = load_filter("fuzz.yaml", parse_document(bytes, "fuzz.yaml"));
    for (const Error& error : loaded.errors) use(to_line(error));
    if (!loaded.errors.empty()) return;
    for (const Error& error : check_samples(loaded.filter, Zone{})) use(to_line(error));
}
void run_unescape(const std::string& bytes) {
    std::string out;
    unescape(bytes, out);
    if (out.size() > bytes.size()) std::abort();
    if (!has_escape(bytes) && out != bytes) std::abort();
}

const std::vector<std::string> lines{
    "Nov 21 10:00:00 mx postfix/smtpd[1]: warning: unknown[203.0.113.9]: SASL LOGIN authentication "
    "failed: x",
    "<165>1 2026-11-21T10:00:00.003Z mx app 8710 ID47 [x@32473 a=\"b\\]\"] denied 2001:db8::1",
    "\"SMTPD\"\t2824\t9493\t\"2020-08-20 17:02:34.406\"\t\"203.0.113.9\"\t\"SENT: 503 Bad\"",
    "203.0.113.9 - - [21/Nov/2026:10:00:00 +0100] \"GET / HTTP/1.1\" 401 5",
    "1763719200.123 x#011y#000z from ::ffff:203.0.113.9",
    "[Sat Nov 21 10:00:00.123 2026] [error] x\r\n\n"};

// What is read can be written and read again.
template <auto decode>
void run_kernel(const std::string& bytes) {
    auto message = decode(bytes);
    if (!message) return;
    auto again = decode(kernel::encode(*message));
    if (!again || again->index() != message->index()) std::abort();
}
void run_kernel_requests(const std::string& bytes) { run_kernel<kernel::decode_request>(bytes); }
void run_kernel_answers(const std::string& bytes) { run_kernel<kernel::decode_answer>(bytes); }

std::vector<std::string> kernel_request_seeds() {
    NftablesAction packets;
    packets.log_prefix = "x: ";
    packets.ports = {{25, 25}, {1000, 2000}};
    packets.protocols = {Protocol::tcp, Protocol::udp};
    IpsetAction ipset;
    ipset.set4 = "bandd-sshd-4";
    Prefix prefix = *parse_prefix("2001:db8::/64");
    Geoblock block;
    block.config.name = "far";
    block.config.packets = packets;
    block.ranges = {range_of(prefix)};
    using namespace kernel;
    return {encode(Open{.served = Served::ipset}),
            encode(Targets{{{1, 2, "sshd", packets}, {2, 2, "sshd", ipset}}, false}),
            encode(LookAt{3, 1, Look::list}),
            encode(Apply{4, {{Order::Kind::renew, 1, prefix, forever, {}}}, true}),
            encode(Request(Clear{})),
            encode(PutGeoblocks{{block}, false}),
            encode(Request(FindGeoblocks{}))};
}

std::vector<std::string> kernel_answer_seeds() {
    Error error{"set", "is full", "make it larger", {}};
    Present present{*parse_prefix("203.0.113.9"), std::chrono::hours(1)};
    return {kernel::encode(kernel::Opened{error, true, 200'000}),
            kernel::encode(kernel::Done{}),
            kernel::encode(kernel::Elements{1, {}, {present, {present.prefix, {}}}}),
            kernel::encode(kernel::Looked{2, {false, true, forever}, error, 7}),
            kernel::encode(kernel::Applied{3, {{0, error}}, true}),
            kernel::encode(kernel::Answer(kernel::Touched{})),
            kernel::encode(kernel::Found{true})};
}

Target target_of_this_program() {
    std::string name = fuzz_target;
    if (name == "envelope") return {lines, run_envelope};
    if (name == "json")
        return {
            {R"({"ip":"192.0.2.1","msg":["denied"],"ts":1700000000.5,"u":{"n":"a\"\u0000\ud83d"}})",
             "{\"u\" : {\"n\":1e999,\"x\":[[{}]]} , \"msg\":[\"denied\xff\x01\"],\"ip\":null}"},
            run_json};
    if (name == "unescape") return {{"a#011b#000#377#3778#0", "x#12#0111"}, run_unescape};
    if (name == "waiting")
        return {
            {"1:01:b7:1.2.3.40:1:11:11:a1:11:11:p1:l1:0", "1:00:2::10:1:x1:11:11:a1:12:111:p1:l1:0",
             "1:11:a7:1.2.3.40:1:11:11:a1:11:11:p1:l1:11:k1:v"},
            run_waiting};
    if (name == "framing")
        return {{"5 hello6 a\nb\nc\n", "line one\nline two\n12 <13>x: y z w", "999999999 x\n0 y\n"},
                run_framing};
    if (name == "filter")
        return {{"description: x\ntag: a\nlists: {w: [a*]}\nfailregex:\n  - {id: a, regex: '^x "
                 "<HOST> <LIST:w>$'}\nignoreregex: ['^x ::']\nsamples:\n  - {line: 'x 1.2.3.4 ab', "
                 "match: a, ip: 1.2.3.4}\n",
                 "dialect: fail2ban\nprefregex: '^s <F-CONTENT>.+</F-CONTENT>$'\ndatepattern: "
                 "'%Y'\nmaxlines: 2\nfailregex:\n  - '^(?!x)<F-MLFID>y</F-MLFID> <HOST>'\n"},
                run_filter};
    if (name == "scan") return {lines, run_scan};
    if (name == "pattern")
        return {{"^(?:a|b)*?[^\"]{1,20}<HOST>\\s+$", "(?i)x<F-USER>\\S+</F-USER> (?P<n>y) <IP4>",
                 "[[:alpha:]]\\d{,3}<ADDR>"},
                run_pattern};
    if (name == "captures")
        return {{std::string("^(?:a|b)*?[^\"]{1,20}(\\d+)\\s+$") + '\0' + "abab12 ",
                 std::string("(?i)x(?P<u>\\S+?) (y|[[:alpha:]]{2,})?\\b") + '\0' + "xX1 yy",
                 std::string("(a|ab)(c|bcd)(d*)") + '\0' + "abcd"},
                run_captures};
    if (name == "where")
        return {{"country in [RU, cn, private] and not (user is \"joe\" or asn in [AS64500])",
                 "hostname is broadband or hostname in [*.a.example] and port in [25, 1-9]",
                 "user matches \"^a.*b$\" or ip not in [10.0.0.0/8, ::1] and continent != EU"},
                run_where};
    if (name == "policy")
        return {{"request=smtpd_access_policy\nclient_address=192.0.2.1\nsasl_username=joe\n"
                 "instance=1.2\nprotocol_state=RCPT\n\n",
                 "request=smtpd_access_policy\nclient_address=2001:db8::1\n\nrequest=",
                 "request=smtpd_access_policy\nprotocol_state=RCPT\nclient_address=8.1.0.1\n"
                 "client_name=8-1-0-1.dsl.isp.example\nreverse_client_name=unknown\n"
                 "server_port=25\n\n"},
                run_policy};
    if (name == "remote")
        return {
            {"add 192.0.2.1 spam", "del 2001:db8::/64\r", "check 192.0.2.0/24",
             R"({"v":1,"command":"add","arguments":{"ip":"192.0.2.1","for":"1h","reason":"x"}})",
             R"({"v":1,"command":"auth","arguments":{"token":"0123456789abcdef"}})"},
            run_remote};
    if (name == "programs")
        return {{to_packet(RunRequest{1, 2, 3, {{"ip", "::1"}, {"F-USER", "joe"}}}),
                 to_packet(RunRequest{1, 2, 3, {{"user", "-x"}, {"country", "DE"}}}),
                 to_packet(ReadRequest{1})},
                run_programs};
    if (name == "helpers")
        return {{http_packet_seed("/auth/nginx", "auth-user"),
                 http_packet_seed("/auth/dovecot", "authorization"), look_up_seed(true),
                 look_up_seed(false)},
                run_helpers};
    if (name == "fleet_packets") {
        FleetAccess access{"shop", "mx1", {"gate:4222"}, {"gate"}, "PEM", "SU"};
        FleetPlan plan;
        plan.name = "shop";
        plan.servers = {{"gate", "4222"}};
        plan.key = "00";
        plan.nodes = {{"mx1", true, {{"UA", Instant{5}}, {"UB"}}}};
        plan.head = {"operator", false, {{"UC"}}};
        return {
            {to_packet(ToFleet{access}), to_packet(ToFleet{FleetPublish{1, "hit.mx1", "x"}}),
             to_packet(ToFleet{FleetSettled{1}}), to_packet(ToFleet{FleetKeep{"mx1"}}),
             to_packet(FromFleet{FleetMessage{1, "hit.mx1", "HITS", 2, Instant{3}, "x"}}),
             to_packet(FromFleet{FleetPublished{1}}), to_packet(FromFleet{FleetRefused{1, "why"}}),
             to_packet(FromFleet{FleetState{true, "gate:4222", "", {"192.0.2.1"}, 1, 2}}),
             to_packet(FromFleet{FleetProgress{"HITS", "2026", 1}}),
             to_subject({BanClass::hour, "mx1", "sshd", "203.0.113.9/32"}), "[2001:db8::1]:4222",
             to_join_file({access, "00"}), to_text(plan)},
            run_fleet_packets};
    }
    if (name == "auth") {
        PasswordQuestion question;
        question.user = "joe";
        question.password = Secret(std::string_view("secret"));
        return {{"* OK [CAPABILITY ID] hello\n* ID NIL\ni OK\na OK in\n",
                 "* OK x\n+ go\n+ go\na NO [UNAVAILABLE] later\n",
                 "VERSION\t1\t2\nMECH\tPLAIN\nDONE\nFAIL\t1\tuser=joe\ttemp\n",
                 "VERSION\t1\t2\nMECH\tPLAIN\nDONE\nOK\t1\tuser=joe\n",
                 std::string(to_packet(question).view()), to_packet(PasswordServer{}),
                 to_packet(PasswordAnswer{1, PasswordVerdict::right}),
                 to_packet(Error{"mail server", "is gone", "look", {}})},
                run_auth};
    }
    if (name == "http")
        return {{R"({"login":"joe","remote":"192.0.2.1","protocol":"imap","success":true})",
                 "joe%40example.orgimap", "Bearer 0123456789abcdef"},
                run_http};
    if (name == "accounts") {
        AccountTable table;
        table.add({"joe", *parse_address("192.0.2.1"), CountryCode::from("DE"), Instant{1}});
        table.add({"joe", *parse_address("2001:db8::1"), {}, Instant{2}});
        return {{AccountTable::dump(*table.find("joe")), "joe|DE\nann|192.0.2.0/24\n",
                 "J\u00d6RG \u0130\u1e9e\u212a \xe2\x84"},
                run_accounts};
    }
    if (name == "broadband")
        return {{"24-196-192-021.dhcp.isp.example", "ip18c4c015.isp.example",
                 "d.c.b.a.3.0.0.0.2.0.0.0.1.0.0.0.isp.example", "2001-db8--1.isp.example"},
                run_broadband};
    if (name == "state")
        return {
            {R"({"ban":{"jail":"a","prefix":"203.0.113.9","from":1,"until":null,"offence":1,"hits":2,"by_hand":false,"reason":"x"}})",
             R"({"window":{"jail":"a","prefix":"2001:db8::/64","times":[1,2,3]}})",
             R"({"position":{"path":"/x","device":1,"inode":2,"offset":3,"skipping":true,"fingerprint_length":4,"fingerprint":5}})"},
            run_state};
    if (name == "ini")
        return {{"[DEFAULT]\na = 1\n[b]\nc = %(a)s <d>\n  more\n\n# x\nd: e ; "
                 "f\n[b?family=inet6]\nc=2\n",
                 "[x]\naction = a[b=\"c d\", e='f'][g=h]\n  i\nfilter = s[mode=<mode>]\nmode = "
                 "<m-<k>>\n"},
                run_ini};
    if (name == "fail2ban")
        return {{"^(?:(?! from ).)*<F-USER>\\S+</F-USER> from <HOST>$\nroot from 203.0.113.9",
                 "^(?P<a>x)?(?(a)y|z{,3})\\s+<ADDR>\\Z\nxy 203.0.113.9",
                 "((?i)failed) (?#c)[^[:\\]]+<F-ALT_USER_1>.*</F-ALT_USER_1> <SUBNET>\nFAILED x y "
                 "::1/64"},
                run_fail2ban};
    if (name == "dates") {
        std::vector<std::string> seeds = lines;
        seeds.insert(seeds.end(), {"{^LN-BEG}%Y-%m-%d %H:%M:%S(?:[.,]%f)?\n2026-11-21 03:05:50.1 x",
                                   "^[^\\[]*\\[({DATE})\nx [21/Nov/2026:03:05:50 +0100]",
                                   "**%b %d %k:%M**\nNov 21 3:05", "LEPOCH\n1763719200123"});
        return {seeds, run_dates};
    }
    if (name == "encoding")
        return {{std::string("\xff\xfeh\0i\0\n\0", 8), std::string("\xd8\x00\xdc\x00\x00\n", 6),
                 "caf\xe9\n"},
                run_encoding};
    if (name == "conversations")
        return {{"4:test1:01:15:begin1:11:10:11:203.0.113.10:1:01:13:joe1:14:user3:joe"},
                run_conversations};
    if (name == "kernel_requests") return {kernel_request_seeds(), run_kernel_requests};
    if (name == "kernel_answers") return {kernel_answer_seeds(), run_kernel_answers};
    if (name == "control")
        return {{R"({"v":1,"command":"ban","arguments":{"ip":"203.0.113.9","for":"1h"}})"},
                run_control};
    return {{"jails:\n  sshd: {logpath: [/a, /b], ignoreip: \"::1\"}\n",
             "a: &x [1, 2]\nb: *x\nc: !include none\n"},
            run_yaml};
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    static const Target target = target_of_this_program();
    target.run({reinterpret_cast<const char*>(data), size});
    return 0;
}

#ifndef BANDD_LIBFUZZER
int main(int argc, char** argv) {
    const Target target = target_of_this_program();
    if (argc == 3 && std::string(argv[1]) == "--seeds") {
        for (std::size_t i = 0; i < target.seeds.size(); ++i)
            std::ofstream(std::string(argv[2]) + "/seed-" + std::to_string(i), std::ios::binary)
                << target.seeds[i];
        return 0;
    }
    long runs = argc > 1 ? std::atol(argv[1]) : 20'000;
    std::mt19937 random(argc > 2 ? static_cast<unsigned>(std::atol(argv[2])) : 1U);
    auto any = [&](std::size_t below) {
        return static_cast<std::size_t>(random() % std::max<std::size_t>(below, 1));
    };
    for (long run = 0; run < runs; ++run) {
        std::string input = target.seeds[any(target.seeds.size())];
        for (std::size_t changes = any(8); changes > 0; --changes) {
            std::size_t at = any(input.size());
            switch (any(5)) {
                case 0:
                    input.insert(at, 1, static_cast<char>(random()));
                    break;
                case 1:
                    if (!input.empty()) input[at] = static_cast<char>(random());
                    break;
                case 2:
                    input.erase(at, any(10));
                    break;
                case 3:
                    input.insert(at, input.substr(any(input.size()), any(40)));
                    break;
                default: {
                    const std::string& other = target.seeds[any(target.seeds.size())];
                    input.insert(at, other.substr(any(other.size()), any(60)));
                }
            }
        }
        target.run(input);
    }
    std::printf("%s: %ld inputs, none did harm\n", fuzz_target, runs);
}
#endif

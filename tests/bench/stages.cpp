// SPDX-License-Identifier: GPL-2.0-or-later
// What each stage of a line's way costs. `items_per_second` counts lines (hits, keys). Options are
// Google Benchmark's: bench_stages --benchmark_filter=scan
#include <benchmark/benchmark.h>
#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <random>

#include "bench/mail_router_log.h"
#include "config/compile.h"
#include "config/filter_file.h"
#include "config/load.h"
#include "core/decide/engine.h"
#include "core/text/unescape.h"

using namespace bandd;

namespace {

constexpr Instant arrival = Instant::from_seconds(1'795'100'000);

// `attacks` in thousandths.
const std::string& log_with(std::int64_t attacks) {
    static std::map<std::int64_t, std::string> logs;
    std::string& log = logs[attacks];
    if (log.empty())
        write_mail_router_log(
            {.lines = 20'000, .attacks = static_cast<double>(attacks) / 1000, .seed = 3}, log);
    return log;
}
std::vector<std::string_view> lines_of(std::string_view log) {
    std::vector<std::string_view> lines;
    while (!log.empty()) {
        auto end = log.find('\n');
        lines.push_back(log.substr(0, end));
        log.remove_prefix(end + 1);
    }
    return lines;
}

const Ruleset& mail_router_rules() {
    static const Ruleset rules = [] {
        Ruleset made;
        for (const char* name : {"hmailserver", "postfix", "dovecot", "sshd"}) {
            std::vector<Error> errors;
            std::vector<Error> warnings;
            FilterConfig config =
                load_filter(BANDD_SOURCE "/filters/" + std::string(name) + ".yaml").filter;
            made.rules.push_back({compile_filter(config, {}, errors, warnings),
                                  {static_cast<JailIndex>(made.rules.size())}});
        }
        prepare(made);
        return made;
    }();
    return rules;
}

std::vector<std::string> shipped_filters() {
    std::vector<std::string> paths;
    for (const auto& entry : std::filesystem::directory_iterator(BANDD_SOURCE "/filters"))
        paths.push_back(entry.path().string());
    std::ranges::sort(paths);
    return paths;
}

// What a start does with all shipped filters.
void read_filters(benchmark::State& state) {
    std::vector<std::string> paths = shipped_filters();
    for (auto _ : state)
        for (const std::string& path : paths)
            benchmark::DoNotOptimize(load_filter(path, Samples::skip));
    state.SetItemsProcessed(static_cast<std::int64_t>(state.iterations() * paths.size()));
}
BENCHMARK(read_filters);

void compile_filters(benchmark::State& state) {
    std::vector<FilterConfig> filters;
    for (const std::string& path : shipped_filters())
        filters.push_back(load_filter(path, Samples::skip).filter);
    std::vector<Error> errors;
    std::vector<Error> warnings;
    for (auto _ : state)
        for (const FilterConfig& filter : filters)
            benchmark::DoNotOptimize(compile_filter(filter, {}, errors, warnings));
    state.SetItemsProcessed(static_cast<std::int64_t>(state.iterations() * filters.size()));
}
BENCHMARK(compile_filters);

void count_lines(benchmark::State& state, std::size_t lines, std::size_t bytes) {
    state.SetItemsProcessed(static_cast<std::int64_t>(state.iterations() * lines));
    state.SetBytesProcessed(static_cast<std::int64_t>(state.iterations() * bytes));
}

void find_line_ends(benchmark::State& state) {
    const std::string& log = log_with(1);
    for (auto _ : state) benchmark::DoNotOptimize(lines_of(log));
    count_lines(state, lines_of(log).size(), log.size());
}
BENCHMARK(find_line_ends);

void open_heads(benchmark::State& state) {
    const std::string& log = log_with(1);
    auto lines = lines_of(log);
    for (auto _ : state)
        for (std::string_view line : lines)
            benchmark::DoNotOptimize(open_envelope(line, Zone{}, arrival));
    count_lines(state, lines.size(), log.size());
}
BENCHMARK(open_heads);

void undo_escapes(benchmark::State& state) {
    const std::string& log = log_with(1);
    auto lines = lines_of(log);
    std::string out;
    for (auto _ : state)
        for (std::string_view line : lines) {
            out.clear();
            if (has_escape(line)) unescape(line, out);
            benchmark::DoNotOptimize(out.data());
        }
    count_lines(state, lines.size(), log.size());
}
BENCHMARK(undo_escapes);

void search_literals(benchmark::State& state) {
    const std::string& log = log_with(1);
    LiteralScratch scratch;
    std::vector<LiteralHit> hits;
    for (auto _ : state) {
        hits.clear();
        mail_router_rules().prepared.gate->find(log, scratch, hits);
    }
    count_lines(state, lines_of(log).size(), log.size());
}
BENCHMARK(search_literals);

void scan_chunk(benchmark::State& state) {
    const std::string& log = log_with(state.range(0));
    Scratch scratch;
    Hits hits;
    for (auto _ : state) {
        hits.clear();
        scan(mail_router_rules(), Chunk{0, log, {}}, arrival, scratch, hits);
    }
    count_lines(state, lines_of(log).size(), log.size());
}
BENCHMARK(scan_chunk)->ArgName("attacks_per_mille")->Arg(0)->Arg(1)->Arg(100)->Arg(1000);

// An access log, as text, as JSON with the same values, and as Caddy writes it. An attack is a
// wrong password: status 401, and a user.
struct AccessLog {
    const char* filter;
    const char* line;  // address, user, date or second, path, status
};
constexpr std::array<AccessLog, 3> access_logs{{
    {"failregex: ['^<HOST> - <F-USER>[^ ]+</F-USER> \\[[^\\]]+\\] \"[^\"]*\" 401 ']\n",
     "203.0.113.{0} - {1} [21/Nov/2026:09:{2:02}:{3:02} +0000] \"GET {4} HTTP/1.1\" {5} 5316 "
     "\"https://www.example.org/\" \"Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, "
     "like "
     "Gecko) Chrome/120.0 Safari/537.36\"\n"},
    {"json: {ip: ip, user: user, time: time}\nfailregex: [{where: {status: 401, user: '^[^-]'}}]\n",
     "{{\"ip\":\"203.0.113.{0}\",\"user\":\"{1}\",\"time\":\"2026-11-21T09:{2:02}:{3:02}+00:00\","
     "\"request\":\"GET {4} HTTP/1.1\",\"status\":{5},\"size\":5316,\"referer\":"
     "\"https://www.example.org/\",\"agent\":\"Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 "
     "(KHTML, like Gecko) Chrome/120.0 Safari/537.36\"}}\n"},
    {"json: {ip: request.remote_ip, user: request.user, time: ts}\n"
     "failregex: [{where: {status: 401, request.headers.Authorization: '^'}}]\n",
     "{{\"level\":\"info\",\"ts\":17952516{2:02}.{3:02}24258,\"logger\":\"http.log.access.log0\","
     "\"msg\":\"handled request\",\"request\":{{\"remote_ip\":\"203.0.113.{0}\",\"remote_port\":"
     "\"50510\",\"proto\":\"HTTP/"
     "1.1\",\"method\":\"GET\",\"host\":\"www.example.org\",\"uri\":\"{4}\","
     "\"headers\":{{\"User-Agent\":[\"Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, "
     "like "
     "Gecko) Chrome/120.0 Safari/537.36\"],\"Accept\":[\"*/*\"],\"Authorization\":[]}}}},"
     "\"user_id\":\"\",\"duration\":0.000018698,\"size\":5316,\"status\":{5},\"resp_headers\":{{"
     "\"Server\":[\"Caddy\"],\"Content-Type\":[\"text/plain; charset=utf-8\"]}}}}\n"},
}};
void scan_access_log(benchmark::State& state) {
    const AccessLog& kind = access_logs[static_cast<std::size_t>(state.range(0))];
    std::vector<Error> errors;
    std::vector<Error> warnings;
    LoadedFilter loaded =
        load_filter("/filters/access.yaml",
                    parse_document("description: x\n" + std::string(kind.filter), "access"));
    Ruleset rules;
    rules.rules.push_back({compile_filter(loaded.filter, {}, errors, warnings), {0}});
    prepare(rules);
    std::mt19937 random(1);
    std::string log;
    constexpr int lines = 10'000;
    int attacks = 0;
    for (int i = 0; i < lines; ++i) {
        bool attack = static_cast<std::int64_t>(random() % 1000) < state.range(1);
        attacks += attack ? 1 : 0;
        log += fmt::format(
            fmt::runtime(kind.line), random() % 256, attack ? "bob" : "-", i / 60 % 60, i % 60,
            fmt::format("/shop/{:x}?page={}", random(), random() % 100), attack ? 401 : 200);
    }
    Scratch scratch;
    Hits hits;
    for (auto _ : state) {
        hits.clear();
        scan(rules, Chunk{0, log, {}}, arrival, scratch, hits);
    }
    if (hits.size() != static_cast<std::size_t>(attacks)) state.SkipWithError("other hits");
    count_lines(state, lines, log.size());
}
BENCHMARK(scan_access_log)
    ->ArgNames({"text_json_caddy", "attacks_per_mille"})
    ->ArgsProduct({{0, 1, 2}, {0, 1, 100, 1000}});

void scan_without_prefilter(benchmark::State& state) {
    Ruleset rules;
    rules.rules = mail_router_rules().rules;
    prepare(rules, {.prefilter = false});
    const std::string& log = log_with(state.range(0));
    Scratch scratch;
    Hits hits;
    for (auto _ : state) {
        hits.clear();
        scan(rules, Chunk{0, log, {}}, arrival, scratch, hits);
    }
    count_lines(state, lines_of(log).size(), log.size());
}
BENCHMARK(scan_without_prefilter)->ArgName("attacks_per_mille")->Arg(1)->Arg(1000);

// Of messages that match, by the pattern that does; the range is the filter's.
void take_captures(benchmark::State& state) {
    const Filter& filter =
        *mail_router_rules().rules[static_cast<std::size_t>(state.range(0))].filter;
    std::vector<std::pair<std::string, const Pattern*>> matching;
    MatchScratch scratch;
    Captured captured;
    std::string contained;
    std::string unescaped;
    for (std::string_view line : lines_of(log_with(1000))) {
        Envelope envelope = open_line(line, Zone{}, arrival, contained);
        if (!accepts_tag(filter, envelope.tag, scratch)) continue;
        std::string_view message = message_of(envelope, Escapes::automatic, unescaped);
        for (const Pattern& pattern : filter.patterns)
            if (capture(pattern, message, scratch, captured) == CaptureResult::captured) {
                matching.emplace_back(message, &pattern);
                break;
            }
    }
    for (auto _ : state)
        for (const auto& [message, pattern] : matching)
            benchmark::DoNotOptimize(capture(*pattern, message, scratch, captured));
    state.SetItemsProcessed(static_cast<std::int64_t>(state.iterations() * matching.size()));
}
BENCHMARK(take_captures)->ArgName("hmailserver_postfix_dovecot_sshd")->DenseRange(0, 3);

// One jail, hits of `addresses` in turn (`ipv6`: of as many /64, which are
// neighbours); with maxretry 5 every fifth leads to a ban of a second.
void decide(benchmark::State& state) {
    bool v6 = state.range(1) != 0;
    Engine engine;
    JailRules rules;
    rules.name = "bench";
    rules.bantime.base = std::chrono::seconds(1);
    Outcome outcome;
    engine.set_rules({rules}, arrival, outcome);
    Pattern pattern;
    pattern.id = "p";
    Rule rule{std::make_shared<Filter>(), {0}};
    std::mt19937 random(1);
    std::int64_t us = arrival.us;
    for (auto _ : state) {
        Address address;
        address.bytes = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
        auto number = static_cast<std::uint32_t>(random() % static_cast<unsigned>(state.range(0)));
        std::memcpy(address.bytes.data() + 12, &number, 4);
        if (v6) {
            address.bytes = {0x20, 0x01};
            for (std::size_t i = 0; i < 4; ++i)
                address.bytes[7 - i] = static_cast<std::uint8_t>(number >> 8 * i);
        }
        Instant at{us += 100};
        Hit hit{&rule, &pattern, at, "a line", address};
        outcome.events.clear();
        engine.on_time(at, outcome);
        engine.on_hit(hit, at, outcome);
    }
    state.SetItemsProcessed(static_cast<std::int64_t>(state.iterations()));
}
BENCHMARK(decide)
    ->ArgNames({"addresses", "ipv6"})
    ->Args({1000, 0})
    ->Args({1'000'000, 0})
    ->Args({1000, 1})
    ->Args({1'000'000, 1});

void add_to_window(benchmark::State& state) {
    WindowTable table(5, std::chrono::minutes(10), 2'000'000);
    std::mt19937 random(1);
    std::int64_t us = arrival.us;
    for (auto _ : state) {
        Address address;
        address.bytes = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
        auto number = static_cast<std::uint32_t>(random() % static_cast<unsigned>(state.range(0)));
        std::memcpy(address.bytes.data() + 12, &number, 4);
        benchmark::DoNotOptimize(table.add(make_prefix(address, 32), Instant{us += 100}, 1));
    }
    state.SetItemsProcessed(static_cast<std::int64_t>(state.iterations()));
}
BENCHMARK(add_to_window)->ArgName("addresses")->Arg(1000)->Arg(1'000'000);

}  // namespace

BENCHMARK_MAIN();

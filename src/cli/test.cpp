// SPDX-License-Identifier: GPL-2.0-or-later
// Which lines of a log does a filter match, and why not the others? A line takes this way: `see`
// takes its head off, `match` tries the filter, `judge` says what came of it in words.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <map>
#include <sstream>

#include "cli/command.h"
#include "cli/filters.h"
#include "cli/output.h"
#include "config/compile.h"
#include "config/forgeable.h"
#include "config/load.h"
#include "config/nearest.h"
#include "core/base/printable.h"
#include "core/base/suggest.h"
#include "core/text/docker.h"
#include "os/clock.h"
#include "os/zoneinfo.h"
#include "source/tail.h"

namespace bandd {
namespace {

namespace fs = std::filesystem;

struct Options {
    std::string filter, file;
    std::string regex;               // instead of a filter
    bool fail2ban = false;           // the regex is in its dialect
    std::vector<std::string> lines;  // instead of a file
    std::vector<std::string> modes;
    std::string timezone;
    bool all = false;
};

// `name` is a path, or the name of a filter beside the configuration or among the shipped ones.
Result<std::string> find_filter(const CommonOptions& common, const std::string& name) {
    if (name.find('/') != std::string::npos || name.ends_with(".yaml")) {
        std::error_code ignored;
        if (fs::exists(name, ignored)) return name;
        return fail("filter \"" + name + "\"", "there is no such file");
    }
    auto files = filter_files(common);
    if (auto found = files.find(name); found != files.end()) return found->second;
    std::vector<std::string_view> names;
    for (const auto& [known, file] : files) names.push_back(known);
    return fail("filter \"" + name + "\"", "there is no such filter", did_you_mean(name, names));
}

// The address, the host name, or where the address is.
std::string host_of(const Captured& captured) {
    if (captured.address) return to_string(*captured.address);
    if (!captured.name.empty()) return captured.name;
    return "(address in another line of this connection)";
}

int test_samples(const CommonOptions& common, const FilterConfig& filter) {
    auto errors = check_samples(filter, Zone{});
    if (common.json) {
        Json json{{"samples", filter.samples.size()}, {"errors", Json::array()}};
        for (const Error& error : errors) json["errors"].push_back(error_to_json(error));
        print_json(json);
    } else {
        for (const Error& error : errors) print_wrapped("{}\n", printable(to_line(error)));
        print_wrapped("{} samples, {} not as they should be\n", filter.samples.size(),
                      errors.size());
        print_uses(pattern_uses(common), filter.where.file);
    }
    return errors.empty() ? exit_done : exit_said_no;
}

// The filter to test: one of a file, or one made of --regex. What is wrong was said if there is
// none.
struct Tested {
    FilterConfig config;
    std::shared_ptr<const Filter> filter;
    Zone zone;
};
std::optional<Tested> compile_tested(const CommonOptions& common, const Options& options) {
    LoadedFilter loaded;
    if (!options.regex.empty()) {
        loaded.filter.name = "--regex";
        loaded.filter.dialect = options.fail2ban ? Dialect::fail2ban : Dialect::bandd;
        loaded.filter.failregex.push_back({"regex", options.regex, {}, {}});
    } else if (options.filter.empty()) {
        print_error({"test",
                     "names neither a filter nor a regex",
                     "write bandctl test FILTER [LOG], or bandctl test --regex REGEX [LOG]",
                     {}});
        return {};
    } else {
        auto path = find_filter(common, options.filter);
        if (!path) {
            print_error(path.error());
            return {};
        }
        loaded = load_filter(*path);
    }
    std::vector<Error> warnings;
    std::shared_ptr<const Filter> filter;
    if (loaded.errors.empty())
        filter = compile_filter(loaded.filter, {options.modes}, loaded.errors, warnings);
    if (options.fail2ban && loaded.errors.empty())
        std::ranges::move(forgeable_patterns(loaded.filter), std::back_inserter(warnings));
    auto zone = read_zone(options.timezone);
    if (!zone) loaded.errors.push_back(zone.error());
    for (const Error& error : loaded.errors) print_error(error);
    if (!loaded.errors.empty()) return {};
    if (!options.regex.empty() && !common.json)
        for (const Error& warning : warnings)
            print_wrapped("warning: {}\n", printable(to_line(warning)));
    return Tested{std::move(loaded.filter), std::move(filter), std::move(*zone)};
}

struct Verdict {
    const char* word;
    std::string why;
    bool is_hit = false;
};

// Of the pattern of a JSON log that came nearest: the field that was not as it should be.
std::string why_no_field(const Filter& filter, MatchScratch& scratch) {
    const Pattern* nearest = nullptr;
    const FieldTest* failing = nullptr;
    std::ptrdiff_t most = -1;
    for (const Pattern& pattern : filter.patterns) {
        Fields unused;
        const FieldTest* test = failing_test(pattern, scratch, unused);
        if (test == nullptr || test - pattern.tests.data() <= most) continue;
        most = test - pattern.tests.data();
        nearest = &pattern;
        failing = test;
    }
    if (failing == nullptr) return {};
    std::vector<std::string> wants = failing->texts;
    for (const Pattern& regex : failing->regexes) wants.push_back(regex.source);
    auto value = scratch.json.value(failing->number);
    return fmt::format("; {} wants {}: {}, {}", nearest->id, failing->name,
                       fmt::join(wants, " or "),
                       value ? "which is \"" + std::string(*value) + "\"" : "which is not there");
}

Verdict judge(const Tested& tested, const Seen& seen, const FilterMatch& found, bool explain,
              MatchScratch& scratch) {
    switch (found.fate) {
        case LineFate::hit: {
            if (seen.cut && !holds_in_cut_line(*found.pattern))
                return {"cut", found.pattern->id +
                                   " matches, but the line has no end or is over line_limit, and "
                                   "what stands before the address may be a client's text"};
            std::string why = found.pattern->id + "  " + host_of(found.captured);
            for (const auto& [name, value] : found.captured.fields)
                why += fmt::format("  {}={}", name, value);
            return {"hit", why, true};
        }
        case LineFate::ignored:
            return {"ignored", found.pattern->id + " matches, but ignoreregex " + found.ignore->id +
                                   " matches, too"};
        case LineFate::no_address:
            return {"no address",
                    found.pattern->id + " matches, but there is no IP address at <HOST>"};
        case LineFate::gave_up:
            return {"gave up", found.pattern->id + " took more steps than PCRE2 may take"};
        case LineFate::wrong_tag:
            return {"no match", (seen.tag.empty() ? std::string("the line has no syslog tag")
                                                  : "the tag is " + std::string(seen.tag)) +
                                    ", the filter wants " + tested.config.tag};
        case LineFate::no_json:
            return {"no match", seen.json == JsonReader::Outcome::broken
                                    ? "the line is cut, or no JSON object"
                                    : "the filter is for JSON, and the message begins with no {"};
        case LineFate::no_match:
            break;
    }
    std::string why = "no pattern matches";
    if (!tested.filter->json || !seen.text.empty()) {
        why += tested.filter->dialect == Dialect::bandd ? " the message: " : " the line: ";
        why += seen.text;
    }
    if (explain)
        if (auto nearest = nearest_pattern(tested.config, seen.text))
            why += "; " + in_words(*nearest);
    if (tested.filter->json) why += why_no_field(*tested.filter, scratch);
    if (!seen.time) why += "; no date was found";
    return {"no match", why};
}

// Tries line by line and prints what comes of each; of lines that do not match, at first only the
// first ones are kept, and printed at the end.
class Trial {
  public:
    Trial(const CommonOptions& common, const Options& options, const Tested& tested,
          std::size_t line_limit)
        : common_(common),
          json_(common.json),
          all_(options.all),
          tested_(tested),
          limit_(line_limit_of(*tested.filter, line_limit)) {}

    void line(std::string_view text) {
        ++lines_;
        LimitedLine limited = within_limit(text, limit_);
        Seen seen =
            see(*tested_.filter, limited.line, tested_.zone, now(), Escapes::automatic, scratch_);
        seen.cut = seen.cut || limited.cut;
        if (!seen.time) ++undated_;
        FilterMatch found = match(*tested_.filter, seen.tag, seen.text, scratch_);
        Verdict verdict = judge(tested_, seen, found, misses_.size() < most_explained, scratch_);
        if (verdict.is_hit) {
            ++hits_;
            ++by_pattern_[found.pattern->id];
        }
        if (json_) return print_as_json(text, seen, found, verdict);
        bool missed = found.fate == LineFate::no_match || found.fate == LineFate::wrong_tag;
        if (!missed || all_)
            print(lines_, verdict);
        else if (misses_.size() < most_misses)
            misses_.emplace_back(lines_, verdict);
    }

    int summarize() const {
        if (json_) {
            print_json({{"summary",
                         {{"lines", lines_},
                          {"hits", hits_},
                          {"undated", undated_},
                          {"patterns", by_pattern_}}}});
        } else {
            for (const auto& [number, verdict] : misses_) print(number, verdict);
            if (misses_.size() == most_misses)
                print_wrapped("… of lines that do not match, the first {}; see all with --all\n",
                              most_misses);
            print_wrapped(
                "\n{}, {}{}\n", count_of(lines_, "line"), count_of(hits_, "hit"),
                undated_ > 0 ? ", " + count_of(undated_, "line") + " without a date" : "");
            for (const auto& [pattern, count] : by_pattern_)
                print_wrapped("  {:>7}  {}\n", count, pattern);
            print_uses(pattern_uses(common_), tested_.config.where.file);
        }
        return hits_ > 0 ? exit_done : exit_said_no;
    }

  private:
    static constexpr std::size_t most_misses = 20;
    static constexpr std::size_t most_explained = 5;  // each takes some milliseconds

    static void print(std::size_t number, const Verdict& verdict) {
        print_wrapped("line {}: {}: {}\n", number,
                      verdict.is_hit ? green(verdict.word) : yellow(verdict.word),
                      printable(verdict.why));
    }

    void print_as_json(std::string_view text, const Seen& seen, const FilterMatch& found,
                       const Verdict& verdict) const {
        Json json{{"line", lines_}, {"verdict", verdict.word}, {"text", text}};
        if (found.pattern != nullptr) json["pattern"] = found.pattern->id;
        if (verdict.is_hit) {
            json["ip"] = host_of(found.captured);
            for (const auto& [name, value] : found.captured.fields) json["fields"][name] = value;
        } else {
            json["why"] = verdict.why;
        }
        if (seen.time) json["time"] = format_rfc3339(*seen.time);
        print_json(json);
    }

    const CommonOptions& common_;
    bool json_, all_;
    const Tested& tested_;
    std::size_t limit_;
    std::vector<std::pair<std::size_t, Verdict>> misses_;  // by line number
    std::map<std::string, std::size_t> by_pattern_;
    std::size_t lines_ = 0, hits_ = 0, undated_ = 0;
    MatchScratch scratch_;
};

// The lines of a log as the daemon gets them: decoded, unpacked, pieces joined.
Result<> read_log(const std::string& path, std::size_t longest_line, Trial& trial) {
    auto tail = is_archive(path) ? Tail::open_archive(path, Encoding::automatic, longest_line)
                                 : Tail::open(path, Encoding::automatic, longest_line);
    if (!tail) return std::unexpected(tail.error());
    tail->seek(0);
    auto take = [&](std::string_view lines) {
        while (!lines.empty()) {
            std::size_t end = std::min(lines.find('\n'), lines.size());
            trial.line(lines.substr(0, end));
            lines.remove_prefix(std::min(end + 1, lines.size()));
        }
    };
    for (bool more = true; more;) {
        auto read = tail->read();
        if (!read) return std::unexpected(read.error());
        take(read->bytes);
        more = read->more;
    }
    take(tail->flush_partial());
    return {};
}

int test(const CommonOptions& common, const Options& options) {
    auto tested = compile_tested(common, options);
    if (!tested) return exit_usage;
    if (options.file.empty() && options.lines.empty()) {
        if (options.regex.empty()) return test_samples(common, tested->config);
        print_error({"test", "has nothing to try the regex on", "add --line LINE, or a log", {}});
        return exit_usage;
    }
    std::ifstream file;
    if (options.file != "-" && !options.file.empty()) {
        file.open(options.file);
        if (!file || fs::is_directory(options.file)) {
            print_error({"cannot read \"" + options.file + "\"",
                         file ? "it is a directory" : std::strerror(errno),
                         {},
                         {}});
            return exit_usage;
        }
    }
    Config config = load_config(common.config, data_directories(), read_zone).config;
    Trial trial(common, options, *tested, config.line_limit);
    if (options.lines.empty() && fs::is_regular_file(options.file)) {
        if (auto read = read_log(options.file, config.longest_line(), trial); !read) {
            print_error(read.error());
            return exit_usage;
        }
        return trial.summarize();
    }
    std::stringstream given;
    for (const std::string& line : options.lines) given << line << "\n";
    std::istream& in = !options.lines.empty() ? static_cast<std::istream&>(given)
                       : file.is_open()       ? file
                                              : std::cin;
    for (std::string line; std::getline(in, line);) trial.line(line);
    return trial.summarize();
}

}  // namespace

Run test_command(CommandLine& line) {
    auto options = std::make_shared<Options>();
    line.text("filter", options->filter, "a filter's name or file");
    line.text("--regex", options->regex, "a single failregex instead of a filter");
    line.flag("--fail2ban", options->fail2ban, "it is in fail2ban's dialect");
    line.texts("--line", options->lines, "a line instead of a log; may be repeated");
    line.text("file", options->file,
              "log to read, - for standard input (default: the filter's own samples)");
    line.texts("-m,--mode", options->modes, "use the filter's optional parts");
    line.text("--timezone", options->timezone, "of dates that name none");
    line.flag("-a,--all", options->all, "show lines that do not match, too, and why");
    return [options](const CommonOptions& common) {
        // With --regex there is no filter: the first word is the log.
        if (!options->regex.empty() && options->file.empty())
            options->file = std::exchange(options->filter, {});
        return test(common, *options);
    };
}

}  // namespace bandd

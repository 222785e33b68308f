// SPDX-License-Identifier: GPL-2.0-or-later
// fail2ban's own sample lines against bandd's import of its filters: match or no match, host, time.
//
//   fail2ban --config DIR --samples DIR [--filter NAME] [--verbose]
//
// DIR of --config is fail2ban's (with filter.d below it), DIR of --samples its tests/files/logs
// (see samples.h); filters named zzz-… are looked for in its tests/config beside that.
#include <unistd.h>

#include <array>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <map>
#include <regex>
#include <set>

#include "config/compile.h"
#include "config/load.h"
#include "core/decide/conversation.h"
#include "import/to_yaml.h"
#include "samples.h"

using namespace bandd;
using namespace bandd::conformance;
namespace fs = std::filesystem;

namespace {

struct Options {
    std::string config, samples, only;
    bool verbose = false;
};

// A filter under one set of options, and what its earlier lines left.
struct Variant {
    std::shared_ptr<const Filter> filter;
    Conversations conversations;
    std::array<std::shared_ptr<Ruleset>, 2> rulesets;  // without and with the prefilter
    std::string trouble;                               // why it could not be made
    Json options;
};

class Runner {
  public:
    explicit Runner(Options options) : options_(std::move(options)), zone_(tests_zone()) {
        // The test-only filters include "../../../../config/filter.d/common.conf" (in Debian's
        // package with more "../"), which is right in fail2ban's source tree only: copies of them
        // name the directory that was given.
        std::string tree = (fs::temp_directory_path() / "bandd-conformance-XXXXXX").string();
        if (mkdtemp(tree.data()) == nullptr) return;
        tree_ = tree;
        std::error_code fault;
        fs::create_directories(tree_ / "filter.d", fault);
        fs::path from = fs::path(options_.samples).parent_path().parent_path() / "config/filter.d";
        for (const auto& entry : fs::directory_iterator(from, fault)) {
            std::ifstream in(entry.path(), std::ios::binary);
            std::string text{std::istreambuf_iterator<char>(in), {}};
            text = std::regex_replace(text, std::regex("(\\.\\./)+config/"),
                                      fs::absolute(options_.config).string() + "/");
            std::ofstream(tree_ / "filter.d" / entry.path().filename()) << text;
        }
    }
    ~Runner() {
        std::error_code fault;
        if (!tree_.empty()) fs::remove_all(tree_, fault);
    }

    int run() {
        std::set<std::string> names;
        for (const std::string& base : {options_.config, test_config()}) {
            std::error_code fault;
            for (const auto& entry : fs::directory_iterator(base + "/filter.d", fault)) {
                std::string name = entry.path().filename().string();
                if (!name.ends_with(".conf") || name.starts_with('.')) continue;
                name.resize(name.size() - 5);
                bool zzz = name.starts_with("zzz-");
                if (base == options_.config ? name.ends_with("common") || zzz : !zzz) continue;
                if (options_.only.empty() || options_.only == name) names.insert(name);
            }
        }
        if (names.empty()) {
            std::cerr << "conformance: no filters in " << options_.config << "/filter.d\n";
            return 2;
        }
        for (const std::string& name : names) run_filter(name);
        std::cout << checked_ << " sample lines in " << names.size() << " filters\n"
                  << passed_ << " passed, " << failed_ << " failed\n";
        return failed_ == 0 && passed_ > 0 ? 0 : 1;
    }

  private:
    std::string test_config() const { return tree_.string(); }

    void fail(const std::string& what) {
        ++failed_;
        std::cout << "FAILED " << what << "\n";
    }

    std::shared_ptr<Variant> make(const std::string& name, const Json& options) {
        auto variant = std::make_shared<Variant>();
        variant->options = options;
        fail2ban::Reference reference{name, {}};
        for (const auto& [key, value] : options.items())
            if (!key.starts_with("test.")) reference.options[key] = text_of(value);
        bool zzz = name.starts_with("zzz-");
        std::vector<Error> faults;
        auto read = fail2ban::read_filter(zzz ? test_config() : options_.config, reference, "auto",
                                          {}, faults);
        if (!read) {
            variant->trouble = to_line(read.error());
            return variant;
        }
        std::string yaml = fail2ban::filter_to_yaml(*read, name);
        LoadedFilter loaded = load_filter(name, parse_document(yaml, name));
        std::vector<Error> warnings;
        if (loaded.errors.empty())
            variant->filter = compile_filter(loaded.filter, {}, loaded.errors, warnings, &dates_);
        for (const Error& error : loaded.errors) variant->trouble += to_line(error) + " ";
        return variant;
    }

    void run_filter(const std::string& name) {
        AnnotatedLines samples = read_samples(options_.samples, name);
        for (const std::string& fault : samples.faults) fail(fault);
        std::map<std::string, std::shared_ptr<Variant>> made;
        for (const Annotated& sample : samples.all) {
            ++checked_;
            for (const Json& options : sample.options) {
                Json key = options;
                for (auto it = key.begin(); it != key.end();)
                    it = it.key().starts_with("test.") ? key.erase(it) : std::next(it);
                auto& variant = made[key.dump()];
                if (!variant) variant = make(name, key);
                variant->options = options;
                check(name, *variant, sample);
            }
        }
    }

    // How many hits the daemon's scan has in a line.
    std::size_t scanned(Variant& variant, const std::string& line, bool prefilter) {
        auto& ruleset = variant.rulesets[prefilter ? 1 : 0];
        if (!ruleset) {
            ruleset = std::make_shared<Ruleset>();
            ruleset->rules.push_back({variant.filter, {0}});
            ruleset->escapes = Escapes::keep;
            prepare(*ruleset, {.prefilter = prefilter});
        }
        Hits hits;
        scan(*ruleset, Chunk{0, line, {}}, tests_now, scratch_, hits);
        return hits.size();
    }

    void check(const std::string& name, Variant& variant, const Annotated& sample) {
        const Json& expected = sample.expected;
        auto meant = is_meant(sample, name, variant.options);
        if (!meant)
            return fail(sample.file + ":" + std::to_string(sample.number) +
                        ": constraint is not understood: " + text_of(expected["constraint"]));
        if (!*meant) return;
        auto wrong = [&](const std::string& why) {
            fail(name + " " + variant.options.dump() + " " + sample.file + ":" +
                 std::to_string(sample.number) + ": " + why + "\n       " + sample.line);
        };
        if (!variant.filter) return wrong(variant.trouble);
        const Rule rule{variant.filter, {}};
        const Filter& filter = *rule.filter;
        std::string line = sample.line;
        Seen seen;
        if (variant.options.value("logtype", "") == "journal") {
            // The journal knows the time; its lines carry none.
            line = variant.options.value("test.prefix-line", "") + line;
            seen = {line, {}, tests_now};
        } else {
            seen = see(filter, line, zone_, tests_now, Escapes::keep, scratch_.match);
        }
        std::vector<Hit> hits;
        Instant time = seen.time.value_or(tests_now);
        if (filter.lines > 1) {
            variant.conversations.join(
                {&rule, time, seen.time.has_value(), line, std::string(seen.text)}, hits);
        } else {
            FilterMatch found = match(filter, seen.tag, seen.text, scratch_.match);
            if (found.fate == LineFate::hit ||
                (found.fate == LineFate::no_address && found.captured.fields.has("fid"))) {
                Hit hit{&rule, found.pattern, time, line, found.captured.address};
                hit.dated = seen.time.has_value();
                hit.name = found.captured.name;
                hit.fields = found.captured.fields;
                hits.push_back(std::move(hit));
            }
        }
        if (filter.lines == 1 && scanned(variant, line, true) != scanned(variant, line, false))
            return wrong("hidden by the prefilter");
        if (filter.converses)
            std::erase_if(hits, [&](Hit& one) { return !variant.conversations.merge(one); });
        bool should = expected.value("match", false);
        if (hits.empty()) {
            if (should) return wrong("should match");
            ++passed_;
            return;
        }
        if (!should) return wrong("should not match; pattern " + hits[0].pattern->id);
        const Hit& found = hits[0];
        if (expected.contains("host")) {
            std::string host = text_of(expected["host"]);
            auto id = found.fields.find("fid");
            auto address = parse_address(host);
            bool same = (address && found.address == address) || found.name == host || id == host;
            if (found.address && !same) {
                auto cidr = found.fields.find("cidr");
                same = cidr && to_string(*found.address) + "/" + std::string(*cidr) == host;
            }
            if (!same)
                return wrong("host is " + (found.address ? to_string(*found.address) : found.name) +
                             ", should be " + host);
        }
        if (expected.contains("time") && !expected["time"].is_null()) {
            auto time = seconds_of(text_of(expected["time"]), zone_);
            if (!found.dated) return wrong("no date found, should be " + text_of(expected["time"]));
            if (!time || found.time.seconds() != *time)
                return wrong("time is " + format_local(found.time, zone_) + ", should be " +
                             text_of(expected["time"]));
        }
        for (const char* field : {"user", "dns", "ip4", "ip6", "port"}) {
            if (!expected.contains(field)) continue;
            std::string wanted = expected[field].is_null() ? "" : text_of(expected[field]);
            auto got = found.fields.find(field);
            std::string text(got.value_or(""));
            if (std::strcmp(field, "dns") == 0) text = found.name;
            if (std::strncmp(field, "ip", 2) == 0 && found.address)
                text = to_string(*found.address);
            if (text != wanted)
                return wrong(std::string(field) + " is \"" + text + "\", should be \"" + wanted +
                             "\"");
        }
        ++passed_;
    }

    Options options_;
    Zone zone_;
    fs::path tree_;
    SharedDates dates_;
    Scratch scratch_;
    std::size_t passed_ = 0, failed_ = 0, checked_ = 0;
};

}  // namespace

int main(int argc, char** argv) {
    Options options;
    for (int i = 1; i < argc; ++i) {
        std::string key = argv[i];
        std::string* target = key == "--config"    ? &options.config
                              : key == "--samples" ? &options.samples
                              : key == "--filter"  ? &options.only
                                                   : nullptr;
        if (target == nullptr || i + 1 == argc) {
            std::cerr << "usage: " << argv[0] << " --config DIR --samples DIR [--filter NAME]\n";
            return 2;
        }
        *target = argv[++i];
        while (target->size() > 1 && target->ends_with('/')) target->pop_back();
    }
    if (options.config.empty() || options.samples.empty()) {
        std::cerr << "usage: " << argv[0] << " --config DIR --samples DIR [--filter NAME]\n";
        return 2;
    }
    return Runner(options).run();
}

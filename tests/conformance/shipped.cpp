// SPDX-License-Identifier: GPL-2.0-or-later
// fail2ban's own sample lines against the filters that bandd ships: what they see, service by
// service, and whether they name the right address.
//
//   conformance_shipped --filters DIR --list FILE --samples DIR [--service NAME] [--verbose]
//
// FILE (shipped.yaml beside this) says which filters look at a service's log, and which lines they
// are right not to match. It fails if a line is missed, matched or blamed on another address and
// does not stand there; or if one stands there and nothing is like that.
#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <iostream>
#include <map>

#include "config/compile.h"
#include "config/load.h"
#include "core/base/address.h"
#include "samples.h"

using namespace bandd;
using namespace bandd::conformance;
namespace fs = std::filesystem;

namespace {

struct Options {
    std::string filters, list, samples, only;
    bool verbose = false;
};

// A line that is rightly not seen as its sample says.
struct Exception {
    std::string text;  // part of the line
    std::string why;
    bool used = false;
};

struct Service {
    std::string name;  // of the samples
    std::vector<std::string> filters;
    std::vector<Exception> exceptions;
    // Figures.
    int attacks = 0, seen = 0, excepted = 0, names = 0, missed = 0, wrong = 0;
    int other_mode = 0;  // of the excepted: seen, in a mode that fail2ban does not mark it for
    int ordinary = 0, false_matches = 0;
};

class Checker {
  public:
    explicit Checker(Options options) : options_(std::move(options)), zone_(tests_zone()) {}

    int run() {
        std::vector<Service> services = read_list();
        for (const auto& entry : fs::directory_iterator(options_.samples)) {
            std::string name = entry.path().filename().string();
            if (!name.starts_with("zzz") && !known_.contains(name) && options_.only.empty())
                complain(name + ": these samples stand neither at services: nor at not_shipped:");
        }
        for (Service& service : services)
            if (options_.only.empty() || options_.only == service.name) check(service);
        print(services);
        return faults_ == 0 ? 0 : 1;
    }

  private:
    void complain(const std::string& what) {
        ++faults_;
        std::cout << "FAILED " << what << "\n";
    }

    std::vector<Service> read_list() {
        YAML::Node list = YAML::LoadFile(options_.list);
        std::vector<Service> services;
        for (const auto& entry : list["services"]) {
            Service service;
            service.name = entry.first.as<std::string>();
            for (const auto& filter : entry.second["filters"])
                service.filters.push_back(filter.as<std::string>());
            for (const auto& one : entry.second["except"])
                service.exceptions.push_back(
                    {one["line"].as<std::string>(), one["why"].as<std::string>()});
            known_.insert(service.name);
            services.push_back(std::move(service));
        }
        for (const auto& entry : list["not_shipped"]) known_.insert(entry.first.as<std::string>());
        return services;
    }

    // A filter with some modes; null, and said, if it is faulty.
    const Filter* filter(const std::string& name, const std::vector<std::string>& modes) {
        std::string key = name;
        for (const std::string& mode : modes) key += " " + mode;
        auto [it, is_new] = filters_.try_emplace(key);
        if (!is_new) return it->second.get();
        LoadedFilter loaded = load_filter(options_.filters + "/" + name + ".yaml");
        std::vector<Error> warnings;
        if (loaded.errors.empty())
            it->second = compile_filter(loaded.filter, {modes}, loaded.errors, warnings);
        for (const Error& error : loaded.errors) complain(to_line(error));
        return it->second.get();
    }

    // Ours for fail2ban's mode: the same word, else all patterns.
    std::vector<std::string> modes_for(const std::string& name, const Json& options) {
        std::string mode = options.value("mode", "");
        if (mode.empty() || mode == "normal") return {};
        LoadedFilter loaded = load_filter(options_.filters + "/" + name + ".yaml");
        for (const auto& pattern : loaded.filter.failregex)
            if (pattern.mode == mode) return {mode};
        return {"aggressive"};
    }

    // The addresses that the service's filters blame for a line.
    std::vector<std::string> blamed(const Service& service, const Annotated& sample,
                                    const Json& options) {
        std::string line = sample.line;
        if (options.value("logtype", "") == "journal")
            line = "Aug 14 11:59:59 " + options.value("test.prefix-line", "") + line;
        std::vector<std::string> addresses;
        for (const std::string& name : service.filters) {
            const Filter* one = filter(name, modes_for(name, options));
            if (one == nullptr) continue;
            Seen seen = see(*one, line, zone_, tests_now, Escapes::keep, scratch_);
            FilterMatch found = match(*one, seen.tag, seen.text, scratch_);
            if (found.fate == LineFate::hit)
                addresses.push_back(to_string(*found.captured.address));
        }
        return addresses;
    }

    Exception* exception_for(Service& service, const Annotated& sample) {
        for (Exception& one : service.exceptions)
            if (sample.line.find(one.text) != std::string::npos) return one.used = true, &one;
        return nullptr;
    }

    void check(Service& service) {
        AnnotatedLines samples = read_samples(options_.samples, service.name);
        for (const std::string& fault : samples.faults) complain(fault);
        for (const Annotated& sample : samples.all) {
            // The mildest options under which the line is an attack.
            std::optional<Json> attack;
            bool matched_wrongly = false, meant = false;
            for (const Json& options : sample.options) {
                if (!is_meant(sample, service.name, options).value_or(true)) continue;
                meant = true;
                std::string mode = options.value("mode", "normal");
                if (sample.expected.value("match", false)) {
                    if (!attack || (mode == "normal" && attack->value("mode", mode) != mode))
                        attack = options;
                } else {
                    matched_wrongly = matched_wrongly || !blamed(service, sample, options).empty();
                }
            }
            if (!meant) continue;
            if (attack)
                check_attack(service, sample, *attack);
            else
                check_ordinary(service, sample, matched_wrongly);
        }
        for (const Exception& one : service.exceptions)
            if (!one.used)
                complain(service.name + ": no line is like the exception \"" + one.text + "\"");
    }

    static bool is_right(const std::vector<std::string>& blamed,
                         const std::optional<Address>& address) {
        return !blamed.empty() && address && std::ranges::all_of(blamed, [&](const auto& one) {
            return one == to_string(*address);
        });
    }

    void check_attack(Service& service, const Annotated& sample, const Json& options) {
        ++service.attacks;
        std::string host = text_of(sample.expected.value("host", Json("")));
        auto address = parse_address(host);
        std::vector<std::string> addresses = blamed(service, sample, options);
        if (is_right(addresses, address)) {
            ++service.seen;
            return;
        }
        bool is_wrong = !addresses.empty() && address;
        if (Exception* one = exception_for(service, sample)) {
            ++service.excepted;
            if (is_right(blamed(service, sample, Json{{"mode", "aggressive"}}), address))
                ++service.other_mode;
            if (options_.verbose) say("not", service, sample, one->why);
        } else if (!address && addresses.empty()) {
            ++service.names;
            if (options_.verbose) say("not", service, sample, "a host's name, no address");
        } else if (is_wrong) {
            ++service.wrong;
            complain(where(service, sample) + "blamed on " + addresses[0] + ", not on " + host +
                     ":\n       " + sample.line);
        } else {
            ++service.missed;
            complain(where(service, sample) + "missed " + options.dump() + ":\n       " +
                     sample.line);
        }
    }

    void check_ordinary(Service& service, const Annotated& sample, bool matched) {
        ++service.ordinary;
        if (!matched) return;
        if (Exception* one = exception_for(service, sample)) {
            if (options_.verbose) say("matched", service, sample, one->why);
            return;
        }
        ++service.false_matches;
        complain(where(service, sample) + "matched, is ordinary:\n       " + sample.line);
    }

    static std::string where(const Service& service, const Annotated& sample) {
        return service.name + " " + fs::path(sample.file).filename().string() + ":" +
               std::to_string(sample.number) + ": ";
    }
    static void say(const char* what, const Service& service, const Annotated& sample,
                    const std::string& why) {
        std::cout << where(service, sample) << what << ", " << why << ":\n       " << sample.line
                  << "\n";
    }

    static void print(const std::vector<Service>& services) {
        std::printf("%-22s %7s %6s %6s %6s %7s %6s %9s %6s\n", "service", "attacks", "seen",
                    "names", "except", "missed", "wrong", "ordinary", "false");
        Service sum;
        auto row = [](const Service& of) {
            std::printf("%-22s %7d %6d %6d %6d %7d %6d %9d %6d\n", of.name.c_str(), of.attacks,
                        of.seen, of.names, of.excepted, of.missed, of.wrong, of.ordinary,
                        of.false_matches);
        };
        for (const Service& one : services) {
            if (one.attacks + one.ordinary == 0) continue;
            row(one);
            sum.attacks += one.attacks, sum.seen += one.seen, sum.names += one.names;
            sum.other_mode += one.other_mode;
            sum.excepted += one.excepted, sum.missed += one.missed, sum.wrong += one.wrong;
            sum.ordinary += one.ordinary, sum.false_matches += one.false_matches;
        }
        sum.name = "all";
        row(sum);
        if (sum.attacks > 0)
            std::printf(
                "seen: %.1f %% of all, %.1f %% of those that name an address; %.1f %% of these in "
                "some mode\n",
                100.0 * sum.seen / sum.attacks,
                100.0 * sum.seen / std::max(1, sum.attacks - sum.names),
                100.0 * (sum.seen + sum.other_mode) / std::max(1, sum.attacks - sum.names));
    }

    Options options_;
    Zone zone_;
    std::set<std::string> known_;
    std::map<std::string, std::shared_ptr<const Filter>> filters_;
    MatchScratch scratch_;
    int faults_ = 0;
};

}  // namespace

int main(int argc, char** argv) {
    Options options;
    for (int i = 1; i < argc; ++i) {
        std::string key = argv[i];
        std::string* target = key == "--filters"   ? &options.filters
                              : key == "--list"    ? &options.list
                              : key == "--samples" ? &options.samples
                              : key == "--service" ? &options.only
                                                   : nullptr;
        if (key == "--verbose") {
            options.verbose = true;
        } else if (target != nullptr && i + 1 < argc) {
            *target = argv[++i];
        } else {
            options.samples.clear();
            break;
        }
    }
    if (options.filters.empty() || options.list.empty() || options.samples.empty()) {
        std::cerr << "usage: " << argv[0]
                  << " --filters DIR --list FILE --samples DIR [--service NAME] [--verbose]\n";
        return 2;
    }
    return Checker(options).run();
}

// SPDX-License-Identifier: GPL-2.0-or-later
// Two daemons follow one log, each in a network namespace of its own. One is killed with SIGKILL at
// random instants, and told to reload; the other is left alone. The log begins empty, and grows in
// lines stamped with the time of writing. It is rotated by renaming and by copytruncate, mixed,
// compressed, moved away and back. If it is linked, its target is rotated, and the link is
// switched.
//
// In the end both must have decided the same: every ban with its start, end, hits and number; the
// counters of each jail; the kernel's sets. That both read the same does not show that they read
// all: so whoever writes counts the attacks, and each jail must have that many hits.
//
// With --behind the log is dated in another zone; both have learned that before the first kill.
//
//   chaos [--kills N] [--seed S] [--faults none|full-disk|writes] [--log plain|linked] [--behind S]
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstring>
#include <iostream>
#include <mutex>
#include <nlohmann/json.hpp>
#include <random>
#include <thread>

#include "os/clock.h"
#include "support/common.h"
#include "support/machine.h"

using namespace bandd;
using Json = nlohmann::json;
namespace fs = std::filesystem;

namespace {

struct Options {
    int kills = 20;
    unsigned seed = 1;
    std::string faults = "none";
    std::string log = "plain";
    int behind = 0;  // seconds that the log's dates are behind the clock
};

Options parse(int argc, char** argv) {
    Options options;
    options.seed = static_cast<unsigned>(now().us / 1000);
    for (int i = 1; i + 1 < argc; i += 2) {
        std::string key = argv[i];
        if (key == "--kills") options.kills = std::atoi(argv[i + 1]);
        if (key == "--seed")
            options.seed = static_cast<unsigned>(std::strtoul(argv[i + 1], nullptr, 10));
        if (key == "--faults") options.faults = argv[i + 1];
        if (key == "--log") options.log = argv[i + 1];
        if (key == "--behind") options.behind = std::atoi(argv[i + 1]);
    }
    return options;
}

constexpr const char* jails = R"(
  quick: {logpath: LOG, filter: app, maxretry: 3, findtime: 2s, bantime: 1h}
  slow: {logpath: LOG, filter: app, maxretry: 8, findtime: 60s, bantime: 2s, bantime.increment: {factor: 3, jitter: 5s}}
  extending: {logpath: LOG, filter: app, maxretry: 2, findtime: 10s, bantime: 1h, bantime.extend: true}
  block: {logpath: LOG, filter: app, count: "distinct ip by net/28", maxretry: 6, findtime: 10s, bantime: 3s}
  recidive: {source: bans, maxretry: 4, findtime: 1h, bantime: 1w}
)";

// A date that names its zone could not be read in a wrong one.
std::string stamp_of(Instant at, Duration behind) {
    std::string stamp = format_rfc3339(at);
    if (behind != Duration{0}) stamp.pop_back();
    return stamp;
}

bool has_open(pid_t process, const std::string& path) {
    std::error_code gone;  // files come and go
    for (const auto& file : fs::directory_iterator("/proc/" + std::to_string(process) + "/fd"))
        if (fs::read_symlink(file.path(), gone) == path) return true;
    return false;
}

// The log: written by one thread, at any speed, rotated in any way.
class Writer {
  public:
    // Goes on with the log that is there. If it is a link, it is switched only when something was
    // written to `state` since it was switched last: where it led between two checkpoints, nobody
    // can know who was killed meanwhile. And only when `calm` reads what it leads to: on a busy
    // machine that may come late, and where it led meanwhile nobody can know, either.
    Writer(std::string link, std::string state, pid_t calm, Duration behind, unsigned seed)
        : link_(std::move(link)),
          state_(std::move(state)),
          calm_(calm),
          behind_(behind),
          linked_(fs::is_symlink(link_)),
          log_(linked_ ? fs::canonical(link_).string() : link_),
          random_(seed) {
        thread_ = std::thread([this] { run(); });
    }
    ~Writer() { stop(); }
    void stop() {
        quit_ = true;
        if (thread_.joinable()) thread_.join();
    }
    std::uint64_t lines = 0, rotations = 0, attacks = 0;

  private:
    // A daemon that can hardly write comes back to them: on a busy machine after minutes. It knows
    // no more than 256.
    static constexpr int most_rotated = 250;

    void run() {
        std::ofstream out(log_, std::ios::app);
        auto rotate_at = std::chrono::steady_clock::now();
        while (!quit_) {
            for (unsigned burst = 1 + random_() % 20; burst > 0; --burst) {
                unsigned who = random_() % 10 == 0 ? random_() % 250 : random_() % 25;
                bool attack = random_() % 3 == 0;
                out << stamp_of(now() - behind_, behind_)
                    << " mx app: " << (attack ? "denied 203.0.113." : "welcome 203.0.113.") << who
                    << "\n";
                ++lines;
                if (attack) ++attacks;
                if (random_() % 4 == 0) out.flush();  // lines in pieces, too
            }
            out.flush();
            std::this_thread::sleep_for(std::chrono::microseconds(random_() % 8000));
            if (std::chrono::steady_clock::now() < rotate_at) continue;
            rotate_at = std::chrono::steady_clock::now() +
                        std::chrono::milliseconds(200 + random_() % 1000);
            rotate(out);
        }
    }
    void rotate(std::ofstream& out) {
        ++rotations;
        for (int old = most_rotated - 1; old > 0; --old)
            for (const char* ending : {"", ".gz"}) {
                std::string from = log_ + "." + std::to_string(old) + ending;
                if (fs::exists(from))
                    fs::rename(from, log_ + "." + std::to_string(old + 1) + ending);
            }
        for (const char* ending : {"", ".gz"})
            fs::remove(log_ + "." + std::to_string(most_rotated) + ending);
        // As logrotate with delaycompress.
        if (random_() % 2 == 0 && fs::exists(log_ + ".2")) sh("gzip " + log_ + ".2");
        if (random_() % 3 == 0) {
            fs::copy_file(log_, log_ + ".1", fs::copy_options::overwrite_existing);
            if (random_() % 2 == 0)  // as cp -p
                fs::last_write_time(log_ + ".1", fs::last_write_time(log_));
            fs::resize_file(log_, 0);
            return;
        }
        fs::rename(log_, log_ + ".1");
        if (random_() % 2 == 0) {
            out << stamp_of(now() - behind_, behind_) << " mx app: denied 203.0.113.1\n"
                << std::flush;
            ++attacks;
        }
        out.close();
        out.open(log_, std::ios::app);
        // Of a daemon that starts meanwhile, the log is gone.
        if (random_() % 4 == 0) {
            fs::rename(log_, log_ + "-elsewhere");
            std::this_thread::sleep_for(std::chrono::microseconds(random_() % 60'000));
            fs::rename(log_ + "-elsewhere", log_);
        }
        if (linked_ && random_() % 3 == 0) switch_link(out);
    }
    void switch_link(std::ofstream& out) {
        std::error_code missing;  // a state that is just being opened
        auto kept = fs::last_write_time(state_, missing);
        if (missing || kept < switched_ + std::chrono::seconds(1)) return;
        if (!has_open(calm_, log_)) return;
        std::string target = log_.ends_with("/a.log") ? "b.log" : "a.log";
        log_.replace(log_.size() - target.size(), target.size(), target);
        out.close();
        out.open(log_, std::ios::app);
        fs::create_symlink("real/" + target, link_ + "-next");
        fs::rename(link_ + "-next", link_);
        switched_ = fs::file_time_type::clock::now();
        ++rotations;
    }

    std::string link_, state_;
    pid_t calm_;
    Duration behind_;
    bool linked_;
    fs::file_time_type switched_ = fs::file_time_type::clock::now();
    std::string log_;  // where lines are written to
    std::mt19937 random_;
    std::atomic<bool> quit_ = false;
    std::thread thread_;
};

std::string configure(const TempDirectory& dir, const std::string& name, const std::string& log) {
    std::string directory = dir / name;
    std::string text = jails;
    for (std::size_t at = 0; (at = text.find("LOG", at)) != std::string::npos;)
        text.replace(at, 3, log);
    write_file(
        directory + "/bandd.yaml",
        "state: run/state.db\nsocket: run/socket\nuser: root\ngroup: root\ncheckpoint: 0.2s\n"
        "jails:" +
            text);
    write_file(directory + "/filters/app.yaml",
               "description: test\nfailregex:\n  - {id: denied, regex: '^denied <HOST>$'}\n");
    return directory;
}

// How many hits each jail that reads the log had.
std::vector<std::pair<std::string, std::uint64_t>> hits_of(const DaemonProcess& daemon) {
    std::vector<std::pair<std::string, std::uint64_t>> hits;
    Json status = Json::parse(daemon.ctl("status --json").out, nullptr, false);
    if (status.is_discarded()) return hits;
    for (const Json& jail : status["jails"])
        if (auto name = jail["jail"].get<std::string>(); name != "recidive" && name != "manual")
            hits.emplace_back(name, jail["hits"].get<std::uint64_t>());
    return hits;
}

// Everything that was decided, one line each, sorted.
std::vector<std::string> decided(const DaemonProcess& daemon) {
    std::vector<std::string> lines;
    Json bans = Json::parse(daemon.ctl("history --limit 10000 --json").out, nullptr, false);
    if (bans.is_discarded() || !bans.contains("bans")) return {"history can't be read"};
    for (const Json& ban : bans["bans"])
        lines.push_back(ban["jail"].get<std::string>() + " " + ban["ip"].get<std::string>() + " " +
                        ban["from"].get<std::string>() + " to " + ban["until"].dump() + " ended " +
                        ban.value("ended", "no") + " hits " + ban["hits"].dump() + " number " +
                        ban["offence"].dump());
    Json status = Json::parse(daemon.ctl("status --json").out, nullptr, false);
    for (const Json& jail : status["jails"])
        lines.push_back("jail " + jail["jail"].get<std::string>() + " hits " + jail["hits"].dump() +
                        " bans " + jail["total_bans"].dump() + " already banned " +
                        jail["already_banned"].dump() + " unbans " + jail["total_unbans"].dump());
    std::ranges::sort(lines);
    return lines;
}

std::string kernel_set(const std::string& where, const std::string& set) {
    return sh("ip netns exec " + where + " nft list set inet bandd " + set +
              " | tr ',' '\\n' | grep -o '203[0-9.]*' | sort")
        .out;
}

// Writes lines that say when they were written, so much too early, until both know by how much, and
// have it on disk.
bool learn_clock(const std::string& log, Duration behind,
                 const std::vector<const DaemonProcess*>& daemons) {
    for (int i = 0; i < 14; ++i) {
        append_file(log, stamp_of(now() - behind, behind) + " mx app: nothing\n");
        std::this_thread::sleep_for(std::chrono::seconds(2));
    }
    return std::ranges::all_of(daemons, [](const DaemonProcess* daemon) {
        return daemon->said("bandd corrects that from here on");
    });
}

int run(const Options& options) {
    sh("ip netns del calm 2>/dev/null; ip netns del chaos 2>/dev/null");
    must("ip netns add calm && ip netns add chaos");
    TempDirectory dir;
    fs::create_directory(dir / "logs");
    std::string log = dir / "logs/app.log";
    std::string calm_dir = configure(dir, "calm", log);
    std::string chaos_dir = configure(dir, "chaos", log);
    std::string ballast = chaos_dir + "/run/ballast";
    if (options.faults == "full-disk") {
        fs::create_directory(chaos_dir + "/run");
        must("mount -t tmpfs -o size=4m tmpfs " + chaos_dir + "/run");
    }
    std::string prefix = "ip netns exec chaos";
    if (options.faults == "writes")
        prefix += " env ASAN_OPTIONS=verify_asan_link_order=0 BANDD_FAULT_ONE_IN=20 LD_PRELOAD=" +
                  built("libfaulty_writes.so");
    std::printf("chaos: %d kills, seed %u, faults %s, log %s\n", options.kills, options.seed,
                options.faults.c_str(), options.log.c_str());
    std::mt19937 random(options.seed);
    if (options.log == "linked") {
        write_file(dir / "logs/real/a.log", "");
        fs::create_symlink("real/a.log", log);
    } else {
        write_file(log, "");
    }
    DaemonProcess calm(calm_dir, "ip netns exec calm");
    DaemonProcess chaos(chaos_dir, prefix);
    // With writes that fail, an opening may, too: tried again, as systemd would.
    auto start_chaos = [&] {
        for (int attempt = 0; attempt < 100; ++attempt)
            if (chaos.start()) return true;
        return false;
    };
    if (!calm.start() || !start_chaos()) {
        std::cout << calm.log() << chaos.log() << "chaos: a daemon did not start\n";
        return 1;
    }
    // The promise begins with the first checkpoint, which failing writes, or a busy machine, may
    // put off for long: it is made on a sound disk, and before the first kill.
    {
        chaos.stop(SIGKILL);
        DaemonProcess sound(chaos_dir, "ip netns exec chaos");
        if (!sound.start()) return 1;
        sound.stop(SIGTERM);
        if (!start_chaos()) return 1;
    }
    Duration behind = std::chrono::seconds(options.behind);
    if (behind != Duration{0} && !learn_clock(log, behind, {&calm, &chaos})) {
        std::cout << calm.log() << chaos.log() << "chaos: nobody saw that the dates are off\n";
        return 1;
    }
    std::uint64_t lines = 0;
    std::uint64_t attacks = 0;
    {
        Writer writer(log, chaos_dir + "/run/state.db-wal", calm.pid(), behind, options.seed);
        for (int kill = 0; kill < options.kills; ++kill) {
            std::this_thread::sleep_for(std::chrono::microseconds(random() % 250'000));
            if (options.faults == "full-disk") {
                if (kill % 2 == 0)
                    sh("dd if=/dev/zero of=" + ballast + " bs=64k 2>/dev/null");
                else
                    fs::remove(ballast);
            }
            chaos.stop(SIGKILL);
            if (options.faults == "full-disk") fs::remove(ballast);  // it could not start otherwise
            std::this_thread::sleep_for(std::chrono::microseconds(random() % 60'000));
            if (!start_chaos()) {
                std::cout << chaos.log() << "chaos: the daemon did not start after kill " << kill
                          << "\n";
                return 1;
            }
            if (random() % 3 == 0) chaos.ctl("reload");
        }
        writer.stop();
        lines = writer.lines;
        attacks = writer.attacks;
        std::printf("chaos: %llu lines, %llu rotations\n",
                    static_cast<unsigned long long>(writer.lines),
                    static_cast<unsigned long long>(writer.rotations));
    }
    fs::remove(ballast);
    // What is compared is read from the state, so it has to be written in the end: on a sound disk.
    DaemonProcess healed(chaos_dir, "ip netns exec chaos");
    if (options.faults == "writes") {
        chaos.stop(SIGKILL);
        if (!healed.start()) {
            std::cout << healed.log() << "chaos: the daemon did not start in the end\n";
            return 1;
        }
    }
    const DaemonProcess& last = options.faults == "writes" ? healed : chaos;
    // Short bans end by themselves; then both have said all that they will say.
    std::vector<std::string> expected;
    std::vector<std::string> got;
    bool same = wait_for(
        [&] {
            expected = decided(calm);
            got = decided(last);
            return expected == got && expected.size() > 5;
        },
        // The third ban of an address lasts 18 s and up to 5 s of jitter, a fourth three times
        // that.
        90);
    int differences = 0;
    if (!same) {
        std::vector<std::string> missing;
        std::vector<std::string> more;
        std::ranges::set_difference(expected, got, std::back_inserter(missing));
        std::ranges::set_difference(got, expected, std::back_inserter(more));
        for (const std::string& line : missing) std::cout << "  undisturbed only: " << line << "\n";
        for (const std::string& line : more) std::cout << "  killed only:      " << line << "\n";
        differences = static_cast<int>(std::max(missing.size(), more.size()));
        std::cout << chaos.log().substr(chaos.log().size() -
                                        std::min<std::size_t>(chaos.log().size(), 3000));
    }
    for (const DaemonProcess* daemon : std::initializer_list<const DaemonProcess*>{&calm, &last})
        for (const auto& [jail, hits] : hits_of(*daemon))
            if (hits != attacks) {
                std::printf("  %s: jail %s had %llu hits, %llu attacks were written\n",
                            daemon == &calm ? "undisturbed" : "killed", jail.c_str(),
                            static_cast<unsigned long long>(hits),
                            static_cast<unsigned long long>(attacks));
                ++differences;
            }
    for (const char* set : {"quick-ipv4", "extending-ipv4", "recidive-ipv4"})
        // They are listed one after the other, and a ban may end in between, or be on its way.
        if (!wait_for([&] { return kernel_set("calm", set) == kernel_set("chaos", set); }, 10)) {
            std::cout << "  set " << set << " differs in the kernel\n";
            ++differences;
        }
    calm.stop(SIGTERM);
    chaos.stop(SIGTERM);
    healed.stop(SIGTERM);
    if (differences != 0) {
        std::string kept = fs::temp_directory_path() / ("chaos-" + std::to_string(options.seed));
        // The state may be on a disk of its own, which is unmounted.
        sh("rm -rf " + kept + "; cp -a " + dir.path() + " " + kept);
        std::printf("chaos: logs, states and configurations are kept in %s\n", kept.c_str());
    }
    if (options.faults == "full-disk") sh("umount " + chaos_dir + "/run");
    std::printf(
        "chaos: %zu decisions and counters compared, %d differences (%d kills, %llu lines, seed "
        "%u)\n",
        expected.size(), differences, options.kills, static_cast<unsigned long long>(lines),
        options.seed);
    return differences == 0 ? 0 : 1;
}

}  // namespace

Options chaos_options;
int run_tests(int count, char** arguments);  // support/catch.cpp

TEST_CASE("chaos") {
    clean_namespace();
    CHECK(run(chaos_options) == 0);
}

int main(int argc, char** argv) {
    std::setvbuf(stdout, nullptr, _IOLBF, 0);
    chaos_options = parse(argc, argv);
    char name[] = "chaos";
    char* own[] = {name, nullptr};
    return run_tests(1, own);
}

// SPDX-License-Identifier: GPL-2.0-or-later
// Very many bans at once, from a log and by hand, into nftables and into ipset: until the kernel
// holds them, whether what bandd says of that was true meanwhile, and what they take in memory and
// on disk; then until all are lifted again, and what is given back.
//
//   sudo tests/support/in-namespace build/release/bench_many_bans      (BANS=1000000 by default)
//
// PROGRAMS=DIRECTORY: bandd of another build. CASE=TEXT: only cases that hold this text.
#include <arpa/inet.h>
#include <libmnl/libmnl.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <optional>
#include <sstream>
#include <thread>

#include "os/netlink.h"
#include "support/common.h"
#include "support/machine.h"

using namespace bandd;
using Clock = std::chrono::steady_clock;

namespace {

constexpr std::uint16_t set_count_attribute = 20;  // NFTA_SET_COUNT, since Linux 6.17

double seconds_since(Clock::time_point begin) {
    return std::chrono::duration<double>(Clock::now() - begin).count();
}

double mebibytes(pid_t pid, const std::string& field) {
    std::string status = read_file("/proc/" + std::to_string(pid) + "/status");
    return std::stod(status.substr(status.find(field) + field.size())) / 1024;
}

// Seconds of processor time.
double processor_time(pid_t pid) {
    std::string stat = read_file("/proc/" + std::to_string(pid) + "/stat");
    auto name_ends = stat.rfind(')');
    if (name_ends == std::string::npos) return 0;  // it has ended
    std::istringstream fields(stat.substr(name_ends + 2));
    std::string field;
    double ticks = 0;
    for (int number = 3; number <= 15 && fields >> field; ++number)
        if (number >= 14) ticks += std::stod(field);
    return ticks / static_cast<double>(sysconf(_SC_CLK_TCK));
}

// Elements of the kernel's set.
class Counter {
  public:
    explicit Counter(bool nftables) : nftables_(nftables) {
        auto opened = Netlink::open(NETLINK_NETFILTER);
        REQUIRE(opened);
        netlink_.emplace(std::move(*opened));
    }
    std::size_t count() { return nftables_ ? in_nftables() : in_ipset(); }

  private:
    std::size_t in_nftables() {
        std::array<char, 256> buffer{};
        nlmsghdr* request = mnl_nlmsg_put_header(buffer.data());
        request->nlmsg_type = (NFNL_SUBSYS_NFTABLES << 8) | NFT_MSG_GETSET;
        request->nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
        request->nlmsg_seq = ++sequence_;
        auto* generic =
            static_cast<nfgenmsg*>(mnl_nlmsg_put_extra_header(request, sizeof(nfgenmsg)));
        generic->nfgen_family = NFPROTO_INET;
        std::uint32_t count = 0;
        [[maybe_unused]] auto asked = netlink_->dump(*request, [&](const nlmsghdr& message) {
            auto visit = [](const nlattr* attribute, void* data) -> int {
                if (mnl_attr_get_type(attribute) == set_count_attribute)
                    *static_cast<std::uint32_t*>(data) += ntohl(mnl_attr_get_u32(attribute));
                return MNL_CB_OK;
            };
            mnl_attr_parse(&message, sizeof(nfgenmsg), visit, &count);
        });
        return count;
    }
    std::size_t in_ipset() {
        std::string said = sh("ipset list -t many | grep 'Number of entries'").out;
        auto at = said.rfind(' ');
        return at == std::string::npos ? 0 : std::strtoull(said.c_str() + at, nullptr, 10);
    }
    bool nftables_;
    std::optional<Netlink> netlink_;
    std::uint32_t sequence_ = 0;
};

std::size_t number_in(const std::string& json, const std::string& name) {
    auto at = json.find("\"" + name + "\":");
    return at == std::string::npos ? 0 : std::strtoull(&json[at + name.size() + 3], nullptr, 10);
}

std::uintmax_t size_of_state(const std::string& path) {
    std::uintmax_t size = 0;
    for (const char* ending : {"", "-wal"})
        if (std::filesystem::exists(path + ending))
            size += std::filesystem::file_size(path + ending);
    return size;
}

// Until all is written, and what is not needed any more is given back: nothing is done for a while.
void settle(pid_t pid) {
    double before = -1;
    for (double busy = processor_time(pid); busy - before > 0.02; busy = processor_time(pid)) {
        before = busy;
        std::this_thread::sleep_for(std::chrono::seconds(4));
    }
}

void measure(bool nftables, bool by_log, int bans) {
    std::string name = std::string(nftables ? "nftables" : "ipset") + (by_log ? ", log" : ", hand");
    const char* only = std::getenv("CASE");
    if (only != nullptr && name.find(only) == std::string::npos) return;
    clean_namespace();
    TempDirectory dir;
    write_file(dir / "app.log", "");
    write_file(dir / "filters/app.yaml",
               "description: test\nfailregex:\n  - {id: denied, regex: '^denied <HOST>$'}\n");
    write_file(dir / "bandd.yaml",
               "state: run/state.db\nsocket: run/socket\nuser: nobody\ngroup: nogroup\n"
               "jails:\n  app: {logpath: app.log, maxretry: 1, bantime: 1d, action: " +
                   std::string(nftables ? "nftables"
                                        : "[{ipset: {set: many, create: true, maxelem: "
                                          "4000000}}]") +
                   "}\n");
    std::string text;
    for (int i = 0; i < bans; ++i)
        text += std::string(by_log ? "denied " : "") + "10." + std::to_string(i >> 16) + "." +
                std::to_string(i >> 8 & 255) + "." + std::to_string(i & 255) + "\n";
    write_file(dir / "addresses", text);
    DaemonProcess daemon(dir.path());
    if (const char* programs = std::getenv("PROGRAMS"))
        daemon.set_program(std::string(programs) + "/bandd");
    bool started = daemon.start();
    INFO(daemon.log());
    REQUIRE(started);
    Counter counter(nftables);
    const auto wanted = static_cast<std::size_t>(bans);
    double before = mebibytes(daemon.pid(), "VmRSS:");
    pid_t kernel = daemon.role("bandd-kernel");
    auto begin = Clock::now();
    std::optional<Background> administrator;
    if (by_log)
        append_file(dir / "app.log", text);
    else
        administrator.emplace(built("bandctl") + " -c " + dir.path() + " ban --jail app - < " +
                              (dir / "addresses"));
    std::size_t lies = 0, worst_lie = 0;
    bool complete = false;
    for (int look = 0; !complete && seconds_since(begin) < 300; ++look) {
        std::this_thread::sleep_for(std::chrono::milliseconds(20));
        // What is said to be in force is counted after it was said.
        if (look % 10 == 9) {
            std::string said = daemon.ctl("status app --json").out;
            std::size_t claimed = number_in(said, "bans");
            std::size_t there = counter.count();
            if (claimed > there) {
                ++lies;
                worst_lie = std::max(worst_lie, claimed - there);
            }
        }
        complete = counter.count() >= wanted;
    }
    double took = seconds_since(begin);
    bool acknowledged = wait_for(
        [&] {
            std::string said = daemon.ctl("status app --json").out;
            return number_in(said, "bans") >= wanted && number_in(said, "pending") == 0;
        },
        120);
    double told = seconds_since(begin);
    administrator.reset();
    std::string troubles =
        sh("grep -c 'No buffer space\\|were missing' " + (dir / "daemon.log")).out;
    troubles.pop_back();
    double peak = mebibytes(daemon.pid(), "VmHWM:");
    settle(daemon.pid());
    double after = mebibytes(daemon.pid(), "VmRSS:");
    std::uintmax_t on_disk = size_of_state(dir / "run/state.db");
    std::printf(
        "%-14s %8d bans: in the kernel after %6.2f us each%s, told %6.2f; processor us each: bandd "
        "%.2f, bandd-kernel %.2f; %zu lies (%zu), %s troubles; bytes each: %.0f (at most %.0f), on "
        "disk %.0f\n",
        name.c_str(), bans, took / bans * 1e6, complete ? "" : " (not all)", told / bans * 1e6,
        processor_time(daemon.pid()) / bans * 1e6, processor_time(kernel) / bans * 1e6, lies,
        worst_lie, troubles.c_str(), (after - before) * 1048576 / bans,
        (peak - before) * 1048576 / bans, static_cast<double>(on_disk) / bans);
    std::fflush(stdout);
    CHECK(acknowledged);
    begin = Clock::now();
    CHECK(daemon.ctl("unban --all > /dev/null").code == 0);
    double answered = seconds_since(begin);
    bool empty = wait_for([&] { return counter.count() == 0; }, 120);
    double emptied = seconds_since(begin);
    settle(daemon.pid());
    std::printf(
        "%-14s %8s lifted: answered after %.2f s, out of the kernel after %.2f s%s; MiB: %.1f at "
        "first, %.1f with all, %.1f after; on disk %.1f MiB\n",
        "", "", answered, emptied, empty ? "" : " (not all)", before, after,
        mebibytes(daemon.pid(), "VmRSS:"),
        static_cast<double>(size_of_state(dir / "run/state.db")) / 1048576);
    std::fflush(stdout);
    CHECK(daemon.stop(SIGTERM) == 0);
}

}  // namespace

TEST_CASE("many bans") {
    const char* wanted = std::getenv("BANS");
    int bans = wanted != nullptr ? std::atoi(wanted) : 1'000'000;
    for (bool nftables : {true, false})
        for (bool by_log : {true, false}) measure(nftables, by_log, bans);
}

// SPDX-License-Identifier: GPL-2.0-or-later
// The model of fail2ban's counting, beside fail2ban's own code where that is installed.
#include <random>

#include "import/fail2ban_model.h"
#include "support/common.h"
#include "support/machine.h"

using namespace bandd;
using namespace bandd::fail2ban;
using namespace std::chrono_literals;

namespace {

ModelRules rules_of(std::uint32_t maxretry, Duration findtime) {
    ModelRules rules;
    rules.maxretry = maxretry;
    rules.findtime = findtime;
    rules.bantime.base = 1s;  // over before the next failure
    return rules;
}

std::vector<double> bans_at(const ModelRules& rules, const std::vector<double>& failures) {
    JailModel model(rules);
    std::vector<double> bans;
    for (double failure : failures)
        if (model.on_failure(prefix("203.0.113.9"), at(failure))) bans.push_back(failure);
    return bans;
}

using Times = std::vector<double>;

}  // namespace

TEST_CASE("fail2ban's window: exact within findtime, an estimate beyond it") {
    ModelRules rules = rules_of(5, 600s);
    CHECK(bans_at(rules, {0, 1, 2, 3, 600}) == Times{600});
    // Four in 3 s, then none for 897 s: cleaned up. None for less than findtime: they were
    // "4 in 599 s", and then are "4 in 600 s", though they are 900 s old.
    CHECK(bans_at(rules, {0, 1, 2, 3, 900, 901, 902, 903}).empty());
    CHECK(bans_at(rules, {0, 1, 2, 3, 500, 1000}) == Times{500});
    CHECK(bans_at(rules, {0, 1, 2, 500, 901, 902}) == Times{902});
    rules.estimates = false;
    CHECK(bans_at(rules, {0, 1, 2, 500, 901, 902}).empty());
    CHECK(bans_at(rules, {0, 1, 2, 3, 600}) == Times{600});
}

TEST_CASE("fail2ban counts failures of those who were banned before for more") {
    ModelRules rules = rules_of(5, 600s);
    rules.bantime.increment = true;
    // 1 each; after one ban 2, after two 3, after three 5.
    CHECK(bans_at(rules, {0, 1, 2, 3, 4, 10, 11, 12, 20, 21, 30}) == Times{4, 12, 21, 30});
    rules.counts_known_more = false;
    CHECK(bans_at(rules, {0, 1, 2, 3, 4, 10, 11, 12, 20, 21, 30}) == Times{4, 21});
}

TEST_CASE("the model bans when fail2ban's own code does") {
    if (sh("/usr/bin/python3 -c 'import fail2ban.server.failmanager'").code != 0) {
        WARN("skipped: needs Debian's package fail2ban");
        return;
    }
    TempDirectory dir;
    std::mt19937 random(20261130);
    std::string input, expected;
    for (int run = 0; run < 2000; ++run) {
        auto below = [&](int number) {
            return static_cast<int>(random() % static_cast<unsigned>(number));
        };
        int maxretry = 2 + below(8), findtime = 1 + below(300);
        std::vector<double> failures;
        double time = 0;
        for (int i = 0; i < 60; ++i) failures.push_back(time += below(findtime * 2 / maxretry + 3));
        input += std::to_string(maxretry) + " " + std::to_string(findtime);
        for (double failure : failures) input += " " + std::to_string(static_cast<int>(failure));
        input += "\n";
        JailModel model(
            rules_of(static_cast<std::uint32_t>(maxretry), std::chrono::seconds(findtime)));
        for (double failure : failures)
            // fail2ban's manager knows of no bans that are in force.
            if (model.on_failure(prefix("203.0.113.9"), at(2 * failure / 2)))
                expected += std::to_string(static_cast<int>(failure)) + " ";
        expected += "\n";
    }
    write_file(dir / "in", input);
    write_file(dir / "run.py",
               "import sys\n"
               "from fail2ban.server.failmanager import FailManager, FailManagerEmpty\n"
               "from fail2ban.server.ticket import FailTicket\n"
               "for line in open(sys.argv[1]):\n"
               "    n, span, *times = map(int, line.split())\n"
               "    m = FailManager(); m.setMaxRetry(n); m.setMaxTime(span)\n"
               "    banned = -9\n"
               "    for t in times:\n"
               "        m.cleanup(t)\n"
               "        if m.addFailure(FailTicket('203.0.113.9', t)) >= n:\n"
               "            m.toBan('203.0.113.9')\n"
               "            if t >= banned + 1: print(t, end=' '); banned = t\n"
               "            else: banned = t\n"
               "    print()\n");
    Ran ran = sh("/usr/bin/python3 " + dir / "run.py" + " " + dir / "in");
    REQUIRE(ran.code == 0);
    CHECK(ran.out == expected);
}

// SPDX-License-Identifier: GPL-2.0-or-later
// A table of keys: what it reads, refuses and tells.
#include "config/table.h"
#include "support/common.h"

using namespace bandd;

namespace {

enum class Heat { top, below };
struct Timer {
    Duration time = std::chrono::minutes(20);
};
struct Oven {
    int degrees = 180;
    double share = 0.5;
    bool fan = false;
    Heat heat = Heat::top;
    std::string name = "oven";
    Timer timer;
};

}  // namespace

template <>
Timer& bandd::inside(Oven& oven) {
    return oven.timer;
}

namespace {

void check_oven(const Section& section, Oven& oven) {
    if (oven.fan && oven.heat == Heat::below) section.error("cannot have both");
}

const Table<Oven>& oven_keys() {
    static const Table<Oven> table{
        "oven",
        {
            key::number("degrees", &Oven::degrees, {30, 250}, "degrees Celsius"),
            key::number("share", &Oven::share, {0, 1}, "of the power"),
            key::boolean("fan", &Oven::fan, "whether it blows"),
            key::choice(
                "heat", &Oven::heat,
                {{"top", Heat::top}, {"above", Heat::top, key::Said::no}, {"below", Heat::below}},
                "where from"),
            key::text("name", &Oven::name, "text", "for people"),
            key::duration("time", &Timer::time, "how long"),
        },
        check_oven};
    return table;
}

struct Read {
    Oven oven;
    std::vector<std::string> errors;
};
Read read(const std::string& yaml) {
    Read out;
    Reading reading;
    auto document = parse_document(yaml, "f");
    REQUIRE(document);
    oven_keys().read(*document, "oven", reading, out.oven);
    for (const Error& error : reading.errors) out.errors.push_back(to_line(error));
    return out;
}

}  // namespace

TEST_CASE("a table fills what the map says, and leaves the rest as the struct has it") {
    Read some = read("{degrees: 200, share: 0.25, fan: yes, time: 1h}");
    CHECK(some.errors.empty());
    CHECK(some.oven.degrees == 200);
    CHECK(some.oven.share == 0.25);
    CHECK(some.oven.fan);
    CHECK(some.oven.timer.time == std::chrono::hours(1));
    CHECK(some.oven.name == "oven");
    CHECK(read("{heat: above}").oven.heat == Heat::top);
    CHECK(read("").oven.degrees == 180);
}

TEST_CASE("both ends of a range are in it; what is outside is refused, and changes nothing") {
    CHECK(read("degrees: 30").oven.degrees == 30);
    CHECK(read("degrees: 250").oven.degrees == 250);
    for (const char* bad : {"29", "251", "many", "1.5", "99999999999999999999", "''"}) {
        Read refused = read(std::string("degrees: ") + bad);
        INFO(bad);
        CHECK(refused.errors.size() == 1);
        CHECK(refused.oven.degrees == 180);
    }
    CHECK(read("degrees: 29").errors ==
          std::vector<std::string>{"f:1:10: \"degrees: 29\": must be a number from 30 to 250"});
    CHECK(read("share: 1.01").errors.size() == 1);
}

TEST_CASE("all faults of a map are found at once, and a misspelt key is told the right one") {
    Read all = read("{dergees: 1, fan: perhaps, heat: belwo, time: [1h], name: {}}");
    CHECK(all.errors ==
          std::vector<std::string>{
              "f:1:2: unknown key \"dergees\": in oven; did you mean \"degrees\"?",
              "f:1:19: \"fan: perhaps\": must be true or false",
              "f:1:34: \"heat: belwo\": must be one of top, below; did you mean \"below\"?",
              "f:1:59: \"name\": must be a single value, not a map",
              "f:1:47: \"time\": must be a single value, not a list"});
    CHECK(read("{fan: true, heat: below}").errors ==
          std::vector<std::string>{"f:1:1: oven: cannot have both"});
    CHECK(read("[]").errors == std::vector<std::string>{"f:1:1: oven: must be a map, not a list"});
}

TEST_CASE("a table tells what each key takes, and what holds without it") {
    std::vector<std::string> told;
    Oven oven;
    for (const Key<Oven>& key : oven_keys().keys())
        told.push_back(std::string(key.name) + ": " + key.values + " [" + key.default_value(oven) +
                       "]");
    CHECK(told == std::vector<std::string>{"degrees: 30 to 250 [180]", "share: 0 to 1 [0.5]",
                                           "fan: true | false [false]", "heat: top | below [top]",
                                           "name: text [oven]", "time: duration [20m]"});
    CHECK(written(Duration(std::chrono::days(30))) == "30d");
    CHECK(written(Duration(std::chrono::weeks(5))) == "5w");
    CHECK(written(Duration(std::chrono::seconds(90))) == "90s");
    CHECK(written(Duration{0}) == "0s");
    CHECK(written(forever) == "forever");
}

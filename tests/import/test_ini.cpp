// SPDX-License-Identifier: GPL-2.0-or-later
// fail2ban's files, read as Python's configparser and fail2ban read them.
#include "import/fail2ban_reader.h"
#include "support/common.h"

using namespace bandd;
using namespace bandd::fail2ban;

namespace {

struct Tree {
    TempDirectory dir;
    std::vector<Error> faults;
    Ini ini;
    void file(const std::string& name, const std::string& text) { write_file(dir / name, text); }
    std::string get(const std::string& section, const std::string& option,
                    const Options& vars = {}) {
        auto value = ini.get(section, option, vars);
        if (!value) return "error: " + to_line(value.error());
        return value->value_or("(none)");
    }
};

}  // namespace

TEST_CASE("ini: comments, delimiters, values of several lines, letter case") {
    std::vector<Error> faults;
    IniFile file = parse_ini(
        "# comment\n[A]\nOne = 1\ntwo: b  ; inline\nthree = x\n  # not a part\n"
        "  y\n\n  z;z\nfour =\n[DEFAULT]\nbase = d\n",
        "f", faults);
    CHECK(faults.empty());
    CHECK(file.sections["A"]["one"] == "1");
    CHECK(file.sections["A"]["two"] == "b");
    CHECK(file.sections["A"]["three"] == "x\ny\n\nz;z");
    CHECK(file.sections["A"]["four"].empty());
    CHECK(file.defaults["base"] == "d");
}

// What Python makes of it: {'failregex': 'a\nb: c\nd = e', 'x': 'y'}.
TEST_CASE("ini: the spaces of a web page are spaces, so that no pattern becomes an option") {
    std::vector<Error> faults;
    IniFile file = parse_ini(
        "[D]\nfailregex = a\n\xc2\xa0 \xc2\xa0 b: c\n\n\xc2\xa0 d = e\nx =\xc2\xa0y\xc2\xa0\n", "f",
        faults);
    CHECK(faults.empty());
    CHECK(file.sections["D"].size() == 2);
    CHECK(file.sections["D"]["failregex"] == "a\nb: c\n\nd = e");
    CHECK(file.sections["D"]["x"] == "y");
}

TEST_CASE("ini: lines that fit no rule are told by place, the others are read") {
    std::vector<Error> faults;
    IniFile file = parse_ini("early = 1\n[A]\nnonsense\nb = 2\n", "f.conf", faults);
    REQUIRE(faults.size() == 2);
    CHECK(to_line(faults[0]) == "f.conf:1:1: \"early = 1\": comes before any [section]");
    CHECK(to_line(faults[1]) ==
          "f.conf:3:1: \"nonsense\": is neither [section] nor option = value");
    CHECK(file.sections["A"]["b"] == "2");
}

TEST_CASE_METHOD(Tree, "ini: .conf, .d/*.conf, .local, .d/*.local, each over the ones before it") {
    file("jail.conf", "[DEFAULT]\nmaxretry = 1\nfindtime = 1\nbantime = 1\nport = 1\n[a]\n");
    file("jail.d/b.conf", "[DEFAULT]\nfindtime = 2\nbantime = 2\nport = 2\n");
    file("jail.local", "[DEFAULT]\nbantime = 3\nport = 3\n");
    file("jail.d/c.local", "[DEFAULT]\nport = 4\n");
    REQUIRE(ini.read(dir.path(), "jail", faults));
    CHECK(get("a", "maxretry") + get("a", "findtime") + get("a", "bantime") + get("a", "port") ==
          "1234");
}

TEST_CASE_METHOD(Tree, "ini: includes before and after, with their .local, and no endless loop") {
    file("f.conf",
         "[INCLUDES]\nbefore = one.conf\n         two.conf\nafter = last.conf\n"
         "[Definition]\na = f\nb = f\nc = f\n");
    file("one.conf", "[INCLUDES]\nbefore = f.conf\n[Definition]\na = one\nd = one\n");
    file("one.local", "[Definition]\nd = local\n");
    file("two.conf", "[Definition]\nd = two\n[DEFAULT]\ne = two\n");
    file("last.conf", "[Definition]\nc = last\n");
    REQUIRE(ini.read(dir.path(), "f", faults));
    CHECK(get("Definition", "a") == "f");
    CHECK(get("Definition", "c") == "last");
    CHECK(get("Definition", "d") == "two");
    CHECK(get("Definition", "e") == "two");
}

TEST_CASE_METHOD(Tree,
                 "ini: interpolation from section, defaults, other sections and earlier values") {
    file("jail.conf",
         "[DEFAULT]\nlog = /var/log\ndeep = %(log)s/x\n[a]\npath = %(deep)s/%(name)s\n"
         "name = n\nhalf = 50%%\nother = %(b/path)s\nbase = %(default/log)s\n"
         "me = %(__name__)s\nloop = %(loop)s\nmissing = %(nothing)s\nbad = 5 %\n"
         "[b]\npath = /b\n");
    file("jail.local", "[a]\nname = %(known/name)s2\n");
    REQUIRE(ini.read(dir.path(), "jail", faults));
    CHECK(get("a", "path") == "/var/log/x/n2");
    CHECK(get("a", "half") == "50%");
    CHECK(get("a", "other") == "/b");
    CHECK(get("a", "base") == "/var/log");
    CHECK(get("a", "me") == "a");
    CHECK(get("a", "name", {{"name", "given"}}) == "given");
    CHECK(get("a", "loop") == "error: [a] loop: refers to itself, or goes more than 10 deep");
    CHECK(get("a", "missing") == "error: [a] missing: names %(nothing)s, which is not defined");
    CHECK(get("a", "bad") ==
          "error: [a] bad: has a \"%\" that begins neither %(name)s nor %%; "
          "write %% for a percent sign");
    CHECK(get("a", "unknown") == "(none)");
}

TEST_CASE("references: name[option=value] with quotes, several brackets, and lists of them") {
    auto reference = parse_reference("sshd[mode=aggressive, port=\"0:65535, x\"][name='a b']");
    REQUIRE(reference);
    CHECK(reference->name == "sshd");
    CHECK(reference->options ==
          Options{{"mode", "aggressive"}, {"name", "a b"}, {"port", "0:65535, x"}});
    CHECK(parse_reference("plain")->options.empty());
    CHECK_FALSE(parse_reference("x[mode]"));
    CHECK_FALSE(parse_reference("x[a=1"));
    CHECK_FALSE(parse_reference("x[a=1] y"));
    CHECK(split_references("a[x=\"1 2\"]\n  b[y=1,\n z=2] c") ==
          std::vector<std::string>{"a[x=\"1 2\"]", "b[y=1,\n z=2]", "c"});
}

TEST_CASE("tags: filled in from other options again and again; what refers to itself is an error") {
    Ini none;
    auto filled = replace_tags({{"a", "<b>-<HOST>"}, {"b", "<c>"}, {"c", "deep"}}, none, {});
    REQUIRE(filled);
    CHECK(filled->at("a") == "deep-<HOST>");
    auto built = replace_tags({{"re", "<re-<mode>>"}, {"mode", "x"}, {"re-x", "found"}}, none, {});
    REQUIRE(built);
    CHECK(built->at("re") == "found");
    CHECK_FALSE(replace_tags({{"a", "<b>"}, {"b", "<a>"}}, none, {}));
    // One that grows on the way.
    Options growing{{"a0", "x"}};
    for (int i = 1; i < 40; ++i)
        growing["a" + std::to_string(i)] =
            "<a" + std::to_string(i - 1) + "><a" + std::to_string(i - 1) + ">";
    CHECK_FALSE(replace_tags(growing, none, {}));
    auto six = replace_tags({{"cmd", "<prog>"}, {"prog", "four"}, {"prog?family=inet6", "six"}},
                            none, {}, "family=inet6");
    REQUIRE(six);
    CHECK(six->at("cmd") == "six");
}

// SPDX-License-Identifier: GPL-2.0-or-later
#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <array>
#include <filesystem>

#include "cli/command.h"
#include "cli/import_bans.h"
#include "cli/import_compare.h"
#include "cli/output.h"
#include "core/base/printable.h"
#include "import/to_yaml.h"
#include "os/fd.h"

namespace bandd {
namespace fs = std::filesystem;

namespace {

struct Options {
    std::string from = "/etc/fail2ban", to = "/etc/bandd";
    bool all = false, force = false;
    bool bans = false;
    std::vector<std::string> compare;  // logs
    std::string database, jail;
};

using fail2ban::Fate;
using fail2ban::Note;

struct FateWords {
    Fate fate;
    const char* key;  // in JSON
    const char* head;
};
constexpr std::array<FateWords, 4> fates{{
    {Fate::carried, "carried", "carried over"},
    {Fate::changed, "changed", "changed"},
    {Fate::lost, "lost", "lost"},
    {Fate::undecided, "to_decide", "to decide"},
}};

// "sshd", "apache-auth, dovecot, named-refused and 9 more"
std::string some_of(const std::vector<std::string>& jails) {
    constexpr std::size_t most = 4;
    std::size_t shown = jails.size() > most ? most - 1 : jails.size();
    std::string text;
    for (std::size_t i = 0; i < shown; ++i) text += (i > 0 ? ", " : "") + jails[i];
    if (shown < jails.size()) text += fmt::format(" and {} more", jails.size() - shown);
    return text;
}

void print_notes(const std::vector<Note>& notes) {
    for (const FateWords& words : fates) {
        bool first = true;
        for (const Note& note : notes) {
            if (note.fate != words.fate) continue;
            if (first) fmt::print("{}\n", bold(words.head));
            first = false;
            std::string of = note.jails.empty() ? "" : some_of(note.jails) + ": ";
            fmt::print("  {}\n", printable(of + note.what));
        }
    }
}

Json to_json(const std::vector<Note>& notes) {
    Json all = Json::object();
    for (const FateWords& words : fates) all[words.key] = Json::array();
    for (const Note& note : notes)
        for (const FateWords& words : fates)
            if (note.fate == words.fate)
                all[words.key].push_back({{"what", note.what}, {"jails", note.jails}});
    return all;
}

// A new file in the place of an old one: the old one may be open to all.
Result<> write_file(const std::string& path, std::string_view text, bool secret) {
    constexpr mode_t for_root = 0600, for_all = 0644;
    ::unlink(path.c_str());
    Fd file(::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW,
                   secret ? for_root : for_all));
    while (file && !text.empty()) {
        ssize_t count = ::write(file.get(), text.data(), text.size());
        if (count < 0) break;
        text.remove_prefix(static_cast<std::size_t>(count));
    }
    if (!file || !text.empty()) return fail_errno("cannot write \"" + path + "\"");
    return {};
}

Result<> write_files(const fail2ban::Imported& imported, const fs::path& directory) {
    for (const auto& [name, text] : imported.files) {
        fs::path path = directory / name;
        std::error_code fault;
        fs::create_directories(path.parent_path(), fault);
        if (auto written = write_file(path, text, imported.secret.contains(name)); !written)
            return written;
    }
    return {};
}

int import_fail2ban(const CommonOptions& common, const Options& options) {
    auto definitions = fail2ban::read_definitions(options.from, options.all);
    if (!definitions) {
        print_error(definitions.error());
        return exit_usage;
    }
    if (!options.compare.empty())
        return compare_with_fail2ban(common, options.from, *definitions, options.compare);
    fail2ban::Imported imported = fail2ban::to_yaml(*definitions, options.from);
    if (imported.jails == 0) {
        print_notes(imported.notes.sorted());
        print_error({"\"" + options.from + "\"",
                     "has no jail that could be carried over",
                     "take those that are not enabled with --all",
                     {}});
        return exit_said_no;
    }
    std::error_code fault;
    if (!options.force && fs::exists(options.to, fault) && !fs::is_empty(options.to, fault)) {
        print_error({"\"" + options.to + "\"",
                     "is there and not empty",
                     "name another directory with --to DIR, or write over it with --force",
                     {}});
        return exit_usage;
    }
    if (auto written = write_files(imported, options.to); !written) {
        print_error(written.error());
        return exit_said_no;
    }
    if (common.json) {
        print_json({{"to", options.to},
                    {"jails", imported.jails},
                    {"enabled", imported.enabled},
                    {"filters", imported.filters},
                    {"left_out", imported.left_out},
                    {"secret", imported.secret},
                    {"notes", to_json(imported.notes.sorted())}});
        return exit_done;
    }
    print_notes(imported.notes.sorted());
    fmt::print("{} ({} enabled) and {} written to {}\n", count_of(imported.jails, "jail"),
               imported.enabled, count_of(imported.filters, "filter"), printable(options.to));
    if (imported.left_out > 0)
        fmt::print("{} not enabled there: left out, --all takes them, too\n",
                   count_of(imported.left_out, "jail"));
    if (!imported.secret.empty())
        fmt::print("{} for root alone, as fail2ban's were\n",
                   count_of(imported.secret.size(), "file"));
    fmt::print("next: bandctl check {0}; then bandd --config {0}, or move it to /etc/bandd\n",
               printable(options.to));
    return exit_done;
}

// What fail2ban.conf says, or Debian's.
Result<std::string> find_database(const Options& options) {
    if (!options.database.empty()) return options.database;
    std::string file = "/var/lib/fail2ban/fail2ban.sqlite3";
    std::error_code fault;
    if (!fs::is_directory(options.from, fault)) return file;
    std::vector<Error> ignored;
    fail2ban::Options server = fail2ban::read_server(options.from, ignored);
    if (auto named = server.find("dbfile"); named != server.end()) file = named->second;
    if (file == "None" || file == ":memory:")
        return fail("fail2ban", "keeps no database: dbfile = " + file,
                    "its bans cannot be taken over; fail2ban-client banned shows them");
    return file;
}

int import_from_database(const CommonOptions& common, const Options& options) {
    auto database = find_database(options);
    if (!database) {
        print_error(database.error());
        return exit_usage;
    }
    return import_bans(common, {*database, options.jail});
}

}  // namespace

Run import_command(CommandLine& line) {
    auto options = std::make_shared<Options>();
    auto what = std::make_shared<std::string>();
    line.choice("what", *what, {"fail2ban"}, "fail2ban", Must::be_given);
    line.text("--from", options->from, "its configuration directory");
    line.text("--to", options->to, "where bandd's is written");
    line.flag("-a,--all", options->all, "jails that are not enabled, too");
    line.flag("--force", options->force, "write over what is there");
    line.flag("--bans", options->bans,
              "instead, take over fail2ban's bans and offences; bandd may run or not, and so may "
              "fail2ban");
    line.text("--database", options->database,
              "with --bans: fail2ban's database (default: the dbfile of its configuration)");
    line.text("-j,--jail", options->jail,
              "with --bans: for bans of jails that bandd has not (default: they are left out)");
    line.texts("--compare", options->compare,
               "instead, whom fail2ban would have banned by these logs, and whom bandd, and why "
               "that differs");
    return [options, what](const CommonOptions& common) {
        return options->bans ? import_from_database(common, *options)
                             : import_fail2ban(common, *options);
    };
}

}  // namespace bandd

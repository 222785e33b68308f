// SPDX-License-Identifier: GPL-2.0-or-later
#include <fcntl.h>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "cli/command.h"
#include "cli/import_bans.h"
#include "cli/import_compare.h"
#include "cli/import_kept.h"
#include "cli/import_unusable.h"
#include "cli/output.h"
#include "cli/setup_files.h"
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
            if (first) print_wrapped("{}\n", bold(words.head));
            first = false;
            std::string of = note.jails.empty() ? "" : some_of(note.jails) + ": ";
            print_wrapped("  {}\n", printable(of + note.what));
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

// A new file, beside the one that it will be.
constexpr std::string_view fresh_mark = ".new-";

// Files that take their places together, or none of them: a full disk leaves what was there. What
// is replaced is kept beside it, and nobody may read more than before.
class Placement {
  public:
    explicit Placement(fs::path directory) : directory_(std::move(directory)) {}
    Placement(const Placement&) = delete;
    Placement& operator=(const Placement&) = delete;
    ~Placement() {
        for (const One& one : all_) ::unlink(one.fresh.c_str());
    }

    // What is there already as it should be stays.
    Result<> add(const std::string& name, std::string_view text, bool secret) {
        constexpr mode_t for_root = 0600, for_all = 0644;
        One one{.name = name, .path = (directory_ / name).string()};
        std::error_code fault;
        fs::create_directories(fs::path(one.path).parent_path(), fault);
        mode_t mode = secret ? for_root : for_all;
        struct stat before{};
        one.replaces = ::lstat(one.path.c_str(), &before) == 0;
        if (one.replaces && S_ISREG(before.st_mode)) {
            mode &= before.st_mode;
            std::ifstream in(one.path, std::ios::binary);
            std::string old{std::istreambuf_iterator<char>(in), {}};
            if (in.good() || in.eof())
                if (old == text && (before.st_mode & 07777) == mode) return {};
        }
        // The new file takes the place of a link; it is no more open than what that named.
        if (struct stat named{}; ::stat(one.path.c_str(), &named) == 0 && S_ISREG(named.st_mode))
            mode &= named.st_mode;
        one.fresh = fmt::format("{}{}{}", one.path, fresh_mark, ::getpid());
        all_.push_back(one);
        Fd file(::open(one.fresh.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW,
                       for_root));
        if (!file) return fail_errno("cannot write \"" + one.path + "\"");
        while (!text.empty()) {
            ssize_t count = ::write(file.get(), text.data(), text.size());
            if (count < 0) return fail_errno("cannot write \"" + one.path + "\"");
            text.remove_prefix(static_cast<std::size_t>(count));
        }
        // The owner before the mode: it takes rights away from nobody who has them.
        bool owned = !one.replaces || ::geteuid() != 0 ||
                     ::fchown(file.get(), before.st_uid, before.st_gid) == 0;
        if (!owned || ::fchmod(file.get(), mode) != 0 || ::fsync(file.get()) != 0)
            return fail_errno("cannot write \"" + one.path + "\"");
        return {};
    }

    Result<> place() {
        for (One& one : all_)
            if (one.replaces)
                if (auto kept = keep_copy(one); !kept) return undo(kept.error(), 0);
        for (std::size_t i = 0; i < all_.size(); ++i)
            if (::rename(all_[i].fresh.c_str(), all_[i].path.c_str()) != 0)
                return undo(fail_errno("cannot write \"" + all_[i].path + "\"").error(), i);
        return {};
    }

    // Each file that was there and is another one, and its copy.
    std::vector<std::pair<std::string, std::string>> replaced() const {
        std::vector<std::pair<std::string, std::string>> files;
        for (const One& one : all_)
            if (one.replaces) files.emplace_back(one.name, one.copy);
        return files;
    }

  private:
    struct One {
        std::string name, path;
        std::string fresh = {}, copy = {};  // beside it
        bool replaces = false;
    };

    // NAME.bak, or NAME.bak-2: an older copy is what the administrator wrote.
    static Result<> keep_copy(One& one) {
        constexpr int most_copies = 99;
        for (int number = 1; number <= most_copies; ++number) {
            std::string copy = one.path + (number == 1 ? ".bak" : fmt::format(".bak-{}", number));
            if (::link(one.path.c_str(), copy.c_str()) == 0) {
                one.copy = copy;
                return {};
            }
            if (errno != EEXIST) return fail_errno("cannot keep a copy as \"" + copy + "\"");
        }
        return fail("\"" + one.path + "\"",
                    fmt::format("has {} copies (.bak) beside it already", most_copies),
                    "remove those that you do not need");
    }

    // `placed`: so many of them are in their places.
    Result<> undo(const Error& why, std::size_t placed) {
        for (std::size_t i = 0; i < all_.size(); ++i) {
            const One& one = all_[i];
            if (i >= placed)
                ::unlink(one.copy.c_str());
            else if (one.replaces)
                ::rename(one.copy.c_str(), one.path.c_str());
            else
                ::unlink(one.path.c_str());
        }
        return std::unexpected(why);
    }

    fs::path directory_;
    std::vector<One> all_;
};

// What --force wrote over, and what it left.
struct Written {
    std::vector<std::pair<std::string, std::string>> replaced;  // and their copies
    std::vector<std::string> remaining;  // files of jails that are none of fail2ban's
    std::size_t left_over = 0;           // files of an import that was killed, which are removed
};

// NAME.new-PID, as `Placement` calls them.
std::size_t remove_left_over(const fs::path& directory) {
    std::size_t removed = 0;
    std::error_code fault;
    std::vector<fs::path> found;
    for (const char* below : {"", "jails", "filters"})
        for (const auto& entry : fs::directory_iterator(directory / below, fault))
            found.push_back(entry.path());
    for (const fs::path& file : found) {
        std::string name = file.filename().string();
        auto at = name.rfind(fresh_mark);
        if (at == std::string::npos) continue;
        std::string_view number = std::string_view(name).substr(at + fresh_mark.size());
        if (number.empty() || number.find_first_not_of("0123456789") != number.npos) continue;
        if (fs::remove(file, fault)) ++removed;
    }
    return removed;
}

Result<Written> write_files(const fail2ban::Imported& imported, const fs::path& directory) {
    auto lock = lock_directory(directory.string());
    if (!lock) return std::unexpected(lock.error());
    std::size_t left_over = remove_left_over(directory);
    Placement placement(directory);
    for (const auto& [name, text] : imported.files)
        if (auto added = placement.add(name, text, imported.secret.contains(name)); !added)
            return std::unexpected(added.error());
    if (auto placed = placement.place(); !placed) return std::unexpected(placed.error());
    Written written{placement.replaced(), {}, left_over};
    std::error_code fault;
    for (const auto& entry : fs::directory_iterator(directory / "jails", fault)) {
        std::string name = "jails/" + entry.path().filename().string();
        if (name.ends_with(".yaml") && !imported.files.contains(name))
            written.remaining.push_back(name);
    }
    std::ranges::sort(written.remaining);
    return written;
}

void print_written(const Written& written) {
    if (written.left_over > 0)
        print_wrapped("{} of an import that was killed {} removed\n",
                      count_of(written.left_over, "file"), written.left_over == 1 ? "is" : "are");
    for (const auto& [name, copy] : written.replaced)
        print_wrapped("{} was there and is replaced; the old one is {}\n", printable(name),
                      printable(copy));
    if (!written.remaining.empty())
        print_wrapped(
            "{}\n", yellow(fmt::format(
                        "{} of before {} in force: {}", count_of(written.remaining.size(), "file"),
                        written.remaining.size() == 1 ? "stays" : "stay",
                        printable(fmt::format("{}", fmt::join(written.remaining, ", "))))));
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
    put_unusable_aside(imported, options.to);
    if (options.force) keep_ignored(imported, options.to);
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
    auto written = write_files(imported, options.to);
    if (!written) {
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
                    {"replaced", written->replaced},
                    {"remaining", written->remaining},
                    {"notes", to_json(imported.notes.sorted())}});
        return exit_done;
    }
    print_notes(imported.notes.sorted());
    print_wrapped("{} ({} enabled) and {} written to {}\n", count_of(imported.jails, "jail"),
                  imported.enabled, count_of(imported.filters, "filter"), printable(options.to));
    if (imported.left_out > 0)
        print_wrapped("{} not enabled there: left out, --all takes them, too\n",
                      count_of(imported.left_out, "jail"));
    if (!imported.secret.empty())
        print_wrapped("{} for root alone, as fail2ban's were\n",
                      count_of(imported.secret.size(), "file"));
    print_written(*written);
    if (fs::equivalent(options.to, Options{}.to, fault) && !fault)
        print_wrapped(
            "next: bandctl check; then restart bandd, and bandctl import fail2ban --bans\n");
    else
        print_wrapped(
            "next: bandctl check {0}; bandctl --config {0} replay LOG; then bandctl import "
            "fail2ban --force writes to /etc/bandd\n",
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
    line.flag("--force", options->force, "write over what is there; copies of it are kept as .bak");
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

// SPDX-License-Identifier: GPL-2.0-or-later
// Backups of the state, and moving it to another machine. Works on the state's file: bandd may run
// during an export, and must not during an import.
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iostream>

#include "cli/call.h"
#include "cli/command.h"
#include "cli/output.h"
#include "cli/progress.h"
#include "cli/state_json.h"
#include "config/types.h"
#include "os/clock.h"
#include "os/fd.h"

namespace bandd {
namespace {

int refuse(const Error& error) {
    print_error(error);
    return exit_usage;
}

// `write` gives the content, or false. As the state itself it is for its owner's eyes: lines and
// users' names are in it. What was there is replaced once all is written, and no link is followed.
Result<> write_beside(const std::string& state, const std::string& to,
                      const std::function<bool(std::ostream&)>& write) {
    std::string what = "cannot write \"" + to + "\"";
    std::error_code fault;
    if (std::filesystem::equivalent(state, to, fault))
        return fail(what, "it is the state itself", "give another name");
    auto kind = std::filesystem::symlink_status(to, fault).type();
    using Kind = std::filesystem::file_type;
    if (kind == Kind::fifo || kind == Kind::character) {
        std::ofstream out(to, std::ios::binary);
        if (!write(out)) return {};
        if (!out.flush()) return fail(what, std::strerror(errno));
        return {};
    }
    if (kind == Kind::directory) return fail(what, "it is a directory");
    std::string fresh = to + ".XXXXXX";
    Fd made(::mkstemp(fresh.data()));  // 0600
    if (!made) return fail_errno(what);
    std::ofstream out(fresh, std::ios::binary);
    bool is_whole = write(out);
    bool is_written = !out.flush().fail() && ::fsync(made.get()) == 0;
    if (is_whole && is_written && ::rename(fresh.c_str(), to.c_str()) == 0) return {};
    int reason = errno;
    ::unlink(fresh.c_str());
    return fail(what, std::strerror(reason), "what was there before is as it was");
}

int export_state(const std::string& path, const std::string& to) {
    auto store = Store::open_to_read(path);
    if (!store) return refuse(store.error());
    auto jails = store->jails();
    if (!jails) return refuse(jails.error());
    Result<> result;
    Progress progress("lines", isatty(STDOUT_FILENO) == 0 || !(to.empty() || to == "-"));
    auto show = [&](std::uint64_t lines) { progress.show(lines); };
    if (to.empty() || to == "-") {
        write_state(*store, *jails, std::cout, result, show);
        std::cout.flush();
        if (result && !std::cout) return refuse({"standard output", "cannot be written", {}, {}});
    } else {
        auto written = write_beside(path, to, [&](std::ostream& out) {
            write_state(*store, *jails, out, result, show);
            return result.has_value();
        });
        if (result && !written) return refuse(written.error());
    }
    return result ? exit_done : refuse(result.error());
}

Result<Checkpoint> read_exported(const std::string& from) {
    std::ifstream file;
    if (!from.empty() && from != "-") {
        file.open(from, std::ios::binary);
        if (!file) return fail("cannot read \"" + from + "\"", std::strerror(errno));
    }
    std::istream& in = file.is_open() ? file : std::cin;
    // Nobody knows how much a pipe has.
    std::error_code unknown;
    std::uint64_t size = file.is_open() ? std::filesystem::file_size(from, unknown) : 0;
    Progress progress(size, size > 0 && !unknown);
    Checkpoint checkpoint;
    checkpoint.at = now();
    int number = 0;
    std::uint64_t done = 0;
    StateEnds ends;
    for (std::string line; std::getline(in, line);) {
        ++number;
        progress.show(done += line.size() + 1);
        if (line.empty()) continue;
        if (ends.take(line)) continue;
        if (auto read = read_state_line(line, checkpoint); !read) {
            Error error = read.error();
            error.where = {from.empty() ? "-" : from, number, 0};
            error.hint = "nothing was imported";
            return std::unexpected(error);
        }
    }
    if (auto whole = ends.check(); !whole) return std::unexpected(whole.error());
    return checkpoint;
}

int import_state(const std::string& path, const std::string& from) {
    // The whole input is read before anything is written: all of it is taken, or nothing.
    auto checkpoint = read_exported(from);
    if (!checkpoint) return refuse(checkpoint.error());
    std::error_code fault;
    std::filesystem::create_directories(std::filesystem::path(path).parent_path(), fault);
    std::string warning;
    auto store = Store::open(path, warning);
    if (!store) return refuse(store.error());
    if (!warning.empty()) fmt::print(stderr, "{}\n", warning);
    std::size_t bans = checkpoint->changes.bans.size();
    std::size_t past = checkpoint->changes.ended_bans.size();
    store->write(std::move(*checkpoint));
    store->wait();
    if (auto error = store->take_result()) return refuse(*error);
    print_wrapped("imported {} and {} into {}\n", count_of(bans, "ban"),
                  count_of(past, "earlier ban"), path);
    return exit_done;
}

}  // namespace

Run state_command(CommandLine& line) {
    struct Options {
        std::string verb, file;
    };
    auto options = std::make_shared<Options>();
    line.choice("verb", options->verb, {"export", "import"}, "export or import", Must::be_given);
    line.text("file", options->file, "file (default: standard output or input)");
    return [options](const CommonOptions& common) {
        auto path = find_path(common, "state", Config().state);
        if (!path) return refuse(path.error());
        return options->verb == "export" ? export_state(*path, options->file)
                                         : import_state(*path, options->file);
    };
}

}  // namespace bandd

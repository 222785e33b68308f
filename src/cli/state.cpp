// SPDX-License-Identifier: GPL-2.0-or-later
// Backups of the state, and moving it to another machine. Works on the file: an export beside a
// running daemon, an import while it is stopped.
#include <fmt/format.h>

#include <filesystem>
#include <fstream>
#include <iostream>

#include "cli/command.h"
#include "cli/output.h"
#include "cli/state_json.h"
#include "config/load.h"
#include "os/clock.h"
#include "os/zoneinfo.h"

namespace bandd {
namespace {

int refuse(const Error& error) {
    print_error(error);
    return exit_usage;
}

}  // namespace

int run_state(const CommonOptions& common, const StateOptions& options) {
    std::string path = load_config(common.config, data_directories(), read_zone).config.state;
    if (options.verb == "export") {
        auto store = Store::open_to_read(path);
        if (!store) return refuse(store.error());
        auto jails = store->jails();
        if (!jails) return refuse(jails.error());
        Result<> result;
        if (options.file.empty() || options.file == "-") {
            write_state(*store, *jails, std::cout, result);
            std::cout.flush();
            if (result && !std::cout)
                return refuse({"standard output", "cannot be written", {}, {}});
        } else {
            std::ofstream out(options.file, std::ios::binary);
            if (out) write_state(*store, *jails, out, result);
            out.flush();
            if (result && !out)
                return refuse(
                    {"cannot write \"" + options.file + "\"", std::strerror(errno), {}, {}});
        }
        return result ? exit_done : refuse(result.error());
    }
    // The whole input is read before anything is written: all of it is taken, or nothing.
    Checkpoint checkpoint;
    checkpoint.at = now();
    std::ifstream file;
    if (!options.file.empty() && options.file != "-") {
        file.open(options.file, std::ios::binary);
        if (!file)
            return refuse({"cannot read \"" + options.file + "\"", std::strerror(errno), {}, {}});
    }
    std::istream& in = file.is_open() ? file : std::cin;
    int number = 0;
    for (std::string line; std::getline(in, line);) {
        ++number;
        if (line.empty()) continue;
        if (auto read = read_state_line(line, checkpoint); !read) {
            Error error = read.error();
            error.where = {options.file.empty() ? "-" : options.file, number, 0};
            error.hint = "nothing was imported";
            return refuse(error);
        }
    }
    std::error_code fault;
    std::filesystem::path directory = std::filesystem::path(path).parent_path();
    std::filesystem::create_directories(directory, fault);
    std::string warning;
    auto store = Store::open(path, warning);
    if (!store) return refuse(store.error());
    if (!warning.empty()) fmt::print(stderr, "{}\n", warning);
    std::size_t bans = checkpoint.changes.bans.size();
    std::size_t past = checkpoint.changes.ended_bans.size();
    store->write(std::move(checkpoint));
    store->wait();
    if (auto error = store->take_result()) return refuse(*error);
    fmt::print("imported {} and {} into {}\n", count_of(bans, "ban"), count_of(past, "earlier ban"),
               path);
    return exit_done;
}

}  // namespace bandd

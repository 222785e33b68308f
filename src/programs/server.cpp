// SPDX-License-Identifier: GPL-2.0-or-later
#include "programs/server.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <csignal>
#include <ctime>

#include "os/signals.h"
#include "programs/arguments.h"
#include "programs/run_as.h"

namespace bandd {
namespace {

using Outcome = ProgramAnswer::Outcome;

std::int64_t monotonic_ms() {
    timespec time{};
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec * 1000 + time.tv_nsec / 1'000'000;
}

std::string how_it_ended(int status, bool killed) {
    if (killed) return "took too long and was killed";
    if (WIFSIGNALED(status)) return "was killed by signal " + std::to_string(WTERMSIG(status));
    return "exit code " + std::to_string(WEXITSTATUS(status));
}

}  // namespace

Result<> ProgramServer::run() {
    auto signals = open_signals({SIGCHLD});
    if (!signals) return std::unexpected(signals.error());
    while (socket_ || !running_.empty()) {
        wait(*signals);
        while (read_signal(*signals) != 0) {
        }
        send_answers();
        if (socket_ && unsent_.empty()) take_request();
        for (Running& program : running_) collect(program);
        reap();
        kill_late();
    }
    return {};
}

void ProgramServer::wait(const Fd& signals) {
    // While bandd takes no answers, its requests are not read: so the unsent ones are bounded.
    short wanted = unsent_.empty() ? POLLIN : POLLOUT;
    std::vector<pollfd> polled{{signals.get(), POLLIN, 0}, {socket_.get(), wanted, 0}};
    std::int64_t longest = -1;
    std::int64_t time = monotonic_ms();
    for (const Running& program : running_) {
        polled.push_back({program.standard_error.get(), POLLIN, 0});
        if (program.killed) continue;
        std::int64_t left = std::max<std::int64_t>(program.deadline - time, 0);
        longest = longest < 0 ? left : std::min(longest, left);
    }
    poll(polled.data(), polled.size(), static_cast<int>(std::min<std::int64_t>(longest, 1 << 30)));
}

void ProgramServer::take_request() {
    // One byte more than a request may have: then one that was cut is known as too long.
    std::string packet(largest_program_request + 1, '\0');
    ssize_t got = ::recv(socket_.get(), packet.data(), packet.size(), MSG_DONTWAIT);
    if (got == 0 || (got < 0 && errno != EAGAIN && errno != EINTR)) socket_.reset();
    if (got > 0) carry_out(std::string_view(packet).substr(0, static_cast<std::size_t>(got)));
}

void ProgramServer::carry_out(std::string_view packet) {
    auto request =
        packet.size() > largest_program_request ? std::nullopt : parse_program_request(packet);
    if (!request) return answer({0, Outcome::refused, 0, "a packet that is no request"});
    if (const auto* read = std::get_if<ReadRequest>(&*request))
        read_table(read->id);
    else
        start(std::get<RunRequest>(*request));
}

void ProgramServer::read_table(std::uint64_t id) {
    auto table = read_table_();
    if (!table) return answer({id, Outcome::failed, 0, to_line(table.error())});
    std::uint64_t generation = table->generation();
    std::erase_if(tables_, [&](const auto& known) { return known.generation() == generation; });
    tables_.push_front(std::move(*table));
    if (tables_.size() > most_tables) tables_.pop_back();
    answer({id, Outcome::done, generation, {}});
}

void ProgramServer::start(const RunRequest& request) {
    auto refuse = [&](std::string why) {
        answer({request.id, Outcome::refused, request.generation, std::move(why)});
    };
    auto table = std::ranges::find(tables_, request.generation, &ProgramTable::generation);
    if (table == tables_.end())
        return refuse("it is of a configuration that bandd-programs has not read; bandctl reload");
    const ConfiguredProgram* program = table->at(request.index);
    if (program == nullptr) return refuse("there is no program of that number");
    auto argv = arguments_of(*program, request.values);
    if (!argv) return refuse(to_line(argv.error()));
    if (running_.size() >= most_running) return refuse("too many programs are running");
    start(request.id, program->program, *argv);
}

void ProgramServer::start(std::uint64_t id, const ProgramConfig& program,
                          const std::vector<std::string>& argv) {
    auto failed = [&](const char* what) {
        answer({id, Outcome::failed, 0, to_line(fail_errno(what).error())});
    };
    std::array<int, 2> pipe_ends{-1, -1};
    if (pipe2(pipe_ends.data(), O_CLOEXEC) != 0) return failed("pipe2");
    Fd reading(pipe_ends[0]);
    Fd writing(pipe_ends[1]);
    fcntl(reading.get(), F_SETFL, O_NONBLOCK);  // ours only: programs expect to wait
    pid_t pid = fork();
    if (pid < 0) return failed("fork");
    if (pid == 0) become_program(argv, program, writing.get());
    std::int64_t timeout_ms = program.timeout.count() / 1000;
    running_.push_back({id, pid, std::move(reading), {}, monotonic_ms() + timeout_ms, false});
}

// Bounded: a program may write faster than this reads.
void ProgramServer::collect(Running& program) {
    std::array<char, 4096> buffer{};
    for (std::size_t read = 0; read < most_read;) {
        ssize_t got = ::read(program.standard_error.get(), buffer.data(), buffer.size());
        if (got == 0) program.standard_error.reset();  // or poll would come back at once, always
        if (got <= 0) return;
        read += static_cast<std::size_t>(got);
        std::size_t room = longest_message - program.message.size();
        program.message.append(buffer.data(), std::min(static_cast<std::size_t>(got), room));
    }
}

void ProgramServer::reap() {
    int status = 0;
    for (pid_t pid = 0; (pid = waitpid(-1, &status, WNOHANG)) > 0;) {
        auto program = std::ranges::find(running_, pid, &Running::pid);
        if (program == running_.end()) continue;
        collect(*program);
        ProgramAnswer ended{program->id, Outcome::done, 0, {}};
        if (program->killed || !WIFEXITED(status) || WEXITSTATUS(status) != 0) {
            ended.outcome = Outcome::failed;
            ended.message = how_it_ended(status, program->killed);
            std::string said = program->message.substr(0, program->message.find('\n'));
            if (!said.empty()) ended.message += ": " + said;
        }
        running_.erase(program);
        answer(ended);
    }
}

void ProgramServer::kill_late() {
    std::int64_t time = monotonic_ms();
    for (Running& program : running_) {
        if (program.killed || program.deadline > time) continue;
        kill(-program.pid, SIGKILL);
        kill(program.pid, SIGKILL);
        program.killed = true;
    }
}

void ProgramServer::answer(const ProgramAnswer& answer) {
    unsent_.push_back(to_packet(answer));
    send_answers();
}

void ProgramServer::send_answers() {
    while (socket_ && !unsent_.empty()) {
        const std::string& packet = unsent_.front();
        ssize_t sent =
            ::send(socket_.get(), packet.data(), packet.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
        if (sent < 0 && (errno == EAGAIN || errno == ENOBUFS)) return;
        unsent_.pop_front();  // sent; or bandd is gone, and take_request will find that
    }
}

}  // namespace bandd

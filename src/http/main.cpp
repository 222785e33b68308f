// SPDX-License-Identifier: GPL-2.0-or-later
// bandd-http: speaks HTTP for the daemon, which started it, by libmicrohttpd. A process without
// rights: what a client makes of it reaches neither the firewall nor the state. Each request goes
// to the daemon as one packet, and its answer comes as one. A password (Auth-Pass) goes to
// bandd-auth only, if the daemon's answer is to ask there; the daemon is then asked once more, and
// told whether it was right.
//
// Descriptor 3: the daemon (SOCK_SEQPACKET). Descriptor 4: the socket that is listened at. The
// socket to bandd-auth comes from the daemon, in a packet whose number is 0.
#include <microhttpd.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <csignal>
#include <cstring>
#include <list>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "auth/question.h"
#include "core/base/percent.h"
#include "core/base/reserved.h"
#include "os/fd_packet.h"
#include "os/packet.h"
#include "os/rights.h"
#include "os/tcp_connection.h"

namespace bandd {
namespace {

constexpr int daemon_fd = role_socket;
constexpr int listening_fd = role_extra;
constexpr unsigned most_connections = 256;
constexpr std::size_t most_places = 240;  // then the oldest of those that request nothing goes
constexpr std::size_t most_of_one_machine = 64;  // not of this one
// Within it a whole request must be there, and its answer be fetched.
constexpr std::chrono::seconds most_time{10};
constexpr std::chrono::seconds longest_check{65};  // by bandd-auth
// Bytes of one connection. Above 32 KiB libmicrohttpd has them from the kernel, and gives them back
// at its end: so no password stays behind, whatever becomes of the request.
constexpr std::size_t header_memory = 48 << 10;
constexpr std::size_t largest_body = 65536;

// What the daemon needs to know of a request; nothing else is handed on.
constexpr std::array wanted_headers{"auth-method",        "auth-user", "auth-protocol",
                                    "auth-login-attempt", "client-ip", "authorization",
                                    "x-auth-key"};

using Clock = std::chrono::steady_clock;

struct Answer {
    unsigned status = 500;
    std::string type = "text/plain", body;
    std::vector<std::pair<std::string, std::string>> headers;
};
struct Exchange {
    MHD_Connection* connection = nullptr;
    std::string body;
    bool too_large = false;
    bool asked = false;
    std::uint64_t id = 0;
    std::string request;  // what the daemon is asked, without its beginning
    PasswordQuestion question;
    std::optional<Clock::time_point> checked_until;  // bandd-auth is asked, and must have answered
    std::optional<PasswordVerdict> verdict;          // what it said
    Answer answer;
};

// Where a connection is.
struct Place {
    int fd = -1;
    TcpConnection connection;
    Clock::time_point since;  // since when we wait for it: for a request, or to fetch its answer
    bool asked = false;       // it waits for us
    bool answered = false;    // it had an answer before
    bool put_out = false;
};

std::mutex mutex;                                      // of all that follows
std::unordered_map<std::uint64_t, Exchange*> waiting;  // for the daemon
std::uint64_t next_id = 0;
std::list<Place> places;
std::uint32_t put_out = 0;  // that the daemon was not told of
Fd checker;                 // to bandd-auth

Place& place_of(MHD_Connection* connection) {
    return *static_cast<Place*>(
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT)->socket_context);
}

// libmicrohttpd finds that the other side has gone, and forgets it.
void put_out_of(Place& place) {
    ::shutdown(place.fd, SHUT_RDWR);
    place.put_out = true;
    ++put_out;
}

// Makes room for a new connection: of those that had an answer, or else of all, the one that we
// have waited for longest goes. One machine has a
// share of the places; a local address is that of all programs here, and says nothing.
void make_room(const Place& fresh) {
    bool local = is_loopback(fresh.connection.theirs);
    auto is_same = [&](const Place& place) {
        return !local &&
               host_prefix(place.connection.theirs) == host_prefix(fresh.connection.theirs);
    };
    std::size_t all = 0, same = 0;
    for (const Place& place : places) {
        if (place.put_out) continue;
        ++all;
        if (is_same(place)) ++same;
    }
    bool over_share = same > most_of_one_machine;
    if (!over_share && all <= most_places) return;
    // Who had an answer goes before who waits for the first one: else clients that ask again and
    // again, and read nothing, would shut all others out.
    auto goes_before = [](const Place& place, const Place& other) {
        if (place.answered != other.answered) return place.answered;
        return place.since < other.since;
    };
    Place* first = nullptr;
    for (Place& place : places)
        if (!place.put_out && (place.answered || !place.asked) && (!over_share || is_same(place)) &&
            (first == nullptr || goes_before(place, *first)))
            first = &place;
    if (first != nullptr) put_out_of(*first);
}

void put_out_late(Clock::time_point now) {
    std::lock_guard hold(mutex);
    for (Place& place : places)
        if (!place.asked && !place.put_out && now - place.since > most_time) put_out_of(place);
}

void on_connection(void*, MHD_Connection* connection, void** kept,
                   MHD_ConnectionNotificationCode what) {
    std::lock_guard hold(mutex);
    if (what == MHD_CONNECTION_NOTIFY_CLOSED) {
        places.remove_if([&](const Place& place) { return &place == *kept; });
        return;
    }
    const auto* info = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
    Place& place = places.emplace_back();
    place.fd = info->connect_fd;
    place.connection = connection_of(place.fd).value_or(TcpConnection{});
    place.since = Clock::now();
    *kept = &place;
    make_room(place);
}

MHD_Result answer_with(MHD_Connection* connection, const Answer& answer) {
    MHD_Response* response = MHD_create_response_from_buffer(
        answer.body.size(), const_cast<char*>(answer.body.data()), MHD_RESPMEM_MUST_COPY);
    if (response == nullptr) return MHD_NO;
    MHD_add_response_header(response, "Content-Type", answer.type.c_str());
    for (const auto& [name, value] : answer.headers)
        MHD_add_response_header(response, name.c_str(), value.c_str());
    MHD_Result done = MHD_queue_response(connection, answer.status, response);
    MHD_destroy_response(response);
    return done;
}

std::string small(const char* name) {
    std::string out = name;
    for (char& c : out)
        if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
    return out;
}

struct Collected {
    std::string headers, query;
    PasswordQuestion question;
    int passwords = 0;
};

// What bandd-auth may be asked. True: it is not for the daemon.
bool keep_for_question(const std::string& name, const char* value, Collected& collected) {
    PasswordQuestion& question = collected.question;
    if (name == "auth-pass") {
        // What is encoded wrongly is no password, nor are several.
        bool only = ++collected.passwords == 1;
        question.password = {};
        if (auto decoded = percent_decoded(value)) {
            Secret password(std::move(*decoded));
            if (only) question.password = std::move(password);
        }
        // libmicrohttpd's own memory, which it frees as it is.
        explicit_bzero(const_cast<char*>(value), std::strlen(value));
        return true;
    }
    if (name == "auth-user") question.user = percent_decoded(value).value_or("");
    if (name == "auth-protocol") question.protocol = value;
    if (name == "client-ip") question.client = value;
    return false;
}

MHD_Result collect(void* into, MHD_ValueKind kind, const char* name, const char* value) {
    auto& collected = *static_cast<Collected*>(into);
    if (kind == MHD_GET_ARGUMENT_KIND) {
        if (!collected.query.empty()) collected.query += '&';
        collected.query += name;
        if (value != nullptr) collected.query += std::string("=") + value;
        return MHD_YES;
    }
    std::string known = small(name);
    if (keep_for_question(known, value == nullptr ? "" : value, collected)) return MHD_YES;
    if (std::ranges::find(wanted_headers, known) == wanted_headers.end()) return MHD_YES;
    append_field(collected.headers, known);
    append_field(collected.headers, value == nullptr ? "" : value);
    return MHD_YES;
}

void resume(Exchange& exchange, Answer answer) {
    waiting.erase(exchange.id);
    exchange.answer = std::move(answer);
    MHD_resume_connection(exchange.connection);
}

// Hands the request to the daemon. Under the mutex, while its connection sleeps.
void ask_daemon(Exchange& exchange) {
    std::string packet;
    append_field(packet, as_bytes(exchange.id));
    append_field(packet, as_bytes(std::exchange(put_out, 0)));
    append_field(packet, exchange.verdict ? to_string(*exchange.verdict) : std::string_view());
    packet += exchange.request;
    if (::send(daemon_fd, packet.data(), packet.size(), MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
        resume(exchange, {503, "text/plain", "bandd is busy\n", {}});
}

// The connection sleeps until its answer is there.
MHD_Result ask(Exchange& exchange, const char* method, const char* path) {
    Collected collected;
    MHD_get_connection_values(exchange.connection, MHD_HEADER_KIND, &collect, &collected);
    MHD_get_connection_values(exchange.connection, MHD_GET_ARGUMENT_KIND, &collect, &collected);
    std::lock_guard hold(mutex);
    Place& place = place_of(exchange.connection);
    place.asked = true;
    std::string& request = exchange.request;
    append_field(request, as_bytes(place.connection.theirs.bytes));
    append_field(request, as_bytes(place.connection.their_port));
    append_field(request, as_bytes(place.connection.ours.bytes));
    append_field(request, as_bytes(place.connection.our_port));
    append_field(request, method);
    append_field(request, path);
    append_field(request, collected.query);
    append_field(request, exchange.body);
    request += collected.headers;
    exchange.id = ++next_id;
    exchange.question = std::move(collected.question);
    exchange.question.id = exchange.id;
    exchange.asked = true;
    waiting.emplace(exchange.id, &exchange);
    MHD_suspend_connection(exchange.connection);
    ask_daemon(exchange);
    return MHD_YES;
}

void take_verdict(Exchange& exchange, PasswordVerdict verdict) {
    exchange.checked_until.reset();
    exchange.verdict = verdict;
    ask_daemon(exchange);
}

// Once for each request, whatever the daemon says.
void ask_for_verdict(Exchange& exchange, std::chrono::seconds patience) {
    if (exchange.verdict || exchange.checked_until) return resume(exchange, {});
    const PasswordQuestion& question = exchange.question;
    if (question.user.size() > longest_password ||
        question.password.view().size() > longest_password)
        return take_verdict(exchange, PasswordVerdict::wrong);
    Secret packet = to_packet(question);
    exchange.question.password = {};
    if (!checker || ::send(checker.get(), packet.view().data(), packet.view().size(),
                           MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
        return take_verdict(exchange, PasswordVerdict::unknown);
    exchange.checked_until = Clock::now() + std::clamp(patience, {}, longest_check);
}

// Of those that bandd-auth should have answered by `now`.
void give_up_checks(Clock::time_point now, PasswordVerdict verdict) {
    std::vector<Exchange*> late;
    for (const auto& [id, exchange] : waiting)
        if (exchange->checked_until && *exchange->checked_until <= now) late.push_back(exchange);
    for (Exchange* exchange : late) take_verdict(*exchange, verdict);
}

// Its next step is the client's.
void wait_for_client(MHD_Connection* connection) {
    std::lock_guard hold(mutex);
    Place& place = place_of(connection);
    place.asked = false;
    place.answered = true;
    place.since = Clock::now();
}

MHD_Result on_request(void*, MHD_Connection* connection, const char* path, const char* method,
                      const char*, const char* data, std::size_t* size, void** kept) {
    auto*& exchange = reinterpret_cast<Exchange*&>(*kept);
    if (exchange == nullptr) {
        exchange = new Exchange;
        exchange->connection = connection;
        return MHD_YES;
    }
    if (*size > 0) {
        exchange->too_large = exchange->body.size() + *size > largest_body;
        if (!exchange->too_large) exchange->body.append(data, *size);
        *size = 0;
        return exchange->too_large ? MHD_NO : MHD_YES;
    }
    if (!exchange->asked) return ask(*exchange, method, path);
    wait_for_client(connection);
    return answer_with(connection, exchange->answer);
}

void on_done(void*, MHD_Connection* connection, void** kept, MHD_RequestTerminationCode) {
    auto* exchange = static_cast<Exchange*>(*kept);
    if (exchange == nullptr) return;
    wait_for_client(connection);
    {
        std::lock_guard hold(mutex);
        waiting.erase(exchange->id);
    }
    delete exchange;
    *kept = nullptr;
}

void give_up_late_checks() {
    std::lock_guard hold(mutex);
    give_up_checks(Clock::now(), PasswordVerdict::late);
}

void take_answer(std::string_view packet) {
    auto id = take_field(packet);
    auto status = take_field(packet);
    auto type = take_field(packet);
    auto body = take_field(packet);
    if (!body || id->size() != sizeof(std::uint64_t)) return;
    std::lock_guard hold(mutex);
    auto found = waiting.find(from_bytes<std::uint64_t>(*id));
    if (found == waiting.end()) return;
    int code = std::atoi(status->c_str());
    if (code == ask_for_password) {
        take_field(packet);
        std::string seconds = take_field(packet).value_or("");
        return ask_for_verdict(*found->second, std::chrono::seconds(std::atoi(seconds.c_str())));
    }
    Answer answer{static_cast<unsigned>(code), std::move(*type), std::move(*body), {}};
    while (auto name = take_field(packet))
        answer.headers.emplace_back(*name, take_field(packet).value_or(""));
    resume(*found->second, std::move(answer));
}

// Another bandd-auth: the one before it will answer nothing more.
void take_checker(Fd fresh) {
    std::lock_guard hold(mutex);
    checker = std::move(fresh);
    give_up_checks(Clock::time_point::max(), PasswordVerdict::unknown);
}

void on_daemon(std::string& buffer) {
    auto packet = receive_fd_packet(daemon_fd, buffer);
    if (!packet) _exit(0);  // the daemon has ended
    if (packet->fds.empty())
        take_answer(packet->bytes);
    else
        take_checker(std::move(packet->fds.front()));
}

void on_checker() {
    std::array<char, 256> packet;
    ssize_t got = ::recv(checker.get(), packet.data(), packet.size(), MSG_DONTWAIT);
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) return;
    if (got <= 0) return take_checker({});
    auto answer = parse_answer({packet.data(), static_cast<std::size_t>(got)});
    std::lock_guard hold(mutex);
    auto found = answer ? waiting.find(answer->id) : waiting.end();
    if (found != waiting.end() && found->second->checked_until)
        take_verdict(*found->second, answer->verdict);
}

int run() {
    // An answer to an earlier process's question must fit none of ours.
    next_id = static_cast<std::uint64_t>(getpid()) << 32U;
    if (!enters_role(Role::http)) return 1;
    MHD_Daemon* http = MHD_start_daemon(
        MHD_USE_EPOLL_INTERNAL_THREAD | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ITC, 0, nullptr, nullptr,
        &on_request, nullptr, MHD_OPTION_LISTEN_SOCKET, listening_fd, MHD_OPTION_CONNECTION_LIMIT,
        most_connections, MHD_OPTION_CONNECTION_TIMEOUT, static_cast<unsigned>(most_time.count()),
        MHD_OPTION_CONNECTION_MEMORY_LIMIT, header_memory, MHD_OPTION_NOTIFY_COMPLETED, &on_done,
        nullptr, MHD_OPTION_NOTIFY_CONNECTION, &on_connection, nullptr, MHD_OPTION_END);
    if (http == nullptr) return 1;
    std::string buffer(8 << 20, '\0');
    while (true) {
        // A negative descriptor is one that is not waited for.
        std::array<pollfd, 2> ready{pollfd{daemon_fd, POLLIN, 0}, pollfd{checker.get(), POLLIN, 0}};
        constexpr int look_around = 1000;  // ms
        int any = ::poll(ready.data(), ready.size(), look_around);
        put_out_late(Clock::now());
        give_up_late_checks();
        if (any <= 0) continue;
        if (ready[1].revents != 0) on_checker();
        if (ready[0].revents != 0) on_daemon(buffer);
    }
}

}  // namespace
}  // namespace bandd

int main() { return bandd::run(); }

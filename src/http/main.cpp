// SPDX-License-Identifier: GPL-2.0-or-later
// bandd-http: speaks HTTP for the daemon, which started it, by libmicrohttpd. A process without
// rights: what a client makes of it reaches neither the firewall nor the state. Each request goes
// to the daemon as one packet, and its answer comes as one. Passwords (Auth-Pass) go nowhere.
//
// Descriptor 3: the daemon (SOCK_SEQPACKET). Descriptor 4: the socket that is listened at.
#include <microhttpd.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <csignal>
#include <list>
#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "core/base/reserved.h"
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
constexpr std::size_t header_memory = 32768;  // bytes of one connection
constexpr std::size_t largest_body = 65536;

// What the daemon needs to know of a request; nothing else is handed on.
constexpr std::array wanted_headers{"auth-method",        "auth-user", "auth-protocol",
                                    "auth-login-attempt", "client-ip", "authorization",
                                    "x-auth-key"};

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
    Answer answer;
};

using Clock = std::chrono::steady_clock;
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
};

MHD_Result collect(void* into, MHD_ValueKind kind, const char* name, const char* value) {
    auto& collected = *static_cast<Collected*>(into);
    if (kind == MHD_GET_ARGUMENT_KIND) {
        if (!collected.query.empty()) collected.query += '&';
        collected.query += name;
        if (value != nullptr) collected.query += std::string("=") + value;
        return MHD_YES;
    }
    std::string known = small(name);
    if (std::ranges::find(wanted_headers, known) == wanted_headers.end()) return MHD_YES;
    append_field(collected.headers, known);
    append_field(collected.headers, value == nullptr ? "" : value);
    return MHD_YES;
}

// Hands the request to the daemon; the connection sleeps until its answer is there.
MHD_Result ask(Exchange& exchange, const char* method, const char* path) {
    Collected collected;
    MHD_get_connection_values(exchange.connection, MHD_HEADER_KIND, &collect, &collected);
    MHD_get_connection_values(exchange.connection, MHD_GET_ARGUMENT_KIND, &collect, &collected);
    std::string packet;
    std::lock_guard hold(mutex);
    Place& place = place_of(exchange.connection);
    place.asked = true;
    exchange.id = ++next_id;
    append_field(packet, as_bytes(exchange.id));
    append_field(packet, as_bytes(std::exchange(put_out, 0)));
    append_field(packet, as_bytes(place.connection.theirs.bytes));
    append_field(packet, as_bytes(place.connection.their_port));
    append_field(packet, as_bytes(place.connection.ours.bytes));
    append_field(packet, as_bytes(place.connection.our_port));
    append_field(packet, method);
    append_field(packet, path);
    append_field(packet, collected.query);
    append_field(packet, exchange.body);
    packet += collected.headers;
    exchange.asked = true;
    waiting.emplace(exchange.id, &exchange);
    MHD_suspend_connection(exchange.connection);
    if (::send(daemon_fd, packet.data(), packet.size(), MSG_NOSIGNAL | MSG_DONTWAIT) < 0) {
        waiting.erase(exchange.id);
        exchange.answer = {503, "text/plain", "bandd is busy\n", {}};
        MHD_resume_connection(exchange.connection);
    }
    return MHD_YES;
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

void take_answer(std::string_view packet) {
    auto id = take_field(packet);
    auto status = take_field(packet);
    auto type = take_field(packet);
    auto body = take_field(packet);
    if (!body || id->size() != sizeof(std::uint64_t)) return;
    std::lock_guard hold(mutex);
    auto found = waiting.find(from_bytes<std::uint64_t>(*id));
    if (found == waiting.end()) return;
    Exchange& exchange = *found->second;
    waiting.erase(found);
    exchange.answer.status = static_cast<unsigned>(std::atoi(std::string(*status).c_str()));
    exchange.answer.type = *type;
    exchange.answer.body = *body;
    while (auto name = take_field(packet))
        exchange.answer.headers.emplace_back(*name, take_field(packet).value_or(""));
    MHD_resume_connection(exchange.connection);
}

int run() {
    // An answer to an earlier process's question must fit none of ours.
    next_id = static_cast<std::uint64_t>(getpid()) << 32U;
    if (!enter_role(Role::http)) return 1;
    MHD_Daemon* http = MHD_start_daemon(
        MHD_USE_EPOLL_INTERNAL_THREAD | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ITC, 0, nullptr, nullptr,
        &on_request, nullptr, MHD_OPTION_LISTEN_SOCKET, listening_fd, MHD_OPTION_CONNECTION_LIMIT,
        most_connections, MHD_OPTION_CONNECTION_TIMEOUT, static_cast<unsigned>(most_time.count()),
        MHD_OPTION_CONNECTION_MEMORY_LIMIT, header_memory, MHD_OPTION_NOTIFY_COMPLETED, &on_done,
        nullptr, MHD_OPTION_NOTIFY_CONNECTION, &on_connection, nullptr, MHD_OPTION_END);
    if (http == nullptr) return 1;
    std::string packet(8 << 20, '\0');
    while (true) {
        pollfd daemon{daemon_fd, POLLIN, 0};
        constexpr int look_around = 1000;  // ms
        bool any = ::poll(&daemon, 1, look_around) > 0;
        put_out_late(Clock::now());
        if (!any) continue;
        ssize_t got = ::recv(daemon_fd, packet.data(), packet.size(), 0);
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0) _exit(0);  // the daemon has ended
        take_answer({packet.data(), static_cast<std::size_t>(got)});
    }
}

}  // namespace
}  // namespace bandd

int main() { return bandd::run(); }

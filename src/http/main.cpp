// SPDX-License-Identifier: GPL-2.0-or-later
// bandd-http: speaks HTTP for the daemon, which started it, by libmicrohttpd. A process without
// rights: what a client makes of it reaches neither the firewall nor the state. Each request goes
// to the daemon as one packet, and its answer comes as one. Passwords (Auth-Pass) go nowhere.
//
// Descriptor 3: the daemon (SOCK_SEQPACKET). Descriptor 4: the socket that is listened at.
#include <microhttpd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <csignal>
#include <cstring>
#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "os/packet.h"
#include "os/rights.h"
#include "os/socket_address.h"

namespace bandd {
namespace {

constexpr int daemon_fd = role_socket;
constexpr int listening_fd = role_extra;
constexpr unsigned most_connections = 256;
constexpr unsigned most_silence = 10;         // seconds
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

std::mutex mutex;
std::unordered_map<std::uint64_t, Exchange*> waiting;  // for the daemon
std::uint64_t next_id = 0;

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
    sockaddr_storage from{};
    if (const auto* info =
            MHD_get_connection_info(exchange.connection, MHD_CONNECTION_INFO_CLIENT_ADDRESS)) {
        bool six = info->client_addr->sa_family == AF_INET6;
        std::memcpy(&from, info->client_addr, six ? sizeof(sockaddr_in6) : sizeof(sockaddr_in));
    }
    Address peer = address_of(from);
    std::string packet;
    std::lock_guard hold(mutex);
    exchange.id = ++next_id;
    append_field(packet, as_bytes(exchange.id));
    append_field(packet, {reinterpret_cast<const char*>(peer.bytes.data()), peer.bytes.size()});
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
    return answer_with(connection, exchange->answer);
}

void on_done(void*, MHD_Connection*, void** kept, MHD_RequestTerminationCode) {
    auto* exchange = static_cast<Exchange*>(*kept);
    if (exchange == nullptr) return;
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
        most_connections, MHD_OPTION_CONNECTION_TIMEOUT, most_silence,
        MHD_OPTION_CONNECTION_MEMORY_LIMIT, header_memory, MHD_OPTION_NOTIFY_COMPLETED, &on_done,
        nullptr, MHD_OPTION_END);
    if (http == nullptr) return 1;
    std::string packet(8 << 20, '\0');
    while (true) {
        ssize_t got = ::recv(daemon_fd, packet.data(), packet.size(), 0);
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0) _exit(0);  // the daemon has ended
        take_answer({packet.data(), static_cast<std::size_t>(got)});
    }
}

}  // namespace
}  // namespace bandd

int main() { return bandd::run(); }

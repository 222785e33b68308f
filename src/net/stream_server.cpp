// SPDX-License-Identifier: GPL-2.0-or-later
#include "net/stream_server.h"

#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <utility>
#include <vector>

#include "core/base/reserved.h"
#include "os/clock.h"
#include "os/socket_address.h"

namespace bandd {
namespace {

// For which nobody is accepted once there are no descriptors left.
constexpr Duration accept_pause = std::chrono::seconds(1);

// Whether they have one share of the places. Who has an address of a /64 has all of them.
bool share_places(const StreamClient& one, const StreamClient& other) {
    return one.user || other.user ? one.user == other.user
                                  : host_prefix(one.address) == host_prefix(other.address);
}

}  // namespace

StreamServer::StreamServer(Loop& loop, Fd listening, const ListenAddress& address,
                           StreamLimits limits, StreamUse use)
    : loop_(loop),
      listening_(std::move(listening)),
      address_(address),
      limits_(limits),
      use_(std::move(use)) {
    [[maybe_unused]] auto added =
        loop_.add(listening_.get(), EPOLLIN, [this](std::uint32_t) { accept_all(); });
}

StreamServer::~StreamServer() {
    for (auto& [number, client] : clients_) loop_.remove(client.fd.get());
    loop_.remove(listening_.get());
}

Result<> StreamServer::load_tls(const TlsFiles& files) {
    auto loaded = TlsServer::load(files);
    if (!loaded) {
        Error error = loaded.error();
        error.what = to_string(address_) + ": " + error.what;
        return std::unexpected(error);
    }
    tls_ = std::move(*loaded);
    return {};
}

void StreamServer::hold() { loop_.modify(listening_.get(), 0); }
void StreamServer::go_on() { loop_.modify(listening_.get(), EPOLLIN); }

void StreamServer::accept_all() {
    constexpr int most_at_once = 64;  // then the rest of the loop has its turn
    for (int i = 0; i < most_at_once; ++i) {
        sockaddr_storage from{};
        socklen_t size = sizeof from;
        Fd fd(::accept4(listening_.get(), reinterpret_cast<sockaddr*>(&from), &size,
                        SOCK_CLOEXEC | SOCK_NONBLOCK));
        if (!fd && errno == EAGAIN) return;
        if (!fd && (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM))
            return pause_accepting(errno);
        // Other errors are those of a connection that has ended already (accept(2)).
        if (!fd) continue;
        bool local = address_.kind == ListenAddress::Kind::unix_stream;
        accept(std::move(fd), local ? *parse_address("::1") : address_of(from));
    }
}

// The connection stays where it is, and would wake the loop again at once.
void StreamServer::pause_accepting(int fault) {
    ++counts_.no_descriptors;
    counts_.last_failure = std::strerror(fault);
    tell_trouble(full_, {"nobody can connect for a second", std::strerror(fault), {}, {}});
    loop_.modify(listening_.get(), 0);
    paused_ = now();
}

Result<> StreamServer::may_connect(const Fd& fd, StreamClient& about) const {
    if (use_.may_connect) return use_.may_connect(fd, about);
    if (is_loopback(about.address) || believed_.contains(about.address)) return {};
    return fail(to_string(about.address), "may not connect");
}

void StreamServer::refuse(const Fd& fd, const std::string& text, const Error& why) {
    counts_.last_failure = to_line(why);
    [[maybe_unused]] auto ignored = ::send(fd.get(), text.data(), text.size(), MSG_NOSIGNAL);
}

// Says it with the number of times since it was said last.
void StreamServer::tell_trouble(Rarely& rarely, Error error) const {
    std::uint64_t times = rarely.happened(now());
    if (times == 0 || !use_.on_trouble) return;
    error.what = to_string(address_) + ": " + error.what;
    error.reason += since_said(times);
    use_.on_trouble(error);
}

void StreamServer::accept(Fd fd, const Address& peer) {
    StreamClient about;
    about.number = next_number_;
    about.address = peer;
    if (auto may = may_connect(fd, about); !may) {
        ++counts_.refused;
        refuse(fd, use_.not_allowed, may.error());
        return tell_trouble(refused_, may.error());
    }
    if (!make_room(about)) {
        Error full{to_string(peer), "is refused: all places are taken", {}, {}};
        ++counts_.too_many;
        refuse(fd, use_.too_many, full);
        return tell_trouble(full_, full);
    }
    int on = 1;
    if (address_.kind != ListenAddress::Kind::unix_stream) {
        setsockopt(fd.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        // Who is gone without a word is noticed, in some hours.
        setsockopt(fd.get(), SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
    }
    auto added = loop_.add(fd.get(), EPOLLIN, [this, number = about.number](std::uint32_t events) {
        serve(number, events);
    });
    if (!added) {
        ++counts_.too_many;
        return refuse(fd, use_.too_many, added.error());
    }
    ++next_number_;
    ++counts_.accepted;
    Client& client = clients_[about.number];
    client.fd = std::move(fd);
    client.events = EPOLLIN;
    client.about = std::move(about);
    client.connected = client.served = now();
    if (tls_)
        client.tls.emplace(*tls_);
    else
        client.out = use_.greeting;
    set_deadline(client);
    settle(client, send(client));
}

// The client that gives way to another: of those that share places with one, or of all. Clients are
// in the order in which they connected.
StreamServer::Client* StreamServer::find_dispensable(const StreamClient* sharing) {
    Client* found = nullptr;
    Instant latest = now() - limits_.recent;
    for (auto& [number, client] : clients_) {
        if (sharing != nullptr && !share_places(client.about, *sharing)) continue;
        if (!client.about.known) return &client;
        bool silent = client.out.empty() && !client.about.waiting && !client.about.listens &&
                      client.served <= latest;
        if (silent && (found == nullptr || client.served < found->served)) found = &client;
    }
    return found;
}

bool StreamServer::make_room(const StreamClient& fresh) {
    std::optional<std::uint64_t> asked;
    Client* out = nullptr;
    for (;;) {
        auto of_same = std::ranges::count_if(
            clients_, [&](const auto& entry) { return share_places(entry.second.about, fresh); });
        bool over_share = static_cast<std::size_t>(of_same) >= limits_.share;
        if (!over_share && clients_.size() < limits_.clients) return true;
        out = find_dispensable(over_share ? &fresh : nullptr);
        if (out == nullptr) return false;
        // It may have said whom it is, or sent its only line, and nobody has read that yet.
        if (out->about.known || out->about.number == asked) break;
        asked = out->about.number;
        serve(*asked, EPOLLIN);
    }
    Error why{to_string(out->about.address),
              out->about.known ? "made room for another client, as it kept silent"
                               : "made room for another client, as it had not shown whom it is",
              {},
              {}};
    ++counts_.made_room;
    counts_.last_failure = to_line(why);
    settle(*out, State::cut_off);
    tell_trouble(full_, std::move(why));
    return true;
}

// Until a client is known its time runs from its connection on, whatever it sends.
void StreamServer::set_deadline(Client& client) {
    bool handshake = client.tls && !client.tls->is_ready();
    auto bound = [](Instant from, Duration time) {
        return time == Duration{0} ? never : from + time;
    };
    client.until = client.about.waiting || client.about.listens ? never
                   : client.about.known ? bound(client.served, limits_.silence)
                                        : bound(client.connected, limits_.proof);
    if (handshake) client.until = std::min(client.until, client.connected + limits_.handshake);
}

// Whoever has left or was cut off is forgotten.
void StreamServer::settle(Client& client, State state) {
    if (state == State::goes_on) return;
    loop_.remove(client.fd.get());
    auto gone = clients_.extract(client.about.number);
    if (use_.on_end)
        use_.on_end(gone.mapped().about,
                    state == State::left ? StreamUse::End::left : StreamUse::End::cut_off);
}

StreamServer::State StreamServer::cut_off(Client& client, const char* why) {
    ++counts_.cut_off;
    counts_.last_failure = to_string(client.about.address) + ": " + why;
    return State::cut_off;
}

void StreamServer::close_after_answer(Client& client) {
    client.closing = true;
    client.until = now() + limits_.handshake;
}

StreamServer::State StreamServer::send(Client& client) {
    while (!client.out.empty()) {
        ssize_t sent = ::send(client.fd.get(), client.out.data(), client.out.size(), MSG_NOSIGNAL);
        if (sent < 0 && (errno == EAGAIN || errno == EINTR)) break;
        if (sent < 0) return State::left;
        client.out.erase(0, static_cast<std::size_t>(sent));
    }
    // A client that is to be closed is not listened to any more, but it is told the rest.
    std::uint32_t events = client.closing ? 0U : static_cast<std::uint32_t>(EPOLLIN);
    if (!client.out.empty()) events |= EPOLLOUT;
    if (std::exchange(client.events, events) != events) loop_.modify(client.fd.get(), events);
    if (client.out.size() > limits_.unread) return cut_off(client, "it does not fetch its answers");
    return client.closing && client.out.empty() ? State::left : State::goes_on;
}

StreamServer::State StreamServer::say(Client& client, std::string_view text) {
    if (text.empty()) return State::goes_on;
    if (!client.tls)
        client.out += text;
    else if (!client.tls->say(text, client.out))
        return State::left;
    if (client.out.size() > limits_.unread) return cut_off(client, "it does not fetch its answers");
    return State::goes_on;
}

// Hands on what has arrived.
StreamServer::State StreamServer::take(Client& client) {
    while (!client.closing && !client.about.waiting && !client.in.empty()) {
        std::string answer;
        client.taking = true;
        auto taken = use_.on_bytes(client.about, client.in, answer);
        client.taking = false;
        if (State said = say(client, answer); said != State::goes_on) return said;
        if (!taken) {
            close_after_answer(client);
        } else if (*taken == 0) {
            break;
        } else {
            client.in.erase(0, *taken);
            client.served = now();
            set_deadline(client);
        }
    }
    if (client.in.size() <= limits_.request || client.closing) return State::goes_on;
    State ended = cut_off(client, "a request is too long");
    if (use_.too_long.empty()) return ended;
    client.in.clear();
    close_after_answer(client);
    return say(client, use_.too_long);
}

StreamServer::State StreamServer::receive(Client& client, std::string_view bytes) {
    if (!client.tls) {
        client.in += bytes;
        return State::goes_on;
    }
    bool was_ready = client.tls->is_ready();
    auto taken = client.tls->take(bytes, client.in, client.out);
    if (!taken) {
        ++counts_.bad_tls;
        counts_.last_failure = to_string(client.about.address) + ": " + taken.error().reason;
        // The alert tells the other side why; whether it arrives is not ours to wait for.
        [[maybe_unused]] auto ignored = send(client);
        return State::cut_off;
    }
    if (was_ready || !client.tls->is_ready()) return State::goes_on;
    client.about.certificate = client.tls->client_name();
    set_deadline(client);
    return say(client, use_.greeting);
}

StreamServer::State StreamServer::read(Client& client) {
    std::array<char, 16384> buffer;
    for (std::size_t read = 0; read < limits_.at_once && !client.closing;) {
        ssize_t got = ::recv(client.fd.get(), buffer.data(), buffer.size(), 0);
        if (got < 0 && (errno == EAGAIN || errno == EINTR)) break;
        if (got <= 0) return State::left;
        auto size = static_cast<std::size_t>(got);
        State state = receive(client, {buffer.data(), size});
        if (state == State::goes_on) state = take(client);
        if (state != State::goes_on) return state;
        if (size < buffer.size()) break;  // that was all
        read += size;
    }
    return State::goes_on;
}

void StreamServer::serve(std::uint64_t number, std::uint32_t events) {
    auto found = clients_.find(number);
    if (found == clients_.end()) return;
    Client& client = found->second;
    State state = State::goes_on;
    if ((events & EPOLLIN) != 0 && !client.closing)
        state = read(client);
    else if ((events & (EPOLLHUP | EPOLLERR)) != 0)
        state = State::left;
    settle(client, state == State::goes_on ? send(client) : state);
}

void StreamServer::answer(std::uint64_t number, std::string_view text) {
    auto found = clients_.find(number);
    if (found == clients_.end() || !found->second.about.waiting) return;
    Client& client = found->second;
    client.about.waiting = false;
    client.served = now();
    set_deadline(client);
    State state = say(client, text);
    if (client.taking) return;  // `take` goes on with its next request
    if (state == State::goes_on) state = take(client);
    settle(client, state == State::goes_on ? send(client) : state);
}

void StreamServer::tell(std::uint64_t number, std::string_view text, std::size_t most) {
    auto found = clients_.find(number);
    if (found == clients_.end() || found->second.closing) return;
    Client& client = found->second;
    if (client.out.size() + text.size() > most)
        cut_off(client, "it does not fetch what it is told");
    else if (say(client, text) == State::goes_on && send(client) == State::goes_on)
        return;
    // We may be within this very client's request: its end is served like any other hang-up.
    client.closing = true;
    client.out.clear();
    ::shutdown(client.fd.get(), SHUT_RDWR);
}

std::optional<Instant> StreamServer::next_deadline() const {
    std::optional<Instant> next;
    // A clock that was set back must not keep everybody out until it is there again.
    if (paused_) next = now() < *paused_ ? now() : *paused_ + accept_pause;
    for (const auto& [number, client] : clients_)
        if (client.until != never && (!next || client.until < *next)) next = client.until;
    return next;
}

void StreamServer::on_time(Instant at) {
    if (paused_ && (at < *paused_ || at >= *paused_ + accept_pause)) {
        paused_.reset();
        loop_.modify(listening_.get(), EPOLLIN);
    }
    std::vector<Client*> late;
    for (auto& [number, client] : clients_)
        if (client.until <= at) late.push_back(&client);
    for (Client* client : late) settle(*client, cut_off(*client, "it kept silent"));
}

}  // namespace bandd

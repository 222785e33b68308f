// SPDX-License-Identifier: GPL-2.0-or-later
#include "source/syslog_listener.h"

#include <sys/epoll.h>
#include <sys/socket.h>

#include <array>
#include <cstring>
#include <utility>

#include "core/text/syslog_line.h"
#include "net/listen.h"
#include "os/socket_address.h"

namespace bandd {
namespace {

constexpr std::size_t largest_datagram = 65536;
constexpr int most_datagrams = 2000;  // one after the other, before the rest of a turn

}  // namespace

Result<std::unique_ptr<SyslogListener>> SyslogListener::open(Loop& loop, Fd socket,
                                                             const ListenAddress& address,
                                                             std::size_t line_limit,
                                                             OnTrouble on_trouble) {
    std::unique_ptr<SyslogListener> made(new SyslogListener(loop, address, line_limit));
    if (is_stream(address)) {
        StreamLimits limits{
            .clients = most_clients, .share = most_of_one_sender, .at_once = read_size};
        made->server_ = std::make_unique<StreamServer>(loop, std::move(socket), address, limits,
                                                       made->use(std::move(on_trouble)));
        if (auto loaded = made->load_tls(address.tls); !loaded)
            return std::unexpected(loaded.error());
        return made;
    }
    made->datagrams_ = std::move(socket);
    int fd = made->datagrams_.get();
    int on = 1;
    setsockopt(fd, SOL_SOCKET, SO_RXQ_OVFL, &on, sizeof on);
    auto added = loop.add(fd, EPOLLIN, [one = made.get()](std::uint32_t) { one->ready_ = true; });
    if (!added) return std::unexpected(added.error());
    return made;
}

SyslogListener::~SyslogListener() {
    if (datagrams_) loop_.remove(datagrams_.get());
}

StreamUse SyslogListener::use(OnTrouble on_trouble) {
    StreamUse use;
    use.on_trouble = std::move(on_trouble);
    use.on_bytes = [this](StreamClient& client, std::string_view bytes, std::string&) {
        client.known = true;
        take_bytes(client, bytes, false);
        return std::optional(bytes.size());
    };
    use.may_connect = [this](const Fd&, StreamClient& client) -> Result<> {
        if (believed_.contains(client.address)) return {};
        return fail(to_string(client.address), "is not believed",
                    "name it in \"from\" if it is to be");
    };
    use.on_end = [this](const StreamClient& client, StreamUse::End end) {
        // A message that was not ended by a line end is a message all the same.
        if (end == StreamUse::End::left) take_bytes(client, {}, true);
        framing_.erase(client.number);
    };
    return use;
}

Result<> SyslogListener::load_tls(const TlsFiles& files) {
    if (address_.kind != ListenAddress::Kind::tls) return {};
    auto loaded = server_->load_tls(files);
    if (loaded) return {};
    Error error = loaded.error();
    error.what = "syslog: " + error.what;
    return std::unexpected(error);
}

void SyslogListener::append_message(const Address& sender, std::string_view message) {
    while (message.ends_with('\n') || message.ends_with('\r') || message.ends_with('\0'))
        message.remove_suffix(1);
    if (message.empty()) return;
    if (message.size() > line_limit_) {
        message = message.substr(0, line_limit_);
        ++counts_.cut;
    }
    ++counts_.messages;
    if (arrived_.empty() || arrived_.back().sender != sender) arrived_.push_back({sender, {}});
    std::string& lines = arrived_.back().lines;
    line_.clear();
    append_file_line(message, line_);
    for (char c : line_) {
        if (c == '\n')
            lines += "#012";
        else
            lines += c;
    }
    lines += '\n';
}

void SyslogListener::take_bytes(const StreamClient& client, std::string_view bytes, bool ended) {
    SyslogFraming& framing =
        framing_.try_emplace(client.number, SyslogFraming(line_limit_)).first->second;
    auto append = [&](std::string_view message) { append_message(client.address, message); };
    std::uint64_t before = framing.dishonest();
    framing.take(bytes, append);
    if (ended) framing.end(append);
    counts_.cut += framing.dishonest() - before;
}

// The kernel's own count of what it had to drop comes with each message.
void SyslogListener::count_dropped(msghdr& message) {
    for (cmsghdr* header = CMSG_FIRSTHDR(&message); header != nullptr;
         header = CMSG_NXTHDR(&message, header))
        if (header->cmsg_level == SOL_SOCKET && header->cmsg_type == SO_RXQ_OVFL) {
            std::uint32_t dropped = 0;
            std::memcpy(&dropped, CMSG_DATA(header), sizeof dropped);
            counts_.dropped += dropped - last_dropped_;  // the kernel's counter may wrap
            last_dropped_ = dropped;
        }
}

// Its size; nothing if there is none.
std::optional<std::size_t> SyslogListener::read_datagram(char* buffer) {
    sockaddr_storage from{};
    std::array<char, 64> control{};
    iovec part{buffer, largest_datagram};
    msghdr message{};
    message.msg_name = &from;
    message.msg_namelen = sizeof from;
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    message.msg_control = control.data();
    message.msg_controllen = control.size();
    ssize_t got = ::recvmsg(datagrams_.get(), &message, 0);
    if (got < 0) return {};
    auto size = static_cast<std::size_t>(got);
    count_dropped(message);
    Address sender = address_of(from);
    if (address_.kind == ListenAddress::Kind::unix_datagram || believed_.contains(sender))
        append_message(sender, {buffer, size});
    else
        ++counts_.refused;
    return size;
}

void SyslogListener::read(const OnLines& on_lines) {
    std::array<char, largest_datagram> buffer;
    // The socket stays readable if there are more.
    bool any = std::exchange(ready_, false);
    std::size_t bytes = 0;
    for (int i = 0; any && i < most_datagrams && bytes < read_size; ++i) {
        auto size = read_datagram(buffer.data());
        if (!size) break;
        bytes += *size;
    }
    for (const Arrived& one : std::exchange(arrived_, {})) on_lines(one.sender, one.lines);
}

std::optional<Instant> SyslogListener::next_deadline() const {
    return server_ ? server_->next_deadline() : std::nullopt;
}

void SyslogListener::on_time(Instant now) {
    if (server_) server_->on_time(now);
}

SyslogCounts SyslogListener::counts() const {
    SyslogCounts counts = counts_;
    if (!server_) return counts;
    const StreamCounts& clients = server_->counts();
    counts.refused += clients.refused;
    counts.clients_refused = clients.too_many;
    counts.clients_made_room = clients.made_room;
    counts.failed_handshakes = clients.bad_tls + clients.cut_off;
    counts.last_failure = clients.last_failure;
    return counts;
}

}  // namespace bandd

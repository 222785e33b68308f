// SPDX-License-Identifier: GPL-2.0-or-later
#include "config/listen.h"

#include <charconv>

namespace bandd {

std::optional<std::pair<Address, std::uint16_t>> parse_host_and_port(std::string_view text,
                                                                     std::uint16_t port) {
    std::string_view host = text;
    auto colon = text.rfind(':');
    bool bare_v6 = !text.starts_with('[') && text.find(':') != colon;
    if (colon != std::string_view::npos && !bare_v6 && !text.ends_with(']')) {
        host = text.substr(0, colon);
        std::string_view digits = text.substr(colon + 1);
        auto [end, fault] = std::from_chars(digits.data(), digits.data() + digits.size(), port);
        if (fault != std::errc{} || end != digits.data() + digits.size() || port == 0) return {};
    }
    if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
    auto address = parse_address(host);
    if (!address) return {};
    return std::pair{*address, port};
}

std::string to_string_with_port(const Address& address, std::uint16_t port) {
    std::string host = to_string(address);
    return (address.is_v4() ? host : "[" + host + "]") + ":" + std::to_string(port);
}

std::vector<Key<TlsFiles>> tls_keys() {
    return {
        key::path("certificate", &TlsFiles::certificate, "PEM file",
                  "for tls: ours, with its chain"),
        key::path("key", &TlsFiles::key, "PEM file",
                  "for tls: the certificate's key; both are read again on reload"),
        key::path("clients", &TlsFiles::clients, "PEM file",
                  "for tls: clients need a certificate that one of these signed"),
    };
}

namespace {

void read_mode(const Field& field, SocketFile& file) {
    auto text = field.text();
    if (!text) return;
    unsigned mode = 0;
    const char* end = text->data() + text->size();
    auto [rest, fault] = std::from_chars(text->data(), end, mode, 8);
    if (fault == std::errc{} && rest == end && mode > 0 && mode <= 0777)
        file.mode = mode;
    else
        field.error("is no mode of a file", "write 0660");
}

}  // namespace

std::vector<Key<SocketFile>> socket_file_keys() {
    return {
        key::special("mode", read_mode, "octal mode", "0666; 0660 with a group",
                     "of Unix sockets that are made here"),
        key::text("group", &SocketFile::group, "group name", "of Unix sockets that are made here"),
    };
}

std::string to_string(const ListenAddress& address) {
    if (address.kind == ListenAddress::Kind::unix_datagram ||
        address.kind == ListenAddress::Kind::unix_stream)
        return "unix:" + address.path;
    const char* kind = address.kind == ListenAddress::Kind::udp   ? "udp://"
                       : address.kind == ListenAddress::Kind::tcp ? "tcp://"
                                                                  : "tls://";
    return kind + to_string_with_port(address.address, address.port);
}

std::optional<ListenAddress> parse_listen_address(std::string_view text, std::uint16_t port,
                                                  std::uint16_t tls_port) {
    ListenAddress out;
    if (text.starts_with("unix:")) {
        text.remove_prefix(5);
        if (text.starts_with("//")) text.remove_prefix(2);
        out.kind = ListenAddress::Kind::unix_datagram;
        out.path = text;
        constexpr std::size_t longest = 107;  // of sockaddr_un
        return text.empty() || text.size() > longest ? std::nullopt : std::optional(out);
    }
    if (text.starts_with("tcp://"))
        out.kind = ListenAddress::Kind::tcp;
    else if (text.starts_with("tls://"))
        out.kind = ListenAddress::Kind::tls;
    else if (!text.starts_with("udp://"))
        return {};
    bool tls = out.kind == ListenAddress::Kind::tls;
    auto place = parse_host_and_port(text.substr(6), tls ? tls_port : port);
    if (!place) return {};
    out.address = place->first;
    out.port = place->second;
    return out;
}

}  // namespace bandd

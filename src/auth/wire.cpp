// SPDX-License-Identifier: GPL-2.0-or-later
#include "auth/wire.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <array>
#include <cerrno>

#include "core/base/reserved.h"
#include "net/tls_fault.h"
#include "os/socket_address.h"

namespace bandd {
namespace {

using Clock = std::chrono::steady_clock;

Result<> add_authorities(SSL_CTX* context, const std::string& pem) {
    if (pem.empty()) {
        SSL_CTX_set_default_verify_paths(context);
        return {};
    }
    std::unique_ptr<BIO, decltype(&BIO_free)> text(
        BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())), BIO_free);
    int count = 0;
    while (X509* one = PEM_read_bio_X509(text.get(), nullptr, nullptr, nullptr)) {
        X509_STORE_add_cert(SSL_CTX_get_cert_store(context), one);
        X509_free(one);
        ++count;
    }
    ERR_clear_error();
    if (count == 0) return fail("\"http: auth: tls_ca\"", "holds no certificate", "it must be PEM");
    return {};
}

// Nobody stands between this machine and itself, unless the configuration says so.
bool is_verified(const PasswordServer& server) {
    return !is_loopback(server.imap.address) || !server.tls_name.empty() ||
           !server.tls_authority.empty();
}

std::string name_of(const PasswordServer& server) {
    if (server.kind == PasswordServer::Kind::dovecot_sasl) return server.socket;
    return to_string(server.imap.address) + " port " + std::to_string(server.imap.port);
}

}  // namespace

Result<MailServer> MailServer::make(const PasswordServer& server) {
    MailServer made;
    made.server_ = server;
    if (server.tls == PasswordServer::Tls::no) return made;
    made.tls_ = {SSL_CTX_new(TLS_client_method()), SSL_CTX_free};
    if (!made.tls_) return fail("TLS", tls_fault(nullptr));
    SSL_CTX* context = made.tls_.get();
    SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION);
    SSL_CTX_set_verify(context, is_verified(server) ? SSL_VERIFY_PEER : SSL_VERIFY_NONE, nullptr);
    if (auto added = add_authorities(context, server.tls_authority); !added)
        return std::unexpected(added.error());
    return made;
}

Result<std::unique_ptr<SocketWire>> SocketWire::connect(const MailServer& server) {
    std::unique_ptr<SocketWire> wire(new SocketWire(server));
    wire->end_ = Clock::now() + std::chrono::duration_cast<Clock::duration>(server.server_.timeout);
    if (auto done = wire->connect_now(); !done) return std::unexpected(done.error());
    return wire;
}

Result<> SocketWire::connect_now() {
    const PasswordServer& server = server_.server_;
    bool local = server.kind == PasswordServer::Kind::dovecot_sasl;
    sockaddr_storage address{};
    socklen_t size = 0;
    if (local) {
        auto& unix_address = reinterpret_cast<sockaddr_un&>(address);
        unix_address.sun_family = AF_UNIX;
        if (server.socket.size() >= sizeof unix_address.sun_path)
            return fail(name_of(server), "is too long for a socket");
        server.socket.copy(unix_address.sun_path, server.socket.size());
        size = sizeof unix_address;
    } else {
        size = to_sockaddr(server.imap.address, server.imap.port, address);
    }
    socket_ = Fd(::socket(address.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    auto refused = [&] {
        return fail_errno("mail server " + name_of(server),
                          local ? "may bandd-auth open it? see docs/logins.md" : "is it running?");
    };
    if (!socket_) return refused();
    if (::connect(socket_.get(), reinterpret_cast<sockaddr*>(&address), size) == 0) return {};
    if (errno != EINPROGRESS) return refused();
    if (auto ready = wait(POLLOUT); !ready) return ready;
    int fault = 0;
    socklen_t length = sizeof fault;
    getsockopt(socket_.get(), SOL_SOCKET, SO_ERROR, &fault, &length);
    if (fault == 0) return {};
    errno = fault;
    return refused();
}

Result<> SocketWire::wait(short events) {
    pollfd one{socket_.get(), events, 0};
    while (true) {
        auto left = std::chrono::duration_cast<std::chrono::milliseconds>(end_ - Clock::now());
        if (left.count() <= 0) break;
        int ready = ::poll(&one, 1, static_cast<int>(left.count()) + 1);
        if (ready > 0) return {};
        if (ready < 0 && errno != EINTR) return fail_errno("poll");
    }
    return fail("mail server " + name_of(server_.server_), "did not answer in time",
                "see \"http: auth: timeout\"");
}

// After a call of OpenSSL that said `done`: waits for what it wants. An error: it failed.
Result<> SocketWire::wait_for_tls(int done) {
    switch (SSL_get_error(tls_.get(), done)) {
        case SSL_ERROR_WANT_READ:
            return wait(POLLIN);
        case SSL_ERROR_WANT_WRITE:
            return wait(POLLOUT);
        default:
            return fail("mail server " + name_of(server_.server_), "TLS: " + tls_fault(tls_.get()),
                        "see \"http: auth: tls_name\" and \"tls_ca\"");
    }
}

Result<> SocketWire::start_tls() {
    const PasswordServer& server = server_.server_;
    if (!rest_.empty())
        return fail("mail server " + name_of(server), "said something between STARTTLS and TLS");
    tls_ = {SSL_new(server_.tls_.get()), SSL_free};
    SSL* ssl = tls_.get();
    if (ssl == nullptr) return fail("TLS", tls_fault(nullptr));
    if (!server.tls_name.empty()) {
        SSL_set1_host(ssl, server.tls_name.c_str());
        SSL_set_tlsext_host_name(ssl, server.tls_name.c_str());
    } else {
        X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), to_string(server.imap.address).c_str());
    }
    SSL_set_fd(ssl, socket_.get());
    while (true) {
        int done = SSL_connect(ssl);
        if (done == 1) return {};
        if (auto ready = wait_for_tls(done); !ready) return ready;
    }
}

Result<> SocketWire::say(std::string_view bytes) {
    while (!bytes.empty()) {
        Result<> ready;
        if (tls_) {
            int done = SSL_write(tls_.get(), bytes.data(), static_cast<int>(bytes.size()));
            if (done > 0)
                bytes.remove_prefix(static_cast<std::size_t>(done));
            else
                ready = wait_for_tls(done);
        } else {
            ssize_t done = ::send(socket_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
            if (done > 0)
                bytes.remove_prefix(static_cast<std::size_t>(done));
            else
                ready = errno == EAGAIN || errno == EINTR
                            ? wait(POLLOUT)
                            : fail_errno("mail server " + name_of(server_.server_));
        }
        if (!ready) return ready;
    }
    return {};
}

Result<std::size_t> SocketWire::read_some(char* into, std::size_t most) {
    while (true) {
        Result<> ready;
        if (tls_) {
            int got = SSL_read(tls_.get(), into, static_cast<int>(most));
            if (got > 0) return static_cast<std::size_t>(got);
            ready = wait_for_tls(got);
        } else {
            ssize_t got = ::recv(socket_.get(), into, most, 0);
            if (got > 0) return static_cast<std::size_t>(got);
            if (got == 0)
                return fail("mail server " + name_of(server_.server_), "closed the connection");
            ready = errno == EAGAIN || errno == EINTR
                        ? wait(POLLIN)
                        : fail_errno("mail server " + name_of(server_.server_));
        }
        if (!ready) return std::unexpected(ready.error());
    }
}

Result<std::string> SocketWire::hear() {
    while (true) {
        auto end = rest_.find('\n');
        if (end != std::string::npos) {
            std::string line = rest_.substr(0, end);
            rest_.erase(0, end + 1);
            if (line.ends_with('\r')) line.pop_back();
            return line;
        }
        if (rest_.size() > longest_line)
            return fail("mail server " + name_of(server_.server_), "sends a line without end");
        std::array<char, 4096> buffer;
        auto got = read_some(buffer.data(), buffer.size());
        if (!got) return std::unexpected(got.error());
        rest_.append(buffer.data(), *got);
    }
}

}  // namespace bandd

// SPDX-License-Identifier: GPL-2.0-or-later
#include "net/tls_client.h"

#include <netdb.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <sys/socket.h>
#include <sys/time.h>

#include <array>
#include <csignal>

#include "core/base/address.h"
#include "net/tls_fault.h"

namespace bandd {

Result<TlsClient> TlsClient::connect(const std::string& host, std::uint16_t port,
                                     const TlsFiles& files) {
    std::string what = "bandd at " + host + " port " + std::to_string(port);
    std::signal(SIGPIPE, SIG_IGN);  // OpenSSL writes without MSG_NOSIGNAL
    TlsClient client;
    client.context_ = {SSL_CTX_new(TLS_client_method()), SSL_CTX_free};
    SSL_CTX* context = client.context_.get();
    if (context == nullptr) return fail("TLS", tls_fault(nullptr));
    SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION);
    SSL_CTX_set_verify(context, SSL_VERIFY_PEER, nullptr);
    if (files.clients.empty())
        SSL_CTX_set_default_verify_paths(context);
    else if (SSL_CTX_load_verify_file(context, files.clients.c_str()) != 1)
        return fail("authority \"" + files.clients + "\"", tls_fault(nullptr), "it must be PEM");
    if (!files.certificate.empty()) {
        if (SSL_CTX_use_certificate_chain_file(context, files.certificate.c_str()) != 1)
            return fail("certificate \"" + files.certificate + "\"", tls_fault(nullptr),
                        "it must be PEM");
        if (SSL_CTX_use_PrivateKey_file(context, files.key.c_str(), SSL_FILETYPE_PEM) != 1)
            return fail("key \"" + files.key + "\"", tls_fault(nullptr),
                        "it must be PEM, without a passphrase, and belong to the certificate");
    }
    addrinfo hints{};
    hints.ai_socktype = SOCK_STREAM;
    addrinfo* found = nullptr;
    if (int fault = getaddrinfo(host.c_str(), std::to_string(port).c_str(), &hints, &found);
        fault != 0)
        return fail(what, gai_strerror(fault));
    std::unique_ptr<addrinfo, void (*)(addrinfo*)> addresses(found, freeaddrinfo);
    for (const addrinfo* one = found; one != nullptr; one = one->ai_next) {
        Fd fd(::socket(one->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0));
        timeval limit{patience, 0};
        setsockopt(fd.get(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
        setsockopt(fd.get(), SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
        if (::connect(fd.get(), one->ai_addr, one->ai_addrlen) == 0) {
            client.socket_ = std::move(fd);
            break;
        }
    }
    if (!client.socket_)
        return fail_errno(what, "is its \"remote:\" configured, and this machine in \"from\"?");
    client.ssl_ = {SSL_new(context), SSL_free};
    SSL* ssl = client.ssl_.get();
    if (parse_address(host))
        X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), host.c_str());
    else
        SSL_set1_host(ssl, host.c_str());
    SSL_set_tlsext_host_name(ssl, host.c_str());
    SSL_set_fd(ssl, client.socket_.get());
    if (SSL_connect(ssl) != 1) return fail(what, tls_fault(ssl), "see --authority");
    return client;
}

Result<std::string> TlsClient::ask(const std::string& line) {
    SSL* ssl = ssl_.get();
    if (SSL_write(ssl, line.data(), static_cast<int>(line.size())) <= 0)
        return fail("remote bandd", tls_fault(ssl));
    while (rest_.find('\n') == std::string::npos && rest_.size() < longest_answer) {
        std::array<char, 4096> buffer;
        int got = SSL_read(ssl, buffer.data(), buffer.size());
        if (got <= 0)
            return fail("remote bandd", tls_fault(ssl),
                        "does it know this machine by --certificate or --token-file?");
        rest_.append(buffer.data(), static_cast<std::size_t>(got));
    }
    auto end = rest_.find('\n');
    if (end == std::string::npos) return fail("remote bandd", "its answer is too long");
    std::string answer = rest_.substr(0, end);
    rest_.erase(0, end + 1);
    return answer;
}

}  // namespace bandd

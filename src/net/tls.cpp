// SPDX-License-Identifier: GPL-2.0-or-later
#include "net/tls.h"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

#include <array>

namespace bandd {
namespace {

// The oldest of OpenSSL's errors, which is the cause; empties its queue.
std::string reason() {
    unsigned long code = ERR_get_error();
    std::array<char, 256> text{};
    if (code != 0) ERR_error_string_n(code, text.data(), text.size());
    const char* plain = code == 0 ? nullptr : ERR_reason_error_string(code);
    ERR_clear_error();
    return plain != nullptr ? plain : text.data();
}

}  // namespace

Result<TlsServer> TlsServer::load(const TlsFiles& files) {
    TlsServer server;
    server.context_ = {SSL_CTX_new(TLS_server_method()), SSL_CTX_free};
    SSL_CTX* context = server.context_.get();
    if (context == nullptr) return fail("TLS", reason());
    SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION);
    // Nothing is resumed: a certificate that was withdrawn stays out.
    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_options(context, SSL_OP_NO_TICKET | SSL_OP_NO_RENEGOTIATION);
    if (SSL_CTX_use_certificate_chain_file(context, files.certificate.c_str()) != 1)
        return fail("certificate \"" + files.certificate + "\"", reason(), "it must be PEM");
    if (SSL_CTX_use_PrivateKey_file(context, files.key.c_str(), SSL_FILETYPE_PEM) != 1)
        return fail("key \"" + files.key + "\"", reason(),
                    "it must be PEM, without a passphrase, and belong to the certificate");
    if (files.clients.empty()) return server;
    if (SSL_CTX_load_verify_file(context, files.clients.c_str()) != 1)
        return fail("clients \"" + files.clients + "\"", reason(), "it must be PEM");
    SSL_CTX_set_verify(context, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, nullptr);
    SSL_CTX_set_client_CA_list(context, SSL_load_client_CA_file(files.clients.c_str()));
    return server;
}

TlsStream::TlsStream(const TlsServer& server) : ssl_(SSL_new(server.context_.get()), SSL_free) {
    if (!ssl_) throw std::bad_alloc();
    BIO* in = BIO_new(BIO_s_mem());
    BIO* out = BIO_new(BIO_s_mem());
    BIO_set_mem_eof_return(in, -1);
    SSL_set_bio(ssl_.get(), in, out);
    SSL_set_accept_state(ssl_.get());
}
TlsStream::~TlsStream() = default;
TlsStream::TlsStream(TlsStream&&) noexcept = default;
TlsStream& TlsStream::operator=(TlsStream&&) noexcept = default;

namespace {

void take_answer(SSL* ssl, std::string& answer) {
    std::array<char, 16384> buffer;
    while (int waiting = BIO_read(SSL_get_wbio(ssl), buffer.data(), buffer.size())) {
        if (waiting < 0) break;
        answer.append(buffer.data(), static_cast<std::size_t>(waiting));
    }
}

}  // namespace

Result<> TlsStream::say(std::string_view plain, std::string& answer) {
    SSL* ssl = ssl_.get();
    int written = SSL_write(ssl, plain.data(), static_cast<int>(plain.size()));
    take_answer(ssl, answer);
    if (written != static_cast<int>(plain.size())) return fail("TLS", reason());
    return {};
}

bool TlsStream::is_ready() const { return SSL_is_init_finished(ssl_.get()) == 1; }

std::string TlsStream::client_name() const {
    std::unique_ptr<X509, void (*)(X509*)> certificate(SSL_get1_peer_certificate(ssl_.get()),
                                                       X509_free);
    if (!certificate || SSL_get_verify_result(ssl_.get()) != X509_V_OK) return "";
    X509_NAME* subject = X509_get_subject_name(certificate.get());
    int index = X509_NAME_get_index_by_NID(subject, NID_commonName, -1);
    // Two names would be two clients.
    if (index < 0 || X509_NAME_get_index_by_NID(subject, NID_commonName, index) >= 0) return "";
    ASN1_STRING* value = X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, index));
    unsigned char* text = nullptr;
    int size = ASN1_STRING_to_UTF8(&text, value);
    if (size < 0) return "";
    std::string name(reinterpret_cast<char*>(text), static_cast<std::size_t>(size));
    OPENSSL_free(text);
    return name.find('\0') == std::string::npos ? name : "";
}

Result<> TlsStream::take(std::string_view bytes, std::string& plain, std::string& answer) {
    SSL* ssl = ssl_.get();
    BIO_write(SSL_get_rbio(ssl), bytes.data(), static_cast<int>(bytes.size()));
    std::array<char, 16384> buffer;
    int got = 0;
    while ((got = SSL_read(ssl, buffer.data(), buffer.size())) > 0)
        plain.append(buffer.data(), static_cast<std::size_t>(got));
    int state = SSL_get_error(ssl, got);
    take_answer(ssl, answer);
    if (state == SSL_ERROR_WANT_READ || state == SSL_ERROR_ZERO_RETURN) return {};
    return fail("TLS", reason());
}

}  // namespace bandd

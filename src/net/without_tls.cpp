// SPDX-License-Identifier: GPL-2.0-or-later
// In place of tls.cpp and tls_client.cpp in a build without OpenSSL. No configuration gets that
// far: config/built.h.
#include "net/tls.h"
#include "net/tls_client.h"

namespace bandd {
namespace {

std::unexpected<Error> fail_without() {
    return fail("TLS", "this bandd was built without it", "build it with -DBANDD_TLS=ON");
}

}  // namespace

Result<TlsServer> TlsServer::load(const TlsFiles&) { return fail_without(); }

TlsStream::TlsStream(const TlsServer&) : ssl_(nullptr, nullptr) {}
TlsStream::~TlsStream() = default;
TlsStream::TlsStream(TlsStream&&) noexcept = default;
TlsStream& TlsStream::operator=(TlsStream&&) noexcept = default;
Result<> TlsStream::take(std::string_view, std::string&, std::string&) { return fail_without(); }
Result<> TlsStream::say(std::string_view, std::string&) { return fail_without(); }
bool TlsStream::is_ready() const { return false; }
std::string TlsStream::client_name() const { return {}; }

Result<TlsClient> TlsClient::connect(const std::string&, std::uint16_t, const TlsFiles&) {
    return fail_without();
}
Result<std::string> TlsClient::ask(const std::string&) { return fail_without(); }

}  // namespace bandd

// SPDX-License-Identifier: GPL-2.0-or-later
// libnats reads and writes one TLS connection from two threads at once, which OpenSSL does not
// allow (https://github.com/nats-io/nats.c/pull/913; Debian 12 and 13 have versions before that).
// These two functions stand before OpenSSL's own for libnats, as a program's symbols go before a
// library's, and let one thread in at a time. What they call is the same by another name. A socket
// of libnats' does not block once a write deadline is set, so nobody waits for the network in here.
#include <openssl/ssl.h>

#include <cerrno>
#include <mutex>

#include "fleet/tls_guard.h"

namespace bandd {
namespace {

// Of all connections: a process has one.
std::mutex one_at_a_time;
std::uint64_t calls = 0;

// What SSL_read and SSL_write give: how many bytes, 0 at the end of the connection, else below 0.
int result_of(SSL* tls, int done, std::size_t bytes) {
    if (done == 1) return static_cast<int>(bytes);
    int kept = errno;  // it says that the socket would block
    int error = SSL_get_error(tls, done);
    errno = kept;
    return error == SSL_ERROR_ZERO_RETURN ? 0 : -1;
}

}  // namespace

std::uint64_t guarded_tls_calls() {
    std::lock_guard hold(one_at_a_time);
    return calls;
}

}  // namespace bandd

extern "C" {

__attribute__((visibility("default"))) int SSL_read(SSL* tls, void* bytes, int size) {
    std::lock_guard hold(bandd::one_at_a_time);
    ++bandd::calls;
    std::size_t got = 0;
    int done = SSL_read_ex(tls, bytes, static_cast<std::size_t>(size), &got);
    return bandd::result_of(tls, done, got);
}

__attribute__((visibility("default"))) int SSL_write(SSL* tls, const void* bytes, int size) {
    std::lock_guard hold(bandd::one_at_a_time);
    ++bandd::calls;
    std::size_t put = 0;
    int done = SSL_write_ex(tls, bytes, static_cast<std::size_t>(size), &put);
    return bandd::result_of(tls, done, put);
}
}

// SPDX-License-Identifier: GPL-2.0-or-later
#include "net/tls_fault.h"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

namespace bandd {

std::string tls_fault(const ssl_st* ssl) {
    long verified = ssl == nullptr ? X509_V_OK : SSL_get_verify_result(ssl);
    unsigned long code = ERR_get_error();
    const char* plain = code == 0 ? nullptr : ERR_reason_error_string(code);
    ERR_clear_error();
    if (verified != X509_V_OK) return X509_verify_cert_error_string(verified);
    return plain == nullptr ? "the connection was closed" : plain;
}

}  // namespace bandd

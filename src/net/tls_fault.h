// SPDX-License-Identifier: GPL-2.0-or-later
// Why OpenSSL failed, in words.
#pragma once

#include <string>

struct ssl_st;

namespace bandd {

// Of the last call that failed on this thread; the other side's certificate comes first. `ssl` may
// be null. Forgets the fault.
std::string tls_fault(const ssl_st* ssl);

}  // namespace bandd

// SPDX-License-Identifier: GPL-2.0-or-later
// A fleet's own authority, and the certificate of its servers. Nobody else signs for a fleet, so
// nodes believe this authority alone.
#pragma once

#include <string>
#include <vector>

#include "core/base/result.h"

namespace bandd {

struct CertifiedKey {
    std::string certificate, key;  // PEM
};

inline constexpr int certified_years = 10;

Result<CertifiedKey> make_authority(const std::string& fleet);
// For a server that is reached by these names and addresses. Nodes expect `server_name_of(fleet)`,
// which is in it, too: so it does not matter by which of its names they reach it.
Result<CertifiedKey> make_server_certificate(const CertifiedKey& authority,
                                             const std::string& fleet,
                                             const std::vector<std::string>& hosts);
std::string server_name_of(const std::string& fleet);

}  // namespace bandd

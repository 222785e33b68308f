// SPDX-License-Identifier: GPL-2.0-or-later
// Where bandd listens for others' requests: `policy:`, `http:`, `remote:`.
#pragma once

#include "config/table.h"
#include "config/types.h"

namespace bandd {

const Table<PolicyConfig>& policy_keys();
const Table<EndUserConfig>& end_user_keys();
const Table<HttpConfig>& http_keys();
const Table<PasswordServer>& auth_keys();
const Table<RemoteConfig>& remote_keys();
const Table<PeerConfig>& peer_keys();

}  // namespace bandd

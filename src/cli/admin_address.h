// SPDX-License-Identifier: GPL-2.0-or-later
// From where somebody is logged in here.
#pragma once

#include <optional>

#include "core/base/address.h"

namespace bandd {

// The address that this terminal's user came from: by what sshd left in the environment of us or of
// those who started us (sudo takes it out of ours), else by the record of logins. Nothing if he
// sits at this machine.
std::optional<Address> address_of_login();

}  // namespace bandd

// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <string>

#include "core/base/zone.h"

namespace bandd {

// "Europe/Berlin", "+0200", a POSIX TZ string; "" is the machine's own ($TZ, then /etc/localtime).
Result<Zone> read_zone(const std::string& name);

}  // namespace bandd

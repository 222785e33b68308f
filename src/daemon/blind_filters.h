// SPDX-License-Identifier: GPL-2.0-or-later
// Says of filters that they have become blind, and that they see again: once each.
#pragma once

namespace bandd {

struct Config;
class Engine;
class Log;
class Pipeline;

// In every turn; costs nothing while nothing has changed. Of a jail with `enabled: auto` that no
// line of its tag came is no warning: its program need not be on this machine.
void say_blind_filters(Log& log, const Config& config, const Engine& engine, Pipeline& pipeline);

}  // namespace bandd

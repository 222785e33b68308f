// SPDX-License-Identifier: GPL-2.0-or-later
#define CATCH_CONFIG_RUNNER
#include "support/catch.h"

int run_tests(int count, char** arguments) { return Catch::Session().run(count, arguments); }

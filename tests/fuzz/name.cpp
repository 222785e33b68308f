// SPDX-License-Identifier: GPL-2.0-or-later
// Which target this program is; fuzz.cpp is compiled once for all of them.
extern const char* const fuzz_target;
const char* const fuzz_target = BANDD_FUZZ;

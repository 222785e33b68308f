// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

namespace bandd {

// Gives back what only the start needed: free heap, the stack below the caller, and the program's
// and its libraries' code, of which most is not run again. What is, comes back from the page cache
// as it is run.
void release_start_memory();
// Gives free heap back.
void release_free_memory();

}  // namespace bandd

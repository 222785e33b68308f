# SPDX-License-Identifier: GPL-2.0-or-later
# Makes faults in memory harder to use. What the compiler or the processor does not have is left out. Not with
# sanitizers, and not in builds without optimization, which _FORTIFY_SOURCE needs. tests/hardening checks the result.
include(CheckCXXCompilerFlag)
include(CheckCXXSourceCompiles)
include(CheckLinkerFlag)

set(default ON)
if(CMAKE_BUILD_TYPE STREQUAL "Debug" OR BANDD_SANITIZE)
  set(default OFF)
endif()
option(BANDD_HARDENING "Harden the programs: stack protectors, PIE, RELRO, checked libc functions" ${default})
if(NOT BANDD_HARDENING)
  return()
endif()

foreach(flag
        -fstack-protector-strong      # a value before the return address, which must be there at the return
        -fstack-clash-protection      # a large frame cannot jump over the page that guards the stack
        -fcf-protection               # x86: calls and jumps land only where they may (CET)
        -mbranch-protection=standard) # arm64: the same
  string(MAKE_C_IDENTIFIER "HAVE${flag}" have)
  check_cxx_compiler_flag(${flag} ${have})
  if(${have})
    add_compile_options(${flag})
  endif()
endforeach()

# Functions of libc that know the size of what they write to check it. Level 3 needs g++ 12 and glibc 2.34.
foreach(level 3 2)
  set(CMAKE_REQUIRED_FLAGS "-O2 -Werror -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=${level}")
  check_cxx_source_compiles("#include <cstring>\nint main() { return 0; }" HAVE_FORTIFY_SOURCE_${level})
  unset(CMAKE_REQUIRED_FLAGS)
  if(HAVE_FORTIFY_SOURCE_${level})
    add_compile_options(-U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=${level})
    break()
  endif()
endforeach()

# Programs lie at another address in every run.
set(type $<TARGET_PROPERTY:TYPE>)
add_compile_options($<$<NOT:$<STREQUAL:${type},SHARED_LIBRARY>>:-fPIE>)
add_link_options($<$<STREQUAL:${type},EXECUTABLE>:-pie>)
# Addresses of functions of libraries are looked up at the start, and cannot be written to then.
foreach(flag relro now)
  check_linker_flag(CXX -Wl,-z,${flag} HAVE_LINKER_${flag})
  if(HAVE_LINKER_${flag})
    add_link_options(-Wl,-z,${flag})
  endif()
endforeach()

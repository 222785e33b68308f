# SPDX-License-Identifier: GPL-2.0-or-later
# A part of "cmake --install": the service's files name the programs by CMAKE_INSTALL_PREFIX, which may be given as late as
# that (--prefix).
foreach(file
        lib/systemd/system:systemd/bandd.service
        lib/systemd/system:systemd/bandd.socket
        lib/sysusers.d:sysusers.d/bandd.conf
        lib/tmpfiles.d:tmpfiles.d/bandd.conf
        share/bandd/sysvinit:sysvinit/bandd
        share/bandd/openrc:openrc/bandd
        share/bandd/logrotate:logrotate/bandd)
  string(REPLACE ":" ";" file ${file})
  list(GET file 0 folder)
  list(GET file 1 source)
  cmake_path(GET source FILENAME name)
  set(target "$ENV{DESTDIR}${CMAKE_INSTALL_PREFIX}/${folder}/${name}")
  message(STATUS "Installing: ${target}")
  file(READ "${CMAKE_CURRENT_LIST_DIR}/${source}" text)
  string(REGEX REPLACE "/usr/(s?bin/band)" "${CMAKE_INSTALL_PREFIX}/\\1" text "${text}")
  file(WRITE "${target}" "${text}")
  set(mode OWNER_READ OWNER_WRITE GROUP_READ WORLD_READ)
  if(text MATCHES "^#!")
    list(APPEND mode OWNER_EXECUTE GROUP_EXECUTE WORLD_EXECUTE)
  endif()
  file(CHMOD "${target}" PERMISSIONS ${mode})
endforeach()

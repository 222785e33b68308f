# SPDX-License-Identifier: GPL-2.0-or-later
# Debians of their own, made by debootstrap, for what must not touch this machine. Sourced by packaging/test-deb,
# packaging/cross-build and packaging/first-ban. Roots and downloads are kept in $BANDD_ROOTS.
roots=${BANDD_ROOTS:-/var/cache/bandd-roots}
tree=$(realpath "$(dirname "${BASH_SOURCE[0]}")/..")
export DEBIAN_FRONTEND=noninteractive

say() { echo "==> $*"; }
die() { echo "$(basename "$0"): $*" >&2; exit 1; }

# Runs the script again in a mount namespace, with which all goes that is mounted below. $work is removed at the end.
in_own_mounts() {  # ARGUMENTS OF THE SCRIPT...
  [ "$(id -u)" = 0 ] || die "must be run as root"
  local program
  for program in debootstrap systemd-nspawn; do
    command -v $program > /dev/null || die "$program is missing: apt-get install debootstrap systemd-container"
  done
  [ "${BANDD_MOUNTS:-}" = own ] || BANDD_MOUNTS=own exec unshare --mount --propagation private "$0" "$@"
  unset BANDD_MOUNTS
  mkdir -p "$roots"
  work=$(mktemp -d "$roots/work.XXXXXX")
  trap remove_work EXIT
}

# Never through a mount: /dev of this machine is one of them.
remove_work() {
  local place
  awk '{ print $5 }' /proc/self/mountinfo | grep "^$work/" | sort -r | while read -r place; do umount "$place" || umount --lazy "$place"; done || true
  ! grep -q " $work/" /proc/self/mountinfo || { echo "left behind, as something is mounted in it: $work" >&2; return; }
  rm -rf --one-file-system "$work"
}

make_root() {  # SUITE PATH PACKAGES
  [ -e "$2/.complete" ] || {
    say "debootstrap $2"
    rm -rf "$2"
    debootstrap --variant=minbase --include="$3" "$1" "$2" > "$work/debootstrap.log" ||
      die "debootstrap failed: $(tail -3 "$work/debootstrap.log")"
    touch "$2/.complete"
  }
}

enter() {  # SUITE ROOT: mounts what a chroot needs
  mkdir -p "$roots/$1-archives/partial"
  mount -t proc proc "$2/proc"
  mount -t sysfs sys "$2/sys"
  mount --rbind /dev "$2/dev"
  mount --bind "$roots/$1-archives" "$2/var/cache/apt/archives"
  cp /etc/resolv.conf "$2/etc/resolv.conf"
  # Nothing is started in a chroot.
  printf '#!/bin/sh\nexit 101\n' > "$2/usr/sbin/policy-rc.d"
  chmod 755 "$2/usr/sbin/policy-rc.d"
}
leave() { rm -f "$1/usr/sbin/policy-rc.d"; umount -R "$1/dev" "$1/proc" "$1/sys" "$1/var/cache/apt/archives"; }

# Of those who share the downloads one at a time.
apt_in() {  # ROOT ARGUMENTS...
  flock "$roots/lock" chroot "$1" apt-get -qq -y -o APT::Sandbox::User=root -o APT::Keep-Downloaded-Packages=true "${@:2}" > "$work/apt.log" 2>&1 ||
    die "apt-get ${*:2}: $(tail -25 "$work/apt.log")"
}

# What a build of the package needs, for the architecture that it is built for.
install_build_needs() {  # ROOT [OPTION OF build-dep...]
  mkdir -p "$1/tmp/needs/debian" "$1/src" "$1/ccache"
  cp "$tree"/packaging/debian/{control,changelog} "$1/tmp/needs/debian/"
  apt_in "$1" build-dep --no-install-recommends "${@:2}" /tmp/needs
}

copy_tree() {  # ROOT: the sources, to its /bandd
  mount --bind -o ro "$tree" "$1/src"
  chroot "$1" /bin/bash -ec 'rm -rf /bandd; mkdir /bandd; cd /src; tar -c --exclude=./build --exclude=./.git . | tar -x -C /bandd'
  umount "$1/src"
}

# With the caller's cache of compiled sources, if he has one: who builds often does not compile all again.
in_build() {  # ROOT SHELL-COMMANDS
  local cache
  cache=$(ccache --get-config cache_dir 2> /dev/null) || cache=$1/ccache
  mkdir -p "$cache"
  [ "$cache" = "$1/ccache" ] || mount --bind "$cache" "$1/ccache"
  chroot "$1" /bin/bash -ec "export CCACHE_DIR=/ccache CCACHE_NOHASHDIR=1 CCACHE_BASEDIR=/bandd; cd /bandd; $2" > "$work/build.log" 2>&1 ||
    { cp "$work/build.log" /tmp/bandd-build.log; die "the build failed, see /tmp/bandd-build.log: $(grep -m 3 -iE 'error' "$work/build.log")"; }
  [ "$cache" = "$1/ccache" ] || umount "$1/ccache"
}

# Packages come to be in the root's /bandd/build/deb.
build_in() {  # ROOT [OPTION OF build-deb...]
  copy_tree "$1"
  in_build "$1" "export CCACHE_BASEDIR=; nice packaging/build-deb ${*:2}"
}

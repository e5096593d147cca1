#!/usr/bin/env bash
# Puts a Platewarden unit on Raspberry Pi OS or Debian (arm64, x86-64). Run twice, it changes nothing.
#
#   sudo ./install.sh                    install or update the unit
#   ./install.sh --packages run|test|train|venv   only the system packages that `make` needs
#   ./install.sh --help
#
# Exit codes: 0 done, 1 cannot go on (the reason is printed), 2 usage.
set -euo pipefail
umask 022 # the unit's user must be able to read what root installs, whatever root's own umask is

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
prefix=/opt/platewarden
etc=/etc/platewarden
state=/var/lib/platewarden
user=platewarden
unit_file=/etc/systemd/system/platewarden.service
policy=/usr/sbin/policy-rc.d

usage() { sed -n '2,8s/^# \{0,1\}//p' "$0"; }
say() { printf 'install: %s\n' "$*"; }
fail() { printf 'install: %s\n' "$*" >&2; exit 1; }

# What each job needs from Debian. strace, openssl and minisign serve tests that look at the disk, at TLS and
# at a signature as an outsider would, chromium those that look at HQ's pages.
packages_for() {
  case "$1" in
    venv) echo python3 python3-venv ;;
    run) echo python3 python3-venv mosquitto ;;
    test) echo python3 python3-venv mosquitto mosquitto-clients strace openssl minisign jq chromium ;;
    train) echo python3 python3-venv fonts-roadgeek fonts-opendin fonts-dejavu-core ;;
    unit) echo python3 python3-venv ca-certificates ;;
    *) usage >&2; exit 2 ;;
  esac
}

# An installer before this one built in the clone and left its folders there as root's, over which `make` then
# fails for the clone's owner. Root takes them away, anybody else is told.
sweep_clone() {
  local left
  for left in "$here/build" "$here/platewarden.egg-info"; do
    [ -d "$left" ] || continue
    if [ "$(id -u)" -ne 0 ]; then
      [ -w "$left" ] || fail "$left is not yours, an older install.sh left it; run: sudo rm -r '$left'"
    elif [ "$(stat -c %u "$left")" -eq 0 ] && [ "$(stat -c %u "$here")" -ne 0 ]; then
      rm -r "$left"
      say "removed $left, which an older install.sh had left"
    fi
  done
}

missing_of() {
  local name
  for name in "$@"; do
    dpkg-query -W -f='${Status}' "$name" 2>/dev/null | grep -q 'install ok installed' || printf '%s ' "$name"
  done
}

# Prints nothing when all is there, so that `make run` stays quiet the second time.
ensure_packages() {
  local missing
  command -v dpkg-query >/dev/null || fail "this is not Debian: install these by hand: $*"
  missing=$(missing_of "$@")
  [ -n "$missing" ] || return 0
  local sudo=()
  if [ "$(id -u)" -ne 0 ]; then
    if sudo -n true 2>/dev/null; then
      sudo=(sudo)
    elif [ -t 0 ] && command -v sudo >/dev/null; then
      say "system packages are missing: $missing(sudo may ask for your password)"
      sudo=(sudo)
    else
      fail "system packages are missing; run: sudo apt-get install ${missing% }"
    fi
  fi
  say "installing: $missing"
  # A package that starts its own service (mosquitto) must not take the port that the demo brings up itself.
  # Left behind, it would keep every service that is ever installed from starting: Ctrl-C takes it away too,
  # and after a power cut the next run knows it.
  local ours="Platewarden's install.sh" rc=0 made=
  if [ ! -e "$policy" ] || grep -q "$ours" "$policy"; then
    made=1
    # shellcheck disable=SC2064 # the words are meant as they are now
    trap "${sudo[*]} rm -f $policy" EXIT
    printf '#!/bin/sh\n# of %s, while it installs packages\nexit 101\n' "$ours" | "${sudo[@]}" tee "$policy" >/dev/null
    "${sudo[@]}" chmod 755 "$policy"
  fi
  # shellcheck disable=SC2086 # a list of package names
  { "${sudo[@]}" apt-get -qq update &&
    "${sudo[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -qq -y install --no-install-recommends $missing >/dev/null; } || rc=$?
  [ -z "$made" ] || { "${sudo[@]}" rm -f "$policy" && trap - EXIT; }
  [ "$rc" -eq 0 ] || fail "apt-get failed; run: sudo apt-get install ${missing% }"
}

# Writes standard input to $1 with mode $2 unless it holds that already; says what it changed.
put() {
  local target=$1 mode=$2 new
  new=$(mktemp)
  cat >"$new"
  if cmp -s "$new" "$target"; then
    rm -f "$new"
    return 0
  fi
  install -D -m "$mode" "$new" "$target"
  rm -f "$new"
  say "wrote $target"
  changed=1
}

on_a_pi() { grep -qs 'Raspberry Pi' /proc/device-tree/model; }

install_unit() {
  [ "$(id -u)" -eq 0 ] || fail "installing a unit needs root; run: sudo ./install.sh"
  case "$(uname -m)" in
    x86_64 | aarch64) ;;
    *) fail "$(uname -m) is not supported: a unit needs a 64-bit system (arm64 or x86-64)" ;;
  esac
  command -v python3 >/dev/null && ! python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))' &&
    fail "Python 3.11 or newer is needed (Debian 12 or Raspberry Pi OS bookworm and later)"
  changed=
  sweep_clone

  # shellcheck disable=SC2046 # a list of package names
  ensure_packages $(packages_for unit)
  # picamera2 exists in Raspberry Pi's archive only, and pip cannot build it.
  if on_a_pi; then
    ensure_packages python3-picamera2 python3-lgpio
  fi

  if ! getent passwd "$user" >/dev/null; then
    useradd --system --home-dir "$state" --shell /usr/sbin/nologin "$user"
    say "made user $user"
    changed=1
  fi
  local group
  for group in video gpio dialout render; do
    if getent group "$group" >/dev/null && ! id -nG "$user" | grep -qw "$group"; then
      usermod -aG "$group" "$user"
      say "added $user to $group"
      changed=1
    fi
  done
  install -d -m 755 "$prefix"
  install -d -m 750 -o root -g "$user" "$etc" "$etc/conf.d"
  install -d -m 750 -o "$user" -g "$user" "$state"

  install_program

  if [ ! -e "$etc/platewarden.toml" ]; then
    put "$etc/platewarden.toml" 640 < <(first_configuration)
    chgrp "$user" "$etc/platewarden.toml"
  fi
  put "$unit_file" 644 < <(service_unit)
  ln -sfn "$prefix/venv/bin/platewarden" /usr/local/bin/platewarden

  if [ -d /run/systemd/system ]; then
    if [ -n "$changed" ]; then
      systemctl daemon-reload
      systemctl enable --quiet platewarden.service
    fi
    if grep -q '^id = "unnamed"' "$etc/platewarden.toml"; then
      say "edit $etc/platewarden.toml (unit.id and mqtt), then: systemctl start platewarden"
    elif [ -n "$changed" ]; then
      systemctl restart platewarden.service
      say "started platewarden"
    fi
  fi
  [ -n "$changed" ] || say "nothing to do: the unit is up to date"
}

runs() { (cd / && runuser -u "$user" -- "$prefix/venv/bin/platewarden" --version >/dev/null 2>&1); }

# The environment is rebuilt only when the source that it was made from has changed, and from nothing when the unit's
# user cannot run it: an upgrade of Debian brought another Python, or it was made by a root with a stricter umask.
install_program() {
  local mark="$prefix/source.sha256" now
  now=$(cd "$here" && find pyproject.toml firmware detector hw mqtt plates models -type f \
    ! -path '*/__pycache__/*' ! -path 'models/train/*' -print0 | sort -z | xargs -0 sha256sum | sha256sum | cut -d' ' -f1)
  if ! runs; then
    rm -rf "$prefix/venv"
  elif [ "$(cat "$mark" 2>/dev/null)" = "$now" ]; then
    return 0
  fi
  say "installing the program into $prefix"
  # System site packages: picamera2 and libcamera are Debian packages and follow the system's numpy.
  python3 -m venv --system-site-packages "$prefix/venv"
  # From a copy: pip would leave root's build/ and *.egg-info in the clone, where `make` then fails as its user,
  # and from a build/ that is there it would install modules that the source has no more.
  copy=$(mktemp -d)
  trap 'rm -rf "$copy"' EXIT
  tar -C "$here" -c --exclude=__pycache__ pyproject.toml README.md LICENSE firmware detector hw mqtt plates hq |
    tar -C "$copy" -x --no-same-owner
  "$prefix/venv/bin/python" -m pip install --quiet --upgrade "${copy}[unit]"
  local share="$prefix/venv/share/platewarden/models"
  install -d -m 755 "$share"
  install -m 644 "$here"/models/*.tflite "$here"/models/*.toml "$share"
  runs || fail "$user cannot run $prefix/venv/bin/platewarden: is $(readlink -f "$prefix/venv/bin/python") closed to it?"
  # A power cut just after must not leave the mark without all that it stands for.
  sync
  printf '%s\n' "$now" >"$mark"
  changed=1
}

first_configuration() {
  cat <<'TOML'
# This unit's own settings. Every option, with its meaning: docs/configuration.md, or
# `platewarden config` on the unit. Check what you wrote with `platewarden check`.

[unit]
id = "unnamed"

[camera]
source = "pi"

[store]
directory = "/var/lib/platewarden"

[mqtt]
host = "hq.example.org"
tls = true
ca_file = "/etc/platewarden/ca.pem"
cert_file = "/etc/platewarden/unit.pem"
key_file = "/etc/platewarden/unit.key"
TOML
}

# Exit code 3 is a bad configuration: a restart would not help, so systemd leaves it for a person. So it does where
# there is no program, as after a power cut in an upgrade: else it would reboot the board for ever.
service_unit() {
  cat <<UNIT
[Unit]
Description=Platewarden licence plate reader
Documentation=file://$prefix
Wants=network-online.target
After=network-online.target
StartLimitIntervalSec=30min
StartLimitBurst=10
StartLimitAction=reboot
ConditionFileIsExecutable=$prefix/venv/bin/platewarden

[Service]
Type=notify
User=$user
ExecStart=$prefix/venv/bin/platewarden run
WatchdogSec=60
Restart=always
RestartSec=3
RestartPreventExitStatus=3
TimeoutStopSec=20
StateDirectory=platewarden
StateDirectoryMode=0750
NoNewPrivileges=yes
ProtectSystem=strict
ProtectHome=yes
PrivateTmp=yes
ProtectKernelModules=yes
ProtectKernelTunables=yes
ProtectControlGroups=yes
RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK
RestrictNamespaces=yes
RestrictSUIDSGID=yes
LockPersonality=yes
UMask=0077

[Install]
WantedBy=multi-user.target
UNIT
}

case "${1-}" in
  "") install_unit ;;
  --packages)
    [ $# -eq 2 ] || { usage >&2; exit 2; }
    names=$(packages_for "$2") || exit 2
    sweep_clone
    # shellcheck disable=SC2086 # a list of package names
    ensure_packages $names
    ;;
  --help | -h) usage ;;
  *) usage >&2; exit 2 ;;
esac

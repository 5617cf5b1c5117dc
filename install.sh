#!/bin/sh
# Installs ark-node from a release: a folder, or a web place, with SHA256SUMS, its signature and an archive for each kind
# of machine. See usage() below, or run sh install.sh --help.
set -eu

# The key that signs releases, as 'ssh-ed25519' writes it. 'deno task release' puts it here.
release_key=''

usage() {
  cat <<'EOT'
Installs ark-node for you (~/.local), or as root for everybody (/usr/local).

Usage: sh install.sh [--from DIR|URL] [--prefix DIR] [--variant cpu|vulkan|cuda] [--service] [--dry-run]
       sh install.sh --rollback  [--prefix DIR]
       sh install.sh --uninstall [--prefix DIR]

  --from DIR|URL    where the release lies (default: the folder of this script)
  --prefix DIR      where it goes: DIR/lib/ark-node and DIR/bin/ark-node (default: ~/.local, or /usr/local as root)
  --variant NAME    which GPUs it can use: cpu, vulkan or cuda (default: what fits this machine, where the release has it)
  --service         have the system start the node by itself, as 'ark-node service install' does
  --older           allow a version that is older than the one that is installed
  --key KEY         key that the release must be signed with (default: the one in this script)
  --dry-run         check the release, say what would be done, and change nothing
  --rollback        go back to the version before; once more goes forward again
  --uninstall       remove the program
  --help            show this

Nothing is unpacked before the signature over SHA256SUMS and the checksum of the archive were found right. Where a step
fails, what was there before stays as it was. Data of the node (its key, peers, audit log, models) are never touched.

Needs sh, tar, gzip and awk; sha256sum, shasum or openssl; openssl 3 or ssh-keygen 8.1 for the signature; and for a web
place curl or wget. It downloads from that place and from nowhere else.
EOT
}

fail() {
  printf 'install.sh: %s\n' "$1" >&2
  exit "${2-1}"
}

say() {
  printf '%s\n' "$1"
}

# ---- Command line ---------------------------------------------------------------------------------------------------

from='' prefix='' variant='' key=$release_key act=install service=no older=no dry=no
while [ $# -gt 0 ]; do
  case $1 in
  --help | -h)
    usage
    exit 0
    ;;
  --rollback | --uninstall)
    [ "$act" = install ] || fail "One of --rollback and --uninstall at a time: see --help" 2
    act=${1#--}
    shift
    continue
    ;;
  --service | --older)
    eval "${1#--}=yes"
    shift
    continue
    ;;
  --dry-run)
    dry=yes
    shift
    continue
    ;;
  --from=* | --prefix=* | --variant=* | --key=*)
    flag=${1%%=*} value=${1#*=}
    shift
    ;;
  --from | --prefix | --variant | --key)
    [ $# -ge 2 ] || fail "Flag $1 needs a value: see --help" 2
    flag=$1 value=$2
    shift 2
    ;;
  *) fail "There is no flag $1: see --help" 2 ;;
  esac
  [ -n "$value" ] || fail "Flag $flag needs a value: see --help" 2
  case $flag in
  --from) from=$value ;;
  --prefix) prefix=$value ;;
  --variant) variant=$value ;;
  --key) key=$value ;;
  esac
done
case $variant in
'' | cpu | vulkan | cuda) ;;
*) fail "There is no variant $variant: it is cpu, vulkan or cuda" 2 ;;
esac

# ---- Where it goes --------------------------------------------------------------------------------------------------

if [ -z "$prefix" ]; then
  if [ "$(id -u)" = 0 ]; then
    prefix=/usr/local
  else
    [ -n "${HOME-}" ] || fail "There is no HOME to install into: name a folder with --prefix" 2
    prefix=$HOME/.local
  fi
fi
case $prefix in
/*) ;;
*) prefix=$PWD/$prefix ;;
esac
prefix=${prefix%/}
line_end='
'
case $prefix in
*,* | *:* | *"$line_end"*)
  fail "Cannot install into $prefix: the name must have no comma, colon or line end, which separate paths elsewhere" 2
  ;;
esac
home=$prefix/lib/ark-node
bin=$prefix/bin/ark-node
mark='# Made by install.sh of ark-node.'

is_ours() {
  if [ -e "$bin" ] || [ -L "$bin" ]; then grep -qxF "$mark" "$bin" 2>/dev/null; fi
}

# The name of a version's folder that a link points to, or nothing.
linked() {
  link=$(ls -ld "$home/$1" 2>/dev/null) || return 0
  case $link in
  *" -> versions/"*) printf '%s' "${link##* -> versions/}" ;;
  esac
}

# Makes a folder and those around it, and remembers which are new.
made=''
make_folder() {
  [ ! -d "$1" ] || return 0
  make_folder "${1%/*}"
  mkdir "$1" 2>/dev/null || [ -d "$1" ] || fail "Cannot make the folder $1: choose another place with --prefix"
  made=$1$line_end$made
}

part='' fresh='' first_command=''
locked=no
kept=no
tidy() {
  [ -z "$part" ] || rm -rf "$part"
  # Nothing stays of an installation that failed: what was not there before goes.
  if [ "$kept" = no ]; then
    [ -z "$fresh" ] || rm -rf "$fresh"
    [ -z "$first_command" ] || rm -f "$first_command"
  fi
  [ "$locked" = no ] || rm -rf "$home/.lock"
  [ "$kept" = no ] || return 0
  printf '%s' "$made" | while IFS= read -r folder; do rmdir "$folder" 2>/dev/null || :; done
}
trap tidy EXIT
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM

# One at a time: what a dead one left is taken over.
lock() {
  if ! mkdir "$home/.lock" 2>/dev/null; then
    holder=$(cat "$home/.lock/pid" 2>/dev/null) || holder=''
    if [ ! -d "$home/.lock" ] || { [ -n "$holder" ] && kill -0 "$holder" 2>/dev/null; }; then
      fail "Cannot write $home, or another install.sh (process ${holder:-unknown}) works there: try again when it is done"
    fi
    rm -rf "$home/.lock"
    mkdir "$home/.lock" || fail "Cannot write $home"
  fi
  locked=yes
  echo $$ >"$home/.lock/pid"
  rm -rf "$home"/.part.* "$home"/.new.*
}

# Exchanges a link at once, so that there is never none: mv would go into the folder that the old one points to.
point() {
  ln -s "versions/$2" "$home/.new.$1" || fail "Cannot write $home"
  mv -Tf "$home/.new.$1" "$home/$1" 2>/dev/null || mv -fh "$home/.new.$1" "$home/$1" 2>/dev/null || {
    rm -f "$home/$1"
    mv "$home/.new.$1" "$home/$1"
  } || fail "Cannot write $home/$1"
}

# What the program of a version says to --version; its first start there also fills its cache.
version_said() {
  "$home/versions/$1/ark-node" --version 2>&1 </dev/null
}

first_line() {
  printf '%s' "${1%%"$line_end"*}"
}

# ---- Back, and away -------------------------------------------------------------------------------------------------

rollback() {
  now=$(linked current)
  before=$(linked previous)
  [ -n "$now" ] || fail "There is no ark-node in $home: nothing to go back from"
  if [ -z "$before" ] || [ "$before" = "$now" ] || [ ! -d "$home/versions/$before" ]; then
    fail "There is no version before $now here: nothing to go back to"
  fi
  [ "$dry" = no ] || {
    say "Would go back from $now to $before. Nothing was changed."
    return
  }
  lock
  said=$(version_said "$before") || fail "The version before, $before, does not run any more: $(first_line "$said")"
  point current "$before"
  point previous "$now"
  say "Back from $now to $before. Data stayed as they are."
  say "A node that runs goes on as it is until it is started again$(restart_hint). An older version does not start with a"
  say "database that a newer one has changed, and says so: then --rollback once more, 'ark-node restore --latest' with the node"
  say "stopped, which puts the backup back that was made before, and --rollback."
}

# Where a service file would be that starts this program.
service_files() {
  printf '%s\n' /etc/systemd/system/ark-node.service "${XDG_CONFIG_HOME:-${HOME-}/.config}/systemd/user/ark-node.service" \
    "${HOME-}/.config/systemd/user/ark-node.service" /Library/LaunchDaemons/org.arknet.ark-node.plist \
    "${HOME-}/Library/LaunchAgents/org.arknet.ark-node.plist"
}

# The service file that starts this program, if there is one.
own_service() {
  service_files | while IFS= read -r file; do grep -lF "$home/" "$file" 2>/dev/null || :; done | sort -u | head -n 1
}

restart_hint() {
  case $(own_service) in
  /etc/*) printf ': systemctl restart ark-node' ;;
  */systemd/user/*) printf ': systemctl --user restart ark-node' ;;
  /Library/*) printf ': launchctl kickstart -k system/org.arknet.ark-node' ;;
  *.plist) printf ': launchctl kickstart -k gui/%s/org.arknet.ark-node' "$(id -u)" ;;
  esac
}

uninstall() {
  is_ours || fail "$bin is another program, which was not put there by this script: nothing was removed"
  [ -d "$home" ] || [ -e "$bin" ] || fail "There is no ark-node in $prefix: nothing to remove"
  started=$(own_service)
  say "Removes $home and $bin${started:+, and $started}. Data stay where they are."
  [ "$dry" = no ] || {
    say "Nothing was changed."
    return
  }
  [ ! -d "$home" ] || lock
  if [ -n "$started" ]; then
    said=$("$bin" service uninstall 2>&1) ||
      fail "Cannot stop the service, so nothing was removed: $(first_line "$said")"
  fi
  rm -f "$bin"
  # The lock goes last.
  rm -rf "$home/current" "$home/previous" "$home/versions"
  rm -rf "$home/.lock"
  locked=no
  rmdir "$home" 2>/dev/null || fail "There are files in $home that are not this script's: they were left there"
  say "Removed. A node's key, peers, audit log and models are in ${ARK_DATA:-~/.local/share/ark-node, or the folder that --data named}."
}

case $act in
rollback)
  rollback
  kept=yes
  exit 0
  ;;
uninstall)
  uninstall
  exit 0
  ;;
esac

# ---- The release ----------------------------------------------------------------------------------------------------

if [ -z "$from" ]; then
  case $0 in
  */*) from=${0%/*} ;;
  *) from=. ;;
  esac
  [ -f "$from/SHA256SUMS" ] || fail "There is no release beside this script: say where it lies with --from DIR or URL" 2
fi
case $from in
http://* | https://*)
  from=${from%/}
  if command -v curl >/dev/null; then
    fetch() { curl -fsSL --proto '=https,http' --connect-timeout 30 --speed-limit 1000 --speed-time 60 -o "$2" "$from/$1" 2>/dev/null; }
  elif command -v wget >/dev/null; then
    fetch() { wget -q -T 60 -t 2 -O "$2" "$from/$1" 2>/dev/null; }
  else
    fail "There is neither curl nor wget here: download the release yourself, and name its folder with --from"
  fi
  ;;
*://*) fail "Cannot use --from $from: it is a folder, or an address that begins with https://" 2 ;;
*)
  [ -d "$from" ] || fail "There is no folder $from: --from names the one with SHA256SUMS" 2
  from=$(CDPATH='' cd -- "$from" && pwd -P)
  # A copy, so that what is unpacked is what was checked.
  fetch() { cp "$from/$1" "$2" 2>/dev/null; }
  ;;
esac

if command -v sha256sum >/dev/null; then
  checksum() { sha256sum; }
elif command -v shasum >/dev/null; then
  checksum() { shasum -a 256; }
elif command -v openssl >/dev/null; then
  checksum() { openssl dgst -sha256 -r; }
else
  fail "There is no sha256sum, shasum or openssl here to check the release with: install one of them"
fi
sum_of() {
  sum=$(checksum <"$1")
  printf '%s' "${sum%% *}"
}

# The checksum that the signed list has for a file, or nothing.
listed_sum() {
  awk -v name="$1" '$2 == name && length($1) == 64 { sum = $1; found++ } END { if (found == 1) print sum }' \
    "$part/SHA256SUMS"
}

# Whether SHA256SUMS is signed with the key.
is_signed() {
  if openssl pkeyutl -help 2>&1 | grep -q -e -rawin; then
    fetch SHA256SUMS.sig "$part/sig" || fail "There is no SHA256SUMS.sig in $from: a release without a signature is not installed"
    {
      echo '-----BEGIN PUBLIC KEY-----'
      printf 'MCowBQYDK2VwAyEA'
      printf '%s' "$key" | openssl base64 -d -A | tail -c 32 | openssl base64 -A
      printf '\n-----END PUBLIC KEY-----\n'
    } >"$part/key.pem"
    openssl pkeyutl -verify -pubin -inkey "$part/key.pem" -rawin -in "$part/SHA256SUMS" -sigfile "$part/sig" >/dev/null 2>&1
  elif ssh-keygen -Y verify 2>&1 | grep -q 'verify'; then
    fetch SHA256SUMS.sshsig "$part/sig" || fail "There is no SHA256SUMS.sshsig in $from: a release without a signature is not installed"
    printf 'ark-node ssh-ed25519 %s\n' "$key" >"$part/signers"
    ssh-keygen -Y verify -f "$part/signers" -I ark-node -n ark-node-release -s "$part/sig" <"$part/SHA256SUMS" >/dev/null 2>&1
  else
    fail "There is neither openssl 3 nor ssh-keygen 8.1 here to check the signature with: install one of them (packages openssl, openssh-client)"
  fi
}

case $key in
'') fail "This install.sh is from the sources and knows no release key: use the one in the release, or name its key with --key" 2 ;;
AAAAC3NzaC1lZDI1NTE5AAAAI*) ;;
*) fail "Flag --key is what stands behind 'ssh-ed25519 ' in a public key, AAAAC3NzaC1lZDI1NTE5AAAAI…" 2 ;;
esac

umask 022
is_ours || fail "$bin is another program: move it away, or choose another place with --prefix"
make_folder "$home"
lock
part=$home/.part.$$
(umask 077 && mkdir "$part") || fail "Cannot write $home"

fetch SHA256SUMS "$part/SHA256SUMS" || fail "Cannot read SHA256SUMS in $from: it is no release, or cannot be reached"
is_signed || fail "The release in $from is not signed with the key of this script: it is damaged, or somebody else's; nothing was unpacked"
fetch VERSION "$part/VERSION" || fail "Cannot read VERSION in $from"
[ "$(sum_of "$part/VERSION")" = "$(listed_sum VERSION)" ] ||
  fail "The file VERSION in $from is not the one that was signed: get the release again; nothing was unpacked"
version=$(head -n 1 "$part/VERSION")
case $version in
'' | *[!0-9A-Za-z.+-]* | .*) fail "The file VERSION in $from names no version" ;;
esac

machine=$(uname -sm)
case $machine in
'Linux x86_64') target=x86_64-unknown-linux-gnu ;;
'Linux aarch64' | 'Linux arm64') target=aarch64-unknown-linux-gnu ;;
'Darwin arm64') target=aarch64-apple-darwin ;;
'Darwin x86_64') target=x86_64-apple-darwin ;;
*) fail "There is no ark-node for $machine: it is made for Linux and macOS on x86_64 and arm64" ;;
esac
archive_of() {
  case $1 in
  cpu) printf 'ark-node-%s-%s.tar.gz' "$version" "$target" ;;
  *) printf 'ark-node-%s-%s-%s.tar.gz' "$version" "$target" "$1" ;;
  esac
}
if [ -z "$variant" ]; then
  # What the machine could use, best first, and of that what the release has.
  fitting=cpu
  for driver in /dev/dri/renderD*; do
    if [ -e "$driver" ] && ls /usr/lib/*/libvulkan.so.1 /usr/lib*/libvulkan.so.1 >/dev/null 2>&1; then fitting='vulkan cpu'; fi
  done
  if [ -e /dev/nvidiactl ] || [ -e /usr/lib/wsl/lib/libcuda.so.1 ]; then fitting="cuda $fitting"; fi
  for variant in $fitting; do
    [ -z "$(listed_sum "$(archive_of "$variant")")" ] || break
  done
fi
archive=$(archive_of "$variant")
wanted=$(listed_sum "$archive")
[ -n "$wanted" ] || fail "This release has nothing for $machine ($variant): it has $(awk '{ printf "%s%s", gap, $2; gap = ", " }' "$part/SHA256SUMS")"
id=$version-$(printf '%.8s' "$wanted")
now=$(linked current)

# Whether the first of two versions is older, by its numbers.
is_older() {
  awk -v a="${1%%[-+]*}" -v b="${2%%[-+]*}" 'BEGIN {
    n = split(a, x, "."); m = split(b, y, "."); if (m > n) n = m
    for (i = 1; i <= n; i++) if (x[i] + 0 != y[i] + 0) exit !(x[i] + 0 < y[i] + 0)
    exit 1
  }'
}
if [ -n "$now" ] && [ "$older" = no ] && is_older "$version" "${now%-*}"; then
  fail "Version $version is older than ${now%-*}, which is installed: --rollback goes back, --older installs it all the same"
fi

say "ark-node $version for $machine ($variant), from $from"
say "  signed    rightly, by ssh-ed25519 $key"
say "  program   $home/versions/$id"
say "  command   $bin"
if [ -n "$now" ] && [ "$now" != "$id" ]; then say "  before    $now, which stays for --rollback"; fi
[ "$service" = no ] || say "  service   the system starts it, now and by itself"
say "  data      are not touched"

# ---- Into place -----------------------------------------------------------------------------------------------------

fetch "$archive" "$part/archive" || fail "Cannot read $archive in $from to its end: get the release again; nothing was unpacked"
[ "$(sum_of "$part/archive")" = "$wanted" ] ||
  fail "The archive $archive is damaged or incomplete, its checksum is not the one that was signed: get it again; nothing was unpacked"
if [ "$dry" = yes ]; then
  say "The archive is whole. Nothing was changed."
  exit 0
fi

if [ ! -d "$home/versions/$id" ]; then
  mkdir "$part/program" || fail "Cannot write $home"
  said=$(gzip -dc "$part/archive" | tar -xof - -C "$part/program" 2>&1) || {
    fail "Cannot unpack into $home: $(first_line "${said:-tar did not say why}")"
  }
  rm "$part/archive"
  make_folder "$home/versions"
  fresh=$home/versions/$id
  mv "$part/program" "$fresh" || fail "Cannot write $home/versions"
fi
said=$(version_said "$id") ||
  fail "The program does not run on this machine (it needs macOS, or Linux with glibc 2.34 or newer): $(first_line "$said")"

make_folder "$prefix/bin"
{
  printf '#!/bin/sh\n%s\nexec '\' "$mark"
  printf '%s' "$home/current/ark-node" | sed "s/'/'\\\\''/g"
  printf "%s\n" "' \"\$@\""
} >"$part/command"
chmod 755 "$part/command"
[ -e "$bin" ] || first_command=$bin
mv -f "$part/command" "$bin" || fail "Cannot write $bin"
if [ "$now" != "$id" ]; then
  [ -z "$now" ] || point previous "$now"
  point current "$id"
fi
kept=yes

# Of older ones only those stay that a node still runs from.
before=$(linked previous)
for folder in "$home/versions"/*; do
  name=${folder##*/}
  if [ "$name" = "$id" ] || [ "$name" = "$before" ]; then continue; fi
  if running=$(ps -A -o args 2>/dev/null); then
    case $running in
    *"$folder/deno"*) ;;
    *) rm -rf "$folder" ;;
    esac
  fi
done

if [ "$now" = "$id" ]; then
  say "This version was installed already."
elif [ -n "$now" ]; then
  say "Installed. A node that runs goes on as ${now%-*} until it is started again$(restart_hint)."
else
  say "Installed."
fi
if [ "$service" = yes ]; then "$bin" service install || fail "The program is installed, but the system was not told to start it: see above"; fi
case :${PATH-}: in
*":$prefix/bin:"*) say "Start it with: ark-node" ;;
*)
  say "Start it with: $bin"
  say "(For the short name, have this in your shell's start file: export PATH=\"$prefix/bin:\$PATH\")"
  ;;
esac

/**
 * What shuts a worker in beside Deno's permissions, which bind JavaScript and not the C++ that reads a model: a script
 * for `sh -c` with the arguments `auto|off`, the node's data directory, the model's files with each on a line, and the
 * worker's command.
 *
 * On Linux with util-linux, where users may make namespaces, the worker gets a network without any interface, an empty
 * folder in the place of the data directory (with the model in it where it lies there), every file system read-only,
 * no session bus and no container socket to ask for more, and no way to gain privileges. It then is in a user namespace
 * of its own, so that it can neither trace the node nor read it through /proc. Each step that does not go is left out,
 * and ARK_BARRIER tells the worker which are there. Process id, signals and standard streams stay those of one process.
 *
 * In every case a crash leaves no core file: prompts would be in it.
 */
export const WORKER_BARRIER = `ulimit -c 0
how=$1 data=$2 model=$3
shift 3
[ -z "$data" ] || data=$(CDPATH= cd -- "$data" 2>/dev/null && pwd -P) || data=
inside='
data=$1 model=$2 ARK_BARRIER=network
shift 2
hide() { mount -t tmpfs -o size=64k,mode=0755,nosuid,nodev,noexec tmpfs "$1"; }
conceal() {
  [ -n "$data" ] && [ "$data" != / ] || return
  exec 3<"$data" || return
  if ! hide "$data"; then
    exec 3<&-
    return 1
  fi
  kept=0 former=$IFS IFS="
"
  set -f
  for file in $model; do
    case $file in
    "$data"/*)
      mkdir -p "\${file%/*}" && : >"$file" &&
        mount --no-canonicalize --bind "/proc/self/fd/3/\${file#"$data"/}" "$file" || kept=1
      ;;
    esac
  done
  set +f
  IFS=$former
  exec 3<&-
  return $kept
}
for folder in /run/user /run/dbus /run/systemd /run/containerd /run/podman /tmp/.X11-unix; do
  [ ! -d "$folder" ] || hide "$folder"
done
for socket in /run/docker.sock /run/snapd.socket /run/libvirt/libvirt-sock; do
  [ ! -S "$socket" ] || mount --bind /dev/null "$socket"
done
conceal && ARK_BARRIER=$ARK_BARRIER,data
fixed=yes
while read -r source point kind options rest; do
  case $options in rw | rw,*) ;; *) continue ;; esac
  case $point in /proc | /proc/* | /sys | /sys/* | /dev | /dev/*) continue ;; esac
  point=$(printf "%b" "$point")
  flags=remount,bind,ro
  for flag in nosuid nodev noexec noatime nodiratime relatime; do
    case ,$options, in *,$flag,*) flags=$flags,$flag ;; esac
  done
  mount -o "$flags" "$point" || fixed=no
done </proc/self/mounts
[ $fixed = no ] || ARK_BARRIER=$ARK_BARRIER,readonly
export ARK_BARRIER
exec 2>&4 4>&-
exec setpriv --no-new-privs --bounding-set=-all --inh-caps=-all --ambient-caps=-all -- "$@"'
unset ARK_BARRIER
apart() { unshare --user --map-current-user --keep-caps --net --ipc --mount -- "$@"; }
if [ "$how" = auto ] && command -v mount mkdir >/dev/null 2>&1 &&
  (apart setpriv --no-new-privs --bounding-set=-all --inh-caps=-all --ambient-caps=-all -- sh -c :) >/dev/null 2>&1
then
  exec 4>&2
  exec unshare --user --map-current-user --keep-caps --net --ipc --mount -- \\
    sh -c "$inside" sh "$data" "$model" "$@" 2>/dev/null
fi
exec "$@"`;

#!/bin/sh
# Makes the ark-node executable. See usage() below, or run ./compile.sh --help.
set -eu

# ---- What the processes may do --------------------------------------------------------------------------------------
#
# The node reads models and writes its data wherever its owner says (--models, --data), which is known only once it
# runs, and talks to peers wherever they are. Its environment is where the worker's is chosen from.
NODE_MAY='--allow-net --allow-read --allow-write --allow-env --allow-sys=hostname,networkInterfaces,statfs,systemMemoryInfo,cpus'

# The worker, which runs models that came from elsewhere, reads its libraries and its one model, and has neither network
# nor a place to write; the same as from source, see src/daemon/worker_command.ts. Its environment was chosen by the node.
# On load node-llama-cpp asks where home is and who runs it. Which libraries it loads was found out before, in a process
# that may do more and sees no model: that package tries them by running itself.
WORKER_MAY='--allow-env --allow-sys=homedir,uid --v8-flags=--max-old-space-size=2048'

# New objects may take 12 MB before V8 looks which of them are still in use, not 48. src/daemon/worker_command.ts has the same.
NODE_FLAGS='--v8-flags=--max-semi-space-size=4'

# What depends on where the program lies stands in the two launchers of the portable executable: node_launcher() and
# worker_launcher(). The node may run the worker's launcher, wg, which lists the peers of WireGuard, and what tells whether
# somebody else uses the machine (nvidia-smi, loginctl, xprintidle, gamemoded, ioreg), and nothing else;
# it may not write the program it is made of.
#
# A compiled executable has one set for both processes, and cannot know its own path here.
COMPILED_MAY='--allow-net --allow-read --allow-write --allow-env --allow-sys=hostname,networkInterfaces,statfs,systemMemoryInfo,cpus,homedir,uid
  --allow-run --allow-ffi'

node_launcher() {
  cat <<EOF
#!/bin/sh
# Starts ark-node with what it may do. The worker has a launcher of its own, and may do less.
# The folder itself, not a link to it: an upgrade puts another one there while this runs.
ark_home=\$(CDPATH='' cd -P -- "\${0%/*}" && pwd -P) || exit 73
ark_run=--allow-run=\$ark_home/ark-node-worker,wg,nvidia-smi,loginctl,xprintidle,gamemoded,ioreg
# Deno hands these on to another program only where any program may be run.
[ -z "\${LD_LIBRARY_PATH-}\${DYLD_LIBRARY_PATH-}" ] || ark_run=--allow-run
ark_may='$NODE_MAY'
# The owner has the system told of the node: that is no node, and asks nobody.
[ "\${1-}" != service ] || ark_run=--allow-run=systemctl,launchctl ark_may="\$ark_may,homedir,uid"
# A crash leaves no core file: prompts and the key would be in it.
ulimit -c 0
# In the background, where nobody answers what the node asks, it goes on instead of being stopped.
trap '' TTIN
$(launcher_common)
# The owner's own look at his machine reads what no node may: /proc, /sys and /dev.
[ "\${1-}" != doctor ] ||
  exec "\$ark_home/deno" run $RUN_FLAGS --config "\$ark_home/app/deno.json" --allow-all "\$ark_home/app/main.ts" "\$@"
# A help, or what a shell asks at a tab, needs little of the program.
case \${1-} in
__complete | completion | help | --help | -h) ark_main=quick.ts ;;
*) ark_main=main.ts ;;
esac
exec "\$ark_home/deno" run $RUN_FLAGS $NODE_FLAGS --config "\$ark_home/app/deno.json" \\
  \$ark_may "\$ark_run" --deny-write="\$ark_home" \\
  "\$ark_home/app/\$ark_main" "\$@"
EOF
}

worker_launcher() {
  cat <<EOF
#!/bin/sh
# Starts the process that holds a model, or the one that looks before which engine works. The node runs this, and
# tools that only look, with "model auto|off DATA MODEL READABLE" or "probe auto|off OPTIONS".
ark_home=\${0%/*}
$(launcher_common)
ark_how=\$2
if [ "\$1" = probe ]; then
  set -- '' '' -A "\$ark_home/app/main.ts" worker probe "\$3"
else
  set -- "\$3" "\$4" --allow-read="\$ark_home/app/node_modules,\$5" --allow-ffi="\$ark_home/app/node_modules" \\
    $WORKER_MAY "\$ark_home/app/main.ts" worker
fi
ark_data=\$1 ark_model=\$2
shift 2
exec /bin/sh "\$ark_home/ark-node-barrier" "\$ark_how" "\$ark_data" "\$ark_model" \\
  "\$ark_home/deno" run $RUN_FLAGS --config "\$ark_home/app/deno.json" "\$@"
EOF
}

# Nothing is fetched, asked for or looked up in the folder where the owner happens to be.
RUN_FLAGS='--quiet --no-prompt --cached-only --no-remote --no-lock'

launcher_common() {
  cat <<'EOF'
export DENO_DIR="$ark_home/cache" DENO_NO_UPDATE_CHECK=1
EOF
}

# ---- Command line ---------------------------------------------------------------------------------------------------

usage() {
  cat <<'EOF'
Makes the ark-node executable.

Usage: ./compile.sh [--target TRIPLE] [--variant cpu|vulkan|cuda] [--output FILE]
       ./compile.sh --portable        [--variant cpu|vulkan|cuda] [--output FILE]

  --portable        one self-extracting executable for this kind of machine, made of the deno in use and the app;
                    downloads nothing once ./node_modules is there
  --target TRIPLE   compile for x86_64-unknown-linux-gnu, aarch64-unknown-linux-gnu, x86_64-apple-darwin,
                    aarch64-apple-darwin, x86_64-pc-windows-msvc or aarch64-pc-windows-msvc (default: this machine)
  --variant NAME    which builds of llama.cpp travel: cpu, vulkan or cuda; each has cpu too (default: cpu)
  --output FILE     where to put it (default: dist/ark-node-TRIPLE, and -NAME for a variant other than cpu)
  --help            show this

Without --portable, deno compile is used. It needs denort, the runtime that it appends the app to, and downloads it
once per target and version; DENORT_BIN=FILE names one that is there already.

Needs deno 2.9.6, on the PATH or named by DENO=FILE; without one: npx -y -p deno@2.9.6 -c './compile.sh --portable'.
With --portable it needs tar and gzip, too.

A portable executable needs macOS, or Linux with glibc 2.34 or newer, and sh, tail, tar, gzip, ls, mkdir, chmod, rm,
find, id and uname. Its first start unpacks it, in some seconds and about 150 MB, into $ARK_CACHE, else
$XDG_CACHE_HOME/ark-node, else the user's cache folder, else the temporary folder. What lies there may be removed while
no node runs.
EOF
}

fail() {
  printf 'compile.sh: %s\n' "$1" >&2
  exit "${2-1}"
}

portable=no
target=
variant=cpu
output=
while [ $# -gt 0 ]; do
  case $1 in
  --help | -h)
    usage
    exit 0
    ;;
  --portable)
    portable=yes
    shift
    continue
    ;;
  --target=* | --variant=* | --output=*)
    flag=${1%%=*}
    value=${1#*=}
    shift
    ;;
  --target | --variant | --output)
    [ $# -ge 2 ] || fail "Flag $1 needs a value: see ./compile.sh --help" 64
    flag=$1
    value=$2
    shift 2
    ;;
  *) fail "There is no flag $1: see ./compile.sh --help" 64 ;;
  esac
  [ -n "$value" ] || fail "Flag $flag needs a value: see ./compile.sh --help" 64
  case $flag in
  --target) target=$value ;;
  --variant) variant=$value ;;
  --output) output=$value ;;
  esac
done

root=$(cd "$(dirname "$0")" && pwd -P)
# Behind the name may be npm's wrapper, a script.
deno=$("${DENO:-deno}" eval --no-config 'console.log(Deno.execPath())' 2>/dev/null) ||
  fail "There is no deno on the PATH: run npx -y -p deno@2.9.6 -c './compile.sh …', or name one in DENO"
host=$("$deno" eval --no-config 'console.log(Deno.build.target)')
: "${target:=$host}"
if [ "$portable" = yes ] && [ "$target" != "$host" ]; then
  fail "Cannot make a portable executable for $target: it holds the deno in use, which is for $host; run this there" 64
fi

# Names of npm, and of node-llama-cpp's packages, for the target.
case $target in
x86_64-unknown-linux-gnu) os=linux arch=x64 package=linux-x64 ;;
aarch64-unknown-linux-gnu) os=linux arch=arm64 package=linux-arm64 ;;
x86_64-apple-darwin) os=darwin arch=x64 package=mac-x64 ;;
aarch64-apple-darwin) os=darwin arch=arm64 package=mac-arm64-metal ;;
x86_64-pc-windows-msvc) os=win32 arch=x64 package=win-x64 ;;
aarch64-pc-windows-msvc) os=win32 arch=arm64 package=win-arm64 ;;
*) fail "Cannot compile for $target: see ./compile.sh --help for the targets" 64 ;;
esac
if [ "$portable" = yes ] && [ "$os" = win32 ]; then
  fail "Cannot make a portable executable for Windows: it begins with a shell script; compile without --portable" 64
fi
case $variant-$package in
cpu-*) packages=$package ;;
vulkan-linux-x64 | vulkan-win-x64) packages="$package $package-vulkan" ;;
cuda-linux-x64 | cuda-win-x64) packages="$package $package-cuda $package-cuda-ext" ;;
vulkan-* | cuda-*) fail "There is no llama.cpp with $variant for $target: leave --variant out" 64 ;;
*) fail "There is no variant $variant: it is cpu, vulkan or cuda" 64 ;;
esac

[ "$variant" = cpu ] && suffix= || suffix=-$variant
case ${output:=$root/dist/ark-node-$target$suffix} in
/*) ;;
*) output=$PWD/$output ;;
esac
[ ! -d "$output" ] || fail "Cannot write $output: it is a folder; name a file with --output" 64

# ---- The app: sources, and of node_modules only what it runs --------------------------------------------------------

umask 022
work=$(mktemp -d "${TMPDIR:-/tmp}/ark-compile.XXXXXX")
trap 'rm -rf "$work"' EXIT
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM

# Installs the packages of a target into a folder, which has deno.json and deno.lock.
install_modules() {
  (cd "$1" && "$deno" install --quiet --frozen --os "$os" --arch "$arch") >&2 ||
    fail "Cannot install the packages for $target: the npm registry must be in reach the first time"
}

have_modules() {
  for name in $packages; do
    [ -d "$1/node_modules/node-llama-cpp/../@node-llama-cpp/$name" ] || return 1
  done
}

source_modules() {
  [ -d "$root/node_modules/.deno" ] || [ "$target" != "$host" ] || install_modules "$root"
  if have_modules "$root"; then
    modules=$root/node_modules
    return
  fi
  mkdir "$work/install"
  cp "$root/deno.json" "$root/deno.lock" "$work/install"
  install_modules "$work/install"
  have_modules "$work/install" || fail "The packages $packages of node-llama-cpp were not installed for $target"
  modules=$work/install/node_modules
}

stage_app() {
  source_modules
  mkdir -p "$work/program/app"
  cp -R "$root/main.ts" "$root/quick.ts" "$root/src" "$root/migrations" "$root/LICENSE" "$work/program/app"
  (cd "$root" && "$deno" info --json main.ts) >"$work/graph.json"
  "$deno" run --no-config --quiet -A - "$root" "$modules" "$work" "$packages" <<'EOF'
    import { cpSync, existsSync, lstatSync, mkdirSync, symlinkSync } from "node:fs";
    import { readFileSync, realpathSync, writeFileSync } from "node:fs";
    import { dirname, join, relative } from "node:path";

    const [root, modules, work, packages] = Deno.args;
    const app = join(work, "program", "app");
    const readJson = (path) => JSON.parse(readFileSync(path, "utf8"));

    // Packages that the modules of the app import, and theirs in turn. Binaries for other platforms or GPUs stay out.
    const wanted = new Set(packages.split(" ").map((name) => `@node-llama-cpp/${name}`));
    const isWanted = (name) => !/^(@node-llama-cpp\/|@reflink\/reflink-)/.test(name) || wanted.has(name);
    const store = realpathSync(join(modules, ".deno"));
    const direct = new Set();
    for (const { specifier } of readJson(join(work, "graph.json")).modules) {
      const [, name] = /^npm:\/?((?:@[^/]+\/)?[^/@]+)@/.exec(specifier) ?? [];
      if (name !== undefined) direct.add(name);
      // Files of packages that are served and not run: the dashboard's.
      const [, served] = /.*\/node_modules\/((?:@[^/]+\/)?[^/]+)\//.exec(specifier) ?? [];
      if (served !== undefined) direct.add(served);
    }
    // What running the app needs from deno.json. Packages stay as they are put here.
    const { name, version, license, exports, imports, unstable, compilerOptions } = readJson(join(root, "deno.json"));
    const used = Object.fromEntries(Object.entries(imports).filter(([one]) => direct.has(one)));
    const config = { name, version, license, exports, imports: used, unstable, compilerOptions };
    writeFileSync(join(app, "deno.json"), JSON.stringify({ ...config, nodeModulesDir: "manual" }, null, 2) + "\n");

    if (!direct.has("node-llama-cpp")) throw new Error("The app does not import node-llama-cpp");
    const folders = new Map();
    function take(link) {
      const folder = realpathSync(link);
      if (folders.has(folder)) return;
      const { name, dependencies = {}, optionalDependencies = {} } = readJson(join(folder, "package.json"));
      const around = folder.slice(0, -name.length);
      const theirs = Object.keys({ ...dependencies, ...optionalDependencies })
        .filter((one) => isWanted(one) && existsSync(join(around, one)));
      folders.set(folder, { around, theirs });
      for (const one of theirs) take(join(around, one));
    }
    for (const name of direct) take(join(modules, name));

    // Neither types and sources nor what is for building llama.cpp.
    const unused = /\.(d\.)?[cm]?ts$|\.map$|(^|\/)(?!(LICENSE|NOTICE)[^/]*$)[^/]*\.md$/i;
    const building = /\/node-llama-cpp\/(templates|llama\/(?!.*\.json$).+)$/;
    const target = (path) => join(app, "node_modules", ".deno", relative(store, path));
    const link = (from, to) => {
      mkdirSync(dirname(from), { recursive: true });
      symlinkSync(relative(dirname(from), to), from);
    };
    for (const [folder, { around, theirs }] of folders) {
      cpSync(folder, target(folder), {
        recursive: true,
        dereference: true,
        filter: (path) => !building.test(path) && (lstatSync(path).isDirectory() || !unused.test(path)),
      });
      for (const one of theirs) {
        const from = target(join(around, one));
        if (!existsSync(from)) link(from, target(realpathSync(join(around, one))));
      }
    }
    for (const name of direct) link(join(app, "node_modules", name), target(realpathSync(join(modules, name))));
EOF
}

# ---- deno compile ---------------------------------------------------------------------------------------------------

compile() {
  mkdir -p "$(dirname "$output")"
  set -- --no-check --no-prompt --no-lock --self-extracting --app-name ark-node "$NODE_FLAGS"
  for may in $COMPILED_MAY; do set -- "$@" "$may"; done
  set -- "$@" --target "$target" --output "$output" --include node_modules \
    --include src/audit/line_check_worker.ts --include src/audit/insert_worker.ts \
    --include src/models/blobs/whole_hash_worker.ts --include src/models/blobs/chunk_worker.ts main.ts
  if ! (cd "$work/program/app" && "$deno" compile "$@" >"$work/log" 2>&1); then
    if grep -q 'dl.deno.land\|Setting up base binary' "$work/log"; then
      fail "Cannot download denort for $target from dl.deno.land: name one in DENORT_BIN, or use --portable"
    fi
    cat "$work/log" >&2
    fail "Cannot compile: deno compile said why above"
  fi
  [ -f "$output" ] || output=$output.exe
}

# ---- Portable executable --------------------------------------------------------------------------------------------

make_portable() {
  cp "$deno" "$work/program/deno"
  node_launcher >"$work/program/ark-node"
  worker_launcher >"$work/program/ark-node-worker"
  (cd "$root" && "$deno" eval 'import { WORKER_BARRIER } from "@ark/node/daemon"; console.log(WORKER_BARRIER)') \
    >"$work/program/ark-node-barrier" || fail "Cannot write the worker's launcher: deno said why above"
  chmod 755 "$work/program/deno" "$work/program/ark-node" "$work/program/ark-node-worker"

  # The same content gives the same file, and so the same cache folder, where tar can do that.
  set --
  if tar --version 2>/dev/null | grep -q 'GNU tar'; then
    set -- --sort=name --mtime=@0 --owner=0 --group=0 --numeric-owner --format=ustar
  fi
  (cd "$work/program" && tar "$@" -cf "$work/payload.tar" deno ark-node ark-node-worker ark-node-barrier app) ||
    fail "Cannot pack the app: tar said why above"
  gzip -n "$work/payload.tar"
  "$deno" run --no-config --quiet -A - "$work" "$target" "$variant" <<'EOF' >"$work/values"
    import { createHash } from "node:crypto";
    import { lstatSync, readdirSync, readFileSync } from "node:fs";
    const [work, target, variant] = Deno.args;
    const { version } = JSON.parse(readFileSync(`${work}/program/app/deno.json`, "utf8"));
    const size = (path) => lstatSync(path).isDirectory()
      ? readdirSync(path).reduce((sum, name) => sum + size(`${path}/${name}`), 0)
      : Math.ceil(lstatSync(path).size / 4096) * 4096;
    const hash = createHash("sha256").update(readFileSync(`${work}/payload.tar.gz`)).digest("hex");
    const machine = target.includes("linux") ? "Linux" : "Darwin";
    const processor = target.split("-")[0];
    console.log([
      `ark_name=${version}-${variant}-${hash.slice(0, 16)}`,
      `ark_machine='${machine} ${machine === "Darwin" && processor === "aarch64" ? "arm64" : processor}'`,
      `ark_hash=${hash}`,
      `ark_megabytes=${Math.ceil(size(`${work}/program`) / 1e6 * 1.1)}`,
    ].join("\n"));
EOF
  mkdir -p "$(dirname "$output")"
  {
    echo '#!/bin/sh'
    cat "$work/values"
    echo 'ark_payload=00000000'
    portable_header
  } >"$work/header"
  start=$(($(wc -c <"$work/header") + 1))
  sed "s/^ark_payload=00000000\$/ark_payload=$(printf '%08d' "$start")/" "$work/header" >"$work/executable"
  cat "$work/payload.tar.gz" >>"$work/executable"
  chmod 755 "$work/executable"
  try_portable
  # Beside the old one first, so that a node that runs from it is not disturbed.
  { cp "$work/executable" "$output.part" && mv "$output.part" "$output"; } || fail "Cannot write $output"
}

# What was made must run before it is handed out.
try_portable() {
  mkdir "$work/cache"
  (cd / && env -i PATH=/usr/bin:/bin ARK_CACHE="$work/cache" "$work/executable" --version) >"$work/said" 2>&1 || {
    cat "$work/said" >&2
    fail "The executable was made and does not run: it said why above"
  }
}

# The shell script that a portable executable begins with.
portable_header() {
  cat <<'EOF'
# ark-node as one file: this script, and behind it a compressed archive of everything that the program needs. The first
# start unpacks it into a folder of the user that is named after the content; every start runs it from there. Nothing is
# written elsewhere, nothing is downloaded, and several versions lie side by side.
#
# ARK_CACHE names the folder to unpack into. Exit status 73: it cannot be unpacked, or cannot run on this machine.

# Goes on to the program when it lies complete in a folder that belongs to this user. The mark is the one file that is
# never read, so what cleans old files out of a temporary folder takes it first.
start() {
  ark_home=$1/$ark_name
  [ -O "$1" ] && [ -O "$ark_home" ] && [ ! -L "$ark_home" ] && [ -f "$ark_home/complete" ] || return 0
  shift
  exec "$ark_home/ark-node" "$@"
}

# Folders to try, best first: what the owner names is the only one.
candidate() {
  case $1 in
  1) ark_folder=${ARK_CACHE-} ;;
  2) case ${XDG_CACHE_HOME-} in /*) ark_folder=$XDG_CACHE_HOME/ark-node ;; *) ark_folder= ;; esac ;;
  3)
    case ${ark_machine%% *}${HOME-} in
    Linux/*) ark_folder=$HOME/.cache/ark-node ;;
    Darwin/*) ark_folder=$HOME/Library/Caches/ark-node ;;
    *) ark_folder= ;;
    esac
    ;;
  4) ark_folder=${TMPDIR:-/tmp}/ark-node-$(id -u) ;;
  *) return 1 ;;
  esac
  # Deno separates paths with commas.
  case $ark_folder in
  *,*) because "its name has a comma" ;;
  ?*) [ ! -d "$ark_folder" ] || ark_folder=$(CDPATH='' cd -- "$ark_folder" && pwd -P) || ark_folder= ;;
  esac
}

# Remembers why the first folder that was tried does not do.
because() {
  ark_reason=${ark_reason-"into $ark_folder ($1)"}
  ark_folder=
}

unpack() {
  mkdir -p -- "$ark_folder" 2>/dev/null || { because "it cannot be made"; return; }
  ark_folder=$(CDPATH='' cd -- "$ark_folder" && pwd -P) || { because "it cannot be entered"; return; }
  [ -O "$ark_folder" ] || { because "it belongs to another user"; return; }
  # The permissions as ls shows them: what others may write, they may exchange.
  case $(ls -ld -- "$ark_folder") in
  d????w* | d???????w*) because "other users may write there"; return ;;
  esac
  ark_part=$ark_folder/.$ark_name.$$.part
  rm -rf -- "$ark_part"
  {
    mkdir -- "$ark_part" && printf '#!/bin/sh\n' >"$ark_part/complete" && chmod 700 "$ark_part/complete"
  } 2>/dev/null || { because "it cannot be written"; return; }
  "$ark_part/complete" 2>/dev/null || { because "programs may not run there"; return; }
  ark_said=$({ tail -c "+$ark_payload" "$0" | gzip -dc | tar -xof - -C "$ark_part"; } 2>&1) || {
    case $ark_said in
    *"No space left"* | *quota*) because "no space is left there" ;;
    *) because "${ark_said%%"$ark_line_end"*}" ;;
    esac
    return
  }
  # The new program moves its folder into place itself: mv would move it into one that another start put there.
  ark_said=$(NO_COLOR=1 DENO_DIR=$ark_part/cache "$ark_part/deno" eval --quiet --no-config --no-lock '
    const [part, home] = Deno.args;
    try {
      Deno.renameSync(part, home);
    } catch (error) {
      try {
        if (!Deno.lstatSync(home + "/complete").isFile) throw error;
      } catch {
        Deno.renameSync(home, part + ".old");
        Deno.renameSync(part, home);
      }
    }' "$ark_part" "$ark_folder/$ark_name" 2>&1 </dev/null) || {
    because "the program does not run there: ${ark_said%%"$ark_line_end"*}"
    return
  }
}

tidy() {
  [ -z "${ark_part-}" ] || rm -rf -- "$ark_part" "$ark_part.old"
}

# Whether the archive is what it was when it was made, with what this machine has for that.
intact() {
  if command -v sha256sum >/dev/null; then
    ark_sum=$(tail -c "+$ark_payload" "$0" | sha256sum)
  elif command -v shasum >/dev/null; then
    ark_sum=$(tail -c "+$ark_payload" "$0" | shasum -a 256)
  else
    tail -c "+$ark_payload" "$0" | gzip -t 2>/dev/null
    return
  fi
  [ "${ark_sum%% *}" = "$ark_hash" ]
}

give_up() {
  printf 'ark-node: %s\n' "$1" >&2
  exit 73
}

# Names of our own, set before use: the environment may have variables of any name, and goes to the program as it is.
unset ark_reason ark_part
ark_line_end='
'
ark_last=4
[ -z "${ARK_CACHE-}" ] || ark_last=1
ark_at=1
while [ "$ark_at" -le "$ark_last" ]; do
  candidate "$ark_at"
  [ -z "$ark_folder" ] || start "$ark_folder" "$@"
  ark_at=$((ark_at + 1))
done

ark_mask=$(umask)
umask 077
ark_here=$(uname -sm)
[ "$ark_here" = "$ark_machine" ] || give_up "This executable is for $ark_machine, and this machine is $ark_here"
intact || give_up "This executable is damaged, its checksum is not the one that it was made with: get it again"
trap tidy EXIT
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM
ark_at=1
while [ "$ark_at" -le "$ark_last" ]; do
  candidate "$ark_at"
  if [ -n "$ark_folder" ]; then
    unpack
    tidy
    if [ -n "$ark_folder" ]; then
      # What starts that were killed left there more than a day ago.
      find "$ark_folder/." ! -name . -prune -name '.*.part*' -mtime +0 -exec rm -rf {} + 2>/dev/null
      umask "$ark_mask"
      trap - EXIT HUP INT TERM
      start "$ark_folder" "$@"
      because "what was just unpacked is gone"
      umask 077
    fi
  fi
  ark_at=$((ark_at + 1))
done
give_up "Cannot unpack ${ark_reason-anywhere}: \
name a folder with $ark_megabytes MB of space, where programs may run, in ARK_CACHE"
EOF
}

# ---------------------------------------------------------------------------------------------------------------------

stage_app
if [ "$portable" = yes ]; then make_portable; else compile; fi
printf 'Made %s for %s (%s), %s MB.\n' "$output" "$target" "$variant" "$(($(wc -c <"$output") / 1000000))"

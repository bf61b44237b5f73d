# shellcheck shell=bash
# Shared by the scripts of this folder, which source it first.

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)
export HOME=${HOME:-~}
cache=${XDG_CACHE_HOME:-$HOME/.cache}/doacoes
# rustup and Go put the programs here, and not every shell that runs make has read the profile that adds it.
PATH=$PATH:$HOME/.cargo/bin:/usr/local/go/bin

# CI clones afresh but may keep the cache. It is only a cache: an empty one costs time, nothing else.
if [[ -z ${CARGO_TARGET_DIR:-} ]]; then
    if [[ ${CI:-} == true ]]; then
        CARGO_TARGET_DIR=$cache/target
    else
        CARGO_TARGET_DIR=$root/target
    fi
fi
export CARGO_TARGET_DIR

# Progress goes to stderr: the stdout of some of these scripts is read by programs.
say() { printf '%s: %s\n' "${0##*/}" "$*" >&2; }
die() {
    say "$*"
    exit 1
}
have() { command -v "$1" >/dev/null 2>&1; }

# as_root COMMAND...: finds what was built and cached for whoever calls.
as_root() {
    if ((EUID == 0)); then
        "$@"
    else
        # What needs root comes late; whoever has to give a password has done so when packages were installed.
        sudo --non-interactive "--preserve-env=HOME,XDG_CACHE_HOME,GOPROXY,KUBEBUILDER_ASSETS,CARGO_TARGET_DIR" "$@"
    fi
}

# run_e2e OPTION...: the tests on a cluster, with unittest's options, as root; they use what hack/python has.
run_e2e() {
    as_root env PYTHONPATH="$root/hack/python" TEST_FULL="${TEST_FULL:-}" python3 -B "$root/e2e" "$@"
}

# forget_unused DAYS PATH...: deletes those that nobody has used, which touches them, for so long.
forget_unused() {
    local days=$1
    shift
    # What a pattern stands for may not exist.
    find "$@" -maxdepth 0 -mtime "+$days" -exec rm -rf {} + 2>/dev/null || true
}

# The comment at the top of the calling script, without its marks.
usage() { sed -n '2,/^[^#]/{/^#/!d;s/^# \{0,1\}//;p}' "$0"; }

# alive PID: runs, and is not merely waiting to be reaped, which kill -0 takes for alive.
alive() {
    local stat
    # A bare `return` would be true in a trap: there it repeats the status from before the trap.
    read -r stat <"/proc/$1/stat" || return 1
    # The name before the state may hold anything, even a parenthesis.
    stat=${stat##*) }
    [[ $stat != [ZX]* ]]
} 2>/dev/null

# process_identity PID: prints the process id and the time of the start, which together no other process has had since the machine started.
process_identity() {
    local pid=$1 stat
    read -r stat <"/proc/$pid/stat" || return 1
    # shellcheck disable=SC2086 # the fields from the third on
    set -- ${stat##*) }
    echo "$pid ${20}"
} 2>/dev/null

# wait_gone SECONDS PID: waits for the process to end; false if it still runs after that.
wait_gone() {
    local deadline=$((SECONDS + $1))
    while alive "$2"; do
        ((SECONDS < deadline)) || return 1
        sleep 0.05
    done
}

# Both loopbacks, since a browser takes "localhost" for either.
port_in_use() {
    local address
    for address in 127.0.0.1 ::1; do
        (exec 3<>"/dev/tcp/$address/$1") 2>/dev/null && return 0
    done
    return 1
}

# Debian keeps PostgreSQL's server programs out of PATH, one folder per major version.
newest_pg_bin() {
    local dir
    dir=$(printf '%s\n' /usr/lib/postgresql/*/bin | sort -V | tail -n 1)
    [[ -x $dir/initdb ]] && printf '%s\n' "$dir"
}

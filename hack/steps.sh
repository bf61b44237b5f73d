# shellcheck shell=bash
# Progress of a script whose steps may take long; sourced after lib.sh.

# A step's usual seconds on two cores, and what to look at when it takes longer; the script fills both.
declare -A usual=() look_at=()
step_count=0 step_number=0 step_watcher=

# step NAME WHAT COMMAND...: says what is done, runs the command, and says how long it took. Says so once when that is
# longer than usual, and again at ten times the usual time.
step() {
    local name=$1 started=$SECONDS
    step_number=$((step_number + 1))
    say "$step_number of $step_count: $2; usually ${usual[$name]} s"
    watch_step "$name" &
    step_watcher=$!
    trap stop_watching EXIT
    "${@:3}"
    stop_watching
    say "$step_number of $step_count: done in $((SECONDS - started)) s"
}

stop_watching() {
    [[ -z $step_watcher ]] || kill "$step_watcher" 2>/dev/null || true
    step_watcher=
}

# watch_step NAME: no process of its own but the shell, which would outlive it and keep stderr open.
watch_step() {
    local started=${EPOCHREALTIME/[.,]/} expected passed never said=0
    printf -v expected '%.0f' "${usual[$1]}e6"
    exec {never}<> <(:)
    while alive $$; do
        read -r -t 0.2 -u "$never" || true
        passed=$((${EPOCHREALTIME/[.,]/} - started))
        if ((said == 0 && passed > expected)); then
            said=1
            say "this takes longer than the usual ${usual[$1]} s and goes on. To see what it does: ${look_at[$1]}"
        elif ((said == 1 && passed > 10 * expected)); then
            say "this has taken ten times its usual ${usual[$1]} s, so something is probably wrong. Look at: ${look_at[$1]}." \
                "Ctrl-C stops it; the next run goes on with what is there"
            return
        fi
    done
}

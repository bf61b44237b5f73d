# shellcheck shell=bash
# shellcheck disable=SC2154 # hack/cluster and its other parts set the variables
# One command at a time changes a cluster.

# lock_cluster: waits for the others, and keeps the lock in file descriptor 9 until this process ends.
lock_cluster() {
    lock=/run/lock/doacoes-cluster-$cluster.lock
    while true; do
        exec 9>>"$lock"
        if ! flock -n 9; then
            say "waiting for another hack/cluster that works on $cluster"
            flock -w 600 9 || die "another hack/cluster has been at work on $cluster for ten minutes"
        fi
        # The holder before may have deleted the file; then the next caller would lock another one.
        [[ ! $lock -ef /proc/self/fd/9 ]] || break
    done
    trap forget_lock EXIT
}

# So that nothing is left. Who waits for it notices.
forget_lock() { rm -f "$lock"; }

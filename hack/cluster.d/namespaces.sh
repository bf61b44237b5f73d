# shellcheck shell=bash
# shellcheck disable=SC2154 # hack/cluster and its other parts set the variables
# The cluster without Docker. Each machine, the control plane's and the nodes', is a set of namespaces
# (processes, mounts, network, IPC, host name) whose first process is hack/cluster.d/machine. When that
# one is killed, the kernel ends all the others and with them goes every mount and every cable. What
# remains to be removed are the cgroups and the folder with the machines' files.

states=/var/lib/doacoes/clusters
state_of() { echo "$states/$1"; }
machine_folder() { echo "$state/machines/$1"; }
control_plane_name() { echo "$cluster-control-plane"; }
# As kind names them.
node_name() { (($1 == 1)) && echo "$cluster-worker" || echo "$cluster-worker$1"; }
node_names() {
    local index
    for ((index = 1; index <= node_count; index++)); do
        node_name "$index"
    done
}

# ---- The commands

namespaces_up() {
    require_root up
    check_requirements
    state=$(state_of "$cluster")
    # Before the lock, for it may take a quarter of an hour.
    [[ -e $state/complete ]] || find_programs
    lock_cluster
    if [[ -e $state/complete ]]; then
        local wanted=$node_count
        read_state
        say "$cluster exists; looking at it"
        if find_dead && api_ready; then
            ((wanted == node_count)) || die "$cluster runs with $node_count nodes; for $wanted, hack/cluster down first"
            publish_kubeconfig "$state/pki/admin.kubeconfig"
            introduce
            return
        fi
        node_count=$wanted
    fi
    find_programs
    if [[ -e $state ]]; then
        say "removing what is left of an earlier run"
        remove_machines
    fi
    require_free_ports
    trap abandon EXIT
    trap 'exit 130' INT
    trap 'exit 143' TERM HUP
    create_machines
    wait_until_ready
    touch "$state/complete"
    trap forget_lock EXIT
    trap - INT TERM HUP
    publish_kubeconfig "$state/pki/admin.kubeconfig"
    introduce
}

namespaces_down() {
    require_root down
    state=$(state_of "$cluster")
    lock_cluster
    if [[ -e $state ]]; then
        remove_machines
        say "$cluster is removed"
    else
        say "$cluster does not exist"
    fi
    withdraw_kubeconfig
}

namespaces_status() {
    require_running status
    local healthy=true
    find_dead || healthy=false
    if ! api_ready; then
        say "the API server is not ready"
        healthy=false
    elif ! nodes_ready; then
        admin_kubectl get nodes >&2
        healthy=false
    fi
    $healthy || exit 1
    say "$cluster runs: a control plane and $node_count nodes"
    admin_kubectl get nodes --output wide
}

namespaces_load_image() {
    require_running load-image
    local node import imports=() log
    log=$(mktemp)
    for node in $(node_names); do
        import_images "$node" "$@" >>"$log" 2>&1 &
        imports+=($!)
    done
    for import in "${imports[@]}"; do
        wait "$import" || die "the images cannot be loaded: $(tail -n 1 "$log")"
    done
    rm "$log"
}

# import_images NODE FILE...
import_images() {
    local file
    for file in "${@:2}"; do
        on_machine "$1" ctr --namespace k8s.io images import - <"$file" || return
    done
}

namespaces_tag_image() {
    require_running tag-image
    local node
    for node in $(node_names); do
        on_machine "$node" ctr --namespace k8s.io images tag --force "$1" "$2" >/dev/null
    done
}

namespaces_kubectl() {
    require_running kubectl
    exec "$programs/kubectl" --kubeconfig "$state/pki/admin.kubeconfig" "$@"
}

namespaces_enter() {
    require_running enter
    local node=$1
    shift
    [[ -e $(machine_folder "$node") ]] || die "$cluster has no node '$node'; there are $(node_names | tr '\n' ' ')and $(control_plane_name)"
    (($# > 0)) || set -- "$BASH"
    on_machine "$node" "$@"
}

# ---- Making and removing

# Sets `programs`, the folder of the binaries, and `images`, the archive of the cluster's own images.
find_programs() {
    programs=$("$parts/binaries")
    images=$programs.images-$(cat "$parts/images.py" /bin/busybox | sha256sum | cut -c 1-16).tar
    [[ -e $images ]] || python3 "$parts/images.py" "$images" "$programs" pause busybox coredns metrics-server local-path-provisioner
    touch "$images"
}

create_machines() {
    say "starting $cluster: a control plane and $node_count nodes"
    # Not only root has things in the first of these folders.
    install -d -m 755 /var/lib/doacoes
    (umask 077 && mkdir -p "$state/machines")
    echo "$node_count" >"$state/nodes"
    echo "$programs" >"$state/programs"
    local name index pid control_plane_pid
    name=$(control_plane_name)
    mkdir -p "$(machine_folder "$name")/log"
    start_machine "$name" control-plane "$state/pki" "$service_range" "$http_port" "$https_port"
    control_plane_pid=$pid
    connect_control_plane "$pid"
    echo "$subnet" >"$state/subnet"
    create_certificates
    network_is_there "$control_plane_address"

    for ((index = 1; index <= node_count; index++)); do
        name=$(node_name "$index")
        prepare_node "$(machine_folder "$name")" "$index"
        create_cgroups "$cluster/$name"
        start_machine "$name" node "$images" "$(zone_of "$index")"
        connect_node "$control_plane_pid" "$pid" "$index"
        network_is_there "$(address_of "$index")"
    done
}

# start_machine NAME ROLE ARGUMENT...: sets `pid`. The machine waits until network_is_there.
start_machine() {
    local name=$1 role=$2 folder deadline=$((SECONDS + 30))
    folder=$(machine_folder "$name")
    shift 2
    # In a session of its own, so that Ctrl-C does not reach it, and without the lock. It may keep the host's network.
    exec {machine_stdin}> >(
        exec 8</proc/self/ns/net
        exec setsid unshare --mount --propagation slave --net --pid --ipc --uts --fork -- \
            "$parts/machine" "$role" "$folder" "$programs" "$@" >"$folder/log/machine.log" 2>&1 9>&-
    )
    local starter=$!
    until pid=$(machine_pid "$name"); do
        if ! alive "$starter" || ((SECONDS >= deadline)); then
            die "$name does not start: $(tail -n 1 "$folder/log/machine.log")"
        fi
        sleep 0.02
    done
}

# network_is_there ADDRESS: tells the machine that was started last.
network_is_there() {
    echo "$1" >&"$machine_stdin"
    exec {machine_stdin}>&-
}

# machine_pid NAME: prints the process id of its first process, unless it has ended and another process has the number.
machine_pid() {
    local pid started
    read -r pid started <"$(machine_folder "$1")/pid" && [[ $(process_identity "$pid") == "$pid $started" ]] && echo "$pid"
} 2>/dev/null

# on_machine NAME COMMAND...
on_machine() {
    local pid
    pid=$(machine_pid "$1") || die "$1 does not run"
    PATH=$PATH:/run/doacoes/programs nsenter --target "$pid" --mount --net --pid --ipc --uts -- "${@:2}"
}

remove_machines() {
    local folder name pid pids=()
    for folder in "$state"/machines/*/; do
        name=$(basename "$folder")
        pid=$(machine_pid "$name") || continue
        pids+=("$pid")
    done
    # The frozen do not die.
    thaw_cgroups
    ((${#pids[@]} == 0)) || kill -KILL "${pids[@]}" 2>/dev/null || true
    for pid in "${pids[@]}"; do
        wait_gone 60 "$pid" || die "process $pid, a machine of $cluster, does not end"
    done
    remove_cgroups
    cut_cable_to_host
    # A mount in there would be somebody else's.
    rm -rf --one-file-system "$state"
    rmdir "$states" 2>/dev/null || true
}

# After a failure or a signal. The logs stay, for there was a reason.
abandon() {
    local status=$? logs=$root/target/cluster-logs/$cluster folder
    trap '' INT TERM HUP
    trap - EXIT
    rm -rf "$logs"
    for folder in "$state"/machines/*/; do
        [[ -e $folder/log ]] || continue
        mkdir -p "$logs"
        cp -r "$folder/log" "$logs/$(basename "$folder")"
    done
    say "not completed; the logs are in $logs"
    remove_machines
    forget_lock
    exit "$status"
}

# ---- What runs

require_running() {
    require_root "$1"
    state=$(state_of "$cluster")
    [[ -e $state/complete ]] || die "$cluster does not run; 'hack/cluster up' starts it"
    read_state
}

# Sets `node_count`, `programs` and `subnet` to what the cluster was made with.
read_state() {
    node_count=$(<"$state/nodes")
    programs=$(<"$state/programs")
    # A cleared cache.
    [[ -x $programs/kubectl ]] || programs=$("$parts/binaries")
    set_subnet "$(<"$state/subnet")"
}

admin_kubectl() { "$programs/kubectl" --kubeconfig="$state/pki/admin.kubeconfig" --request-timeout=10s "$@"; }

api_ready() { admin_kubectl get --raw /readyz >/dev/null 2>&1; }

nodes_ready() {
    [[ $(admin_kubectl get nodes --no-headers 2>/dev/null | awk '$2 ~ /^Ready/' | wc -l) == "$node_count" ]]
}

# Names every process of the cluster that has ended or stands still, and fails if there is one.
find_dead() {
    local name dead=0
    for name in $(control_plane_name) $(node_names); do
        find_dead_on "$name" || dead=1
    done
    return "$dead"
}

# find_dead_on MACHINE
find_dead_on() {
    local name=$1 pid child status program number dead=0
    if ! pid=$(machine_pid "$name"); then
        say "$name has ended"
        return 1
    fi
    # First what was started, then what runs: the other way round, what is started in between would seem to have died.
    local started
    started=$(cat "$(machine_folder "$name")/started" 2>/dev/null) || true
    [[ -n $started ]] || return 0
    # By the process ids that the machine itself knows.
    local -A states=()
    while read -r number status; do
        states[$number]=$status
    done < <(
        for child in $(ps -o pid= --ppid "$pid"); do
            awk '/^State:/ { state = $2 } /^NSpid:/ { print $NF, state }' "/proc/$child/status" 2>/dev/null || true
        done
    )
    while read -r program number; do
        case ${states[$number]:-} in
        '' | Z) say "$program of $name has ended; its log: $(machine_folder "$name")/log/$program.log" ;;
        T) say "$program of $name is stopped by a signal" ;;
        *) continue ;;
        esac
        dead=1
    done <<<"$started"
    return "$dead"
}

wait_until_ready() {
    local deadline=$((SECONDS + 120)) addon
    await api_ready
    for addon in coredns local-path-provisioner metrics-server; do
        admin_kubectl apply --filename "$parts/addons/$addon.yaml" >/dev/null || die "$addon could not be installed"
    done
    await nodes_ready
    await addons_ready
}

# await TEST: within `deadline`, while nothing has died.
await() {
    local dead
    until "$1"; do
        dead=$(find_dead 2>&1) || die "${dead#*: }"
        ((SECONDS < deadline)) || die "the cluster is not ready after two minutes: ${1//_/ } is still false"
        sleep 0.2
    done
}

# metrics-server is not waited for: it is ready when it has asked every kubelet twice, ten seconds apart.
addons_ready() {
    local missing
    missing=$(admin_kubectl get deployments --all-namespaces --no-headers 2>/dev/null) &&
        [[ -z $(awk '$2 != "metrics-server" && $5 == 0' <<<"$missing") ]]
}

# ---- Cgroups

# Prints the mounted hierarchies: one in version 2, one per controller in version 1, or the latter and one without controllers.
cgroup_hierarchies() { awk '$3 == "cgroup" || $3 == "cgroup2" { print $2 }' /proc/mounts; }

# create_cgroups CLUSTER/NODE: the kubelet makes those of pods below, and wants this one to exist.
create_cgroups() {
    local hierarchy path part file controller
    while read -r hierarchy; do
        path=$hierarchy
        for part in doacoes "${1%/*}" "${1#*/}"; do
            for controller in cpu cpuset io memory pids hugetlb; do
                [[ ! -e $path/cgroup.subtree_control ]] || echo "+$controller" >"$path/cgroup.subtree_control" || true
            done 2>/dev/null
            path+=/$part
            mkdir -p "$path"
            # In version 1 a new cpuset is empty, and no process can enter it.
            for file in cpuset.cpus cpuset.mems; do
                [[ ! -e $path/$file || -e $path/cgroup.controllers ]] || cat "$path/../$file" >"$path/$file"
            done
        done
    done < <(cgroup_hierarchies)
}

thaw_cgroups() {
    local hierarchy frozen
    while read -r hierarchy; do
        [[ -d $hierarchy/doacoes/$cluster ]] || continue
        while read -r frozen; do
            echo THAWED >"$frozen" || true
        done < <(find "$hierarchy/doacoes/$cluster" -name freezer.state)
    done < <(cgroup_hierarchies)
}

remove_cgroups() {
    local hierarchy path deadline=$((SECONDS + 30))
    while read -r hierarchy; do
        path=$hierarchy/doacoes/$cluster
        # A process that has ended may still be counted.
        while [[ -d $path ]] && ! find "$path" -depth -type d -exec rmdir {} + 2>/dev/null; do
            ((SECONDS < deadline)) || die "the cgroup $path cannot be removed"
            sleep 0.05
        done
        rmdir "$hierarchy/doacoes" 2>/dev/null || true
    done < <(cgroup_hierarchies)
}

# shellcheck shell=bash
# shellcheck disable=SC2154 # hack/cluster and its other parts set the variables
# The cluster as kind's. What kind lacks, metrics-server, and the image that the tests use are added.

kind_up() {
    lock_cluster
    if kind_exists; then
        if kind_running && kind_ready; then
            local nodes
            nodes=$(kind_workers | wc -l)
            ((nodes == node_count)) || die "$cluster runs with $nodes nodes; for $node_count, hack/cluster down first"
            kind_publish_kubeconfig
            introduce
            return
        fi
        say "removing what is left of an earlier run"
        kind_delete
    fi
    require_free_ports
    trap 'kind_delete; forget_lock' EXIT
    trap 'exit 130' INT
    trap 'exit 143' TERM HUP
    mkdir -p "$(dirname "$kubeconfig")"
    # The caller's own kubeconfig stays as it is.
    kind_config | kind create cluster --name "$cluster" --config - --kubeconfig "$kubeconfig" --wait 180s >&2
    local scratch programs
    scratch=$(mktemp -d)
    programs=$("$parts/binaries" metrics-server)
    "$root/hack/packages" cluster-images
    python3 "$parts/images.py" "$scratch/images.tar" "$programs" busybox metrics-server
    kind load image-archive --name "$cluster" "$scratch/images.tar" >&2
    rm -r "$scratch"
    kind_publish_kubeconfig
    # Not by its name: the node's own kubectl does not see this folder.
    kind_kubectl apply --filename - <"$parts/addons/metrics-server.yaml" >/dev/null
    kind_kubectl --namespace kube-system rollout status deployment/metrics-server --timeout=120s >/dev/null
    trap forget_lock EXIT
    trap - INT TERM HUP
    introduce
}

# kind-config.yaml with as many workers and with those ports that are wanted.
kind_config() {
    awk -v workers="$node_count" -v http="$http_port" -v https="$https_port" '
        /^  - role: worker/ { worker++ }
        worker > workers { next }
        # A mapping is held back until its host port has been seen.
        /^      - containerPort:/ { mapping = $0; next }
        /^        hostPort:/ {
            port = mapping ~ /30080/ ? http : https
            dropped = port == ""
            if (!dropped) print mapping "\n        hostPort: " port
            next
        }
        /^        (listenAddress|protocol):/ && dropped { next }
        { print }
    ' "$root/kind-config.yaml"
}

kind_exists() { kind get clusters 2>/dev/null | grep -qx "$cluster"; }
kind_nodes() { kind get nodes --name "$cluster" 2>/dev/null; }
kind_workers() { kind_nodes | grep -- '-worker'; }

# Names every node whose container does not run, and every process of a node that systemd has given up, and fails if there is one.
kind_running() {
    local node failed status=0
    for node in $(kind_nodes); do
        if [[ $(docker inspect --format '{{.State.Status}}' "$node") != running ]]; then
            say "$node does not run"
            status=1
        elif ! failed=$(docker exec "$node" systemctl is-active containerd kubelet 2>&1); then
            say "on $node, containerd and kubelet are: ${failed//$'\n'/, }"
            status=1
        fi
    done
    return "$status"
}

kind_ready() {
    [[ $(kind_kubectl get nodes --no-headers 2>/dev/null | awk '$2 !~ /^Ready/ { n++ } END { print NR > 0 ? n + 0 : "none" }') == 0 ]]
}

kind_publish_kubeconfig() {
    local file
    file=$(mktemp)
    kind get kubeconfig --name "$cluster" >"$file"
    publish_kubeconfig "$file"
    rm "$file"
}

kind_delete() { kind delete cluster --name "$cluster" --kubeconfig "$kubeconfig" >&2; }

kind_down() {
    lock_cluster
    kind_delete
    withdraw_kubeconfig
}

kind_status() {
    kind_exists || die "$cluster does not run; 'hack/cluster up' starts it"
    kind_running || exit 1
    if ! kind_ready; then
        kind_kubectl get nodes >&2
        exit 1
    fi
    say "$cluster runs on kind"
    kind_kubectl get nodes --output wide
}

kind_load_image() {
    kind_exists || die "$cluster does not run; 'hack/cluster up' starts it"
    local file
    for file; do
        kind load image-archive --name "$cluster" "$file" >&2
    done
}

kind_tag_image() {
    kind_exists || die "$cluster does not run; 'hack/cluster up' starts it"
    local node
    for node in $(kind get nodes --name "$cluster"); do
        docker exec "$node" ctr --namespace k8s.io images tag --force "$1" "$2" >/dev/null
    done
}

kind_kubectl() {
    if have kubectl; then
        kubectl --kubeconfig "$kubeconfig" "$@"
    else
        # That of the node, which has one.
        docker exec --interactive "$cluster-control-plane" kubectl --kubeconfig /etc/kubernetes/admin.conf "$@"
    fi
}

kind_enter() {
    local node=$1
    shift
    (($# > 0)) || set -- bash
    if [[ -t 0 ]]; then
        docker exec --interactive --tty "$node" "$@"
    else
        docker exec --interactive "$node" "$@"
    fi
}

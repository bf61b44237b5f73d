# shellcheck shell=bash
# shellcheck disable=SC2154,SC2034 # hack/cluster and its other parts set and use the variables
# The network between the machines of a cluster: a bridge inside the control plane's namespace, with one
# cable to each node and one to this host. Of all that, the host sees its own end of one cable,
# doacoes-K with the address 198.18.K.1; its iptables and its settings stay as they are.

# kind's ranges. They exist inside the namespaces alone, so two clusters may have the same.
service_range=10.96.0.0/16
api_service_address=10.96.0.1
dns_address=10.96.0.10
pod_range=10.244.0.0/16
pod_range_of() { echo "10.244.$1.0/24"; }

# The host sees these: of 198.18.0.0/15, which RFC 2544 reserves for benchmarks and nobody routes.
address_of() { echo "$subnet.$((10 + $1))"; }

# set_subnet SUBNET: such as 198.18.3
set_subnet() {
    subnet=$1
    control_plane_address=$subnet.2
}

# inside PID COMMAND...: in the network of a machine.
inside() { nsenter --target "$1" --net -- "${@:2}"; }

# connect_control_plane PID: sets the subnet to the first that is free, and lays the cable to this host.
connect_control_plane() {
    local pid=$1 number error=''
    for ((number = 0; number < 256; number++)); do
        [[ -z $(ip -4 -o address show to "198.18.$number.0/24") ]] || continue
        # The kernel lets one of those have it who try at the same time.
        if error=$(ip link add "doacoes-$number" type veth peer name host netns "$pid" 2>&1); then
            error=
            break
        fi
        [[ $error == *'File exists'* ]] || break
    done
    [[ -z $error ]] || die "no network for the cluster: $error"
    set_subnet "198.18.$number"
    # The alias tells whose it is, should another cluster get this number after the machine was restarted.
    ip link set "doacoes-$number" alias "cluster $cluster" up
    ip address add "$subnet.1/24" dev "doacoes-$number"

    inside "$pid" ip -batch - <<END
link set lo up
link add nodes type bridge
address add $control_plane_address/24 dev nodes
link set host master nodes up
link set nodes up
END
    # What the API server passes on to pods, such as the requests for metrics.
    add_pod_routes "$pid" 0
}

# connect_node CONTROL_PLANE_PID PID INDEX
connect_node() {
    local name=node$3
    inside "$1" ip link add "$name" type veth peer name eth0 netns "$2"
    inside "$1" ip link set "$name" master nodes up
    # The default route leads nowhere; without one, no address of a Service could be connected to.
    inside "$2" ip -batch - <<END
link set lo up
address add $(address_of "$3")/24 dev eth0
link set eth0 up
route add default via $control_plane_address
END
    add_pod_routes "$2" "$3"
}

# add_pod_routes PID INDEX: to the pods of all nodes but this one.
add_pod_routes() {
    local other
    for ((other = 1; other <= node_count; other++)); do
        ((other == $2)) || echo "route add $(pod_range_of "$other") via $(address_of "$other")"
    done | inside "$1" ip -batch -
}

# The rest goes with the namespaces, but the kernel keeps those while it repeats the farewells of connections
# to others that are gone already.
cut_cable_to_host() {
    local link
    for link in /sys/class/net/doacoes-*; do
        [[ $(cat "$link/ifalias" 2>/dev/null) == "cluster $cluster" ]] || continue
        # The kernel may be faster.
        ip link delete "$(basename "$link")" 2>/dev/null || [[ ! -e $link ]] || die "the network interface $(basename "$link") cannot be deleted"
    done
}

# shellcheck shell=bash
# shellcheck disable=SC2154 # hack/cluster and its other parts set the variables
# What the machine has to offer, asked before anything is built, with one line for what is missing.

require_root() {
    ((EUID == 0)) || die "the cluster's nodes are namespaces of this machine, and making them needs root: run 'sudo hack/cluster $1', or install kind and Docker"
}

check_requirements() {
    [[ $(uname -s) == Linux ]] || die "without kind and Docker, the cluster needs Linux"
    "$root/hack/packages" cluster
    cni_programs >/dev/null || die "the CNI plugins are missing; hack/packages cluster installs them"
    require_cgroups
    local problem folder
    install -d -m 755 /var/lib/doacoes
    folder=$(mktemp -d /var/lib/doacoes/try.XXXXXX)
    # In namespaces of its own, which end with it.
    problem=$(unshare --mount --net --pid --ipc --uts --fork -- "$BASH" -c "$(declare -f try_kernel); try_kernel $folder" 2>&1) || {
        rm -rf "$folder"
        die "this kernel lacks what the cluster needs: ${problem:-namespaces (unshare fails)}"
    }
    rm -rf "$folder"
}

# Prints the folder of the CNI plugins: Debian's, or where everybody else puts them.
cni_programs() {
    local folder
    for folder in /usr/lib/cni /opt/cni/bin; do
        if [[ -x $folder/ptp && -x $folder/host-local && -x $folder/portmap ]]; then
            echo "$folder"
            return
        fi
    done
    return 1
}

require_cgroups() {
    local controller missing=() available
    if [[ -e /sys/fs/cgroup/cgroup.controllers ]]; then
        available=" $(</sys/fs/cgroup/cgroup.controllers) "
        for controller in cpu cpuset memory pids; do
            [[ $available == *" $controller "* ]] || missing+=("$controller")
        done
    else
        for controller in cpu cpuacct cpuset devices freezer memory pids; do
            [[ -d /sys/fs/cgroup/$controller ]] || missing+=("$controller")
        done
    fi
    ((${#missing[@]} == 0)) || die "this machine's /sys/fs/cgroup lacks what the kubelet needs: ${missing[*]}"
}

# try_kernel FOLDER: runs in a shell of its own. Says what is missing and fails, or succeeds silently.
try_kernel() {
    set -eu
    attempt() {
        local what=$1
        shift
        "$@" >/dev/null 2>&1 || {
            echo "$what ('$*' fails)"
            exit 1
        }
    }
    attempt 'mounting /proc' mount -t proc proc /proc
    attempt 'tmpfs' mount -t tmpfs tmpfs /run
    mkdir "$1"/{lower,upper,work,merged}
    attempt 'overlayfs' mount -t overlay overlay -o "lowerdir=$1/lower,upperdir=$1/upper,workdir=$1/work" "$1/merged"
    attempt 'veth' ip link add cable type veth peer name end
    attempt 'bridge' ip link add nodes type bridge
    # The matches and targets of kube-proxy's rules.
    attempt 'NAT in iptables' iptables -t nat -A POSTROUTING -m comment --comment try -j MASQUERADE --random-fully
    attempt 'marks in iptables' iptables -t nat -A POSTROUTING -m mark ! --mark 0x4000/0x4000 -j MARK --xor-mark 0x4000
    attempt 'xt_statistic' iptables -t nat -A OUTPUT -m statistic --mode random --probability 0.5 -j RETURN
    attempt 'xt_addrtype' iptables -t nat -A OUTPUT -m addrtype --dst-type LOCAL -j RETURN
    attempt 'xt_conntrack' iptables -A FORWARD -m conntrack --ctstate INVALID -j DROP
}

# shellcheck shell=bash
# shellcheck disable=SC2154 # hack/cluster and its other parts set the variables
# A node's machine: containerd, kubelet and kube-proxy. It sees the host's file system, but for /var/lib,
# /var/log and /run, which are its own, so that every node has its things where any node has them and
# the host sees neither files nor mounts of it.

# prepare_node FOLDER INDEX: on the host, writes what the node will find in /var/lib/doacoes.
prepare_node() {
    local folder=$1 index=$2 address name pki=$state/pki
    local etc=$folder/var-lib/doacoes
    name=$(basename "$folder")
    address=$(address_of "$index")
    mkdir -p "$folder"/{log,var-log} "$etc/cni"
    certificate "$name" ca "/O=system:nodes/CN=system:node:$name" "DNS:$name,IP:$address"
    write_kubeconfig "$name" "$etc/kubelet.kubeconfig"
    cp "$pki/ca.crt" "$pki/kube-proxy.kubeconfig" "$etc"
    cp "$pki/$name.crt" "$etc/kubelet.crt"
    cp "$pki/$name.key" "$etc/kubelet.key"
    # Pods with the DNS policy Default get this; the host's names are none of theirs.
    : >"$etc/resolv.conf"

    # A route to each pod rather than a bridge for all, or the answers among pods of a node would pass kube-proxy's rules by.
    cat >"$etc/cni/10-pods.conflist" <<END
{"cniVersion": "1.0.0", "name": "pods", "plugins": [
  {"type": "ptp", "ipMasq": false,
   "ipam": {"type": "host-local", "ranges": [[{"subnet": "$(pod_range_of "$index")"}]], "routes": [{"dst": "0.0.0.0/0"}]}},
  {"type": "portmap", "capabilities": {"portMappings": true}}]}
END
    # The plugin `opt` would make a folder /opt/containerd. Not every machine's root may lower an OOM score.
    cat >"$etc/containerd.toml" <<END
version = 2
disabled_plugins = ["io.containerd.internal.v1.opt"]
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "localhost/doacoes-pause:1"
  restrict_oom_score_adj = true
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "$(cni_programs)"
    conf_dir = "/var/lib/doacoes/cni"
END
    # As on kind, a node does not mind a disk that others have filled, nor does it know who else needs the memory.
    cat >"$etc/kubelet.yaml" <<END
apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
address: $address
authentication: {anonymous: {enabled: false}, webhook: {enabled: true}, x509: {clientCAFile: /var/lib/doacoes/ca.crt}}
authorization: {mode: Webhook}
tlsCertFile: /var/lib/doacoes/kubelet.crt
tlsPrivateKeyFile: /var/lib/doacoes/kubelet.key
clusterDomain: cluster.local
clusterDNS: [$dns_address]
resolvConf: /var/lib/doacoes/resolv.conf
containerRuntimeEndpoint: unix:///run/containerd/containerd.sock
volumePluginDir: /var/lib/kubelet/volumeplugins
cgroupDriver: cgroupfs
cgroupRoot: /doacoes/$cluster/$name
enforceNodeAllocatable: []
failCgroupV1: false
failSwapOn: false
oomScoreAdj: 0
evictionHard: {memory.available: 100Mi, nodefs.available: 0%, nodefs.inodesFree: 0%, imagefs.available: 0%}
imageGCHighThresholdPercent: 100
END
    # Conntrack's limits are the host's.
    cat >"$etc/kube-proxy.yaml" <<END
apiVersion: kubeproxy.config.k8s.io/v1alpha1
kind: KubeProxyConfiguration
clientConnection: {kubeconfig: /var/lib/doacoes/kube-proxy.kubeconfig}
clusterCIDR: $pod_range
mode: iptables
conntrack: {maxPerCore: 0, min: 0, tcpEstablishedTimeout: 0s, tcpCloseWaitTimeout: 0s}
oomScoreAdj: 0
END
}

# start_node IMAGES ZONE: on the node itself, whose address is `address`.
start_node() {
    local images zone=$2
    exec {images}<"$1"
    hide_host
    echo 1 >/proc/sys/net/ipv4/ip_forward
    start containerd containerd --config /var/lib/doacoes/containerd.toml
    until ctr version >/dev/null 2>&1; do
        sleep 0.05
    done
    # Before the kubelet, which tries only after 10 s again to start what had no image.
    ctr --namespace k8s.io images import --no-unpack - <&"$images" >log/images.log 2>&1
    exec {images}<&-
    start kubelet /run/doacoes/programs/kubelet --config=/var/lib/doacoes/kubelet.yaml --kubeconfig=/var/lib/doacoes/kubelet.kubeconfig \
        --cert-dir=/var/lib/kubelet/pki --node-ip="$address" --node-labels="topology.kubernetes.io/zone=$zone"
    start kube-proxy /run/doacoes/programs/kube-proxy --config=/var/lib/doacoes/kube-proxy.yaml
}

hide_host() {
    mount -t tmpfs -o mode=755 tmpfs /run
    mkdir -p /run/lock /run/doacoes/{programs,sysctl}
    # The cache may be anywhere, and so below a folder that is about to disappear.
    local program
    for program in kubelet kube-proxy; do
        : >"/run/doacoes/programs/$program"
        mount --bind "$(realpath "$programs/$program")" "/run/doacoes/programs/$program"
    done
    mount --bind var-log /var/log
    mount --bind var-lib /var/lib

    # The kubelet sets these for the whole machine, unless it finds them set: it gets to see files instead.
    hide_setting vm/overcommit_memory 1
    hide_setting vm/panic_on_oom 0
    hide_setting kernel/panic 10
    hide_setting kernel/panic_on_oops 1
    hide_setting kernel/keys/root_maxkeys 1000000
    hide_setting kernel/keys/root_maxbytes 25000000
}

# hide_setting NAME VALUE
hide_setting() {
    local file=/run/doacoes/sysctl/${1//\//.}
    echo "$2" >"$file"
    mount --bind "$file" "/proc/sys/$1"
}

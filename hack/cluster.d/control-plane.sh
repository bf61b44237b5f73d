# shellcheck shell=bash
# shellcheck disable=SC2154 # hack/cluster and its other parts set the variables
# The control plane's machine: etcd, the API server and what watches it.

# start_control_plane PKI SERVICE_RANGE HTTP_PORT HTTPS_PORT: on the machine itself, whose address is `address`.
start_control_plane() {
    local pki=$1 service_range=$2
    forward http "$3" 30080
    forward https "$4" 30443
    exec 8<&-
    mkdir -p etcd
    # A cluster for tests is not worth waiting for the disk; after a crash of the machine it is made anew.
    start etcd "$programs/etcd" --data-dir=etcd --unsafe-no-fsync --log-level=warn \
        --listen-client-urls=http://127.0.0.1:2379 --advertise-client-urls=http://127.0.0.1:2379 \
        --listen-peer-urls=http://127.0.0.1:2380
    # shellcheck disable=SC2054 # a comma belongs to the flag
    local flags=(
        --etcd-servers=http://127.0.0.1:2379
        --advertise-address="$address"
        --secure-port=6443
        --service-cluster-ip-range="$service_range"
        --authorization-mode=Node,RBAC
        --enable-admission-plugins=NodeRestriction
        --allow-privileged=true
        --tls-cert-file="$pki/apiserver.crt" --tls-private-key-file="$pki/apiserver.key"
        --client-ca-file="$pki/ca.crt"
        --kubelet-certificate-authority="$pki/ca.crt"
        --kubelet-client-certificate="$pki/apiserver-kubelet-client.crt" --kubelet-client-key="$pki/apiserver-kubelet-client.key"
        --kubelet-preferred-address-types=InternalIP
        --service-account-issuer=https://kubernetes.default.svc.cluster.local
        --service-account-key-file="$pki/service-accounts.pub" --service-account-signing-key-file="$pki/service-accounts.key"
        --requestheader-client-ca-file="$pki/front-proxy-ca.crt" --requestheader-allowed-names=front-proxy-client
        --requestheader-extra-headers-prefix=X-Remote-Extra- --requestheader-group-headers=X-Remote-Group
        --requestheader-username-headers=X-Remote-User
        --proxy-client-cert-file="$pki/front-proxy-client.crt" --proxy-client-key-file="$pki/front-proxy-client.key"
        # No kube-proxy runs here: it has to send to the pods behind metrics-server's Service itself.
        --enable-aggregator-routing=true
    )
    start kube-apiserver "$programs/kube-apiserver" "${flags[@]}"

    # kube-controller-manager gives up if the API server is not ready within 10 s.
    until "$programs/kubectl" --kubeconfig="$pki/admin.kubeconfig" --request-timeout=5s get --raw /readyz >/dev/null 2>&1; do
        sleep 0.1
    done
    start kube-controller-manager "$programs/kube-controller-manager" --leader-elect=false --use-service-account-credentials \
        --kubeconfig="$pki/kube-controller-manager.kubeconfig" \
        --root-ca-file="$pki/ca.crt" --service-account-private-key-file="$pki/service-accounts.key" \
        --cluster-signing-cert-file="$pki/ca.crt" --cluster-signing-key-file="$pki/ca.key"
    start kube-scheduler "$programs/kube-scheduler" --leader-elect=false --kubeconfig="$pki/kube-scheduler.kubeconfig"
}

# forward NAME PORT NODE_PORT: from the host's loopback to the first node, where kube-proxy knows all pods. It is a
# process of this machine, and ends with it, in the host's network, which file descriptor 8 is.
forward() {
    [[ -n $2 ]] || return 0
    start "forward-$1" nsenter --net=/proc/self/fd/8 -- \
        socat "TCP-LISTEN:$2,bind=127.0.0.1,reuseaddr,fork,backlog=128" "TCP:${address%.*}.11:$3,connect-timeout=10"
}

# shellcheck shell=bash
# shellcheck disable=SC2154 # hack/cluster and its other parts set the variables
# Who may speak to whom: the authorities, certificates and kubeconfigs that kubeadm would make, in `$state/pki`.

create_certificates() {
    mkdir -p "$state/pki"
    authority ca doacoes-cluster
    # Another one, or every client of the cluster could speak in the name of any user to the API server.
    authority front-proxy-ca doacoes-cluster-front-proxy
    certificate apiserver ca /CN=kube-apiserver \
        "DNS:kubernetes,DNS:kubernetes.default,DNS:kubernetes.default.svc,DNS:kubernetes.default.svc.cluster.local,DNS:localhost,IP:127.0.0.1,IP:$control_plane_address,IP:$api_service_address"
    certificate apiserver-kubelet-client ca /O=system:masters/CN=kube-apiserver-kubelet-client
    certificate front-proxy-client front-proxy-ca /CN=front-proxy-client
    openssl genrsa -out "$state/pki/service-accounts.key" 2048 2>/dev/null
    openssl rsa -in "$state/pki/service-accounts.key" -pubout -out "$state/pki/service-accounts.pub" 2>/dev/null

    local user
    certificate admin ca /O=system:masters/CN=admin
    for user in kube-controller-manager kube-scheduler kube-proxy; do
        certificate "$user" ca "/CN=system:$user"
    done
    for user in admin kube-controller-manager kube-scheduler kube-proxy; do
        write_kubeconfig "$user" "$state/pki/$user.kubeconfig"
    done
}

# authority NAME SUBJECT
authority() {
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 3650 -subj "/CN=$2" \
        -keyout "$state/pki/$1.key" -out "$state/pki/$1.crt" \
        -addext basicConstraints=critical,CA:TRUE -addext keyUsage=critical,keyCertSign,cRLSign 2>/dev/null
}

# certificate NAME AUTHORITY SUBJECT [SUBJECT_ALT_NAMES]
certificate() {
    local pki=$state/pki names=${4:-DNS:$1}
    openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj "$3" -keyout "$pki/$1.key" -out "$pki/$1.csr" 2>/dev/null
    openssl x509 -req -in "$pki/$1.csr" -CA "$pki/$2.crt" -CAkey "$pki/$2.key" -CAcreateserial -days 3650 -out "$pki/$1.crt" \
        -extfile <(printf 'subjectAltName=%s\nextendedKeyUsage=serverAuth,clientAuth\n' "$names") 2>/dev/null
    rm "$pki/$1.csr"
}

# write_kubeconfig NAME FILE: for the owner of the certificate NAME.
write_kubeconfig() {
    local pki=$state/pki
    cat >"$2" <<END
apiVersion: v1
kind: Config
clusters:
  - name: $cluster
    cluster:
      server: https://$control_plane_address:6443
      certificate-authority-data: $(base64 -w 0 "$pki/ca.crt")
users:
  - name: $1
    user:
      client-certificate-data: $(base64 -w 0 "$pki/$1.crt")
      client-key-data: $(base64 -w 0 "$pki/$1.key")
contexts:
  - name: $cluster
    context: {cluster: $cluster, user: $1}
current-context: $cluster
END
}

#!/bin/bash
# SPDX-License-Identifier: MPL-2.0
# The first process in the namespaces of the node; all of the cluster ends with it.
# up.sh starts it with DIR (state), PROGRAMS (directory), KUBE (one of them), IMAGES (archives), ADDRESS, NODE,
# PROXY_MODE, FEATURE_GATES (to turn on).
set -uo pipefail
keys=$DIR/keys
gates=(${FEATURE_GATES:+"--feature-gates=$FEATURE_GATES"})

# launch NAME COMMAND...: program.sh can stop it and start it again.
launch() {
	local name=$1
	shift
	printf '#!/bin/bash\nexec %s\n' "${*@Q}" >"$DIR/$name.sh"
	chmod +x "$DIR/$name.sh"
	"$DIR/$name.sh" >"$DIR/log/$name.log" 2>&1 &
	echo $! >"$DIR/$name.pid"
}

# await COMMAND...
await() {
	until "$@" >/dev/null 2>&1; do sleep 0.05; done
}

hostname "$NODE"
mount --make-rshared /

# A sysfs that shows the network of this namespace, with the machine's cgroups in it.
mkdir -p "$DIR/cgroup"
mount --rbind /sys/fs/cgroup "$DIR/cgroup"
mount --make-rslave "$DIR/cgroup"
mount -t sysfs sysfs /sys
mount --rbind "$DIR/cgroup" /sys/fs/cgroup

# What these programs write stays in DIR, whatever paths they insist on.
for path in /var/lib/kubelet /var/lib/containerd /var/lib/cni /var/log/pods \
	/var/log/containers /etc/cni/net.d /run/containerd /run/netns; do
	mkdir -p "$DIR/root$path" "$path"
	mount --bind "$DIR/root$path" "$path"
done
for path in /run/containerd /run/netns; do # sockets and namespaces
	mount -t tmpfs tmpfs "$path"
	mount --make-rshared "$path"
done

# The network: one cable to the machine, and a bridge that exists only to be the way
# to the addresses of Services, which kube-proxy then replaces.
await ip link show eth0
ip link set lo up
ip addr add "$ADDRESS/30" dev eth0
ip link set eth0 up
ip link add services type bridge
ip addr add 10.96.255.254/16 dev services
ip link set services up
sysctl -qw net.ipv4.ip_forward=1
sysctl -qw net.bridge.bridge-nf-call-iptables=1 2>/dev/null || true
cat >/etc/cni/net.d/10-pods.conflist <<CONF
{"cniVersion": "0.4.0", "name": "pods", "plugins": [
  {"type": "bridge", "bridge": "pods0", "isDefaultGateway": true, "hairpinMode": true,
   "ipam": {"type": "host-local", "ranges": [[{"subnet": "10.244.0.0/24"}], [{"subnet": "fd00:10:244::/64"}]]}},
  {"type": "portmap", "capabilities": {"portMappings": true}}]}
CONF

cat >"$DIR/containerd.toml" <<CONF
version = 3
[plugins.'io.containerd.cri.v1.images'.pinned_images]
  sandbox = "registry.e2e/pause:1"
[plugins.'io.containerd.cri.v1.runtime']
  disable_apparmor = true
  # Where root may not lower a process's score, runc would fail.
  restrict_oom_score_adj = true
  [plugins.'io.containerd.cri.v1.runtime'.cni]
    bin_dirs = ["/usr/lib/cni"]
  [plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc]
    runtime_type = "io.containerd.runc.v2"
CONF
# It looks for its shim in PATH.
launch containerd env "PATH=$PROGRAMS:$PATH" "$PROGRAMS/containerd" --config "$DIR/containerd.toml"

launch etcd "$KUBE" etcd --data-dir "$DIR/etcd" --unsafe-no-fsync \
	--listen-client-urls http://127.0.0.1:2379 --advertise-client-urls http://127.0.0.1:2379 \
	--listen-peer-urls http://127.0.0.1:2380 --initial-advertise-peer-urls http://127.0.0.1:2380 \
	--initial-cluster default=http://127.0.0.1:2380

launch kube-apiserver "$KUBE" kube-apiserver "${gates[@]}" --etcd-servers=http://127.0.0.1:2379 \
	--advertise-address="$ADDRESS" --service-cluster-ip-range=10.96.0.0/16 \
	--authorization-mode=Node,RBAC --enable-admission-plugins=NodeRestriction --allow-privileged=true \
	--client-ca-file="$keys/ca.crt" --tls-cert-file="$keys/apiserver.crt" --tls-private-key-file="$keys/apiserver.key" \
	--service-account-issuer=https://kubernetes.default.svc.cluster.local \
	--service-account-key-file="$keys/tokens.key" --service-account-signing-key-file="$keys/tokens.key" \
	--kubelet-client-certificate="$keys/to-kubelet.crt" --kubelet-client-key="$keys/to-kubelet.key" \
	--kubelet-certificate-authority="$keys/ca.crt" --kubelet-preferred-address-types=InternalIP

await "$PROGRAMS/ctr" version
for image in $IMAGES; do
	"$PROGRAMS/ctr" -n k8s.io image import --platform "linux/$(dpkg --print-architecture)" "$image" >>"$DIR/log/images.log" 2>&1 ||
		echo "import of $image failed" >>"$DIR/log/images.log"
done
await kubectl --kubeconfig="$keys/admin.conf" get --raw=/readyz

# Those that end when the API server is not ready for them.
launch kube-controller-manager "$KUBE" kube-controller-manager --kubeconfig="$keys/controllers.conf" \
	--leader-elect=false --use-service-account-credentials --bind-address=127.0.0.1 \
	--service-account-private-key-file="$keys/tokens.key" --root-ca-file="$keys/ca.crt" \
	--flex-volume-plugin-dir=/var/lib/kubelet/flex --kube-api-qps=200 --kube-api-burst=400
launch kube-scheduler "$KUBE" kube-scheduler --kubeconfig="$keys/scheduler.conf" \
	--leader-elect=false --bind-address=127.0.0.1 --kube-api-qps=200 --kube-api-burst=400

: >"$DIR/resolv.conf"
cat >"$DIR/kubelet.yaml" <<CONF
apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
authentication:
  anonymous: {enabled: false}
  webhook: {enabled: true}
  x509: {clientCAFile: $keys/ca.crt}
authorization: {mode: Webhook}
tlsCertFile: $keys/kubelet-server.crt
tlsPrivateKeyFile: $keys/kubelet-server.key
containerRuntimeEndpoint: unix:///run/containerd/containerd.sock
cgroupDriver: cgroupfs
failCgroupV1: false
failSwapOn: false
enforceNodeAllocatable: []
resolvConf: $DIR/resolv.conf
clusterDNS: [10.96.0.10]
clusterDomain: cluster.local
# A full disk of the machine is no reason to evict anything here.
evictionHard: {memory.available: "0%", nodefs.available: "0%", nodefs.inodesFree: "0%", imagefs.available: "0%", imagefs.inodesFree: "0%"}
imageGCHighThresholdPercent: 100
volumePluginDir: /var/lib/kubelet/flex
kubeAPIQPS: 200
kubeAPIBurst: 400
CONF
launch kubelet "$KUBE" kubelet "${gates[@]}" --config="$DIR/kubelet.yaml" --kubeconfig="$keys/kubelet.conf" \
	--hostname-override="$NODE" --node-ip="$ADDRESS"

cat >"$DIR/proxy.yaml" <<CONF
apiVersion: kubeproxy.config.k8s.io/v1alpha1
kind: KubeProxyConfiguration
mode: $PROXY_MODE
hostnameOverride: $NODE
clusterCIDR: 10.244.0.0/16
clientConnection: {kubeconfig: $keys/proxy.conf}
# The limits of the machine are not this cluster's to change.
conntrack: {maxPerCore: 0, min: 0, tcpEstablishedTimeout: 0s, tcpCloseWaitTimeout: 0s}
iptables: {minSyncPeriod: 0s}
nftables: {minSyncPeriod: 0s}
CONF
launch kube-proxy "$KUBE" kube-proxy --config="$DIR/proxy.yaml"

cat >"$DIR/Corefile" <<CONF
.:53 {
    errors
    ready 127.0.0.1:8181
    kubernetes cluster.local {
        kubeconfig $keys/dns.conf
        ttl 5
    }
    cache 5
}
CONF
sed "s/ADDRESS/$ADDRESS/" "$HERE/dns.yaml" |
	kubectl --kubeconfig="$keys/admin.conf" apply -f - >"$DIR/log/dns.log" 2>&1
launch coredns "$KUBE" coredns -conf "$DIR/Corefile"
wait

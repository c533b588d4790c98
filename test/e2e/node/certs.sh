#!/bin/bash
# SPDX-License-Identifier: MPL-2.0
# Makes the keys of a cluster with one node: certs.sh DIRECTORY ADDRESS NODE.
set -euo pipefail
dir=$1 address=$2 node=$3
mkdir -p "$dir"
cd "$dir"
umask 077

openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 30 \
	-subj /CN=e2e-authority -keyout ca.key -out ca.crt 2>/dev/null
openssl genrsa -out tokens.key 2048 2>/dev/null

# issue NAME SUBJECT [ALTERNATIVE-NAMES]
issue() {
	openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes \
		-subj "$2" -keyout "$1.key" -out "$1.csr" 2>/dev/null
	{
		echo 'keyUsage=digitalSignature'
		echo 'extendedKeyUsage=serverAuth,clientAuth'
		if [ -n "${3:-}" ]; then echo "subjectAltName=$3"; fi
	} >"$1.ext"
	openssl x509 -req -in "$1.csr" -CA ca.crt -CAkey ca.key -CAcreateserial \
		-days 30 -extfile "$1.ext" -out "$1.crt" 2>/dev/null
}

# user NAME SUBJECT: a kubeconfig with a certificate in it.
user() {
	issue "$1" "$2"
	kubectl config --kubeconfig="$1.conf" set-cluster e2e --server="https://$address:6443" \
		--certificate-authority=ca.crt --embed-certs >/dev/null
	kubectl config --kubeconfig="$1.conf" set-credentials "$1" \
		--client-certificate="$1.crt" --client-key="$1.key" --embed-certs >/dev/null
	kubectl config --kubeconfig="$1.conf" set-context e2e --cluster=e2e --user="$1" >/dev/null
	kubectl config --kubeconfig="$1.conf" use-context e2e >/dev/null
}

issue apiserver /CN=kube-apiserver \
	"IP:$address,IP:127.0.0.1,IP:10.96.0.1,DNS:localhost,DNS:kubernetes,DNS:kubernetes.default.svc"
issue kubelet-server "/CN=$node" "IP:$address,DNS:$node"
issue to-kubelet /O=system:masters/CN=kube-apiserver
user admin /O=system:masters/CN=admin
user controllers /CN=system:kube-controller-manager
user scheduler /CN=system:kube-scheduler
user proxy /CN=system:kube-proxy
user dns /CN=e2e:dns
user kubelet "/O=system:nodes/CN=system:node:$node"

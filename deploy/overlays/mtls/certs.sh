#!/bin/bash
# SPDX-License-Identifier: MPL-2.0
# Makes a certificate authority and the Secrets NAME-tls of the host and of each plugin, in
# the present namespace of kubectl, for trying out mutual TLS:
#   certs.sh [NAME...]
# Without names they are basic and pluginzh. CERTS_DIR, build/certs, keeps the authority:
# running it again renews certificates, or makes those of further plugins. Needs openssl.
set -euo pipefail
if [ $# -eq 0 ]; then set -- basic pluginzh; fi
dir=${CERTS_DIR:-build/certs}
mkdir -p "$dir"
cd "$dir"
umask 077
if [ ! -e ca.key ]; then
	openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 365 \
		-subj /CN=reattach-ca -keyout ca.key -out ca.crt 2>/dev/null
fi
for name; do
	openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes \
		-subj "/CN=$name" -keyout "$name.key" -out "$name.csr" 2>/dev/null
	# The name that the host asks for is the plugin's: that of its Service.
	printf 'subjectAltName=DNS:%s\nextendedKeyUsage=serverAuth,clientAuth\n' "$name" >"$name.ext"
	openssl x509 -req -in "$name.csr" -CA ca.crt -CAkey ca.key -CAcreateserial \
		-days 30 -extfile "$name.ext" -out "$name.crt" 2>/dev/null
	kubectl create secret generic "$name-tls" --type=kubernetes.io/tls \
		--from-file=tls.crt="$name.crt" --from-file=tls.key="$name.key" --from-file=ca.crt \
		--dry-run=client -o yaml | kubectl apply -f -
done

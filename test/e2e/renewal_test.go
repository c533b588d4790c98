// SPDX-License-Identifier: MPL-2.0

//go:build e2e

package e2e

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// TestPodCertificatesAreRenewed has the kubelet renew the certificates of pods that run,
// under calls. It does so by itself no sooner than five minutes after it had them; but one
// that was started again knows none of the keys that it has made, and has them all renewed
// at once, into the files that the pods have.
func TestPodCertificatesAreRenewed(t *testing.T) {
	const name = "e2e-renewed-certificates"
	node := ownNode(t)
	if why := unsigned(t); why != "" {
		t.Skip(why)
	}
	namespace(t, name)
	s := sign(t, name)
	kubectl(t, "create", "secret", "generic", "token", "-n", name, "--from-literal=token="+token)
	apply(t, overlay(t, "overlays/pod-certificates"), "-n", name)
	kubectl(t, "patch", "deployment", "basic", "-n", name, "-p", callsWithToken)
	rolled(t, name, "basic", "pluginzh")
	ip := func(pod string) string { return addressOf(t, name, pod) }
	var host []string
	until(t, "there is one host", func() bool {
		host = strings.Fields(kubectl(t, "get", "pods", "-n", name, "-l", "app.kubernetes.io/name=basic", "-o", "jsonpath={.items[*].metadata.name}"))
		return len(host) == 1
	})
	url := through(t, node, ip(host[0])+":8080")
	untilReady(t, url, 2)
	plugins := podsOf(t, name, 2)
	before := make(map[string]time.Time)
	for _, pod := range plugins {
		before[pod] = presented(t, node, ip(pod)+":7000")
	}
	const own = "reattach_certificate_not_before_timestamp_seconds"
	ownBefore := metric(url, own)
	signed := s.signed.Load()

	l := begin(url, 4)
	begun := time.Now()
	for _, verb := range []string{"stop", "start"} {
		if out, err := exec.CommandContext(t.Context(), "node/program.sh", node, "kubelet", verb).CombinedOutput(); err != nil {
			t.Fatalf("%s the kubelet: %v\n%s", verb, err, out)
		}
	}
	until(t, "the host's certificate is a new one", func() bool { return metric(url, own) > ownBefore })
	for _, pod := range plugins {
		until(t, pod+" shows a new certificate", func() bool { return !presented(t, node, ip(pod)+":7000").Equal(before[pod]) })
	}
	t.Logf("the pairs of three pods were renewed, and in use, %s after the kubelet was stopped", time.Since(begun).Round(time.Millisecond))
	if n := s.signed.Load() - signed; n < 3 {
		t.Errorf("%d certificates were signed meanwhile", n)
	}
	kubectl(t, "scale", "-n", name, "deployment/pluginzh", "--replicas=3")
	untilReady(t, url, 3) // a new session, by the host's new certificate
	l.end(t)
	notRestarted(t, name)
}

// callsWithToken has the host of the overlay take calls, with the token.
const callsWithToken = `{"spec": {"template": {"spec": {
	"containers": [{"name": "basic",
		"env": [{"name": "BASIC_NO_CALLS", "value": "false"}, {"name": "BASIC_TOKEN_FILE", "value": "/secrets/token"}],
		"volumeMounts": [{"name": "token", "mountPath": "/secrets"}]}],
	"volumes": [{"name": "token", "secret": {"secretName": "token"}}]}}}}`

// presented gives from when on the certificate is valid that a plugin shows whoever connects.
func presented(t *testing.T, node, address string) time.Time {
	t.Helper()
	there, err := os.Open(fmt.Sprintf("/proc/%d/ns/net", nodeProcess(t, node)))
	if err != nil {
		t.Fatal(err)
	}
	defer there.Close()
	raw, err := dialIn(t.Context(), there, "tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer raw.Close()
	var from time.Time
	_ = tls.Client(raw, &tls.Config{
		InsecureSkipVerify: true, // it is looked at, and no more
		VerifyPeerCertificate: func(chain [][]byte, _ [][]*x509.Certificate) error {
			leaf, err := x509.ParseCertificate(chain[0])
			if err == nil {
				from = leaf.NotBefore
			}
			return http.ErrAbortHandler
		},
	}).HandshakeContext(t.Context())
	if from.IsZero() {
		t.Fatalf("%s shows no certificate", address)
	}
	return from
}

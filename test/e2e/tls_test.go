// SPDX-License-Identifier: MPL-2.0

//go:build e2e

package e2e

import (
	"strings"
	"testing"
	"time"
)

// TestTLS greets with certificates, and shows that hosts without one are refused.
func TestTLS(t *testing.T) {
	const name = "e2e-tls"
	namespace(t, name)
	begun := time.Now()
	secrets(t, name)
	apply(t, overlay(t, "overlays/mtls"), "-n", name)
	says(t, []string{"logs", "-n", name, "deployment/basic"}, "您好", "pong!")
	t.Logf("from making the certificates to the greeting: %s", time.Since(begun).Round(time.Millisecond))
	rolled(t, name, "basic", "pluginzh")
	host := port(t, name, "deployment/basic", "8080")
	untilReady(t, host, 2)
	for _, e := range endpointsOf(host) {
		if e.TLS == "" {
			t.Errorf("%s is attached without TLS", e.Address)
		}
		t.Logf("%s is attached by TLS, with a certificate of %s", e.Address, e.TLS)
	}

	// One host knows nothing of TLS; the other trusts the plugin, and shows nothing itself.
	for pod, env := range map[string][]string{"plain": nil, "nobody": {"HOST_TLS_CA_FILE=/secrets/ca.crt"}} {
		url := caller(t, name, pod, env...)
		var told endpoint
		until(t, "the host "+pod+" is refused", func() bool {
			for _, told = range endpointsOf(url) {
				if told.State == "TRANSIENT_FAILURE" && told.LastError != "" {
					return true
				}
			}
			return false
		})
		if !strings.Contains(told.LastError, "TLS") && !strings.Contains(told.LastError, "certificate") {
			t.Errorf("the host %s is refused without a word of TLS", pod)
		}
		if log := kubectl(t, "logs", "-n", name, pod); strings.Contains(log, "您好") {
			t.Errorf("the host %s has greeted:\n%s", pod, log)
		}
		t.Logf("the host %s is refused: %s", pod, told.LastError)
	}
	says(t, []string{"describe", "service", "pluginzh", "-n", name}, "TLSRefused")
	t.Logf("the Service has the Events\n%s", kubectl(t, "get", "events", "-n", name, "--field-selector=reason=TLSRefused", "-o", "custom-columns=MESSAGE:.message", "--no-headers"))
}

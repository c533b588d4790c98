// SPDX-License-Identifier: MPL-2.0

package gen

import (
	"net"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func next(t *testing.T, lines <-chan string) string {
	t.Helper()
	select {
	case line := <-lines:
		return line
	case <-time.After(patience):
		t.Fatalf("it printed nothing for %v", patience)
		return ""
	}
}

// TestPricing runs the daemon of examples/pricing with the same plugin in two places.
func TestPricing(t *testing.T) {
	dir := t.TempDir()
	daemon, prices := filepath.Join(dir, "daemon"), filepath.Join(dir, "plugins", "prices.po")
	run(t, "../../examples/pricing", "go", "build", "-o", daemon, "./daemon")
	run(t, "../../examples/pricing", "go", "build", "-o", prices, "./plugin")
	said := next(t, start(t, []string{"PRICING_PLUGIN=prices", "PLUGIN_HOST=127.0.0.1"}, prices))
	fields := strings.Split(said, "|")
	if len(fields) < 4 {
		t.Fatalf("the plugin said %q", said)
	}
	_, port, err := net.SplitHostPort(fields[3])
	if err != nil {
		t.Fatal(err)
	}
	lines := start(t, []string{"PRICING_LISTEN=127.0.0.1:0", "PLUGIN_DIR=" + filepath.Dir(prices), "NETWORK_PLUGIN=shop=127.0.0.1:" + port}, daemon, "serve")
	got := map[string]bool{next(t, lines): true, next(t, lines): true}
	for _, want := range []string{"prices  three teas: {1350 EUR}", "shop  three teas: {1350 EUR}"} {
		if !got[want] {
			t.Errorf("got %v, want %q", got, want)
		}
	}
}

// TestLinksNoKubernetes holds that a daemon which does not look for plugins in
// Kubernetes does not carry its client.
func TestLinksNoKubernetes(t *testing.T) {
	out := run(t, "../../examples/pricing", "go", "list", "-deps", "./daemon")
	seen := false
	for line := range strings.Lines(out) {
		seen = seen || strings.Contains(line, "host/daemon")
		if strings.Contains(line, "k8s.io") {
			t.Errorf("it links %s", strings.TrimSpace(line))
		}
	}
	if !seen {
		t.Errorf("host/daemon is not among the packages:\n%s", out)
	}
}

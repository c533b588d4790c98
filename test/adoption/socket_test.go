// SPDX-License-Identifier: MPL-2.0

package adoption

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/reattach/reattach/test/interop/kit"
	"github.com/reattach/reattach/test/interop/peer/hostapi"
)

// TestAttachSocket has hosts of the original library use a plugin of ours that serves on a
// unix socket, as in the same pod.
func TestAttachSocket(t *testing.T) {
	for _, host := range []side{upstream, old} {
		for _, protocol := range []string{"netrpc", "grpc"} {
			t.Run(strings.Join([]string{string(host), protocol}, "/"), func(t *testing.T) {
				t.Parallel()
				testAttachSocket(t, host, protocol)
			})
		}
	}
}

func testAttachSocket(t *testing.T, host side, protocol string) {
	dir, err := os.MkdirTemp("", "s") // a short path
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	socket := filepath.Join(dir, "store.sock")
	p := startPlugin(t, protocol, "PLUGIN_HOST=unix://"+socket)
	h := startHost(t, host)
	walk(h, hostapi.Client{Name: "a", Path: link(t, "target: unix://"+socket), Versions: map[int]string{1: protocol}}, protocol)
	if p.Pid() != h.pid("a") {
		t.Error("another plugin than the one on the socket has answered")
	}
	shim := h.Started("a")
	h.Must("Kill", hostapi.Named{Name: "a"}, none)
	kit.Eventually(t, "the shim ends with its client", func() bool { return gone(shim) })
	if _, err := os.Stat(socket); err != nil || !p.Running() {
		t.Errorf("the plugin has ended with a host, or its socket: %v", err)
	}
}

// SPDX-License-Identifier: MPL-2.0

package adoption

import (
	"strings"
	"syscall"
	"testing"

	"github.com/reattach/reattach/test/interop/kit"
	"github.com/reattach/reattach/test/interop/peer/hostapi"
)

// TestChain has a plugin and a host that nobody has rebuilt, and a shim at either end of
// the network between them.
func TestChain(t *testing.T) {
	for _, plugin := range []side{upstream, old} {
		for _, protocol := range []string{"netrpc", "grpc"} {
			for _, tls := range []string{"", "auto"} {
				t.Run(strings.Join([]string{string(plugin), protocol, tls}, "/"), func(t *testing.T) {
					t.Parallel()
					testChain(t, plugin, upstream, protocol, tls)
				})
			}
		}
	}
	// A host of ours agrees on more with what it starts.
	for _, protocol := range []string{"netrpc", "grpc"} {
		t.Run("host of ours/"+protocol, func(t *testing.T) {
			t.Parallel()
			testChain(t, upstream, ours, protocol, "")
		})
	}
}

func testChain(t *testing.T, plugin, host side, protocol, tls string) {
	exposed := startExpose(t, plugin, protocol)
	h := startHost(t, host)
	spec := hostapi.Client{Name: "a", TLS: tls, Path: link(t, "target: "+exposed.address), Versions: map[int]string{1: protocol}}
	walk(h, spec, protocol)
	child := h.pid("a")
	shim := h.Started("a")
	h.Must("Kill", hostapi.Named{Name: "a"}, none)
	kit.Eventually(t, "the shim ends with its client", func() bool { return gone(shim) })
	if gone(child) || !exposed.Running() {
		t.Error("the plugin has ended with its host")
	}
	exposed.End(syscall.SIGTERM)
	kit.Eventually(t, "the plugin ends with the program that has started it", func() bool { return gone(child) })
}

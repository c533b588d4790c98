// SPDX-License-Identifier: MPL-2.0

package plugin_test

import (
	"bytes"
	"io"
	"net"
	"testing"

	"github.com/hashicorp/go-plugin"
)

// streamKind is the kind of a frame that opens a stream, by which a host asks for
// output (PROTOCOL.md, section 8).
const streamKind = 10

// TestOutputIsAskedForFirst holds that a host has asked for the plugin's output
// when it is attached: else what its first call prints may be lost to it.
func TestOutputIsAskedForFirst(t *testing.T) {
	for range 100 {
		here, there := net.Pipe()
		session := muxHost(t, here, func(cfg *plugin.ClientConfig) { cfg.SyncStdout = new(bytes.Buffer) })
		called := make(chan error, 1)
		go func() {
			raw, err := session.Dispense("echo")
			if err == nil {
				_, err = raw.(echoer).Echo("x")
			}
			called <- err
		}()
		var head [5]byte // the length, and the kind
		if _, err := io.ReadFull(there, head[:]); err != nil || head[4] != streamKind {
			t.Errorf("the first frame is of kind %d (%v), want %d", head[4], err, streamKind)
		}
		_ = there.Close()
		if err := <-called; err == nil {
			t.Error("nobody answered, and the call did not fail")
		}
		_ = session.Close()
	}
}

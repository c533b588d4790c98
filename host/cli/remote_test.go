// SPDX-License-Identifier: MPL-2.0

package cli

import (
	"bytes"
	"context"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/go-plugin"

	"github.com/reattach/reattach/commons"
	"github.com/reattach/reattach/host/daemon"
)

// TestProbeNeedsNoPlugins holds that an address is all that basic probe needs: it is
// run where nothing else is set up.
func TestProbeNeedsNoPlugins(t *testing.T) {
	address := servePlugin(t, plugin.ServeConfig{HandshakeConfig: commons.Handshake()})
	for _, dir := range []string{"", t.TempDir() + "/gone"} {
		t.Setenv("PLUGIN_DIR", dir)
		var stdout, stderr bytes.Buffer
		h := Host{
			Handshake: commons.Handshake(), Versions: commons.Versions,
			Kinds: []daemon.Kind{daemon.NewKind[commons.Greeter](commons.GreeterKind, &commons.GreeterPlugin{}, daemon.WithSwitch(commons.SwitchGreeter))},
		}
		if code := h.run(t.Context(), []string{"probe", address}, &stdout, &stderr); code != exitOK {
			t.Errorf("PLUGIN_DIR=%q: code %d, %s%s", dir, code, stdout.String(), stderr.String())
		}
	}
}

// TestDaemonThatDoesNotAnswer holds that a question to a daemon that is stopped, or
// is none, ends.
func TestDaemonThatDoesNotAnswer(t *testing.T) {
	mute, err := net.Listen("tcp", "127.0.0.1:0") // accepts, and says nothing
	if err != nil {
		t.Fatal(err)
	}
	defer mute.Close()
	t.Setenv("ATTACH_TIMEOUT", "100ms")
	for _, args := range [][]string{{"plugins"}, {"plugins", "--watch"}} {
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		var stdout, stderr bytes.Buffer
		code := Host{}.run(ctx, append(args, "--server", mute.Addr().String()), &stdout, &stderr)
		if code != exitUnreachable || ctx.Err() != nil || !strings.Contains(stderr.String(), "ask the daemon") {
			t.Errorf("%v: code %d, %q, %v", args, code, stderr.String(), ctx.Err())
		}
	}
}

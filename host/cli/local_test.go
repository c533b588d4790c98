// SPDX-License-Identifier: MPL-2.0

package cli

import (
	"errors"
	"io"
	"testing"

	"github.com/hashicorp/go-plugin"

	"github.com/reattach/reattach/commons"
	"github.com/reattach/reattach/host/daemon"
)

// TestDaemonEndsBeforeAnswer holds that a question ends with the daemon that it is put to.
func TestDaemonEndsBeforeAnswer(t *testing.T) {
	t.Setenv("PLUGIN_DIR", "")
	t.Setenv("NETWORK_PLUGIN", "zh="+servePlugin(t, plugin.ServeConfig{HandshakeConfig: commons.Handshake()}))
	c, err := basic().readConfig()
	if err != nil {
		t.Fatal(err)
	}
	l, err := c.newLocal(t.Context(), io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	_, err = l.once(t.Context(), func([]daemon.Plugin) bool {
		l.cancel()
		return false
	})
	if !errors.Is(err, errEnded) {
		t.Errorf("%v, want %v", err, errEnded)
	}
	if err := l.Close(); err != nil {
		t.Error(err)
	}
}

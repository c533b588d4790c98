// SPDX-License-Identifier: MPL-2.0

package daemon

import (
	"context"
	"errors"
	"testing"

	"github.com/hashicorp/go-plugin"
)

// TestUnknownNamesAreNotKept holds that names which callers make up cost no memory.
func TestUnknownNamesAreNotKept(t *testing.T) {
	o := DefaultOptions()
	o.Handshake = plugin.HandshakeConfig{MagicCookieKey: "K", MagicCookieValue: "v", ProtocolVersion: 1}
	o.Kinds = []Kind{NewKind[every]("every", nothing{})}
	o.Required = []string{"missed"}
	o.PluginDir = t.TempDir()
	d, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- d.Run(ctx) }()
	if _, err := d.Call(t.Context(), "nobody", "every", "None", nil); !errors.Is(err, ErrUnknown) {
		t.Errorf("got %v, want %v", err, ErrUnknown)
	}
	pool := d.fleet.Pool("nobody")
	pool.Release()
	if d.fleet.Pool("nobody") == pool {
		t.Error("the daemon has kept the pool of a plugin that nobody knows")
	}
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

// SPDX-License-Identifier: MPL-2.0

package attach

import (
	"context"
	"errors"
	"io"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/go-plugin"

	"github.com/reattach/reattach/host/discovery"
	"github.com/reattach/reattach/host/target"
)

// telling is a source that knows one group, and says when it has told that.
type telling struct {
	group target.Group
	told  chan struct{}
}

func (telling) Name() string { return "telling" }

// Run implements discovery.Source.
func (s telling) Run(ctx context.Context, sink discovery.Sink) error {
	sink.Update(s.group)
	close(s.told)
	<-ctx.Done()
	return nil
}

// TestWithoutEndpointsIsSaid has Run wait for a plugin of which nothing was found: that is what
// whoever looks is told, once all sources have told what they know.
func TestWithoutEndpointsIsSaid(t *testing.T) {
	other := target.Problem{Plugin: "other", Subject: "other:7000", Reason: "resolve other: no such host"}
	unresolved := target.Problem{Plugin: "store", Subject: "store:7000", Reason: "resolve store: no such host"}
	cases := map[string]struct {
		reason string
		group  target.Group
		want   string
	}{
		"Unknown":    {"no source knows it", target.Group{Key: "all", Problems: []target.Problem{other}}, "plugin store: no endpoint"},
		"Declared":   {"a Service without endpoints", target.Group{Key: "all", Plugins: []target.Plugin{{Name: "store"}}}, "plugin store: no endpoint"},
		"Unresolved": {"a name without addresses", target.Group{Key: "all", Plugins: []target.Plugin{{Name: "store"}}, Problems: []target.Problem{other, unresolved}}, "plugin store: store:7000: resolve store: no such host"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			ctx, end := context.WithCancel(t.Context())
			defer end()
			source := telling{tc.group, make(chan struct{})}
			var said string
			err := Run(ctx, Options{
				Plugin: "store", Sources: []discovery.Source{source}, Versions: []int{1}, Handshake: plugin.HandshakeConfig{MagicCookieKey: "TEST_PLUGIN", MagicCookieValue: "hello"},
				Wait: time.Hour, AttachTimeout: time.Hour, DrainTimeout: time.Hour, MaxMessageBytes: 1 << 20, Log: io.Discard, Logger: hclog.NewNullLogger(),
				Waiting: func(what func(context.Context) string) (over func()) {
					done := make(chan struct{})
					go func() {
						defer close(done)
						<-source.told
						said = what(ctx)
						end()
					}()
					return func() { <-done }
				},
			})
			if said != tc.want || !errors.Is(err, ErrUnreachable) {
				t.Errorf("%s: it says %q and ends with %v, want %q and %v", tc.reason, said, err, tc.want, ErrUnreachable)
			}
		})
	}
}

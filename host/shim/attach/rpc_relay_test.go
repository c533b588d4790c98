// SPDX-License-Identifier: MPL-2.0

package attach

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"testing"

	"github.com/hashicorp/go-plugin"

	"github.com/reattach/reattach/host/balancer"
	"github.com/reattach/reattach/host/stub"
)

// dialled is an endpoint, and the lease of it, whose kinds are answered with err.
type dialled struct {
	name  string
	err   error
	ended chan struct{}
	open  int
}

func (d *dialled) Endpoint() string                 { return d.name }
func (d *dialled) Session() any                     { return d }
func (d *dialled) Ended() <-chan struct{}           { return d.ended }
func (d *dialled) Done(balancer.Outcome)            { d.open-- }
func (d *dialled) MuxBroker() *plugin.MuxBroker     { return nil }
func (d *dialled) DialRPC(string) (net.Conn, error) { return new(net.TCPConn), d.err }

// Begin implements balancer.Renewable.
func (d *dialled) Begin() bool { d.open++; return true }

// inTurn is a Router that gives the first endpoint that was not tried, or the first.
type inTurn []*dialled

// Pick implements balancer.Router.
func (all inTurn) Pick(_ context.Context, _ string, tried []string) (balancer.Lease, error) {
	i := slices.IndexFunc(all, func(d *dialled) bool { return !slices.Contains(tried, d.name) })
	all[max(i, 0)].Begin()
	return all[max(i, 0)], nil
}

// TestDispenseOfTheLost has endpoints be lost when the first kind is asked of them.
func TestDispenseOfTheLost(t *testing.T) {
	lost, refused := fmt.Errorf("reset: %w", plugin.ErrConnectionLost), errors.New("no such kind")
	for name, tc := range map[string]struct {
		answers []error
		want    error
		kept    string // the endpoint to which later kinds go
	}{
		"another one serves it":  {[]error{lost, nil}, nil, "1"},
		"all are lost":           {[]error{lost, lost}, lost, "1"},
		"the plugin's own error": {[]error{refused, nil}, refused, "0"},
	} {
		t.Run(name, func(t *testing.T) {
			var all inTurn
			for i, err := range tc.answers {
				all = append(all, &dialled{name: fmt.Sprint(i), err: err, ended: make(chan struct{})})
			}
			state := stub.NewState()
			defer state.Close()
			r := &rpcRelay{router: state.Keeping(all)}
			if _, _, err := r.dialKind("kind"); !errors.Is(err, tc.want) {
				t.Errorf("got %v, want %v", err, tc.want)
			}
			lease, err := r.router.Pick(t.Context(), "", nil)
			if err != nil || lease.Endpoint() != tc.kept {
				t.Errorf("later kinds go to %v, %v, want %s", lease, err, tc.kept)
			}
		})
	}
}

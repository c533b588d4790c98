// SPDX-License-Identifier: MPL-2.0

package daemon_test

import (
	"testing"

	"github.com/reattach/reattach/host/conn"
	"github.com/reattach/reattach/host/fleet"
)

// TestEventHasTheTimeOfItsState holds that whoever has a list of endpoints can tell which
// events led to what is in it: those have the times of the list.
func TestEventHasTheTimeOfItsState(t *testing.T) {
	address, _ := serve(t, greeter{greeting: "Hello"}, nil)
	o := options("")
	o.NetworkPlugins = "greeter=" + address
	d, _ := start(t, o)
	changes := d.Subscribe(100)
	defer changes.Close()
	for e := range changes.C() {
		if e.Type != fleet.StateChanged || e.To != conn.Ready {
			continue
		}
		p, _ := d.Plugin("greeter")
		if len(p.Endpoints) != 1 || !p.Endpoints[0].Since.Equal(e.Time) {
			t.Errorf("the event is of %v, the endpoints are %+v", e.Time, p.Endpoints)
		}
		return
	}
}

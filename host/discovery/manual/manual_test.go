// SPDX-License-Identifier: MPL-2.0

package manual_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/reattach/reattach/host/discovery"
	"github.com/reattach/reattach/host/discovery/manual"
	"github.com/reattach/reattach/host/discovery/sourcetest"
	"github.com/reattach/reattach/host/target"
	"go.uber.org/goleak"
)

// world drives the source by its own methods.
type world struct {
	source *manual.Source
	builds int
}

func (w *world) Source() discovery.Source { return w.source }

func (w *world) Add(n int) string {
	e := endpoint(n)
	w.source.Update(target.Group{Key: e.ID, Endpoints: []target.Endpoint{e}})
	return e.ID
}

func (w *world) Remove(n int) { w.source.Update(target.Group{Key: endpoint(n).ID}) }

func (w *world) Replace(n int) {
	w.builds++
	e := endpoint(n)
	e.Fingerprint = fmt.Sprint("build ", w.builds)
	w.source.Update(target.Group{Key: e.ID, Endpoints: []target.Endpoint{e}})
}

func (w *world) Break() { w.source.Error(errors.New("out of sight")) }
func (w *world) Mend()  { w.source.Update() }

func endpoint(n int) target.Endpoint {
	address := fmt.Sprintf("10.0.0.%d:7000", n+1)
	return target.Endpoint{
		ID: target.MakeID("zh", address), Plugin: "zh", Placement: target.Network,
		Address: address, Fingerprint: "build 0",
	}
}

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestConformance(t *testing.T) {
	for name, bubble := range map[string]bool{"RealTime": false, "Bubble": true} {
		t.Run(name, func(t *testing.T) {
			sourcetest.Suite{
				New:    func(*testing.T) sourcetest.World { return &world{source: manual.New("manual")} },
				Bubble: bubble,
			}.Run(t)
		})
	}
}

// SPDX-License-Identifier: MPL-2.0

package static_test

import (
	"errors"
	"net/netip"
	"testing"
	"time"

	"github.com/reattach/reattach/host/discovery"
	"github.com/reattach/reattach/host/discovery/sourcetest"
	"github.com/reattach/reattach/host/discovery/static"
)

// world puts instances into the records of one name.
type world struct {
	*zone
	source *static.Source
	there  map[int]bool
}

func newWorld(t *testing.T, opts static.Options) sourcetest.World {
	w := &world{zone: &zone{}, there: make(map[int]bool)}
	opts.Resolver = w
	var err error
	if w.source, err = static.New("zh=dns:///headless:7000", opts); err != nil {
		t.Fatal(err)
	}
	return w
}

func (w *world) Source() discovery.Source { return w.source }

func ip(n int) string { return netip.AddrFrom4([4]byte{10, 0, 0, byte(n + 1)}).String() }

func (w *world) Add(n int) string {
	w.there[n] = true
	w.publish()
	return "zh@" + ip(n) + ":7000"
}

func (w *world) Remove(n int) {
	delete(w.there, n)
	w.publish()
}

func (w *world) publish() {
	var ips []string
	for n := range w.there {
		ips = append(ips, ip(n))
	}
	w.set("headless", ips...)
}

func (w *world) Break() { w.fail(errors.New("out of order")) }
func (w *world) Mend()  { w.fail(nil) }

func TestConformance(t *testing.T) {
	t.Run("Bubble", func(t *testing.T) {
		sourcetest.Suite{
			Bubble: true,
			New:    func(t *testing.T) sourcetest.World { return newWorld(t, static.Options{}) },
		}.Run(t)
	})
	t.Run("RealTime", func(t *testing.T) {
		often := static.Options{Interval: 5 * time.Millisecond}
		sourcetest.Suite{New: func(t *testing.T) sourcetest.World { return newWorld(t, often) }}.Run(t)
	})
}

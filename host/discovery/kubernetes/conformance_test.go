// SPDX-License-Identifier: MPL-2.0

package kubernetes

import (
	"fmt"
	"slices"
	"testing"

	discoveryv1 "k8s.io/api/discovery/v1"

	"github.com/reattach/reattach/host/discovery"
	"github.com/reattach/reattach/host/discovery/sourcetest"
)

// world is a Service whose pods are spread over two slices.
type world struct {
	api    *api
	source *Source
	uids   map[int]string
}

func newWorld(t *testing.T) sourcetest.World {
	w := &world{api: newAPI(t), uids: make(map[int]string)}
	source, err := New(Options{Config: w.api.config(), Namespaces: []string{"default"}})
	if err != nil {
		t.Fatal(err)
	}
	w.source = source
	w.api.put(service("default", "zh"))
	return w
}

func (w *world) Source() discovery.Source { return w.source }

func (w *world) Add(n int) string {
	w.uids[n] = fmt.Sprintf("uid-%d", n)
	w.publish(n)
	return fmt.Sprintf("zh@10.0.0.%d:7000", n+1)
}

func (w *world) Remove(n int) {
	delete(w.uids, n)
	w.publish(n)
}

func (w *world) Replace(n int) {
	w.uids[n] += "-another"
	w.publish(n)
}

// publish writes the slice that has pod n.
func (w *world) publish(n int) {
	var endpoints []discoveryv1.Endpoint
	for i, uid := range w.uids {
		if i%2 == n%2 {
			endpoints = append(endpoints, pod(fmt.Sprintf("10.0.0.%d", i+1), uid))
		}
	}
	slices.SortFunc(endpoints, func(a, b discoveryv1.Endpoint) int { return slices.Compare(a.Addresses, b.Addresses) })
	w.api.put(slice("default", "zh", fmt.Sprintf("zh-%d", n%2), endpoints...))
}

func (w *world) Break() { w.api.do(func() { w.api.broken = true }) }
func (w *world) Mend()  { w.api.do(func() { w.api.broken = false }) }

func TestConformance(t *testing.T) {
	t.Run("Streams", func(t *testing.T) { sourcetest.Suite{New: newWorld}.Run(t) })
	t.Run("Lists", func(t *testing.T) {
		sourcetest.Suite{New: func(t *testing.T) sourcetest.World {
			w := newWorld(t)
			a := w.(*world).api
			a.do(func() { a.noStream = true })
			return w
		}}.Run(t)
	})
}

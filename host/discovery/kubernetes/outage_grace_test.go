// SPDX-License-Identifier: MPL-2.0

package kubernetes

import (
	"slices"
	"testing"
	"time"

	discoveryv1 "k8s.io/api/discovery/v1"
)

// offered gives the endpoints, and which of them drain.
func (r *running) offered() []string {
	var out []string
	for _, e := range r.manager.Current().Endpoints {
		id := e.ID
		if e.Draining {
			id += " draining"
		}
		out = append(out, id)
	}
	return out
}

// afterOutage has the API server be away while a slice of two ready pods changes, and
// waits until that has been seen, as the mark of another Service tells.
func afterOutage(t *testing.T, opts Options, outage bool, changed ...discoveryv1.Endpoint) *running {
	t.Helper()
	a := newAPI(t)
	a.put(service("ns", "zh"), slice("ns", "zh", "a", pod("10.0.0.1", "1"), pod("10.0.0.2", "2")), service("ns", "mark"))
	r := start(t, a, opts)
	r.untilIDs("first state", "zh@10.0.0.1:7000", "zh@10.0.0.2:7000")
	if outage {
		a.do(func() { a.broken = true; a.streams++ })
		r.until("the outage is noticed", func() bool { return r.trouble() != "" })
	}
	a.put(slice("ns", "zh", "a", changed...), slice("ns", "mark", "b", pod("10.0.0.9", "9")))
	a.do(func() { a.broken = false })
	r.until("what has changed is seen", func() bool { return slices.Contains(r.ids(), "mark@10.0.0.9:7000") })
	return r
}

func TestOutageGrace(t *testing.T) {
	const mark, one, two = "mark@10.0.0.9:7000", "zh@10.0.0.1:7000", "zh@10.0.0.2:7000"
	cases := map[string]struct {
		reason  string
		quiet   bool // there is no outage
		changed []discoveryv1.Endpoint
		want    []string
	}{
		"all unready":  {"the cluster has not heard of its nodes", false, []discoveryv1.Endpoint{pod("10.0.0.1", "1", unready), pod("10.0.0.2", "2", unready)}, []string{mark, one, two}},
		"no outage":    {"then it is the pods' own word", true, []discoveryv1.Endpoint{pod("10.0.0.1", "1", unready), pod("10.0.0.2", "2", unready)}, []string{mark}},
		"one ready":    {"it has heard of that node", false, []discoveryv1.Endpoint{pod("10.0.0.1", "1", unready), pod("10.0.0.2", "2")}, []string{mark, two}},
		"one gone":     {"a pod that is not there cannot be kept", false, []discoveryv1.Endpoint{pod("10.0.0.2", "2", unready)}, []string{mark, two}},
		"all leave":    {"whoever leaves has been told so", false, []discoveryv1.Endpoint{pod("10.0.0.1", "1", terminating), pod("10.0.0.2", "2", terminating)}, []string{mark, one + " draining", two + " draining"}},
		"another pod":  {"it was never ready", false, []discoveryv1.Endpoint{pod("10.0.0.1", "3", unready), pod("10.0.0.2", "2", unready)}, []string{mark, two}},
		"a pod more":   {"nor was that one", false, []discoveryv1.Endpoint{pod("10.0.0.2", "2", unready), pod("10.0.0.4", "4", unready)}, []string{mark, two}},
		"one leaves":   {"which of those that were ready remains is kept", false, []discoveryv1.Endpoint{pod("10.0.0.1", "1", terminating), pod("10.0.0.2", "2", unready)}, []string{mark, one + " draining", two}},
		"nothing left": {"as without an outage", false, nil, []string{mark}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel() // an informer takes its time between two watches
			r := afterOutage(t, Options{outageGrace: time.Hour}, !c.quiet, c.changed...)
			if got := r.offered(); !slices.Equal(got, c.want) {
				t.Errorf("%s: endpoints %v, want %v", c.reason, got, c.want)
			}
		})
	}
}

// TestOutageGraceEnds holds that the cluster is believed again, by and by or at once.
func TestOutageGraceEnds(t *testing.T) {
	down := []discoveryv1.Endpoint{pod("10.0.0.1", "1", unready), pod("10.0.0.2", "2", unready)}
	t.Run("InTime", func(t *testing.T) {
		t.Parallel()
		afterOutage(t, Options{outageGrace: 100 * time.Millisecond}, true, down...).untilIDs("nothing is kept for long", "mark@10.0.0.9:7000")
	})
	t.Run("ByAReadyPod", func(t *testing.T) {
		t.Parallel()
		r := afterOutage(t, Options{outageGrace: time.Hour}, true, down...)
		r.api.put(slice("ns", "zh", "a", pod("10.0.0.1", "1", unready), pod("10.0.0.2", "2")))
		r.untilIDs("the node of one has been heard of", "mark@10.0.0.9:7000", "zh@10.0.0.2:7000")
	})
}

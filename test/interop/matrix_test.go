// SPDX-License-Identifier: MPL-2.0

package interop

import (
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/reattach/reattach/test/interop/kit"
)

// pair is the libraries of a host and of a plugin.
type pair struct {
	host, plugin side
}

func pairs() []pair {
	var all []pair
	for _, host := range sides() {
		for _, plugin := range sides() {
			all = append(all, pair{host, plugin})
		}
	}
	return all
}

func (p pair) String() string { return string(p.host) + " host, " + string(p.plugin) + " plugin" }

// TestMatrix runs every cell with every pair of libraries, and compares what
// the host sees with what upstream's host sees of upstream's plugin.
func TestMatrix(t *testing.T) {
	tlsDir := newTLSDir(t)
	matrix := &matrixReport{results: map[cell]map[pair]result{}}
	t.Run("cells", func(t *testing.T) {
		for _, c := range cells() {
			t.Run(c.String(), func(t *testing.T) {
				t.Parallel()
				truth := observe(t, upstream, upstream, c, tlsDir)
				for _, p := range pairs() {
					seen := truth
					if p != (pair{upstream, upstream}) {
						seen = observe(t, p.host, p.plugin, c, tlsDir)
					}
					diff := cmp.Diff(truth.checks, matrix.tolerated.settle(truth.checks, seen.checks))
					if diff != "" {
						t.Errorf("%s sees something else than upstream's own (-upstream +this):\n%s\nlog of its host:\n%s", p, diff, kit.Tail(seen.log))
					}
					if seen.forced && p == (pair{fork, fork}) {
						t.Errorf("%s: the plugin did not end by itself when it was asked to", p)
					}
					matrix.add(c, p, result{
						checks: len(seen.checks), refused: seen.refused, forced: seen.forced, same: diff == "",
					})
				}
			})
		}
	})
	matrix.print(t)
}

// result is what came of one cell with one pair.
type result struct {
	checks  int
	refused string
	forced  bool
	same    bool
}

// matrixReport collects the results of the cells.
type matrixReport struct {
	tolerated tolerated

	mu      sync.Mutex
	results map[cell]map[pair]result
}

func (m *matrixReport) add(c cell, p pair, r result) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.results[c] == nil {
		m.results[c] = map[pair]result{}
	}
	m.results[c][p] = r
}

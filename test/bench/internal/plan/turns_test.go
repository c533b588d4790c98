// SPDX-License-Identifier: MPL-2.0

package plan

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/reattach/reattach/test/bench/internal/bounds"
)

// TestTurns holds that all have their turn in each round, that what a bound
// compares stays together, and that nobody keeps a place.
func TestTurns(t *testing.T) {
	s := Section{Calls: bounds.Parallel}
	for _, name := range []string{"bare-netrpc", "ttrpc", "bare-grpc", "network-netrpc", "child-grpc", "network-grpc", "routed-1-netrpc"} {
		s.Subjects = append(s.Subjects, Subject{Name: name})
	}
	random := rand.New(rand.NewPCG(0, 0))
	first := make(map[string]bool)
	for range 200 {
		var names []string
		for _, one := range s.Turns(random) {
			names = append(names, one.Name)
		}
		first[names[0]] = true
		place := func(name string) int { return slices.Index(names, name) }
		if d := place("bare-grpc") - place("network-grpc"); d != 1 && d != -1 {
			t.Fatalf("%s: bare-grpc and network-grpc are apart", strings.Join(names, " "))
		}
		netRPC := []int{place("bare-netrpc"), place("network-netrpc"), place("routed-1-netrpc")}
		if slices.Max(netRPC)-slices.Min(netRPC) != 2 {
			t.Fatalf("%s: those of net/rpc are apart", strings.Join(names, " "))
		}
		slices.Sort(names)
		if len(slices.Compact(names)) != len(s.Subjects) {
			t.Fatalf("%s: not everybody has a turn", strings.Join(names, " "))
		}
	}
	if len(first) != len(s.Subjects) {
		t.Errorf("only %v were ever first", first)
	}
}

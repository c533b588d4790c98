// SPDX-License-Identifier: MPL-2.0

package balancer_test

import (
	"fmt"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/reattach/reattach/host/balancer"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var policies = []balancer.Policy{balancer.RoundRobin, balancer.LeastRequest}

// pod is an endpoint that counts its calls.
type pod struct {
	number int
	_      [64]byte // two counters on a cache line would be in each other's way
	calls  atomic.Int64
	_      [64]byte
}

func (p *pod) InFlight() int { return int(p.calls.Load()) }

// several makes candidates that are numbered from 0.
func several(n int) []balancer.Candidate[*pod] {
	out := make([]balancer.Candidate[*pod], n)
	for i := range out {
		out[i].Value = &pod{number: i}
	}
	return out
}

// inZones makes one candidate for each zone.
func inZones(zones ...string) []balancer.Candidate[*pod] {
	out := several(len(zones))
	for i, zone := range zones {
		out[i].Zone = zone
	}
	return out
}

// skipping is what Pick skips for a call that was tried on some.
func skipping(tried ...*pod) func(*pod) bool {
	if len(tried) == 0 {
		return nil
	}
	return func(p *pod) bool { return slices.Contains(tried, p) }
}

// count picks n times, each call ending at once.
func count(p *balancer.Picker[*pod], n int, exclude ...*pod) map[int]int {
	got := make(map[int]int)
	for range n {
		v, ok := p.Pick(skipping(exclude...))
		if !ok {
			break
		}
		got[v.number]++
	}
	return got
}

// countApart is count for calls so far apart that none stays with the endpoint
// of the one before. It runs in a bubble of synctest.
func countApart(t *testing.T, p *balancer.Picker[*pod], n int, exclude ...*pod) map[int]int {
	got := make(map[int]int)
	synctest.Test(t, func(*testing.T) {
		for range n {
			for v, n := range count(p, 1, exclude...) {
				got[v] += n
			}
			time.Sleep(10 * time.Millisecond)
		}
	})
	return got
}

// wantEven fails if a count of got is off its share by more than the fraction.
func wantEven(t *testing.T, got map[int]int, values []int, calls int, within float64) {
	t.Helper()
	share := float64(calls) / float64(len(values))
	for _, v := range values {
		if off := float64(got[v])/share - 1; off > within || off < -within {
			t.Errorf("%d got %d of %d calls, want %.0f give or take %.0f %%", v, got[v], calls, share, 100*within)
		}
		delete(got, v)
	}
	if len(got) > 0 {
		t.Errorf("others were picked as well: %v", got)
	}
}

func TestRoundRobinIsExact(t *testing.T) {
	for _, n := range []int{1, 2, 3, 7, 100} {
		p := balancer.New(balancer.Options{}, several(n))
		var all []int
		for i := range n {
			all = append(all, i)
		}
		wantEven(t, count(p, 50*n), all, 50*n, 0)
	}
}

func TestRoundRobinIsExactUnderConcurrency(t *testing.T) {
	const callers, each = 30, 1000
	p := balancer.New(balancer.Options{}, several(3))
	var mu sync.Mutex
	total := make(map[int]int)
	var wg sync.WaitGroup
	for range callers {
		wg.Go(func() {
			got := count(p, each)
			mu.Lock()
			defer mu.Unlock()
			for v, n := range got {
				total[v] += n
			}
		})
	}
	wg.Wait()
	wantEven(t, total, []int{0, 1, 2}, callers*each, 0)
}

func TestLeastRequestSpreadsIdleEndpointsEvenly(t *testing.T) {
	const calls = 40_000
	p := balancer.New(balancer.Options{Policy: balancer.LeastRequest}, several(4))
	wantEven(t, countApart(t, p, calls), []int{0, 1, 2, 3}, calls, 0.06)
}

func TestLeastRequestAvoidsTheBusy(t *testing.T) {
	candidates := several(3)
	candidates[1].Value.calls.Store(10)
	p := balancer.New(balancer.Options{Policy: balancer.LeastRequest}, candidates)
	const calls = 20_000
	wantEven(t, countApart(t, p, calls), []int{0, 2}, calls, 0.05)
}

func TestLeastRequestKeepsInFlightLevel(t *testing.T) {
	candidates := several(50)
	p := balancer.New(balancer.Options{Policy: balancer.LeastRequest}, candidates)
	for range 50 * 100 { // calls that do not end
		v, ok := p.Pick(nil)
		if !ok {
			t.Fatal("nothing to pick")
		}
		v.calls.Add(1)
	}
	for _, c := range candidates {
		if n := c.Value.InFlight(); n < 95 || n > 105 {
			t.Errorf("%d calls in flight on %d, want about 100: two choices keep all within a few", n, c.Value.number)
		}
	}
}

func TestExclude(t *testing.T) {
	const calls = 12_000
	cases := map[string]struct {
		reason     string
		candidates []balancer.Candidate[*pod]
		zone       balancer.ZonePreference
		exclude    []int
		want       []int
	}{
		"None":       {"nothing is excluded", several(3), balancer.ZonePreference{}, nil, []int{0, 1, 2}},
		"One":        {"its share is spread over all others, not given to the next", several(4), balancer.ZonePreference{}, []int{1}, []int{0, 2, 3}},
		"AllButOne":  {"one is left", several(20), balancer.ZonePreference{}, []int{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18}, []int{19}},
		"All":        {"none is left", several(2), balancer.ZonePreference{}, []int{0, 1}, nil},
		"Stranger":   {"one that is no longer a candidate changes nothing", several(2), balancer.ZonePreference{}, []int{7}, []int{0, 1}},
		"Local":      {"the own zone while it lasts", inZones("a", "a", "b"), balancer.ZonePreference{Zone: "a"}, []int{0}, []int{1}},
		"OtherZone":  {"then any other", inZones("a", "a", "b", "c"), balancer.ZonePreference{Zone: "a"}, []int{0, 1}, []int{2, 3}},
		"Everywhere": {"none anywhere", inZones("a", "b"), balancer.ZonePreference{Zone: "a"}, []int{0, 1}, nil},
		"NoneAtAll":  {"an empty snapshot", nil, balancer.ZonePreference{}, nil, nil},
	}
	for _, policy := range policies {
		for name, tc := range cases {
			t.Run(policy.String()+"/"+name, func(t *testing.T) {
				p := balancer.New(balancer.Options{Policy: policy, Zone: tc.zone}, tc.candidates)
				t.Log(tc.reason)
				var exclude []*pod
				for _, i := range tc.exclude {
					if i < len(tc.candidates) {
						exclude = append(exclude, tc.candidates[i].Value)
					} else {
						exclude = append(exclude, &pod{})
					}
				}
				wantEven(t, countApart(t, p, calls, exclude...), tc.want, calls, 0.07)
				if _, ok := p.Pick(skipping(exclude...)); ok != (len(tc.want) > 0) {
					t.Errorf("%s: Pick reports %v", tc.reason, ok)
				}
			})
		}
	}
}

// TestHints holds that calls go to the endpoints that the cluster means for the host, and
// when that is in its gift only.
func TestHints(t *testing.T) {
	const zone, node = 0, 1
	cases := map[string]struct {
		reason   string
		hints    [][2]string // zones and nodes
		host     balancer.ZonePreference
		excluded []int
		want     []int
	}{
		"Zone":          {"its own", [][2]string{{"a"}, {"b"}, {"c,a"}}, balancer.ZonePreference{Zone: "a"}, nil, []int{0, 2}},
		"Node":          {"it comes before the zone", [][2]string{{"a", "n"}, {"a", "m"}}, balancer.ZonePreference{Zone: "a", Node: "n"}, nil, []int{0}},
		"OtherNode":     {"then the zone counts", [][2]string{{"a", "m"}, {"b", "o"}}, balancer.ZonePreference{Zone: "a", Node: "n"}, nil, []int{0}},
		"OneWithout":    {"hints are on their way", [][2]string{{"a"}, {""}}, balancer.ZonePreference{Zone: "a"}, nil, []int{0, 1}},
		"NoneForIt":     {"nobody has thought of the host", [][2]string{{"b"}, {"c"}}, balancer.ZonePreference{Zone: "a"}, nil, []int{0, 1}},
		"NowhereItself": {"the host does not know where it is", [][2]string{{"a", "n"}, {"b", "m"}}, balancer.ZonePreference{}, nil, []int{0, 1}},
		"NoFraction":    {"the cluster has weighed that", [][2]string{{"a"}, {"b"}, {"b"}, {"b"}}, balancer.ZonePreference{Zone: "a", MinFraction: .5}, nil, []int{0}},
		"PartOfAName":   {"names are compared whole", [][2]string{{"aa"}, {"b"}}, balancer.ZonePreference{Zone: "a"}, nil, []int{0, 1}},
		"Tried":         {"the others remain", [][2]string{{"a"}, {"b"}}, balancer.ZonePreference{Zone: "a"}, []int{0}, []int{1}},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			candidates := several(len(tc.hints))
			var tried []*pod
			for i, h := range tc.hints {
				candidates[i].ForZones, candidates[i].ForNodes = h[zone], h[node]
				if slices.Contains(tc.excluded, i) {
					tried = append(tried, candidates[i].Value)
				}
			}
			got := slices.Sorted(maps.Keys(count(balancer.New(balancer.Options{Zone: tc.host}, candidates), 100, tried...)))
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("%s (-want +got):\n%s", tc.reason, diff)
			}
		})
	}
}

func TestZonePreference(t *testing.T) {
	cases := map[string]struct {
		reason string
		zones  []string
		zone   balancer.ZonePreference
		want   []int
	}{
		"Off":          {"without a zone of its own a host prefers nothing", []string{"", "a"}, balancer.ZonePreference{}, []int{0, 1}},
		"Suffices":     {"one is enough by default", []string{"a", "b", "b"}, balancer.ZonePreference{Zone: "a"}, []int{0}},
		"None":         {"no endpoint in the zone", []string{"b", "b"}, balancer.ZonePreference{Zone: "a"}, []int{0, 1}},
		"TooFew":       {"fewer than asked for", []string{"a", "b", "b"}, balancer.ZonePreference{Zone: "a", MinEndpoints: 2}, []int{0, 1, 2}},
		"Enough":       {"as many as asked for", []string{"a", "b", "a"}, balancer.ZonePreference{Zone: "a", MinEndpoints: 2}, []int{0, 2}},
		"SmallPart":    {"one of four is less than a third", []string{"a", "b", "b", "b"}, balancer.ZonePreference{Zone: "a", MinFraction: 1. / 3}, []int{0, 1, 2, 3}},
		"LargePart":    {"two of four are more than a third", []string{"b", "a", "b", "a"}, balancer.ZonePreference{Zone: "a", MinFraction: 1. / 3}, []int{1, 3}},
		"BothMustHold": {"half of them, but not three", []string{"a", "b", "a", "b"}, balancer.ZonePreference{Zone: "a", MinFraction: .5, MinEndpoints: 3}, []int{0, 1, 2, 3}},
		"UnknownZone":  {"an endpoint without a zone is in no zone", []string{"", "a"}, balancer.ZonePreference{Zone: "a"}, []int{1}},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			p := balancer.New(balancer.Options{Zone: tc.zone}, inZones(tc.zones...))
			t.Log(tc.reason)
			wantEven(t, count(p, 12*len(tc.want)), tc.want, 12*len(tc.want), 0)
		})
	}
}

func TestPickerIsASnapshot(t *testing.T) {
	candidates := several(3)
	p := balancer.New(balancer.Options{}, candidates)
	for i := range candidates {
		candidates[i].Value = &pod{number: 7 + i}
	}
	wantEven(t, count(p, 30), []int{0, 1, 2}, 30, 0)
}

func TestNewPickersDoNotAllBeginWithTheFirst(t *testing.T) {
	got := make(map[int]int)
	const pickers = 3000
	for range pickers {
		v, _ := balancer.New(balancer.Options{}, several(3)).Pick(nil)
		got[v.number]++
	}
	wantEven(t, got, []int{0, 1, 2}, pickers, 0.15)
}

func TestPickAllocatesNothing(t *testing.T) {
	for _, policy := range policies {
		candidates := several(3)
		a, b := candidates[0].Value, candidates[1].Value
		p := balancer.New(balancer.Options{Policy: policy}, candidates)
		for _, c := range candidates {
			c.Value.calls.Store(1) // none is warm
		}
		for name, skip := range map[string]func(*pod) bool{"plain": nil, "retry": skipping(a), "second retry": skipping(a, b)} {
			if n := testing.AllocsPerRun(1000, func() { p.Pick(skip) }); n != 0 {
				t.Errorf("%s, %s: %v allocations", policy, name, n)
			}
		}
	}
}

func TestPolicyText(t *testing.T) {
	for _, policy := range policies {
		text, err := policy.MarshalText()
		if err != nil {
			t.Fatal(err)
		}
		back := balancer.Policy(9)
		if err := back.UnmarshalText(text); err != nil || back != policy {
			t.Errorf("%s was read back as %s, error %v", text, back, err)
		}
	}
	err := new(balancer.Policy).UnmarshalText([]byte("random"))
	if diff := cmp.Diff(`balancer policy "random" is unknown: use round-robin or least-request`, fmt.Sprint(err)); diff != "" {
		t.Errorf("unknown text (-want +got)\n%s", diff)
	}
	if _, err := balancer.Policy(9).MarshalText(); err == nil {
		t.Error("an unknown policy was written")
	}
}

// BenchmarkPick has calls that end at once, after which their endpoint is warm,
// and calls to endpoints that are all busy, so that each is drawn.
func BenchmarkPick(b *testing.B) {
	for _, policy := range policies {
		for name, busy := range map[string]int64{"idle": 0, "busy": 1} {
			for _, n := range []int{3, 100, 1000} {
				candidates := several(n)
				for _, c := range candidates {
					c.Value.calls.Store(busy)
				}
				p := balancer.New(balancer.Options{Policy: policy}, candidates)
				call := func(skip func(*pod) bool) {
					v, _ := p.Pick(skip)
					v.calls.Add(1)
					v.calls.Add(-1)
				}
				skip := skipping(candidates[1].Value)
				name := fmt.Sprintf("%s/%s/endpoints=%d", policy, name, n)
				b.Run(name, func(b *testing.B) {
					b.ReportAllocs()
					for b.Loop() {
						call(nil)
					}
				})
				b.Run(name+"/parallel", func(b *testing.B) {
					b.ReportAllocs()
					b.RunParallel(func(pb *testing.PB) {
						for pb.Next() {
							call(nil)
						}
					})
				})
				b.Run(name+"/retry", func(b *testing.B) {
					b.ReportAllocs()
					for b.Loop() {
						call(skip)
					}
				})
			}
		}
	}
}

func BenchmarkNew(b *testing.B) {
	for _, n := range []int{3, 100, 1000} {
		candidates := several(n)
		for i := range candidates {
			candidates[i].Zone = []string{"a", "b", "c"}[i%3]
		}
		b.Run(fmt.Sprintf("endpoints=%d", n), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				balancer.New(balancer.Options{Zone: balancer.ZonePreference{Zone: "b"}}, slices.Clone(candidates))
			}
		})
	}
}

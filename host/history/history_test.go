// SPDX-License-Identifier: MPL-2.0

package history

import (
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"runtime"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// TestSlots follows the calls of two methods through an hour and a bit.
func TestSlots(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := New()
		go func() { _ = h.Run(t.Context()) }()
		synctest.Wait() // its ticker begins
		greet, hi := h.Method("a", "greeter", "Greet"), h.Method("a", "greeter", "Hi")
		next := func() {
			time.Sleep(Step)
			synctest.Wait()
		}
		greet.Called(time.Millisecond, None)
		greet.Called(time.Millisecond, Network)
		next()
		hi.Called(time.Millisecond, Plugin)
		time.Sleep(time.Second)

		a := h.Plugin("a", 0)
		want := PluginHistory{
			Window: Window{StepSeconds: 30, Slot: 1, ElapsedSeconds: 1},
			All:    Series{Calls: []uint32{2, 1}, Failed: Failed{Plugin: []uint32{1}, Network: []uint32{1, 0}, Host: []uint32{}, Caller: []uint32{}}},
			Methods: []MethodSeries{
				{"greeter", "Greet", Series{Calls: []uint32{2, 0}, Failed: Failed{Plugin: []uint32{}, Network: []uint32{1, 0}, Host: []uint32{}, Caller: []uint32{}}}},
				{"greeter", "Hi", Series{Calls: []uint32{1}, Failed: Failed{Plugin: []uint32{1}, Network: []uint32{}, Host: []uint32{}, Caller: []uint32{}}}},
			},
		}
		if diff := cmp.Diff(want, a, cmpopts.IgnoreFields(Series{}, "P50", "P99")); diff != "" {
			t.Errorf("(-want +got)\n%s", diff)
		}
		o := h.Overview(0)
		if diff := cmp.Diff([]PluginSeries{{"a", a.All}}, o.Plugins); diff != "" || !cmp.Equal(o.All, a.All) {
			t.Errorf("overview of one plugin differs from the plugin's: %+v\n%s", o.All, diff)
		}

		// Whoever asks again from the slot that was in progress gets that slot whole.
		hi.Called(time.Millisecond, None)
		time.Sleep(Step - time.Second)
		synctest.Wait()
		if got := h.Plugin("a", 1).All.Calls; !slices.Equal(got, []uint32{2, 0}) {
			t.Errorf("from slot 1 on: got %v, want [2 0]", got)
		}

		// After an hour nothing is left of the first slot, and then of the second.
		for range Slots - 2 {
			next()
		}
		if got := h.Plugin("a", 0).All.Calls; len(got) != Slots+1 || got[0] != 2 {
			t.Errorf("after %d slots: %d, of which the first has %v", Slots, len(got), got[:1])
		}
		if o := h.Overview(0); len(o.Plugins[0].P50) != 2 || len(o.Plugins[0].P99) != 2 || len(o.All.P99) != Slots+1 {
			t.Errorf("times of a plugin in the overview are of %d slots, and of all plugins of %d", len(o.Plugins[0].P99), len(o.All.P99))
		}
		next()
		if got := h.Plugin("a", 0).All.Calls; len(got) != Slots+1 || got[0] != 2 || got[1] != 0 {
			t.Errorf("after %d slots the first is still there: %v", Slots+1, got)
		}
		next()
		if got := h.Overview(0).All.Calls; len(got) != 0 {
			t.Errorf("an hour after the last call: %v", got)
		}
	})
}

// TestStopped: a process that does not run for ten minutes has ten minutes of nothing.
func TestStopped(t *testing.T) {
	h := New()
	h.Method("a", "k", "M").Called(time.Millisecond, None)
	h.advance(h.began.Add(20 * Step))
	if got := h.Plugin("a", 0).All.Calls; len(got) != 21 || got[0] != 1 {
		t.Errorf("got %v", got)
	}
	h.advance(h.began.Add(1000 * Step))
	if got := h.Plugin("a", 0).All.Calls; len(got) != 0 {
		t.Errorf("hours later: got %v", got)
	}
	h.advance(h.began.Add(Step / 3))
	if got := h.Overview(0).Slot; got != 20+Slots {
		t.Errorf("a tick that comes early ends a slot: it is %d", got)
	}
}

// TestQuantiles compares with what sorting all durations gives.
func TestQuantiles(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for name, draw := range map[string]func() float64{
		"narrow":  func() float64 { return 1e5 * (1 + random.Float64()/10) },
		"normal":  func() float64 { return 1e6 * math.Exp(random.NormFloat64()) },
		"twofold": func() float64 { return []float64{5e4, 2e8}[random.IntN(100)/95] * (1 + random.Float64()) },
	} {
		t.Run(name, func(t *testing.T) {
			m := &Method{}
			all := make([]float64, 20000)
			for i := range all {
				all[i] = draw()
				m.Called(time.Duration(all[i]), None)
			}
			slices.Sort(all)
			counted := m.counted(true)
			for _, share := range []float64{.5, .99} {
				want := all[int(share*float64(len(all)))]
				got := float64(levelOf(counted.quantile(share)).millis()) * 1e6
				if off := math.Abs(got/want - 1); off > .13 {
					t.Errorf("p%v: got %v, want %v: it is off by %.0f%%", share*100, got, want, off*100)
				}
			}
			if next := m.counted(false); next.calls() != 0 {
				t.Errorf("the next slot begins with %d calls", next.calls())
			}
		})
	}
}

func TestExtremes(t *testing.T) {
	m := &Method{}
	for _, took := range []time.Duration{math.MinInt64, -1, 0, 1, 8191, 8192, 34 * time.Second, 35 * time.Second, time.Hour, math.MaxInt64} {
		m.Called(took, Host)
	}
	counted := m.counted(true)
	if counted.calls() != 10 || counted.failed[Host-1] != 10 {
		t.Errorf("counted %d, failed %v", counted.calls(), counted.failed)
	}
	if got := counted.quantile(1); got != lower(buckets) {
		t.Errorf("the longest is %v", got)
	}
	raw, err := json.Marshal([]Millis{0, 0.0163, .25, 1, 12.34, 999.6, 34359.7})
	if err != nil || string(raw) != "[0,0.0163,0.250,1.00,12.3,1000,34360]" {
		t.Errorf("%s, %v", raw, err)
	}
	var none *Method
	none.Called(1, None) // does nothing
}

// TestRoom: what goes beyond the bound is not kept, and is told; what is forgotten makes
// room.
func TestRoom(t *testing.T) {
	h := New()
	for i := range maxMethods {
		if h.Method(fmt.Sprint("p", i/4), "k", fmt.Sprint(i%4)) == nil {
			t.Fatalf("no room for method %d", i)
		}
	}
	if h.Method("new", "k", "M") != nil || h.Overview(0).Omitted != 1 {
		t.Error("there is room for one more, or it is not told")
	}
	if h.Method("p7", "k", "1") == nil {
		t.Error("a method that is kept is not found when there is no room")
	}
	h.Forget("p7")
	h.Forget("p7")
	if h.Method("new", "k", "M") == nil {
		t.Error("what was forgotten makes no room")
	}
}

// TestSize holds what docs/bounds.md says that a method costs.
func TestSize(t *testing.T) {
	const methods = 2000
	for name, tc := range map[string]struct {
		failed Source
		most   uint64
	}{"without failures": {None, 2048}, "with failures": {Network, 4096}} {
		t.Run(name, func(t *testing.T) {
			var before, after runtime.MemStats
			runtime.GC()
			runtime.ReadMemStats(&before)
			h := New()
			for i := range methods {
				h.Method("p", "k", fmt.Sprint(i)).Called(time.Millisecond, tc.failed)
			}
			h.advance(h.began.Add(Step))
			runtime.GC()
			runtime.ReadMemStats(&after)
			runtime.KeepAlive(h)
			if each := (after.HeapAlloc - before.HeapAlloc) / methods; each > tc.most+128 {
				t.Errorf("a method costs %d bytes, more than %d", each, tc.most)
			} else {
				t.Logf("a method costs %d bytes", each)
			}
		})
	}
}

// TestTogether counts, reads, forgets and ends slots at once, for the race detector, and
// holds that no call is lost.
func TestTogether(t *testing.T) {
	h := New()
	const each = 2000
	var wait sync.WaitGroup
	for range 4 {
		wait.Go(func() {
			for range each {
				h.Method("a", "k", "M").Called(time.Microsecond, Plugin)
			}
		})
	}
	wait.Go(func() {
		for range 100 {
			h.Method("b", "k", "M").Called(1, None)
			h.Overview(0)
			h.Forget("b")
		}
	})
	wait.Go(func() {
		for range Slots / 2 {
			h.mu.Lock()
			began := h.began
			h.mu.Unlock()
			h.advance(began.Add(Step))
		}
	})
	wait.Wait()
	var calls, failed uint32
	a := h.Plugin("a", 0).All
	for i := range a.Calls {
		calls += a.Calls[i]
	}
	for _, n := range a.Failed.Plugin {
		failed += n
	}
	if calls != 4*each || failed != 4*each {
		t.Errorf("%d calls and %d failures were counted, of %d", calls, failed, 4*each)
	}
}

// BenchmarkCalled is what a call costs more.
func BenchmarkCalled(b *testing.B) {
	m := New().Method("a", "k", "M")
	for i := range b.N {
		m.Called(time.Duration(i&0xfffff), None)
	}
}

// SPDX-License-Identifier: MPL-2.0

package load

import (
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/reattach/reattach/test/bench/internal/wire"
)

func TestRun(t *testing.T) {
	for name, c := range map[string]struct {
		reason string
		load   wire.Load
		takes  time.Duration
		batch  int
		want   float64
	}{
		"OneCaller": {
			reason: "one caller is answered as fast as a call takes, also if the slice ends within a call",
			load:   wire.Load{Callers: 1, For: 95 * time.Millisecond, Warm: 20 * time.Millisecond},
			takes:  10 * time.Millisecond, batch: 1, want: 10e6,
		},
		"Batch": {
			reason: "a batch counts for all calls in it",
			load:   wire.Load{Callers: 1, For: 100 * time.Millisecond},
			takes:  time.Millisecond, batch: 10, want: 1e6,
		},
		"ManyCallers": {
			reason: "four callers are answered four times in the time of a call, in bursts",
			load:   wire.Load{Callers: 4, For: 101 * time.Millisecond, Warm: 25 * time.Millisecond},
			takes:  10 * time.Millisecond, batch: 1, want: 101e6 / 40,
		},
		"SlowCalls": {
			reason: "calls that take longer than the slice are measured all the same",
			load:   wire.Load{Callers: 1, For: time.Millisecond},
			takes:  time.Second, batch: 1, want: 1e9,
		},
		"ManySlowCalls": {
			reason: "and so are those of several callers, who make two each",
			load:   wire.Load{Callers: 2, For: time.Millisecond},
			takes:  time.Second, batch: 1, want: 5e8,
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var calls atomic.Int64
				rate, err := Run(func(name string) (string, error) {
					calls.Add(1)
					<-time.After(c.takes)
					return "Hello " + name, nil
				}, c.load, c.batch)
				if err != nil {
					t.Fatal(err)
				}
				if rate.PerCall != c.want {
					t.Errorf("%s: %v ns a call, want %v", c.reason, rate.PerCall, c.want)
				}
				if rate.P50 != c.takes || rate.P99 != c.takes || rate.Max != c.takes {
					t.Errorf("single calls took %v, %v and at most %v, want %v", rate.P50, rate.P99, rate.Max, c.takes)
				}
				if rate.Calls != int(calls.Load()) {
					t.Errorf("%d calls were counted, and %d made", rate.Calls, calls.Load())
				}
			})
		})
	}
}

func TestRunFails(t *testing.T) {
	second := func(answer string, err error) Greet {
		var calls atomic.Int64
		return func(name string) (string, error) {
			if calls.Add(1) == 1 {
				return "Hello " + name, nil
			}
			return answer, err
		}
	}
	for name, c := range map[string]struct {
		greet Greet
		load  wire.Load
		want  string
	}{
		"FirstCall":   {func(string) (string, error) { return "", errors.New("no") }, wire.Load{Callers: 1, For: 1}, "the first call: no"},
		"WrongAnswer": {func(string) (string, error) { return "Hello", nil }, wire.Load{Callers: 1, For: 1, Payload: 3}, "do not end in the argument"},
		"LaterCall":   {second("", errors.New("gone")), wire.Load{Callers: 2, For: 1}, "2 of 2 callers failed: gone"},
		"ShortAnswer": {second("H", nil), wire.Load{Callers: 1, For: 1, Payload: 3}, "1 bytes were answered, not 9"},
		"NoCallers":   {second("", nil), wire.Load{For: 1}, "cannot load"},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := Run(c.greet, c.load, 1); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v, want one with %q", err, c.want)
			}
		})
	}
}

// SPDX-License-Identifier: MPL-2.0

package plan

import (
	"strings"
	"testing"
	"time"

	"github.com/reattach/reattach/test/bench/internal/bounds"
	"github.com/reattach/reattach/test/bench/internal/series"
	"github.com/reattach/reattach/test/bench/internal/wire"
)

// A bound of which one side is missing would never fail.
func TestBoundsAreMeasured(t *testing.T) {
	for name, o := range map[string]Options{"full": {For: time.Minute}, "quick": {Quick: true, For: time.Second}} {
		sections, err := Make(o)
		if err != nil {
			t.Fatal(err)
		}
		measured := make(map[series.Key]int)
		for _, s := range sections {
			for _, one := range s.Subjects {
				for _, m := range brings(s) {
					measured[series.Key{Subject: one.Name, Measure: m}]++
				}
			}
		}
		for _, b := range bounds.Table() {
			for _, k := range []series.Key{b.Of, b.Per} {
				if k.Subject != "" && measured[k] != 1 {
					t.Errorf("%s: %s of %s is measured %d times, want once: %s", name, k.Measure, k.Subject, measured[k], b.Text)
				}
			}
		}
	}
}

// brings are the measures that bounds may speak of.
func brings(s Section) []string {
	n, idle := series.Fleet(s.Request.Count), series.Idle(s.Request.Count)
	return map[string][]string{
		wire.Calls:  {s.Calls.Time()},
		wire.Attach: {series.Attach},
		wire.Memory: {series.Memory},
		wire.Fleet:  {n.HostCPU(), n.CPU()},
		wire.Kill:   {series.KilledInUse, series.KilledNext},
		wire.Small:  {s.Beside.P99(), s.Beside.Large(), s.Beside.Failed()},
		wire.Stream: {series.Feed, series.Pour},
		wire.Idle:   {idle.HostCPU(), idle.PluginCPU(), idle.Memory(), idle.Goroutines()},
		wire.Cancel: {series.CancelBusy, series.CancelCPU, series.CancelMemory},
	}[s.Request.Op]
}

func TestEverythingIsMeasured(t *testing.T) {
	sections, err := Make(Options{For: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	seen := make(map[string]bool)
	for _, s := range sections {
		for _, one := range s.Subjects {
			seen[one.Name] = true
		}
	}
	for _, s := range Subjects() {
		if !seen[s.Name] {
			t.Errorf("%s is in no section", s.Name)
		}
	}
}

func TestChoice(t *testing.T) {
	sections, err := Make(Options{Only: []string{"bare-", "ttrpc"}, Parts: []string{PartAttach, PartKill}, For: time.Second})
	if err != nil {
		t.Fatal(err)
	}
	if len(sections) != 1 || sections[0].Request.Op != wire.Attach {
		t.Fatalf("sections %+v, want attach alone: none of the subjects can be killed", sections)
	}
	for _, s := range sections[0].Subjects {
		if !strings.HasPrefix(s.Name, "bare-") {
			t.Errorf("%s is measured, want only what attaches and was named", s.Name)
		}
	}
	for reason, o := range map[string]Options{
		"there is no such subject": {Only: []string{"carrier pigeon"}},
		"there is no such part":    {Parts: []string{"flight"}},
	} {
		if _, err := Make(o); err == nil {
			t.Errorf("%s: no error", reason)
		}
	}
}

func TestSpend(t *testing.T) {
	bounded := Section{Calls: bounds.Sequential, Subjects: make([]Subject, 10)}
	other := Section{Calls: series.Calls{Callers: 4, Payload: 16}, Subjects: make([]Subject, 10)}
	for name, c := range map[string]struct {
		reason string
		total  time.Duration
		rounds [2]int
		slice  time.Duration
	}{
		"Long":  {"with time there are more rounds, not longer slices", 28800 * time.Millisecond, [2]int{30, 10}, slice},
		"Tight": {"if there is none for the weights, there are as many rounds of all", 14 * time.Second, [2]int{9, 9}, slice},
		"Short": {"without it there are shorter slices, not fewer rounds", 6 * time.Second, [2]int{rounds, rounds}, 50 * time.Millisecond},
		"None":  {"but not so short that they say nothing", 0, [2]int{rounds, rounds}, shortest},
	} {
		for i, got := range spend(c.total, []Section{bounded, other}) {
			if got.Rounds != c.rounds[i] || got.Request.Load.For != c.slice || got.Request.Load.Warm != c.slice/share {
				t.Errorf("%s: %s: %v has %d rounds of %v after %v, want %d of %v after %v", name, c.reason, got.Calls,
					got.Rounds, got.Request.Load.For, got.Request.Load.Warm, c.rounds[i], c.slice, c.slice/share)
			}
		}
	}
}

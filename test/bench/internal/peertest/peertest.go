// SPDX-License-Identifier: MPL-2.0

// Package peertest tests the programs that are measured: it has them do, for a moment,
// all that they are asked in a real run.
package peertest

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/reattach/reattach/test/bench/internal/bounds"
	"github.com/reattach/reattach/test/bench/internal/plan"
	"github.com/reattach/reattach/test/bench/internal/run"
	"github.com/reattach/reattach/test/bench/internal/series"
	"github.com/reattach/reattach/test/bench/internal/wire"
)

// isPeer is set in the environment of a test's binary that is to be the program.
const isPeer = "BENCH_TEST_PEER"

// Main runs the tests of a program, or is the program, whose main function is given.
func Main(m *testing.M, program func()) {
	if os.Getenv(isPeer) != "" {
		program()
		return
	}
	os.Exit(m.Run())
}

// Measure measures all subjects of a program that need no other beside it, and fails for
// what is not measured. The others are in every run of the command bench.
func Measure(t *testing.T, program string) *series.Data {
	t.Helper()
	sections := small(t, program)
	dir := t.TempDir()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(self, filepath.Join(dir, program)); err != nil {
		t.Fatal(err)
	}
	t.Setenv(isPeer, "1")
	data, err := (&run.Run{Dir: dir, Log: t.Output()}).Measure(t.Context(), sections)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range sections {
		for _, one := range s.Subjects {
			for _, measure := range measures(s) {
				if n := len(data.Points(series.Key{Subject: one.Name, Measure: measure})); n == 0 {
					t.Errorf("%s: %s was not measured", one.Name, measure)
				}
			}
		}
	}
	return data
}

// small is a plan with every operation for one program, as short as can be.
func small(t *testing.T, program string) []plan.Section {
	t.Helper()
	all, err := plan.Make(plan.Options{For: time.Second})
	if err != nil {
		t.Fatal(err)
	}
	var some []plan.Section
	for _, s := range all {
		if s.Request.Op == wire.Calls && s.Calls != bounds.Parallel && s.Calls != bounds.Large {
			continue // these two have all callers and all bytes
		}
		s.Subjects = slices.DeleteFunc(slices.Clone(s.Subjects), func(one plan.Subject) bool {
			return one.Program != program || len(one.Beside) > 0
		})
		s.Rounds, s.Request.Count = 1, min(s.Request.Count, 2)
		s.Request.For = min(s.Request.For, time.Millisecond)
		s.Request.Beside.Bytes, s.Request.Beside.For = min(s.Request.Beside.Bytes, 1<<16), 0
		s.Request.Load.For, s.Request.Load.Warm = min(s.Request.Load.For, time.Millisecond), 0
		if len(s.Subjects) > 0 {
			some = append(some, s)
		}
	}
	return some
}

// measures are some of those that a section brings.
func measures(s plan.Section) []string {
	switch s.Request.Op {
	case wire.Calls:
		return []string{s.Calls.Time(), s.Calls.P99(), s.Calls.CPU()}
	case wire.Attach:
		return []string{series.Attach}
	case wire.Memory:
		return []string{series.Memory, series.Goroutines}
	case wire.Fleet:
		n := series.Fleet(s.Request.Count)
		return []string{n.Wall(), n.CPU()}
	case wire.Kill:
		return []string{series.KilledInUse, series.KilledNext}
	case wire.Small:
		return []string{s.Beside.P99(), s.Beside.Large(), s.Beside.Failed()}
	case wire.Stream:
		return []string{series.Feed, series.Pour}
	case wire.Idle:
		n := series.Idle(s.Request.Count)
		return []string{n.HostCPU(), n.Memory(), n.Goroutines()}
	case wire.Cancel:
		return []string{series.CancelLate, series.CancelBusy, series.CancelMemory}
	}
	return nil
}

// SPDX-License-Identifier: MPL-2.0

package run

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/reattach/reattach/test/bench/internal/greet"
	"github.com/reattach/reattach/test/bench/internal/peer"
	"github.com/reattach/reattach/test/bench/internal/plan"
	"github.com/reattach/reattach/test/bench/internal/series"
	"github.com/reattach/reattach/test/bench/internal/wire"
)

const isPeer = "BENCH_TEST_PEER"

func TestMain(m *testing.M) {
	if os.Getenv(isPeer) != "" {
		program.Main()
		return
	}
	os.Exit(m.Run())
}

// program has a subject that is well, and some that are not.
var program = peer.Program{
	Subjects: []peer.Subject{
		{Name: "well", Open: func(s *peer.Servers) (peer.Target, error) {
			server, err := s.Start(nil)
			if err == nil && server.Line != "here" {
				err = fmt.Errorf("the server said %q", server.Line)
			}
			return peer.AttachFunc(func() (peer.Session, error) {
				return peer.NewSession(new(greet.Plain), func() error { return nil }), nil
			}), err
		}},
		{Name: "closed", Open: func(*peer.Servers) (peer.Target, error) { return nil, errors.New("closed today") }},
		{Name: "ends", Open: func(*peer.Servers) (peer.Target, error) {
			os.Exit(3)
			return nil, nil
		}},
	},
	Serve: func([]string) error {
		fmt.Println("here")
		select {}
	},
}

func section(subjects ...string) plan.Section {
	s := plan.Section{
		Name: "calls", Rounds: 3, Calls: series.Calls{Callers: 1, Payload: 16},
		Request: wire.Request{Op: wire.Calls, Load: wire.Load{Callers: 1, Payload: 16, For: time.Millisecond}},
	}
	for _, name := range subjects {
		s.Subjects = append(s.Subjects, plan.Subject{Name: name, Program: "peer"})
	}
	return s
}

func measure(t *testing.T, sections ...plan.Section) (*series.Data, error) {
	t.Helper()
	dir := t.TempDir()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(self, filepath.Join(dir, "peer")); err != nil {
		t.Fatal(err)
	}
	t.Setenv(isPeer, "1")
	return (&Run{Dir: dir, Log: t.Output()}).Measure(t.Context(), sections)
}

func TestMeasure(t *testing.T) {
	data, err := measure(t, section("closed", "well", "unknown"))
	for _, want := range []string{"closed today", `subject "unknown" is unknown`} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want one with %q", err, want)
		}
	}
	points := data.Points(series.Key{Subject: "well", Measure: section().Calls.Time()})
	if len(points) != 3 {
		t.Fatalf("%d points, want one for each round of the subject that is well", len(points))
	}
	for round, p := range points {
		if p.Round != round || p.Value <= 0 {
			t.Errorf("point %+v, want a time of round %d", p, round)
		}
	}
	if n := len(data.Points(series.Key{Subject: "closed", Measure: section().Calls.Time()})); n != 0 {
		t.Errorf("%d points of a subject that did not open, want none", n)
	}
}

func TestProgramEnds(t *testing.T) {
	data, err := measure(t, section("ends"), section("well"))
	if err == nil || !strings.Contains(err.Error(), "ends") {
		t.Errorf("error %v, want one that names what ended", err)
	}
	if n := len(data.Points(series.Key{Subject: "well", Measure: section().Calls.Time()})); n != 3 {
		t.Errorf("%d points, want 3: the program is started again for the next section", n)
	}
}

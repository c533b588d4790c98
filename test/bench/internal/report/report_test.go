// SPDX-License-Identifier: MPL-2.0

package report

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/reattach/reattach/test/bench/internal/bounds"
	"github.com/reattach/reattach/test/bench/internal/plan"
	"github.com/reattach/reattach/test/bench/internal/series"
)

func TestWrite(t *testing.T) {
	sections, err := plan.Make(plan.Options{For: time.Second})
	if err != nil {
		t.Fatal(err)
	}
	var d series.Data
	for round := range 5 {
		for _, n := range plan.Curve() {
			load := series.Calls{Callers: n, Payload: bounds.Sequential.Payload}
			for i, subject := range []string{"bare-netrpc", "network-netrpc"} {
				value := float64(1000 * (10*(2-i) + round))
				d.Add(series.Key{Subject: subject, Measure: load.Time()}, series.Point{Round: round, Value: value})
				d.Add(series.Key{Subject: subject, Measure: load.P50()}, series.Point{Round: round, Value: value})
			}
		}
	}
	dir := filepath.Join(t.TempDir(), "new")
	var text bytes.Buffer
	m := Machine{CPU: "Abacus", Cores: 2, Kernel: "linux 6", Go: "go1.26"}
	if err := Write(dir, &text, m, &d, sections, bounds.Judge(&d, bounds.Table())); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string][]string{
		TextFile:     {"Abacus, 2 cores", "network-netrpc  12.0 [11.0..13.0]", "0.55  0.52 .. 0.57  <= 0.88       5  PASS"},
		MarkdownFile: {"Abacus, 2 cores", "| network-netrpc | 12.0 [11.0..13.0] |", "### Bounds"},
		PlotFile:     {"<svg", "network, net/rpc"},
	} {
		written, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		for _, w := range want {
			if !strings.Contains(string(written), w) {
				t.Errorf("%s does not have %q:\n%s", name, w, written)
			}
		}
		if name == TextFile && text.String() != string(written) {
			t.Error("what is printed is not what is written")
		}
		if strings.Contains(string(written), "wasm") {
			t.Errorf("%s speaks of what was not measured", name)
		}
	}
	readRaw(t, filepath.Join(dir, DataFile), len(d.Keys()))
}

func readRaw(t *testing.T, path string, want int) {
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var all struct {
		Machine Machine
		Series  []struct {
			Subject, Measure string
			Points           []series.Point
		}
	}
	if err := json.Unmarshal(raw, &all); err != nil {
		t.Fatal(err)
	}
	if len(all.Series) != want || all.Machine.CPU != "Abacus" {
		t.Fatalf("%d series of the machine %q, want %d of Abacus", len(all.Series), all.Machine.CPU, want)
	}
	for _, s := range all.Series {
		if s.Subject == "" || s.Measure == "" || len(s.Points) != 5 {
			t.Errorf("series %+v, want 5 points with a name", s)
		}
	}
}

func TestDigits(t *testing.T) {
	for x, want := range map[float64]string{
		0.0314: "0.031", 0.5: "0.50", 3.14159: "3.14", 31.4159: "31.4", 314.159: "314", 31415.9: "31416", -31.4: "-31.4",
	} {
		if got := digits(x); got != want {
			t.Errorf("%v is written %q, want %q", x, got, want)
		}
	}
}

func TestModel(t *testing.T) {
	if got := model("processor\t: 0\nmodel name\t: Abacus 9\nmodel name\t: other\n"); got != "Abacus 9" {
		t.Errorf("model %q, want that of the first processor", got)
	}
	if got := model("nothing of the kind"); got != "" {
		t.Errorf("model %q, want none", got)
	}
}

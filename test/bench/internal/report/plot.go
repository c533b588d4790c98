// SPDX-License-Identifier: MPL-2.0

package report

import (
	"fmt"
	"strconv"
	"strings"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/plotutil"
	"gonum.org/v1/plot/vg"
	_ "gonum.org/v1/plot/vg/vgsvg" // for a file that ends in .svg

	"github.com/reattach/reattach/test/bench/internal/bounds"
	"github.com/reattach/reattach/test/bench/internal/plan"
	"github.com/reattach/reattach/test/bench/internal/series"
)

// plotLatency draws how long a call takes against how many callers there are, if that
// was measured.
func plotLatency(d *series.Data, file string) error {
	p := plot.New()
	p.Title.Text = "Half of all calls took at most"
	p.X.Label.Text, p.Y.Label.Text = "callers", "µs"
	p.X.Scale, p.Y.Scale = plot.LogScale{}, plot.LogScale{}
	p.X.Tick.Marker, p.Y.Tick.Marker = callerTicks(), plot.LogTicks{Prec: -1}
	p.Legend.Top, p.Legend.Left = true, true
	p.Add(plotter.NewGrid())
	drawn := 0
	for _, s := range plan.Subjects() {
		points := latencies(d, s)
		if len(points) < 2 {
			continue
		}
		line, dots, err := plotter.NewLinePoints(points)
		if err != nil {
			return fmt.Errorf("plot %s: %w", s.Name, err)
		}
		line.Color, dots.Color = plotutil.Color(drawn), plotutil.Color(drawn)
		line.Width, dots.Shape = vg.Points(1.5), plotutil.Shape(drawn)
		if strings.Contains(s.Name, "grpc") {
			line.Dashes = plotutil.Dashes(1)
		}
		p.Add(line, dots)
		p.Legend.Add(s.About, line, dots)
		drawn++
	}
	if drawn == 0 {
		return nil
	}
	if err := p.Save(22*vg.Centimeter, 15*vg.Centimeter, file); err != nil {
		return fmt.Errorf("plot latency: %w", err)
	}
	return nil
}

// latencies are the medians of a subject in microseconds, by callers.
func latencies(d *series.Data, s plan.Subject) plotter.XYs {
	var points plotter.XYs
	for _, n := range plan.Curve() {
		c := series.Calls{Callers: n, Payload: bounds.Sequential.Payload}
		sum := series.Summarize(d.Values(series.Key{Subject: s.Name, Measure: c.P50()}))
		if s.Curve && sum.Count > 0 {
			points = append(points, plotter.XY{X: float64(n), Y: sum.Median / 1e3})
		}
	}
	return points
}

func callerTicks() plot.ConstantTicks {
	var ticks plot.ConstantTicks
	for _, n := range plan.Curve() {
		ticks = append(ticks, plot.Tick{Value: float64(n), Label: strconv.Itoa(n)})
	}
	return ticks
}

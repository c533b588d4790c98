// SPDX-License-Identifier: MPL-2.0

package alerts

import (
	"encoding/json"
	"os"
	"strings"
	"testing"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/promql/parser"
)

// TestDashboard holds that whoever is called by an alert finds a panel on which its metrics
// are, and that each query of the dashboard can be parsed.
func TestDashboard(t *testing.T) {
	raw, err := os.ReadFile("../../deploy/components/monitoring/dashboard.json")
	if err != nil {
		t.Fatal(err)
	}
	var dashboard struct {
		Panels []struct {
			Title   string
			Targets []struct{ Expr string }
		}
	}
	if err := json.Unmarshal(raw, &dashboard); err != nil {
		t.Fatal(err)
	}
	shown := make(map[string]bool)
	for _, panel := range dashboard.Panels {
		for _, target := range panel.Targets {
			expr := strings.ReplaceAll(target.Expr, "$__rate_interval", "1m")
			for _, name := range metricsOf(t, panel.Title, expr) {
				shown[name] = true
			}
		}
	}
	for _, rule := range alerts(t) {
		for _, name := range metricsOf(t, rule.Alert, rule.Expr) {
			if strings.HasSuffix(name, "_not_before_timestamp_seconds") {
				continue // the end is what people look at
			}
			if !shown[name] {
				t.Errorf("%s looks at %s, which no panel shows", rule.Alert, name)
			}
		}
	}
}

// metricsOf gives the names of the metrics that a query reads.
func metricsOf(t *testing.T, of, query string) (names []string) {
	t.Helper()
	expr, err := parser.NewParser(parser.Options{}).ParseExpr(query)
	if err != nil {
		t.Fatalf("%s: %v", of, err)
	}
	parser.Inspect(expr, func(node parser.Node, _ []parser.Node) error {
		if selector, ok := node.(*parser.VectorSelector); ok {
			for _, m := range selector.LabelMatchers {
				if m.Name == model.MetricNameLabel {
					names = append(names, m.Value)
				}
			}
		}
		return nil
	})
	return names
}

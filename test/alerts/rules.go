// SPDX-License-Identifier: MPL-2.0

// Package alerts tests the alerts of deploy/components/monitoring with Prometheus' own
// parser, engine and rules: on series that are written down, and on those that a real
// host and real plugins show.
package alerts

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/rulefmt"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/rules"
	"github.com/prometheus/prometheus/storage"
	"go.yaml.in/yaml/v3"
)

// readRules gives the alerts of a PrometheusRule, as Prometheus reads them.
func readRules(path string) ([]rulefmt.Rule, error) {
	raw, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var object struct {
		Kind string
		Spec map[string]any
	}
	if err := yaml.Unmarshal(raw, &object); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if object.Kind != "PrometheusRule" {
		return nil, fmt.Errorf("%s is a %q, want a PrometheusRule", path, object.Kind)
	}
	spec, err := yaml.Marshal(object.Spec)
	if err != nil {
		return nil, err
	}
	groups, errs := rulefmt.Parse(spec, false, model.UTF8Validation, parser.NewParser(parser.Options{}), slog.New(slog.DiscardHandler))
	if err := errors.Join(errs...); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	var all []rulefmt.Rule
	for _, g := range groups.Groups {
		all = append(all, g.Rules...)
	}
	return all, nil
}

// firing evaluates the alerts from start to end as Prometheus would, every step, and gives
// for each that fired when it first did, after start, and with which labels.
func firing(ctx context.Context, engine *promql.Engine, series storage.Queryable, from []rulefmt.Rule, start, end time.Time, step time.Duration) (map[string]alarm, error) {
	query := rules.EngineQueryFunc(engine, series)
	fired := make(map[string]alarm)
	for _, rule := range from {
		expr, err := parser.NewParser(parser.Options{}).ParseExpr(rule.Expr)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", rule.Alert, err)
		}
		alert := rules.NewAlertingRule(rule.Alert, expr, time.Duration(rule.For), time.Duration(rule.KeepFiringFor),
			labels.FromMap(rule.Labels), labels.FromMap(rule.Annotations), labels.EmptyLabels(), "", true, slog.New(slog.DiscardHandler))
		for at := start; !at.After(end); at = at.Add(step) {
			if _, err := alert.Eval(ctx, 0, at, query, nil, 0); err != nil {
				return nil, fmt.Errorf("%s at %v: %w", rule.Alert, at.Sub(start), err)
			}
			i := slices.IndexFunc(alert.ActiveAlerts(), func(a *rules.Alert) bool { return a.State == rules.StateFiring })
			if i >= 0 {
				active := alert.ActiveAlerts()[i]
				fired[rule.Alert] = alarm{at.Sub(start), active.Labels, active.Annotations}
				break
			}
		}
	}
	return fired, nil
}

// alarm is an alert that fired.
type alarm struct {
	After               time.Duration
	Labels, Annotations labels.Labels
}

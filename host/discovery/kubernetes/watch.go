// SPDX-License-Identifier: MPL-2.0

package kubernetes

import (
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/go-logr/logr"
	"github.com/hashicorp/go-hclog"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/client-go/tools/cache"

	"github.com/reattach/reattach/host/discovery"
	"github.com/reattach/reattach/host/target"
)

// watch is one Run: the informers, what they hinted at, and what was sent.
type watch struct {
	opts      Options
	report    func(Report)
	places    []*place
	health    watchHealth
	wake      chan struct{}
	log       hclog.Logger
	mu        sync.Mutex
	dirty     map[string]bool                    // keys of Services, NAMESPACE/NAME
	sent      map[string]map[string]target.Group // by key of the Service, then of the group
	delivered bool
	held      map[string]bool  // keys of Services whose endpoints are kept, see withGrace
	graceOver <-chan time.Time // when to look at these again
}

func newWatch(c *client, opts Options, report func(Report)) (*watch, error) {
	w := &watch{
		opts: opts, report: report, log: opts.Logger,
		wake:  make(chan struct{}, 1),
		dirty: make(map[string]bool),
		sent:  make(map[string]map[string]target.Group),
		held:  make(map[string]bool),
	}
	w.health.changed = w.nudge
	for _, namespace := range opts.namespacesOf() {
		w.places = append(w.places, w.health.newPlace(c, namespace, opts))
	}
	for _, informer := range w.health.informers {
		if err := informer.SetTransform(strip); err != nil {
			return nil, err
		}
		if _, err := informer.AddEventHandler(w.handler()); err != nil {
			return nil, err
		}
	}
	return w, nil
}

// nudge wakes the loop. It never blocks.
func (w *watch) nudge() {
	select {
	case w.wake <- struct{}{}:
	default: // awake already
	}
}

// handler takes what informers say as a hint that a Service has changed.
func (w *watch) handler() cache.ResourceEventHandler {
	return cache.ResourceEventHandlerFuncs{
		AddFunc:    func(obj any) { w.mark(obj) },
		UpdateFunc: func(before, after any) { w.mark(before); w.mark(after) },
		DeleteFunc: func(obj any) {
			if last, ok := obj.(cache.DeletedFinalStateUnknown); ok {
				obj = last.Obj
			}
			w.mark(obj)
		},
	}
}

func (w *watch) mark(obj any) {
	var key string
	switch o := obj.(type) {
	case *corev1.Service:
		key = serviceKey(o.Namespace, o.Name)
	case *discoveryv1.EndpointSlice:
		key = serviceOf(o)
	default:
		return
	}
	w.mu.Lock()
	w.dirty[key] = true
	w.mu.Unlock()
	w.nudge()
}

// markAll marks every Service: handlers hear of what is in a store a little later.
func (w *watch) markAll() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, p := range w.places {
		for _, key := range p.services.GetStore().ListKeys() {
			w.dirty[key] = true
		}
	}
}

func (w *watch) takeDirty() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	keys := slices.Sorted(maps.Keys(w.dirty))
	clear(w.dirty)
	return keys
}

// run delivers to sink until ctx ends, and returns when everything it started
// has ended. also runs meanwhile.
func (w *watch) run(ctx context.Context, sink discovery.Sink, also func(context.Context)) {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	var wg sync.WaitGroup
	defer wg.Wait()
	logged := logr.NewContext(ctx, NewLogr(w.log))
	for _, informer := range w.health.informers {
		wg.Go(func() { informer.RunWithContext(logged) })
		wg.Go(func() {
			select {
			case <-informer.HasSyncedChecker().Done():
				w.nudge()
			case <-ctx.Done():
			}
		})
	}
	wg.Go(func() { also(ctx) })
	for last := ""; ; {
		select {
		case <-ctx.Done():
			return
		case <-w.graceOver:
			w.endGrace()
		case <-w.wake:
		}
		last = w.step(sink, last)
	}
}

// step sends what is due. last is the text of the error reported so far; the
// one that step gives takes its place.
func (w *watch) step(sink discovery.Sink, last string) string {
	err := w.health.err()
	if !w.delivered && !w.ready() {
		if err != nil && err.Error() != last {
			sink.Error(err)
			return err.Error()
		}
		return last
	}
	if !w.delivered {
		w.markAll()
	}
	updated := false
	if groups := w.due(); len(groups) > 0 || !w.delivered {
		w.delivered, updated = true, true
		if err != nil {
			sink.Partial(err, groups...)
		} else {
			sink.Update(groups...)
		}
	}
	switch {
	case updated:
	case err == nil && last != "":
		sink.Update() // the source sees again
	case err != nil && err.Error() != last:
		sink.Error(err)
	}
	if err == nil {
		return ""
	}
	return err.Error()
}

// ready reports whether the first state can be delivered: every namespace has
// been listed, but for those that the cluster refuses to show, which would
// otherwise keep all others away.
func (w *watch) ready() bool {
	seen := 0
	for _, p := range w.places {
		switch {
		case p.services.HasSynced() && p.slices.HasSynced():
			seen++
		case !p.services.refused() && !p.slices.refused():
			return false
		}
	}
	return seen > 0
}

// due gives the groups that differ from what was sent.
func (w *watch) due() []target.Group {
	keys := w.takeDirty()
	var changed []target.Group
	for _, key := range keys {
		now := make(map[string]target.Group)
		before := w.sent[key]
		for _, g := range w.read(key, before) {
			if !g.Empty() {
				now[g.Key] = g
			}
		}
		for _, k := range slices.Sorted(maps.Keys(before)) {
			if _, still := now[k]; !still {
				changed = append(changed, target.Group{Key: k})
			}
		}
		for _, k := range slices.Sorted(maps.Keys(now)) {
			if b, known := before[k]; !known || !b.Equal(now[k]) {
				changed = append(changed, now[k])
				w.reportProblems(b, now[k])
			}
		}
		if len(now) == 0 {
			delete(w.sent, key)
			delete(w.held, key)
		} else {
			w.sent[key] = now
		}
	}
	return changed
}

// read gives the groups of one Service as the informers know it now. sent is what was
// sent of it last.
func (w *watch) read(key string, sent map[string]target.Group) []target.Group {
	for _, p := range w.places {
		svc, ok := p.service(key)
		if !ok || declines(svc) {
			continue
		}
		return w.withGrace(key, w.pluginName(svc), svc, p.slicesOf(key), sent)
	}
	return nil
}

// reportProblems tells those who look at a Service what keeps it from being a plugin,
// once for each time that it begins.
func (w *watch) reportProblems(before, now target.Group) {
	for _, p := range now.Problems {
		if !slices.Contains(before.Problems, p) {
			w.report(Report{Plugin: p.Plugin, Reason: Misconfigured, Message: p.Reason})
		}
	}
}

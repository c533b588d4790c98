// SPDX-License-Identifier: MPL-2.0

//go:build e2e

package e2e

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// ledger keeps for each pod of pluginzh when its EndpointSlice began and ceased to
// offer it, as a watch of this machine sees it, and when it was called first and last,
// as its own log says. On a node of another machine the clocks may differ.
type ledger struct {
	namespace string
	stop      context.CancelFunc
	wg        sync.WaitGroup

	mu    sync.Mutex
	pods  map[string]*stay
	fault error
}

// stay is one pod's.
type stay struct {
	ready, left time.Time // left is zero while the pod is offered
	first, last time.Time
	calls       int
	ended       bool // its log has been read to the end
}

// keep begins a ledger, which ends with the test at the latest.
func keep(t *testing.T, namespace string) *ledger {
	t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	l := &ledger{namespace: namespace, stop: stop, pods: make(map[string]*stay)}
	t.Cleanup(l.close)
	l.wg.Go(func() {
		l.follow(ctx, []string{"get", "endpointslices", "-l", "kubernetes.io/service-name=pluginzh", "--watch", "--output-watch-events", "-o", "json"},
			func(out io.Reader) {
				for d := json.NewDecoder(out); ; {
					var e sliceEvent
					if d.Decode(&e) != nil {
						return
					}
					l.slice(ctx, e)
				}
			})
		if ctx.Err() == nil {
			l.fail(fmt.Errorf("the watch of EndpointSlices has ended"))
		}
	})
	until(t, "the EndpointSlice is seen", func() bool { return len(l.stays()) > 0 })
	return l
}

func (l *ledger) close() {
	l.stop()
	l.wg.Wait()
}

// follow runs kubectl and has read read what it prints.
func (l *ledger) follow(ctx context.Context, args []string, read func(io.Reader)) {
	cmd := exec.CommandContext(ctx, "kubectl", append(args, "-n", l.namespace)...)
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		l.fail(err)
		return
	}
	read(out)
	if err := cmd.Wait(); err != nil && ctx.Err() == nil {
		l.fail(fmt.Errorf("kubectl %s: %w: %s", strings.Join(args, " "), err, stderr.String()))
	}
}

func (l *ledger) fail(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.fault == nil {
		l.fault = err
	}
}

// sliceEvent is as much of it as matters here.
type sliceEvent struct {
	Object struct {
		Endpoints []struct {
			Conditions struct{ Ready *bool }
			TargetRef  struct{ Name string }
		}
	}
}

// slice takes the state of the one EndpointSlice that so few pods have.
func (l *ledger) slice(ctx context.Context, e sliceEvent) {
	now := time.Now()
	offered := make(map[string]bool)
	for _, each := range e.Object.Endpoints {
		if r := each.Conditions.Ready; r == nil || *r {
			offered[each.TargetRef.Name] = true
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for pod, s := range l.pods {
		switch {
		case offered[pod]:
			s.left = time.Time{}
		case s.left.IsZero():
			s.left = now
		}
	}
	for pod := range offered {
		if l.pods[pod] == nil {
			l.pods[pod] = &stay{ready: now}
			l.wg.Go(func() { l.log(ctx, pod) })
		}
	}
}

// log reads the log of a pod until its container ends.
func (l *ledger) log(ctx context.Context, pod string) {
	l.follow(ctx, []string{"logs", "--follow", pod}, func(out io.Reader) {
		for lines := bufio.NewScanner(out); lines.Scan(); {
			var line struct {
				Message string    `json:"@message"`
				At      time.Time `json:"@timestamp"`
				Times   int       `json:"times"`
			}
			if json.Unmarshal(lines.Bytes(), &line) == nil && line.Message == called && line.Times == once {
				l.called(pod, line.At)
			}
		}
	})
	l.mu.Lock()
	defer l.mu.Unlock()
	l.pods[pod].ended = true
}

func (l *ledger) called(pod string, at time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	s := l.pods[pod]
	if s.calls++; s.first.IsZero() {
		s.first = at
	}
	s.last = at
}

// stays gives a copy, in the order in which the pods became ready.
func (l *ledger) stays() []stay {
	l.mu.Lock()
	defer l.mu.Unlock()
	var all []stay
	for _, s := range l.pods {
		all = append(all, *s)
	}
	slices.SortFunc(all, func(a, b stay) int { return a.ready.Compare(b.ready) })
	return all
}

// untilAllCalled waits until each pod that is offered has been called.
func (l *ledger) untilAllCalled(t *testing.T) {
	t.Helper()
	until(t, "each pod that is ready is called", func() bool {
		return !slices.ContainsFunc(l.stays(), func(s stay) bool { return s.left.IsZero() && s.calls == 0 })
	})
}

// end says how soon pods were called after they had become ready, since a moment, and
// how late after they had left. No call may come later than grace after that.
func (l *ledger) end(t *testing.T, since time.Time, grace time.Duration) {
	t.Helper()
	until(t, "the logs of those that left have ended", func() bool {
		return !slices.ContainsFunc(l.stays(), func(s stay) bool { return !s.left.IsZero() && !s.ended })
	})
	var came, went []time.Duration
	calls := 0
	for _, s := range l.stays() {
		calls += s.calls
		if s.ready.After(since) {
			if s.calls == 0 {
				t.Errorf("a pod was ready and never called")
				continue
			}
			came = append(came, s.first.Sub(s.ready))
		}
		if !s.left.IsZero() && s.calls > 0 {
			went = append(went, s.last.Sub(s.left))
		}
	}
	t.Logf("%d calls are in the logs of the pods", calls)
	t.Logf("%d pods came: first called %s after their EndpointSlice had them", len(came), spread(came))
	if len(went) > 0 {
		t.Logf("%d pods went: last called %s after their EndpointSlice had them no more", len(went), spread(went))
		if latest := slices.Max(went); latest > grace {
			t.Errorf("a pod was called %s after it had left, which is more than the %s that its preStop allows for", latest, grace)
		}
	}
	l.close()
	if l.fault != nil {
		t.Errorf("the ledger has gaps: %v", l.fault)
	}
}

// spread gives the least, the middle and the most.
func spread(all []time.Duration) string {
	if len(all) == 0 {
		return "never"
	}
	slices.Sort(all)
	show := func(d time.Duration) time.Duration { return d.Round(time.Millisecond) }
	return fmt.Sprintf("%s (median %s, at most %s)", show(all[0]), show(all[len(all)/2]), show(all[len(all)-1]))
}

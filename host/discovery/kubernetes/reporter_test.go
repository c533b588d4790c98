// SPDX-License-Identifier: MPL-2.0

package kubernetes

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/go-hclog"
	corev1 "k8s.io/api/core/v1"
)

// events gives the Events that were written, as kubectl describe shows them.
func (a *api) events() []string {
	a.mu.Lock()
	defer a.mu.Unlock()
	var out []string
	for _, c := range a.history {
		if e, ok := c.after.(*corev1.Event); ok {
			out = append(out, fmt.Sprintf("%s %s x%d %s/%s: %s", e.Type, e.Reason, e.Count, e.InvolvedObject.Kind, e.InvolvedObject.Name, e.Message))
		}
	}
	return out
}

func TestEvents(t *testing.T) {
	a := newAPI(t)
	a.put(service("ns", "zh"))
	r := start(t, a, Options{Instance: "basic-0"})
	r.untilIDs("the Service is known")
	attached := Report{Plugin: "zh", Reason: Attached, Message: "attached to 10.0.0.1:7000"}
	r.source.Reporter().Report(Report{Plugin: "unknown", Reason: Lost, Message: "nobody reads this"})
	for i, report := range []Report{attached, {Plugin: "zh", Reason: VersionRefused, Message: "no version in common"}, attached} {
		r.source.Reporter().Report(report)
		r.until("it is written", func() bool { return len(a.events()) > i })
	}
	want := []string{
		"Normal Attached x1 Service/zh: attached to 10.0.0.1:7000",
		"Warning VersionRefused x1 Service/zh: no version in common",
		"Normal Attached x2 Service/zh: attached to 10.0.0.1:7000",
	}
	r.until("three writes", func() bool { return len(a.events()) >= len(want) })
	if diff := cmp.Diff(want, a.events()); diff != "" {
		t.Errorf("what was written (-want +got)\n%s", diff)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if n := len(a.objects["events"]); n != 2 {
		t.Errorf("%d Events are stored, want 2: one that happened twice is counted", n)
	}
}

// TestEventThatTheClusterForgot: one that happens again after its cluster has deleted it
// is written anew, and still says how often it happened.
func TestEventThatTheClusterForgot(t *testing.T) {
	a := newAPI(t)
	a.put(service("ns", "zh"))
	r := start(t, a, Options{})
	r.untilIDs("the Service is known")
	lost := Report{Plugin: "zh", Reason: Lost, Message: "lost 10.0.0.1:7000"}
	r.source.Reporter().Report(lost)
	r.until("it is written", func() bool { return len(a.events()) == 1 })
	a.do(func() { clear(a.objects["events"]) })
	r.source.Reporter().Report(lost)
	r.until("it is written again", func() bool { return len(a.events()) == 2 })
	if got, want := a.events()[1], "Warning Lost x2 Service/zh: lost 10.0.0.1:7000"; got != want {
		t.Errorf("the Event says %q, want %q", got, want)
	}
}

func TestEventsAreLimited(t *testing.T) {
	a := newAPI(t)
	a.put(service("ns", "zh"))
	r := start(t, a, Options{})
	r.untilIDs("the Service is known")
	for i := range 50 {
		r.source.Reporter().Report(Report{Plugin: "zh", Reason: Lost, Message: fmt.Sprintf("lost 10.0.0.%d:7000", i)})
	}
	r.until("all are written or dropped", func() bool {
		return len(a.events())+int(r.source.Reporter().Dropped()) == 50
	})
	if n := len(a.events()); n < eventBurst || n > eventBurst+2 {
		t.Errorf("%d Events of 50 were written at once, want about %d", n, eventBurst)
	}
}

// TestWarningsHaveTheirOwnBudget: hundreds of pods that are attached at once do not
// keep the one refusal away.
func TestWarningsHaveTheirOwnBudget(t *testing.T) {
	a := newAPI(t)
	a.put(service("ns", "zh"))
	r := start(t, a, Options{})
	r.untilIDs("the Service is known")
	for i := range 300 {
		r.source.Reporter().Report(Report{Plugin: "zh", Reason: Attached, Message: fmt.Sprintf("attached to 10.0.%d.%d:7000", i/100, i%100)})
	}
	r.source.Reporter().Report(Report{Plugin: "zh", Reason: VersionRefused, Message: "no version in common"})
	const want = "Warning VersionRefused x1 Service/zh: no version in common"
	r.until("the refusal is written", func() bool { return slices.Contains(a.events(), want) })
	r.until("all else is written or dropped", func() bool { return len(a.events())+int(r.source.Reporter().Dropped()) == 301 })
}

// TestServicesThatAreNoPluginsAreTold: one Event each, and again if it is mended and
// comes again.
func TestServicesThatAreNoPluginsAreTold(t *testing.T) {
	a := newAPI(t)
	external := func(s *corev1.Service) { s.Spec.Type = corev1.ServiceTypeExternalName }
	a.put(service("ns", "far", external), service("ns", "odd", annotated(AnnotationRequired, "maybe")), slice("ns", "odd", "a", pod("10.0.0.1", "1")))
	r := start(t, a, Options{})
	r.untilIDs("a bad annotation keeps no pod away", "odd@10.0.0.1:7000")
	const far = "Warning Misconfigured x1 Service/far: a Service of type ExternalName has no endpoints: name the address in NETWORK_PLUGIN"
	r.until("both are told", func() bool { return len(a.events()) == 2 && slices.Contains(a.events(), far) })
	a.put(service("ns", "far"))
	a.put(slice("ns", "odd", "a", pod("10.0.0.2", "2")))
	r.untilIDs("things change", "odd@10.0.0.2:7000")
	r.until("one is mended", func() bool { return len(r.manager.Current().Problems) == 1 })
	a.put(service("ns", "far", external))
	r.until("the one that came again", func() bool { return len(a.events()) == 3 })
}

func TestEventsRefused(t *testing.T) {
	a := newAPI(t)
	a.put(service("ns", "zh"))
	a.do(func() { a.refused["create events ns"] = true })
	var log lockedLog
	r := start(t, a, Options{Logger: hclog.New(&hclog.LoggerOptions{Output: &log, Level: hclog.Warn, DisableTime: true})})
	r.untilIDs("the Service is known")
	r.source.Reporter().Report(Report{Plugin: "zh", Reason: Attached, Message: "one"})
	r.source.Reporter().Report(Report{Plugin: "zh", Reason: Attached, Message: "two"})
	want := "the role of this host lacks the verb create on events in namespace ns"
	r.until("the refusal is logged", func() bool { return strings.Contains(log.String(), want) })
	r.until("both were tried", func() bool {
		a.mu.Lock()
		defer a.mu.Unlock()
		tried := 0
		for _, q := range a.requests {
			if q == "create events ns" {
				tried++
			}
		}
		return tried == 2
	})
	if n := strings.Count(log.String(), want); n != 1 {
		t.Errorf("the refusal was logged %d times, want once", n)
	}
	if got := r.trouble(); got != "" {
		t.Errorf("a refused Event keeps the host from being ready: %s", got)
	}
}

// lockedLog is a writer that may be read meanwhile.
type lockedLog struct {
	mu  sync.Mutex
	out strings.Builder
}

func (l *lockedLog) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.out.Write(p)
}

func (l *lockedLog) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.out.String()
}

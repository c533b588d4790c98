// SPDX-License-Identifier: MPL-2.0

package interop

import (
	"errors"
	"fmt"
	"maps"
	"net/rpc"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/reattach/reattach/test/interop/kit"
	"github.com/reattach/reattach/test/interop/peer/hostapi"
)

// shape is a plugin in the shape of one that exists in the field, or one that
// misbehaves, and what a host does with it.
type shape struct {
	reason string
	plugin hostapi.Plugin
	client hostapi.Client
	do     func(*shapeRun)
}

// shapeRun is one run of a shape with one pair of libraries.
type shapeRun struct {
	*observer

	pluginSide side
}

// TestShapes compares what every pair of libraries sees of plugins in the shape
// of well-known ones, and of plugins that misbehave, with what upstream sees.
func TestShapes(t *testing.T) {
	var text strings.Builder
	all := shapes()
	for _, name := range slices.Sorted(maps.Keys(all)) {
		s := all[name]
		t.Run(name, func(t *testing.T) {
			truth := runShape(t, pair{upstream, upstream}, s)
			for _, p := range pairs()[1:] {
				seen := runShape(t, p, s)
				if diff := cmp.Diff(truth, seen); diff != "" {
					t.Errorf("%s: %s sees something else than upstream's own (-upstream +this):\n%s", s.reason, p, diff)
				}
			}
			fmt.Fprintf(&text, "%-27s %d pairs, %2d checks each%s\n", name, len(pairs()), len(truth), refusalOf(truth))
		})
	}
	report(t, "plugins in the shape of the field's:\n"+text.String())
}

func runShape(t *testing.T, p pair, s shape) []check {
	t.Helper()
	r := &shapeRun{observer: &observer{t: t, host: startHost(t, p.host)}, pluginSide: p.plugin}
	r.starter = r.host
	spec := s.client
	spec.Name = "a"
	spec.Path = peers(t).plugin(p.plugin)
	spec.Env = append(spec.Env, s.plugin.Env())
	r.host.Must("New", spec, &hostapi.None{})
	s.do(r)
	r.host.Must("Kill", hostapi.Named{Name: "a"}, &hostapi.None{})
	return r.checks
}

// connect starts the plugin and dispenses the store. It reports success.
func (r *shapeRun) connect() bool {
	a := hostapi.Named{Name: "a"}
	if !r.note("start", "ok", r.host.Do("Start", a, &hostapi.Outcome{})) {
		return false
	}
	s := r.host.State("a")
	r.note("negotiated", fmt.Sprint(s.Version, s.Protocol), nil)
	if !r.note("connect", "ok", r.host.Do("Connect", a, &hostapi.Connection{})) {
		return false
	}
	return r.note("dispense", "ok", r.host.Do("Dispense", hostapi.Kind{Name: "a", Kind: "store"}, &hostapi.None{}))
}

// serves is the check that a session works.
func (r *shapeRun) serves() {
	if !r.connect() {
		return
	}
	r.note("put", "ok", r.host.Do("Put", hostapi.Entry{Name: "a", Key: "k", Value: []byte("v")}, &hostapi.None{}))
	var e hostapi.Entry
	err := r.host.Do("Get", hostapi.Entry{Name: "a", Key: "k"}, &e)
	r.note("get", string(e.Value), err)
}

// refusalOf returns how a plugin that does not come up is refused, on one line.
func refusalOf(checks []check) string {
	if checks[0].Name != "start" || checks[0].Got == "ok" {
		return ""
	}
	first, _, _ := strings.Cut(checks[0].Got, "\n")
	return fmt.Sprintf(": %.90s", first)
}

// notStarted is the check of a host that does not even start the plugin.
func (r *shapeRun) notStarted() {
	r.note("start", "ok", r.host.Do("Start", hostapi.Named{Name: "a"}, &hostapi.Outcome{}))
	r.note("exited", r.host.State("a").Exited, nil)
}

// startFails is the check of a plugin that does not come up.
func (r *shapeRun) startFails() {
	err := r.host.Do("Start", hostapi.Named{Name: "a"}, &hostapi.Outcome{})
	r.note("start", "ok", err)
	r.note("exited", kit.Within(kit.Patience, func() bool { return r.host.State("a").Exited }), nil)
}

func (r *shapeRun) streamsAndLoad() {
	if !r.connect() {
		return
	}
	var out hostapi.Outcome
	err := r.host.Do("List", hostapi.Count{Name: "a", Count: 20000}, &out)
	r.note("long stream", out.N, err)
	err = r.host.Do("Echo", hostapi.Count{Name: "a", Count: 500}, &out)
	r.note("long exchange", out.N, err)
}

func (r *shapeRun) largeMessage() {
	if !r.connect() {
		return
	}
	var out hostapi.Outcome
	err := r.host.Do("Blob", hostapi.Blob{Name: "a", Size: 64 << 20}, &out)
	r.note("64 MiB there and back", fmt.Sprint(out.N, out.Text), err)
}

func (r *shapeRun) callbackStorm() {
	if !r.connect() {
		return
	}
	for i := range 20 {
		var out hostapi.Outcome
		err := r.host.Do("UseCallback", hostapi.Count{Name: "a", Count: 50}, &out)
		r.note(fmt.Sprint("plugin calls host ", i), fmt.Sprint(out.N, out.Text), err)
		err = r.host.Do("OpenCallback", hostapi.Count{Name: "a", Count: int64(i)}, &out)
		r.note(fmt.Sprint("host calls plugin ", i), fmt.Sprint(out.N, out.Text), err)
	}
}

// panics lets the plugin panic during one call while another waits.
func (r *shapeRun) panics() {
	if !r.connect() {
		return
	}
	waiting := r.host.Send("Act", hostapi.Action{Name: "a", Do: "sleep", N: 60_000}, &hostapi.Outcome{})
	_, err := r.host.Act("a", "panic", "the plugin had enough", 0)
	r.note("error of the call that panicked", lostKind(err), nil)
	select {
	case <-waiting.Done:
		r.note("error of the call beside it", lostKind(waiting.Error), nil)
	case <-time.After(kit.Patience):
		r.note("error of the call beside it", "none: it hangs", nil)
	}
	r.note("exited", kit.Within(kit.Patience, func() bool { return r.host.State("a").Exited }), nil)
	logged := func() bool {
		return strings.Contains(strings.Join(r.host.Logs("a"), "\n"), "panic: the plugin had enough")
	}
	r.note("panic in the host's log", kit.Within(kit.Patience, logged), nil)
	for _, line := range r.host.Logs("a") {
		if strings.Contains(line, "panic: the plugin had enough") {
			r.note("level of the panic in the log", strings.Fields(line)[0], nil)
		}
	}
	_, err = r.host.Act("a", "report", "", 0)
	r.note("a call after the end fails", err != nil, nil)
}

// lostKind classifies the error of a call whose plugin vanished. Upstream's
// text depends on which of the two ends of the connection notices first, and
// the fork's says more, so only the class is compared.
func lostKind(err error) string {
	var remote rpc.ServerError
	switch {
	case err == nil:
		return "none"
	case !errors.As(err, &remote):
		return "of the test itself: " + err.Error()
	case strings.Contains(err.Error(), "the plugin had enough"):
		return "returned by the plugin"
	default:
		return "connection lost"
	}
}

// floodAfterServe prints 10 MiB while the host reads them.
func (r *shapeRun) floodAfterServe() {
	if !r.connect() {
		return
	}
	const size = 10 << 20
	out, err := r.host.Act("a", "flood", "", size)
	r.note("10 MiB printed during a call", out.N, err)
	r.note("all of it arrives", kit.Within(kit.Patience, func() bool { return r.host.Output("a").Bytes == size }), nil)
	got := r.host.Output("a")
	r.note("lines, missing, torn", fmt.Sprint(got.Lines, got.Missing, got.Torn), nil)
}

// killHard kills the plugin from outside.
func (r *shapeRun) killHard() {
	if !r.connect() {
		return
	}
	waiting := r.host.Send("Act", hostapi.Action{Name: "a", Do: "sleep", N: 60_000}, &hostapi.Outcome{})
	if err := syscall.Kill(r.host.Started("a"), syscall.SIGKILL); err != nil {
		r.t.Fatalf("kill the plugin: %v", err)
	}
	select {
	case <-waiting.Done:
		r.note("error of the call in flight", lostKind(waiting.Error), nil)
	case <-time.After(kit.Patience):
		r.note("error of the call in flight", "none: it hangs", nil)
	}
	r.note("exited", kit.Within(kit.Patience, func() bool { return r.host.State("a").Exited }), nil)
	r.note("context", kit.Within(kit.Patience, func() bool {
		s := r.host.State("a")
		return s.ContextDone || s.Protocol == "netrpc"
	}), nil)
}

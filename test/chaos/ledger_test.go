// SPDX-License-Identifier: MPL-2.0

package chaos

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/reattach/reattach/host/attach/so"
	"github.com/reattach/reattach/host/daemon"
	"github.com/reattach/reattach/test/chaos/caller"
	"github.com/reattach/reattach/test/chaos/counter"
)

// TestLedger compares what callers are told of their calls with what the plugin's
// processes have written into their ledger, while these are killed, ended, stopped,
// drained and restarted, and half of the methods panic at random. Over the network and
// in a shared object a panic costs its own caller an error and nobody anything else. A
// child ends by it, as every go-plugin child does: calls in flight are lost, and each
// that is idempotent is repeated on the next child.
func TestLedger(t *testing.T) {
	lasts := *duration / 2
	placements := map[string]func(*testing.T, string, time.Duration) *sheet{"network": ledgerOfNetwork, "child": ledgerOfChild}
	if so.Supported {
		buildShared(t)
		placements["shared object"] = ledgerOfShared
	}
	var all, wrong atomic.Int64
	t.Run("placement", func(t *testing.T) {
		for name, run := range placements {
			for _, protocol := range []string{"netrpc", "grpc"} {
				t.Run(name+" "+protocol, func(t *testing.T) {
					t.Parallel()
					b := run(t, protocol, lasts)
					all.Add(int64(b.all))
					wrong.Add(int64(b.wrongs))
				})
			}
		}
	})
	t.Logf("%d calls in all placements and protocols, %d told wrongly", all.Load(), wrong.Load())
}

// settled waits until the calls that are in flight now have ended: a call is repeated
// once, so it must not meet two misfortunes.
func settled(t *testing.T, c *caller.Callers) {
	t.Helper()
	before := c.Ended()
	eventually(t, patience, func() error {
		for n, ended := range c.Ended() {
			if ended == before[n] {
				return fmt.Errorf("call %d of caller %d has not ended", ended, n)
			}
		}
		return nil
	})
}

// total is how many calls have ended.
func total(c *caller.Callers) (n int) {
	for _, ended := range c.Ended() {
		n += int(ended)
	}
	return n
}

// served waits until so many more calls have ended.
func served(t *testing.T, c *caller.Callers, calls int) {
	t.Helper()
	before := total(c)
	eventually(t, 10*patience, func() error {
		if n := total(c) - before; n < calls {
			return fmt.Errorf("only %d of %d calls have ended", n, calls)
		}
		return nil
	})
}

func ledgerOfNetwork(t *testing.T, protocol string, lasts time.Duration) *sheet {
	log := logPath(t)
	s := &storm{t: t}
	for _, name := range []string{"a", "b", "c"} {
		s.replicas = append(s.replicas, startReplica(t, name, log, "REPLICA_PROTOCOL="+protocol))
	}
	o := options()
	o.Kinds, o.NetworkPlugins = caller.Kinds(protocol), addresses("counter", s.replicas)
	s.d = start(t, o)
	c, err := daemon.Dispense[counter.Counter](t.Context(), s.d, "counter", counter.Kind)
	if err != nil {
		t.Fatal(err)
	}
	load := caller.Start(c, caller.Load{Callers: callers, Panics: true, Prefix: "network"})
	began := time.Now()
	for step := 0; time.Since(began) < lasts || step < 4; step++ {
		switch step % 4 {
		case 0:
			s.endBy(syscall.SIGKILL, s.replicas)
		case 1:
			s.freezeOne()
		case 2:
			s.endBy(syscall.SIGTERM, s.replicas)
		case 3:
			s.endAll()
		}
		s.serving(s.replicas)
		settled(t, load)
	}
	calls := load.Stop()
	for _, r := range s.replicas {
		select {
		case <-r.ended:
			t.Errorf("replica %s is dead, and nobody has killed it", r.name)
		default:
			r.end(syscall.SIGTERM) // What it still runs is in the ledger then.
		}
	}
	b := balance(t, calls, executed(t, log))
	b.report(t, fmt.Sprintf("%d SIGKILL, %d SIGTERM, %d SIGSTOP", s.kills, s.terms, s.stops))
	if failed := b.calls("Get", caller.NotRun) + b.calls("Get", caller.MayRun) + b.calls("GetOrPanic", caller.NotRun) + b.calls("GetOrPanic", caller.MayRun); failed > 0 {
		t.Errorf("%d idempotent calls failed that another replica could have answered, such as %s", failed, b.example)
	}
	if b.calls("GetOrPanic", caller.Panicked) == 0 || b.calls("AddOrPanic", caller.Panicked) == 0 {
		t.Error("no method has panicked")
	}
	return b
}

// freezeOne holds one replica still for longer than some calls wait.
func (s *storm) freezeOne() {
	r := s.replicas[rand.IntN(len(s.replicas))]
	s.stops++
	r.signal(syscall.SIGSTOP)
	pause(time.Second)
	r.signal(syscall.SIGCONT)
}

// endAll leaves nobody to call for longer than some calls wait. Each replica gets to
// finish what it runs, so that no idempotent call is lost twice.
func (s *storm) endAll() {
	for _, r := range s.replicas {
		s.terms++
		r.end(syscall.SIGTERM)
	}
	pause(time.Second)
	for _, r := range s.replicas {
		r.start(s.t)
		s.restarts++
	}
}

func ledgerOfChild(t *testing.T, protocol string, lasts time.Duration) *sheet {
	log, dir := logPath(t), t.TempDir()
	install(t, "replica", dir, "counter.po")
	o := options()
	o.Kinds, o.PluginDir = caller.Kinds(protocol), dir
	o.ChildEnv = []string{"REPLICA_NAME=child", "REPLICA_LOG=" + log, "REPLICA_PROTOCOL=" + protocol}
	d := start(t, o)
	c, err := daemon.Dispense[counter.Counter](t.Context(), d, "counter", counter.Kind)
	if err != nil {
		t.Fatal(err)
	}
	load := caller.Start(c, caller.Load{Callers: callers, Prefix: "child"})
	var panics []caller.Call
	pid := 0
	// A child is started again ever later, so calls are counted as well as time: each has
	// its share of 50,000 in a minute.
	const lives = 6
	calls := max(0, int(duration.Seconds())-10) * 1000
	began := time.Now()
	for step := 0; time.Since(began) < lasts || step < 4 || total(load) < calls; step++ {
		eventually(t, patience, func() (err error) {
			now, err := childPid(d, "counter", pid)
			if err == nil {
				pid = now
			}
			return err
		})
		settled(t, load)
		served(t, load, calls/lives)
		switch step % 4 {
		case 0:
			_ = syscall.Kill(pid, syscall.SIGKILL)
		case 1:
			_ = syscall.Kill(pid, syscall.SIGTERM)
		case 2:
			_ = syscall.Kill(pid, syscall.SIGSTOP)
			pause(time.Second)
			_ = syscall.Kill(pid, syscall.SIGCONT)
			pid = 0 // It may live on.
		default:
			panics = append(panics, panicking(c, step)...)
		}
	}
	all := append(load.Stop(), panics...)
	eventually(t, patience, func() error { // What a stopped child still runs is in the ledger then.
		if p, _ := d.Plugin("counter"); !p.Ready {
			return errors.New("no child is ready")
		}
		return nil
	})
	b := balance(t, all, executed(t, log))
	b.report(t, "a child was killed, ended and stopped, and panicked")
	if b.calls("AddOrPanic", caller.MayRun) == 0 {
		t.Error("no child has panicked")
	}
	if b.calls("AddOrPanic", caller.Panicked) > 0 {
		t.Error("a child has survived a panic, as no go-plugin child does")
	}
	return b
}

// panicking calls a method until it has panicked, which ends the child.
func panicking(c counter.Counter, step int) (calls []caller.Call) {
	for n := 0; len(calls) == 0 || calls[len(calls)-1].Outcome == caller.Answered; n++ {
		id := fmt.Sprintf("panicking-%d-%d", step, n)
		_, err := c.AddOrPanic(id)
		calls = append(calls, caller.New(id, "AddOrPanic", err))
	}
	return calls
}

func ledgerOfShared(t *testing.T, protocol string, lasts time.Duration) *sheet {
	dir, log := t.TempDir(), logPath(t)
	install(t, "counter.so", dir, "counter.so")
	cmd := exec.CommandContext(t.Context(), filepath.Join(bin, "sohost"), "-dir", dir, "-protocol", protocol, "-for", lasts.String(), "-callers", fmt.Sprint(callers))
	cmd.Env = append(os.Environ(), "REPLICA_NAME=so", "REPLICA_LOG="+log, "REPLICA_PROTOCOL="+protocol)
	var out, said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &said
	if err := cmd.Run(); err != nil {
		t.Fatalf("the host of the shared object ended with %v\n%.2000s", err, said.String())
	}
	var calls []caller.Call
	for lines := json.NewDecoder(&out); ; {
		var call caller.Call
		err := lines.Decode(&call)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		calls = append(calls, call)
	}
	b := balance(t, calls, executed(t, log))
	b.report(t, "daemons ended under their callers, in the process that runs the methods")
	if b.calls("GetOrPanic", caller.Panicked) == 0 || b.calls("AddOrPanic", caller.Panicked) == 0 {
		t.Error("no method has panicked")
	}
	return b
}

// sheet is what callers were told, beside what was run.
type sheet struct {
	count   map[string]int // by method and outcome
	all     int
	wrong   []string
	wrongs  int
	example string // of an idempotent call that failed
}

// balance compares what callers were told with how often each call was run.
func balance(t *testing.T, calls []caller.Call, ran map[string]int) *sheet {
	t.Helper()
	if len(calls) == 0 {
		t.Fatal("nobody has called")
	}
	b := &sheet{count: make(map[string]int), all: len(calls)}
	for _, call := range calls {
		b.count[call.Method+" "+string(call.Outcome)]++
		idempotent := strings.HasPrefix(call.Method, "Get")
		times := ran[call.ID]
		switch {
		case call.Outcome == caller.Other:
			b.blame(call, times, "nobody's error")
		case call.Outcome == caller.NotRun && times > 0:
			b.blame(call, times, "it was said not to have run")
		case (call.Outcome == caller.Answered || call.Outcome == caller.Panicked) && times == 0:
			b.blame(call, times, "it was answered")
		case !idempotent && times > 1:
			b.blame(call, times, "it must not be repeated")
		case idempotent && times > 2:
			b.blame(call, times, "it may be repeated once")
		}
		if idempotent && (call.Outcome == caller.NotRun || call.Outcome == caller.MayRun) {
			b.example = call.Text
		}
	}
	return b
}

func (b *sheet) blame(call caller.Call, times int, why string) {
	b.wrongs++
	if len(b.wrong) < 10 {
		b.wrong = append(b.wrong, fmt.Sprintf("%s %s: %s, and it ran %d times: %s %s", call.Method, call.ID, why, times, call.Outcome, call.Text))
	}
}

func (b *sheet) calls(method string, outcome caller.Outcome) int {
	return b.count[method+" "+string(outcome)]
}

// report prints the table, and fails the test for whatever does not fit.
func (b *sheet) report(t *testing.T, what string) {
	t.Helper()
	outcomes := []caller.Outcome{caller.Answered, caller.Panicked, caller.NotRun, caller.MayRun}
	rows := []string{what, "| calls      |  answered |  panicked |   not run |  may have |", "|------------|----------:|----------:|----------:|----------:|"}
	for _, method := range []string{"Get", "Add", "GetOrPanic", "AddOrPanic"} {
		row := fmt.Sprintf("| %-10s |", method)
		for _, o := range outcomes {
			row += fmt.Sprintf(" %9d |", b.calls(method, o))
		}
		rows = append(rows, row)
	}
	t.Logf("\n%s\n%d calls, %d told wrongly", strings.Join(rows, "\n"), b.all, b.wrongs)
	for _, w := range b.wrong {
		t.Error(w)
	}
}

// SPDX-License-Identifier: MPL-2.0

package dialertest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/go-plugin"

	"github.com/reattach/reattach/commons"
	"github.com/reattach/reattach/host/attach/dialertest/served"
	"github.com/reattach/reattach/host/conn"
	"github.com/reattach/reattach/test/kit"
)

// session looks at everything that a session says while it lives.
func (s suite) session(t *testing.T) {
	session := s.dial(t, s.Endpoint(t))
	s.info(t, session)
	greet := greeter(t, session)
	if got, err := greet("Ada"); got != "Hello Ada" || err != nil {
		t.Errorf("Greet = %q, %v", got, err)
	}
	_, err := greet(served.Fail)
	if err == nil || !strings.HasSuffix(err.Error(), served.FailText) || errors.Is(err, plugin.ErrConnectionLost) {
		t.Errorf("the plugin's own error came as %v, want %q and not as a lost connection", err, served.FailText)
	}
	if err := session.Ping(t.Context()); err != nil {
		t.Errorf("ping: %v", err)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if err := session.Ping(ended); err == nil {
		t.Error("a ping whose context has ended was answered")
	}
	if !isOpen(session.Done()) || !isOpen(session.Draining()) || session.Err() != nil {
		t.Errorf("done %v, draining %v, error %v; want a session that lives",
			!isOpen(session.Done()), !isOpen(session.Draining()), session.Err())
	}
	s.oneProtocol(t, session)
}

func (s suite) info(t *testing.T, session conn.Session) {
	info := session.Info()
	if info.Protocol != string(s.contract.Protocols[0]) {
		t.Errorf("protocol %q, want %q", info.Protocol, s.contract.Protocols[0])
	}
	if _, ok := s.contract.Versions[info.Version]; !ok {
		t.Errorf("version %d was not offered", info.Version)
	}
	if info.Build == "" {
		t.Error("nothing is known of the plugin's build")
	}
	if info.Instance == "" {
		t.Error("nothing tells this run of the plugin from the next")
	}
	if !s.Describes {
		return
	}
	var kinds []string
	for _, k := range info.Kinds {
		kinds = append(kinds, k.Name)
	}
	if diff := cmp.Diff([]string{commons.GreeterKind, commons.PingPongerKind}, kinds); diff != "" {
		t.Errorf("kinds (-want +got)\n%s", diff)
	}
	if len(info.Kinds) == 2 && len(info.Kinds[0].Methods) != 2 {
		t.Errorf("methods of the greeter: %v, want Greet and Hi", info.Kinds[0].Methods)
	}
	if info.Name == "" {
		t.Error("the plugin's name is unknown")
	}
}

// oneProtocol asks for the protocol that the session does not speak.
func (s suite) oneProtocol(t *testing.T, session conn.Session) {
	if s.contract.Protocols[0] == plugin.ProtocolNetRPC {
		if other, ok := session.(served.GRPCSession); ok {
			if _, ok := other.ClientConn(); ok {
				t.Error("a net/rpc session gives a gRPC connection")
			}
		}
		if _, err := session.(served.RPCSession).OpenRPC("nobody"); err == nil || !strings.Contains(err.Error(), "unknown plugin type") {
			t.Errorf("open a kind that is not served: %v", err)
		}
		return
	}
	if other, ok := session.(served.RPCSession); ok {
		if _, err := other.OpenRPC(commons.GreeterKind); err == nil || !strings.Contains(err.Error(), "net/rpc") {
			t.Errorf("open net/rpc on a gRPC session: %v", err)
		}
	}
}

func (s suite) concurrent(t *testing.T) {
	const callers, calls = 16, 25
	session := s.dial(t, s.Endpoint(t))
	shared := greeter(t, session)
	errs := make(chan error, callers)
	for caller := range callers {
		go func() {
			for i := range calls {
				name := fmt.Sprintf("%d-%d", caller, i)
				if got, err := shared(name); err != nil || got != "Hello "+name {
					errs <- fmt.Errorf("Greet(%s) = %q, %w", name, got, err)
					return
				}
			}
			errs <- nil
		}()
	}
	for range callers {
		if err := <-errs; err != nil {
			t.Error(err)
		}
	}
}

// twoSessions holds that sessions do not disturb each other.
func (s suite) twoSessions(t *testing.T) {
	dialer, e := s.Dialer(t, s.contract), s.Endpoint(t)
	first, second := dialWith(t, dialer, e), dialWith(t, dialer, e)
	if first == second {
		t.Error("two dials gave one session")
	}
	if _, err := greeter(t, first)("Ada"); err != nil {
		t.Error(err)
	}
	greet := greeter(t, second)
	if err := first.Close(); err != nil {
		t.Error(err)
	}
	if got, err := greet("Bob"); got != "Hello Bob" || err != nil {
		t.Errorf("after the other session was closed: %q, %v", got, err)
	}
	if err := second.Ping(t.Context()); err != nil {
		t.Error(err)
	}
}

func (s suite) close(t *testing.T) {
	session := s.dial(t, s.Endpoint(t))
	greet := greeter(t, session)
	pid, err := greet(served.PID)
	if err != nil {
		t.Fatal(err)
	}
	var closers sync.WaitGroup
	for range 3 {
		closers.Go(func() {
			if err := session.Close(); err != nil {
				t.Errorf("close: %v", err)
			}
		})
	}
	closers.Wait()
	if isOpen(session.Done()) || !errors.Is(session.Err(), plugin.ErrDetached) {
		t.Errorf("after Close: done %v, error %v, want ErrDetached", !isOpen(session.Done()), session.Err())
	}
	if _, err := greet("Ada"); err == nil {
		t.Error("a closed session answers")
	}
	if err := session.Ping(t.Context()); err == nil {
		t.Error("a closed session answers a ping")
	}
	if _, err := session.(served.RPCSession).OpenRPC(commons.GreeterKind); err == nil {
		t.Error("a closed session opens a stream")
	}
	if alive := processExists(t, pid); alive == s.Stops {
		t.Errorf("the plugin's process is there: %v, want %v", alive, !s.Stops)
	}
}

func (s suite) killed(t *testing.T) {
	if !s.OwnProcess {
		t.Skip("the plugin lives and dies with this process")
	}
	session := s.dial(t, s.Endpoint(t))
	greet := greeter(t, session)
	pid, err := greet(served.PID)
	if err != nil {
		t.Fatal(err)
	}
	held := make(chan error, 1)
	go func() {
		_, err := greet(served.Hold)
		held <- err
	}()
	if err := process(t, pid).Kill(); err != nil {
		t.Fatal(err)
	}
	within(t, "the session notices that the plugin was killed", session.Done())
	if err := session.Err(); !errors.Is(err, plugin.ErrConnectionLost) {
		t.Errorf("the session ended with %v, want ErrConnectionLost", err)
	}
	if err := <-held; err == nil {
		t.Error("a call in flight was answered by a process that was killed")
	}
	if err := session.Ping(t.Context()); err == nil {
		t.Error("a lost session answers a ping")
	}
	if err := session.Close(); err != nil {
		t.Errorf("close a lost session: %v", err)
	}
	if err := session.Err(); !errors.Is(err, plugin.ErrConnectionLost) {
		t.Errorf("closing changed the reason to %v", err)
	}
	// The next part may get an endpoint at the same place.
	kit.Until(t, patience, "the process has ended", func() bool { return !processExists(t, pid) })
}

func process(t *testing.T, pid string) *os.Process {
	t.Helper()
	number, err := strconv.Atoi(pid)
	if err != nil {
		t.Fatal(err)
	}
	p, err := os.FindProcess(number) // It need not exist.
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// processExists asks by signal 0, which is checked and not delivered.
func processExists(t *testing.T, pid string) bool {
	t.Helper()
	return process(t, pid).Signal(syscall.Signal(0)) == nil
}

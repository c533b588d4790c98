// SPDX-License-Identifier: MPL-2.0

//go:build go1.25

package plugin_test

import (
	"context"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/go-plugin"
)

// answering makes a session whose plugin has run a call and takes its time to
// send the answer. done gets the call's error. It belongs into synctest.
func answering(t *testing.T) (host *plugin.HostSession, session *plugin.Session, conn net.Conn, done <-chan error) {
	t.Cleanup(func() { time.Sleep(time.Minute) }) // slowConn
	here, there := net.Pipe()
	impl := newEchoImpl()
	host = muxPlugin(t, there, &echoPlugin{impl})
	session = muxHost(t, slowConn{here}, nil)
	stub := dispenseEcho(t, session)
	answered := make(chan error, 1)
	go func() {
		_, err := stub.Echo(strings.Repeat("x", 1<<20))
		answered <- err
	}()
	for impl.calls.Load() == 0 {
		time.Sleep(time.Millisecond)
	}
	return host, session, here, answered
}

// A plugin that leaves has sent its answers.
func TestMuxDrainSendsAnswers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		host, session, _, done := answering(t)
		cut := make(chan int, 1)
		go func() {
			ctx, cancel := context.WithTimeout(context.Background(), time.Hour)
			defer cancel()
			cut <- host.Drain(ctx)
		}()
		if err := <-done; err != nil {
			t.Errorf("the call that was under way: %v", err)
		}
		<-session.Draining()
		if n := <-cut; n != 0 {
			t.Errorf("%d calls were cut off", n)
		}
		<-session.Done()
	})
}

// A drain that cannot send an answer in time says so.
func TestMuxDrainGivesUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		host, _, _, done := answering(t)
		ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
		defer cancel()
		if n := host.Drain(ctx); n != 1 {
			t.Errorf("%d calls were cut off, want 1", n)
		}
		if err := <-done; err == nil || !strings.Contains(err.Error(), plugin.ErrConnectionLost.Error()) {
			t.Errorf("the call that was cut off: %v", err)
		}
	})
}

// A host that has gone is owed nothing.
func TestMuxDrainOfHostThatGoes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		host, _, here, _ := answering(t)
		time.AfterFunc(2*time.Second, func() { _ = here.Close() })
		if n := host.Drain(t.Context()); n != 0 {
			t.Errorf("%d calls were cut off", n)
		}
	})
}

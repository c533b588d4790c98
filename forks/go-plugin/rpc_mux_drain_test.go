// SPDX-License-Identifier: MPL-2.0

package plugin

import (
	"context"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// A plugin that leaves has sent its answers.
func TestMuxDrainSendsAnswers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		t.Cleanup(func() { time.Sleep(time.Minute) }) // slowConn
		here, there := net.Pipe()
		impl := newEchoImpl()
		host := muxPlugin(t, there, &echoPlugin{impl})
		session := muxHost(t, slowConn{here}, nil)
		stub := dispenseEcho(t, session)
		text := strings.Repeat("x", 1<<20)
		done := make(chan error, 1)
		go func() {
			_, err := stub.Echo(text)
			done <- err
		}()
		for impl.calls.Load() == 0 {
			time.Sleep(time.Millisecond)
		}
		cut := make(chan int, 1)
		go func() {
			ctx, cancel := context.WithTimeout(context.Background(), time.Hour)
			defer cancel()
			cut <- host.drain(ctx)
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
		t.Cleanup(func() { time.Sleep(time.Minute) }) // slowConn
		here, there := net.Pipe()
		impl := newEchoImpl()
		host := muxPlugin(t, there, &echoPlugin{impl})
		session := muxHost(t, slowConn{here}, nil)
		stub := dispenseEcho(t, session)
		done := make(chan error, 1)
		go func() {
			_, err := stub.Echo(strings.Repeat("x", 1<<20))
			done <- err
		}()
		for impl.calls.Load() == 0 {
			time.Sleep(time.Millisecond)
		}
		ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
		defer cancel()
		if n := host.drain(ctx); n != 1 {
			t.Errorf("%d calls were cut off, want 1", n)
		}
		if err := <-done; err == nil || !strings.Contains(err.Error(), ErrConnectionLost.Error()) {
			t.Errorf("the call that was cut off: %v", err)
		}
	})
}

// A host that has gone is owed nothing.
func TestMuxDrainOfHostThatGoes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		t.Cleanup(func() { time.Sleep(time.Minute) }) // slowConn
		here, there := net.Pipe()
		impl := newEchoImpl()
		host := muxPlugin(t, there, &echoPlugin{impl})
		session := muxHost(t, slowConn{here}, nil)
		stub := dispenseEcho(t, session)
		go func() { _, _ = stub.Echo(strings.Repeat("x", 1<<20)) }()
		for impl.calls.Load() == 0 {
			time.Sleep(time.Millisecond)
		}
		time.AfterFunc(2*time.Second, func() { _ = here.Close() })
		if n := host.drain(t.Context()); n != 0 {
			t.Errorf("%d calls were cut off", n)
		}
	})
}

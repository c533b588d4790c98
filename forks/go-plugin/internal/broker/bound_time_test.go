// SPDX-License-Identifier: MPL-2.0

//go:build go1.25

package broker

import (
	"crypto/tls"
	"errors"
	"io"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/go-plugin/internal/pluginpb"
	"github.com/hashicorp/go-plugin/internal/rendezvous"
)

func TestNobodyAnnounces(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := New(testConfig(Listeners(ListenerConfig{})))
		defer b.Close()
		start := time.Now()
		_, err := b.Dial(815, nil)
		if err == nil || !strings.Contains(err.Error(), "815") || !strings.Contains(err.Error(), "announce") {
			t.Errorf("Dial = %v, want an error naming id 815", err)
		}
		if waited := time.Since(start); waited != rendezvous.Wait {
			t.Errorf("gave up after %v, want %v", waited, rendezvous.Wait)
		}
	})
}

// busyTransport works on each message until the broker is closed.
type busyTransport struct {
	transport
	b        *Broker
	received atomic.Int64
}

func (a *busyTransport) receive(message) {
	a.received.Add(1)
	a.b.answer(func() { <-a.b.ctx.Done() })
}

func newBusyBroker() (*Broker, *busyTransport) {
	busy := &busyTransport{}
	busy.b = New(testConfig(func(*Broker) transport { return busy }))
	return busy.b, busy
}

func TestSoManyKnocksAreAnswered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, busy := newBusyBroker()
		left := 3 * maxAnswers
		ended := make(chan error, 1)
		go func() {
			ended <- b.ServeLink(&script{next: func() message {
				if left--; left < 0 {
					return nil
				}
				return knockMessage(1, &pluginpb.ConnInfo_Knock{})
			}})
		}()
		synctest.Wait()
		if got := busy.received.Load(); got != maxAnswers+1 { // the last one waits
			t.Errorf("%d messages were read, want %d", got, maxAnswers+1)
		}
		b.Close()
		if err := <-ended; !errors.Is(err, io.EOF) {
			t.Errorf("the link ended with %v", err)
		}
	})
}

func TestLargeMessagesAreDropped(t *testing.T) {
	b, busy := newBusyBroker()
	defer b.Close()
	messages := []message{
		{ServiceId: 1, Address: strings.Repeat("x", maxMessage)},
		{ServiceId: 2, Address: strings.Repeat("x", maxMessage/2)},
		knockMessage(3, &pluginpb.ConnInfo_Knock{Error: strings.Repeat("x", maxMessage)}),
	}
	_ = b.ServeLink(&script{next: func() (msg message) {
		if len(messages) > 0 {
			msg, messages = messages[0], messages[1:]
		}
		return msg
	}})
	if got := busy.received.Load(); got != 1 {
		t.Errorf("%d messages were acted on, want the one that is not too large", got)
	}
}

// What is dialled at an id that is accepted and never served is bounded, and the rest is
// refused at once.
func TestAcceptedAndNeverServed(t *testing.T) {
	host, plugin := streamPair(t, time.Minute)
	lis, err := host.Accept(4711)
	if err != nil {
		t.Fatal(err)
	}
	defer lis.Close()
	taken, refused := 0, false
	for taken < 2*1024 && !refused {
		conn, err := connection(t.Context(), plugin, 4711)
		if err != nil {
			if !strings.Contains(err.Error(), "4711: 1024 connections wait") {
				t.Errorf("the dial fails with %v", err)
			}
			refused = true
			continue
		}
		defer conn.Close()
		taken++
	}
	// The plugin may learn that one was taken before it is in the queue.
	if taken < 1024 || !refused {
		t.Errorf("%d connections were taken, then one refused: %v; want some 1024, then a refusal", taken, refused)
	}
}

// Whoever dials an id and says nothing, where TLS is spoken, holds a connection for as long as
// the broker has patience with the other side: a group, and a bridge, outlive its session.
func TestSilenceBeforeTLS(t *testing.T) {
	cfg := testConfig(Listeners(ListenerConfig{}))
	cfg.TLS = &tls.Config{}
	for name, takes := range map[string]func(b *Broker, conn net.Conn){
		"group": func(b *Broker, conn net.Conn) {
			lis, err := NewGroup().accept(t.Context(), 1)
			if err != nil {
				t.Error(err)
				return
			}
			defer lis.Close()
			lis.(*groupListener).admit(b, conn)
		},
		"bridge": func(b *Broker, conn net.Conn) {
			bridge := NewBridge()
			defer bridge.Close()
			if err := bridge.join(newReach(b, 1), conn, b); err == nil {
				t.Error("it is joined")
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := New(cfg)
				defer b.Close()
				silent, conn := net.Pipe()
				defer silent.Close()
				start, took := time.Now(), make(chan time.Duration, 1)
				go func() {
					takes(b, conn)
					took <- time.Since(start)
				}()
				time.Sleep(time.Hour)
				_ = silent.Close()
				if waited := <-took; waited != rendezvous.Wait {
					t.Errorf("it was waited for for %v, want %v", waited, rendezvous.Wait)
				}
			})
		})
	}
}

// A bridge offers an id for as long as its broker has patience with a side that never speaks,
// and no longer: the id makes room for another one.
func TestBridgeGivesUpWithoutLink(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		mute := New(testConfig(Listeners(ListenerConfig{})))
		defer mute.Close()
		bridge := NewBridge()
		defer bridge.Close()
		start := time.Now()
		bridge.Offer(1, mute, mute)
		bridge.work.Wait()
		if waited := time.Since(start); waited != rendezvous.Wait || bridge.open != 0 {
			t.Errorf("%d ids are open after %v, want none after %v", bridge.open, waited, rendezvous.Wait)
		}
	})
}

// SPDX-License-Identifier: MPL-2.0

package plugin

import (
	"errors"
	"io"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/hashicorp/go-hclog"

	"github.com/hashicorp/go-plugin/internal/pluginpb"
)

// linkOf is a link on which the other side sends what next gives until that is nil.
type linkOf struct{ next func() *pluginpb.ConnInfo }

func (*linkOf) Send(*pluginpb.ConnInfo) error { return nil }

func (l *linkOf) Recv() (*pluginpb.ConnInfo, error) {
	if msg := l.next(); msg != nil {
		return msg, nil
	}
	return nil, io.EOF
}

// knockTaker is a transport that works on each message until the broker is closed.
type knockTaker struct {
	brokerTransport
	core     *brokerCore
	received atomic.Int64
}

func (a *knockTaker) receive(*pluginpb.ConnInfo) {
	a.received.Add(1)
	a.core.answer(func() { <-a.core.ctx.Done() })
}

func (a *knockTaker) close() {}

func TestBrokerAnswersSoManyKnocks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		core := newBrokerCore(hclog.NewNullLogger())
		transport := &knockTaker{core: core}
		b := newGRPCBroker(core, transport, nil)
		left := 3 * maxAnswers
		ended := make(chan error, 1)
		go func() {
			ended <- b.serveLink(&linkOf{func() *pluginpb.ConnInfo {
				if left--; left < 0 {
					return nil
				}
				return knockMessage(1, &pluginpb.ConnInfo_Knock{})
			}})
		}()
		synctest.Wait()
		if got := transport.received.Load(); got != maxAnswers+1 { // the last one waits
			t.Errorf("%d messages were read, want %d", got, maxAnswers+1)
		}
		_ = b.Close()
		if err := <-ended; !errors.Is(err, io.EOF) {
			t.Errorf("the link ended with %v", err)
		}
	})
}

func TestBrokerDropsLargeMessages(t *testing.T) {
	core := newBrokerCore(hclog.NewNullLogger())
	transport := &knockTaker{core: core}
	b := newGRPCBroker(core, transport, nil)
	defer b.Close()
	messages := []*pluginpb.ConnInfo{
		{ServiceId: 1, Address: strings.Repeat("x", maxConnInfo)},
		{ServiceId: 2, Address: strings.Repeat("x", maxConnInfo/2)},
		knockMessage(3, &pluginpb.ConnInfo_Knock{Error: strings.Repeat("x", maxConnInfo)}),
	}
	_ = b.serveLink(&linkOf{func() (msg *pluginpb.ConnInfo) {
		if len(messages) > 0 {
			msg, messages = messages[0], messages[1:]
		}
		return msg
	}})
	if got := transport.received.Load(); got != 1 {
		t.Errorf("%d messages were acted on, want the one that is not too large", got)
	}
}

// What is dialled at an id that is accepted and never served is bounded, and the rest is
// refused at once.
func TestBrokerAcceptedAndNeverServed(t *testing.T) {
	p := newGRPCPair(t, pairOptions{brokers: brokerTunnel})
	lis, err := p.client.broker.Accept(4711)
	if err != nil {
		t.Fatal(err)
	}
	defer lis.Close()
	dialer, err := p.service.broker.transport.dialer(t.Context(), 4711)
	if err != nil {
		t.Fatal(err)
	}
	taken, refused := 0, false
	for taken < 2*1024 && !refused {
		conn, err := dialer.dial(t.Context())
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

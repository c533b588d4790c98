// SPDX-License-Identifier: MPL-2.0

package rpcmux

import (
	"bytes"
	"context"
	"errors"
	"net"
	"strings"
	"sync"
	"testing"
)

// printer is the output of a plugin.
type printer struct {
	chunks  chan outputChunk
	stopped chan struct{}
	stop    sync.Once
}

func newPrinter() *printer {
	return &printer{chunks: make(chan outputChunk), stopped: make(chan struct{})}
}

var errNoMore = errors.New("no more")

func (p *printer) subscribe() Output { return p }

func (p *printer) Next() (bool, []byte, error) {
	select {
	case c, ok := <-p.chunks:
		if !ok {
			return false, nil, errNoMore
		}
		return c.stderr, c.data, nil
	case <-p.stopped:
		return false, nil, errNoMore
	}
}

func (p *printer) Finish(context.Context) { p.Close() }

func (p *printer) Close() { p.stop.Do(func() { close(p.stopped) }) }

// Output comes in order and whole, however long it is at once.
func TestOutput(t *testing.T) {
	onEach(t, func(t *testing.T, here, there net.Conn) {
		print := newPrinter()
		p := newPair(t, here, there, HostConfig{}, PluginConfig{Subscribe: print.subscribe})
		mustCall := p.client(newThing())
		var got [2]bytes.Buffer
		all := make(chan struct{})
		received := make(chan struct{})
		go func() {
			defer close(received)
			p.host.ReceiveOutput(func(stderr bool, data []byte) {
				if stderr {
					got[1].Write(data)
				} else {
					got[0].Write(data)
				}
				if strings.HasSuffix(string(data), "the end") {
					close(all)
				}
			})()
		}()
		long := strings.Repeat("0123456789", maxOutput/4)
		for _, c := range []outputChunk{{data: []byte("hello ")}, {true, []byte(long)}, {}, {data: []byte("the end")}} {
			print.chunks <- c
			mustUpper(t, mustCall)
		}
		<-all
		p.end()
		<-received
		if got[0].String() != "hello the end" || got[1].String() != long {
			t.Errorf("got %q and %d bytes of stderr", got[0].String(), got[1].Len())
		}
	})
}

// What had come before the end of the session is not lost.
func TestLastOutput(t *testing.T) {
	for range 50 { // The receiver sees one or the other first.
		here, there := net.Pipe()
		h := NewHost(here, HostConfig{})
		ended := readOn(h.Channel(0))
		got := make(chan string, 1)
		received := make(chan struct{})
		go func() {
			defer close(received)
			h.ReceiveOutput(func(_ bool, data []byte) { got <- string(data) })()
		}()
		plugin := newRawPeer(t, there)
		plugin.next()
		plugin.write(rawMessage(output, "last", stdoutOutput))
		_ = there.Close()
		<-ended
		<-received
		select {
		case text := <-got:
			if text != "last" {
				t.Errorf("got %q", text)
			}
		default:
			t.Fatal("the last output was lost")
		}
	}
}

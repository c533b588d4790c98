// SPDX-License-Identifier: MPL-2.0

package mux

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"sync"
	"testing"

	"github.com/hashicorp/go-plugin/internal/stdio"
)

// printer is the output of a plugin.
type printer struct {
	chunks  chan stdio.Chunk
	stopped chan struct{}
	stop    sync.Once
}

func newPrinter() *printer {
	return &printer{chunks: make(chan stdio.Chunk), stopped: make(chan struct{})}
}

var errNoMore = errors.New("no more")

func (p *printer) subscribe() Output { return p }

func (p *printer) Next(context.Context) (stdio.Chunk, error) {
	select {
	case c, ok := <-p.chunks:
		if !ok {
			return stdio.Chunk{}, errNoMore
		}
		return c, nil
	case <-p.stopped:
		return stdio.Chunk{}, errNoMore
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
			p.host.ReceiveOutput(func(c stdio.Chunk) {
				got[c.Channel-stdio.Stdout].Write(c.Data)
				if strings.HasSuffix(string(c.Data), "the end") {
					close(all)
				}
			})()
		}()
		long := strings.Repeat("0123456789", maxOutput/4)
		for _, c := range []stdio.Chunk{{Channel: stdio.Stdout, Data: []byte("hello ")}, {Channel: stdio.Stderr, Data: []byte(long)}, {}, {Channel: stdio.Stdout, Data: []byte("the end")}} {
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
			h.ReceiveOutput(func(c stdio.Chunk) { got <- string(c.Data) })()
		}()
		plugin := newRawPeer(t, there)
		plugin.next()
		plugin.write(rawMessage(kindData, "\x00\x00\x00\x05\x01last", 2))
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

// What is no output ends the output, and not the session.
func TestMalformedOutput(t *testing.T) {
	for name, data := range map[string]string{
		"no channel": "\x00\x00\x00\x00",
		"too long":   "\x00\x01\x00\x02\x01",
		"cut off":    "\x00\x00\x00",
	} {
		t.Run(name, func(t *testing.T) {
			here, there := net.Pipe()
			h := NewHost(here, HostConfig{})
			ended := readOn(h.Channel(0))
			received := make(chan struct{})
			go func() {
				defer close(received)
				h.ReceiveOutput(func(c stdio.Chunk) { t.Errorf("got %v", c) })()
			}()
			plugin := newRawPeer(t, there)
			plugin.next()
			plugin.write(append(rawMessage(kindData, data, 2), rawMessage(kindEnd, "", 2)...))
			<-received
			if err := h.Err(); err != nil {
				t.Error(err)
			}
			go func() { _ = h.Close() }()
			_, _ = io.Copy(io.Discard, there)
			<-ended
		})
	}
}

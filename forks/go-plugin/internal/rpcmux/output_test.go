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
	"testing/synctest"
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

// A host that is slow with the output holds up its output, and nothing else.
func TestSlowOutput(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		here, there := net.Pipe()
		print := newPrinter()
		p := newPair(t, here, there, HostConfig{}, PluginConfig{Subscribe: print.subscribe})
		client := p.client(newThing())
		taken, release := make(chan string), make(chan struct{})
		received := make(chan struct{})
		go func() {
			defer close(received)
			p.host.ReceiveOutput(func(_ bool, data []byte) {
				taken <- string(data)
				<-release
			})()
		}()
		printed := make(chan struct{})
		go func() {
			defer close(printed)
			for _, text := range []string{"a", "b", "c", "d"} {
				print.chunks <- outputChunk{data: []byte(text)}
			}
		}()
		for _, want := range []string{"a", "b", "c", "d"} {
			if got := <-taken; got != want {
				t.Errorf("got %q, want %q", got, want)
			}
			synctest.Wait()
			if n := len(p.host.outputs); n != 0 {
				t.Errorf("%d messages came without a credit", n)
			}
			mustUpper(t, client)
			release <- struct{}{}
		}
		<-printed
		p.end()
		<-received
	})
}

// The output ends with the session, whatever it waits for.
func TestOutputEnds(t *testing.T) {
	for name, test := range map[string]struct {
		prepare func(print *printer)
		credit  bool
	}{
		"waits for output": {func(*printer) {}, true},
		"waits for a credit": {func(p *printer) {
			p.chunks <- outputChunk{data: []byte("a")}
			p.chunks <- outputChunk{data: []byte("b")}
		}, true},
		"has ended before":    {func(p *printer) { close(p.chunks) }, true},
		"was never asked for": {func(*printer) {}, false},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				here, there := net.Pipe()
				print := newPrinter()
				host, p := rawHost(t, here, there, PluginConfig{Subscribe: print.subscribe}, newThing())
				read := make(chan struct{})
				go func() {
					defer close(read)
					for host.in.next(&message{}) == nil {
					}
				}()
				if test.credit {
					host.write(rawMessage(credit, ""))
					host.write(rawMessage(credit, "")) // as good as one
				}
				test.prepare(print)
				synctest.Wait()
				_ = here.Close()
				<-p.Done()
				<-read
				synctest.Wait()
				select {
				case <-print.stopped:
				default:
					if test.credit {
						t.Error("the subscription was not ended")
					}
				}
			})
		})
	}
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

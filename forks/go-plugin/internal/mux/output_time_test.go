// SPDX-License-Identifier: MPL-2.0

//go:build go1.25

package mux

import (
	"net"
	"testing"
	"testing/synctest"

	"github.com/hashicorp/go-plugin/internal/stdio"
)

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
			p.host.ReceiveOutput(func(c stdio.Chunk) {
				taken <- string(c.Data)
				<-release
			})()
		}()
		printed := make(chan struct{})
		go func() {
			defer close(printed)
			for _, text := range []string{"a", "b", "c", "d"} {
				print.chunks <- stdio.Chunk{Channel: stdio.Stdout, Data: []byte(text)}
			}
		}()
		for _, want := range []string{"a", "b", "c", "d"} {
			if got := <-taken; got != want {
				t.Errorf("got %q, want %q", got, want)
			}
			synctest.Wait()
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
			p.chunks <- stdio.Chunk{Channel: stdio.Stdout, Data: make([]byte, streamWindow)}
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
					host.write(rawMessage(kindStream, "\x02", 2))
					host.write(rawMessage(kindStream, "\x02", 4)) // is refused
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

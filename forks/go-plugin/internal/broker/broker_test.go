// SPDX-License-Identifier: MPL-2.0

package broker

import (
	"context"
	"errors"
	"io"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"

	"github.com/hashicorp/go-plugin/internal/mux"
)

// TestConnections writes a byte each way, whichever side accepts.
func TestConnections(t *testing.T) {
	for name, connect := range pairs {
		host, plugin := connect(t, time.Minute)
		for side, b := range map[string]struct{ accepts, dials *Broker }{
			"plugin dials": {host, plugin},
			"host dials":   {plugin, host},
		} {
			t.Run(name+", "+side, func(t *testing.T) {
				id := b.accepts.NextID()
				lis, err := b.accepts.Accept(id)
				if err != nil {
					t.Fatal(err)
				}
				defer lis.Close()
				dialled, err := connection(t.Context(), b.dials, id)
				if err != nil {
					t.Fatal(err)
				}
				defer dialled.Close()
				accepted, err := lis.Accept()
				if err != nil {
					t.Fatal(err)
				}
				defer accepted.Close()
				for _, ends := range [][2]net.Conn{{dialled, accepted}, {accepted, dialled}} {
					if _, err := ends[0].Write([]byte("x")); err != nil {
						t.Error(err)
					}
					if _, err := io.ReadFull(ends[1], make([]byte, 1)); err != nil {
						t.Error(err)
					}
				}
			})
		}
	}
}

func TestNobodyAccepts(t *testing.T) {
	// A dial lasts twice as long, in which the other side's answer has to come.
	const wait = 250 * time.Millisecond
	host, plugin := streamPair(t, wait)
	for side, b := range map[string]*Broker{"host": host, "plugin": plugin} {
		_, err := b.Dial(71, nil)
		if err == nil || !strings.Contains(err.Error(), "dial broker id 71") || !strings.Contains(err.Error(), "nobody accepts broker id 71") {
			t.Errorf("Dial of the %s = %v, want an error naming id 71", side, err)
		}
	}
	cfg := testConfig(Listeners(ListenerConfig{}))
	cfg.Wait = wait
	alone := New(cfg)
	defer alone.Close()
	_, err := alone.Dial(73, nil)
	if err == nil || !strings.Contains(err.Error(), "dial broker id 73: the other side did not announce it: waited") {
		t.Errorf("dial without a host = %v, want an error that names id 73 and the wait", err)
	}
}

// Close ends what waits and closes what is accepted, before it returns.
func TestClose(t *testing.T) {
	for name, connect := range pairs {
		t.Run(name, func(t *testing.T) {
			host, _ := connect(t, time.Minute)
			lis, err := host.Accept(1)
			if err != nil {
				t.Fatal(err)
			}
			dialled := make(chan error)
			go func() {
				_, err := host.Dial(2, nil)
				dialled <- err
			}()
			host.Close()
			host.Close()
			if _, err := lis.Accept(); !errors.Is(err, net.ErrClosed) {
				t.Errorf("Accept on a listener of a closed broker = %v, want net.ErrClosed", err)
			}
			if err := <-dialled; err == nil {
				t.Error("Dial = nil error")
			}
			if _, err := host.Accept(3); !errors.Is(err, ErrClosed) {
				t.Errorf("Accept = %v, want %v", err, ErrClosed)
			}
			if err := lis.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
				t.Errorf("Close of the listener = %v", err)
			}
		})
	}
}

// Two ids are served whose factories each add an option of their own to those that they
// are given.
func TestServerOptionsAreNotShared(t *testing.T) {
	cfg := testConfig(Streams(func(context.Context, uint32) (*mux.Stream, error) { return nil, ErrClosed }))
	cfg.ServerOptions = slices.Grow([]grpc.ServerOption{grpc.MaxConcurrentStreams(2)}, 1) // as append may leave it
	b := New(cfg)
	defer b.Close()
	var kept [2][]grpc.ServerOption
	var own [2]grpc.ServerOption
	for i := range own {
		own[i] = grpc.MaxConcurrentStreams(1)
		b.Serve(b.NextID(), func(options []grpc.ServerOption) *grpc.Server {
			kept[i] = append(options, own[i])
			server := grpc.NewServer(kept[i]...)
			server.Stop() // so that nothing is served
			return server
		})
	}
	for i, options := range kept {
		if len(options) == 0 || options[len(options)-1] != own[i] {
			t.Errorf("server %d was made with the other one's option", i)
		}
	}
}

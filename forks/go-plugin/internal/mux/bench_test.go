// SPDX-License-Identifier: MPL-2.0

package mux

import (
	"net"
	"net/rpc"
	"sync/atomic"
	"testing"

	"github.com/hashicorp/go-plugin/internal/wait"
)

// subjects make a client of a thing at the other end of a connection.
var subjects = map[string]func(b *testing.B, here, there net.Conn) *rpc.Client{
	"messages": func(b *testing.B, here, there net.Conn) *rpc.Client {
		return newPair(b, here, there, HostConfig{}, PluginConfig{}).client(newThing())
	},
	"plain": func(b *testing.B, here, there net.Conn) *rpc.Client {
		server := rpc.NewServer()
		if err := server.RegisterName("Plugin", newThing()); err != nil {
			b.Fatal(err)
		}
		served := make(chan struct{})
		go func() { defer close(served); server.ServeConn(there) }()
		client := rpc.NewClient(here)
		b.Cleanup(func() { _ = client.Close(); <-served })
		return client
	},
}

// onSubjects runs a benchmark of each subject on each kind of connection that a
// session has.
func onSubjects(b *testing.B, bench func(b *testing.B, client *rpc.Client)) {
	for _, connection := range []string{"tcp", "tls"} {
		for _, subject := range []string{"messages", "plain"} {
			b.Run(connection+"/"+subject, func(b *testing.B) {
				here, there := connections()[connection](b)
				client := subjects[subject](b, here, there)
				warm(b, client)
				b.ReportAllocs()
				b.ResetTimer()
				bench(b, client)
			})
		}
	}
}

// BenchmarkRPCMuxSequential is one caller.
func BenchmarkRPCMuxSequential(b *testing.B) {
	onSubjects(b, func(b *testing.B, client *rpc.Client) {
		for range b.N {
			mustUpper(b, client)
		}
	})
}

// BenchmarkRPCMuxParallel is 64 callers at once.
func BenchmarkRPCMuxParallel(b *testing.B) {
	onSubjects(b, func(b *testing.B, client *rpc.Client) {
		var left atomic.Int64
		left.Store(int64(b.N))
		var callers wait.Group
		for range 64 {
			callers.Go(func() {
				for left.Add(-1) >= 0 {
					mustUpper(b, client)
				}
			})
		}
		callers.Wait()
	})
}

// BenchmarkRPCMuxChannels is 64 callers on eight channels, whose readers pass
// the read lock to one another.
func BenchmarkRPCMuxChannels(b *testing.B) {
	here, there := tcpPair(b)
	p := newPair(b, here, there, HostConfig{}, PluginConfig{})
	var clients [8]*rpc.Client
	for i := range clients {
		clients[i] = p.client(newThing())
		warm(b, clients[i])
	}
	b.ReportAllocs()
	b.ResetTimer()
	var left atomic.Int64
	left.Store(int64(b.N))
	var callers wait.Group
	for i := range 64 {
		callers.Go(func() {
			for left.Add(-1) >= 0 {
				mustUpper(b, clients[i%len(clients)])
			}
		})
	}
	callers.Wait()
}

// BenchmarkRPCMuxLong is one caller of a mebibyte, back and forth.
func BenchmarkRPCMuxLong(b *testing.B) {
	onSubjects(b, func(b *testing.B, client *rpc.Client) {
		long := make([]byte, 1<<20)
		b.SetBytes(2 << 20)
		for range b.N {
			var back []byte
			if err := client.Call("Plugin.Echo", long, &back); err != nil || len(back) != len(long) {
				b.Fatalf("%d bytes came back, %v", len(back), err)
			}
		}
	})
}

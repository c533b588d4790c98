// SPDX-License-Identifier: MPL-2.0

package mux

import (
	"io"
	"net"
	"testing"

	"github.com/hashicorp/yamux"
)

// BenchmarkStream moves bytes through one brokered connection: a stream of this package,
// and for comparison one of yamux, which every other go-plugin peer has.
func BenchmarkStream(b *testing.B) {
	for name, open := range map[string]func(b *testing.B) (from, to net.Conn){
		"mux": func(b *testing.B) (from, to net.Conn) {
			here, there := tcpPair(b)
			return newStreamPair(b, here, there).open(true)
		},
		"yamux": func(b *testing.B) (from, to net.Conn) {
			here, there := tcpPair(b)
			cfg := yamux.DefaultConfig()
			cfg.LogOutput = io.Discard
			client, err := yamux.Client(here, cfg)
			if err != nil {
				b.Fatal(err)
			}
			server, err := yamux.Server(there, cfg)
			if err != nil {
				b.Fatal(err)
			}
			b.Cleanup(func() { _, _ = client.Close(), server.Close() })
			if from, err = client.Open(); err != nil {
				b.Fatal(err)
			}
			if to, err = server.Accept(); err != nil {
				b.Fatal(err)
			}
			return from, to
		},
	} {
		b.Run(name+"/bytes", func(b *testing.B) {
			from, to := open(b)
			const size = 64 << 10
			b.SetBytes(size)
			go func() {
				p := make([]byte, size)
				for range b.N {
					if _, err := from.Write(p); err != nil {
						b.Error(err)
					}
				}
			}()
			p := make([]byte, size)
			for range b.N {
				if _, err := io.ReadFull(to, p); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run(name+"/calls", func(b *testing.B) {
			from, to := open(b)
			go func() { _, _ = io.Copy(to, to) }()
			p := make([]byte, 100)
			for range b.N {
				if _, err := from.Write(p); err != nil {
					b.Fatal(err)
				}
				if _, err := io.ReadFull(from, p); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

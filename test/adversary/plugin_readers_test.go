// SPDX-License-Identifier: MPL-2.0

package adversary

import (
	"io"
	"net"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hashicorp/go-plugin"

	"github.com/reattach/reattach/commons"
)

// deafTo passes on what hosts say to a plugin, and what it answers until deaf is set:
// from then on nobody reads what the plugin sends. It ends with the test.
func deafTo(t *testing.T, plugin string, deaf *atomic.Bool) (addr string) {
	t.Helper()
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ending := make(chan struct{})
	t.Cleanup(func() {
		close(ending)
		_ = lis.Close()
	})
	go func() {
		for {
			host, err := lis.Accept()
			if err != nil {
				return
			}
			to, err := net.Dial("tcp", plugin)
			if err != nil {
				_ = host.Close()
				continue
			}
			_ = to.(*net.TCPConn).SetReadBuffer(4 << 10)
			go func() {
				<-ending
				_ = host.Close()
				_ = to.Close()
			}()
			go func() { _, _ = io.Copy(to, host) }()
			go func() {
				for b := make([]byte, 4<<10); !deaf.Load(); {
					n, err := to.Read(b)
					if err == nil {
						_, err = host.Write(b[:n])
					}
					if err != nil {
						return
					}
				}
			}()
		}
	}()
	return lis.Addr().String()
}

// TestHostsThatDoNotRead has hosts ask for large answers, or for output, and read
// nothing from then on. Another host is served.
func TestHostsThatDoNotRead(t *testing.T) {
	t.Parallel()
	const hosts, calls = 10, 50
	// Nothing bounds the calls of a session (docs/bounds.md, the end): those that were read
	// before an answer waits hold theirs twice, and the collector lets as much again lie
	// about. Of output one host has at most outputBuffer, and all of it is written to the
	// plugin's own streams.
	const answers, output = calls * 3 << 20, 2 << 20
	const logged = hosts * 5 << 20
	for name, tc := range map[string]struct {
		version int
		order   string
		calls   int
		each    int64 // bytes that the plugin may hold for one host
		log     int64
	}{
		"answers over net/rpc": {commons.VersionNetRPC, "reply 1048576", calls, answers, 0},
		"answers over gRPC":    {commons.VersionGRPC, "reply 1048576", calls, answers, 0},
		"output over net/rpc":  {commons.VersionNetRPC, "flood 4", 1, output, logged},
		"output over gRPC":     {commons.VersionGRPC, "flood 4", 1, output, logged},
	} {
		t.Run(name, func(t *testing.T) {
			v := startPlugin(t)
			var deaf atomic.Bool
			attacker := &victim{v.process, deafTo(t, v.addr, &deaf)}
			config := attacker.clientConfig(tc.version)
			config.KeepaliveInterval, config.PingTimeout = time.Second, time.Second
			var greeters []commons.Greeter
			var sessions []*plugin.Session
			for range hosts {
				s, g := attach(t, config)
				sessions, greeters = append(sessions, s), append(greeters, g)
			}
			f := measure(t, "%d hosts that ask %d times for %q and read nothing, version %d", hosts, tc.calls, tc.order, tc.version)
			deaf.Store(true)
			began := time.Now()
			other := v.newcomers(v.clientConfig)
			for _, g := range greeters {
				for range tc.calls {
					go func() { _, _ = g.Greet(tc.order) }()
				}
			}
			for _, s := range sessions {
				<-s.Done() // it does not read the answers to its pings either
			}
			f.served("newcomers", other)
			f.bytes("memory", v.peakMemory(), strangersMemory+hosts*tc.each)
			f.bytes("log", v.log.size(), logBound(time.Since(began))+tc.log)
		})
	}
}

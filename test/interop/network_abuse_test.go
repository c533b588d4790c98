// SPDX-License-Identifier: MPL-2.0

package interop

import (
	"crypto/rand"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/reattach/reattach/test/interop/kit"
	"github.com/reattach/reattach/test/interop/peer/hostapi"
)

const (
	abuseTime = 8 * time.Second

	// abuseMemory is how much more memory the plugin may ever occupy while it
	// is abused, all of the below at once.
	abuseMemory = 96 << 20

	abandoned = 10_000
	// abandonTime is how long a busy machine may take to open that many.
	abandonTime = time.Minute
)

// TestAbuse sends a plugin what no host sends, all of it at once, and expects
// that its hosts and newcomers are served as if nothing were.
func TestAbuse(t *testing.T) {
	protocols(func(t *testing.T, protocol string) {
		p := startPod(t, fork, onNetwork(single(protocol), "PLUGIN_HANDSHAKE_TIMEOUT=2s"))
		host := startHost(t, fork)
		host.attach("attached", p)
		before := p.residentBytes()
		load := host.Send("Load", hostapi.Load{Name: "attached", ForMS: abuseTime.Milliseconds(), Callback: true}, &hostapi.LoadResult{})

		a := &abuse{t: t, pod: p, end: time.Now().Add(abuseTime)}
		var all sync.WaitGroup
		for _, each := range []func(){a.garbage, a.halfHello, a.hugeHello, a.slowDrip, a.abandon} {
			all.Go(each)
		}
		newcomers, slowest := serveNewcomers(t, p.client("newcomer"), a.end)
		all.Wait()
		select {
		case <-load.Done:
		case <-time.After(kit.Patience):
			t.Fatal("the attached host's calls do not end")
		}
		got := load.Reply.(*hostapi.LoadResult)
		if load.Error != nil || got.Failed > 0 || got.Swapped > 0 {
			t.Errorf("the attached host: %+v %v", *got, load.Error)
		}
		peak := procStatus(t, p.Pid(), "VmHWM:")
		if peak > before+abuseMemory {
			t.Errorf("the plugin occupied %d MiB at most, %d MiB before; want at most %d MiB more", peak>>20, before>>20, abuseMemory>>20)
		}
		report(t, fmt.Sprintf("abuse, %-6s: %d garbage, %d half hellos, %d hellos of 1 GiB (%d KiB taken), %d drips, %d connections opened and left; "+
			"%d calls of the attached host, %d failed; %d newcomers served, the slowest in %v; resident %d MiB before, %d MiB at most",
			protocol, a.garbled.Load(), a.halves.Load(), a.huge.Load(), a.taken.Load()>>10, a.drips.Load(), a.left.Load(),
			got.Calls, got.Failed, newcomers, slowest.Round(time.Millisecond), before>>20, peak>>20))
	})(t)
}

// TestAbuseOfTLS leaves TLS handshakes unfinished, which cost a plugin more than
// plain connections do.
func TestAbuseOfTLS(t *testing.T) {
	secret := newSecretDir(t)
	p := startPod(t, fork, onNetwork(single("grpc"), append(secret.env(), "PLUGIN_HANDSHAKE_TIMEOUT=2s")...))
	host := startHost(t, fork)
	host.Open(secret.client(p, "attached"))
	before := p.residentBytes()
	a := &abuse{t: t, pod: p, end: time.Now().Add(abuseTime)}
	var all sync.WaitGroup
	all.Go(a.garbage)
	all.Go(func() { a.halfTLS(secret.tlsConfig(t, "", "")) })
	newcomers, slowest := serveNewcomers(t, secret.client(p, "newcomer"), a.end)
	all.Wait()
	host.works("attached")
	peak := procStatus(t, p.Pid(), "VmHWM:")
	if peak > before+abuseMemory {
		t.Errorf("the plugin occupied %d MiB at most, %d MiB before; want at most %d MiB more", peak>>20, before>>20, abuseMemory>>20)
	}
	report(t, fmt.Sprintf("abuse of TLS: %d garbage, %d TLS handshakes begun and left; %d newcomers served, the slowest in %v; resident %d MiB before, %d MiB at most",
		a.garbled.Load(), a.left.Load(), newcomers, slowest.Round(time.Millisecond), before>>20, peak>>20))
}

// serveNewcomers attaches one host after the other until the end.
func serveNewcomers(t *testing.T, spec hostapi.Client, end time.Time) (served int, slowest time.Duration) {
	t.Helper()
	host := startHost(t, fork)
	for time.Now().Before(end) {
		start := time.Now()
		host.Open(spec)
		host.works(spec.Name)
		slowest = max(slowest, time.Since(start))
		host.Must("Kill", hostapi.Named{Name: spec.Name}, &hostapi.None{})
		served++
	}
	return served, slowest
}

// abuse is what the peers do that are no hosts.
type abuse struct {
	t   *testing.T
	pod *pod
	end time.Time

	garbled, halves, huge, taken, drips, left atomic.Int64
}

// dial connects, or returns nil if the time is over or the queue of the
// plugin's listener is full.
func (a *abuse) dial() net.Conn { return a.dialUntil(a.end) }

func (a *abuse) dialUntil(end time.Time) net.Conn {
	dialer := net.Dialer{Deadline: end}
	conn, err := dialer.Dial(a.pod.network, a.pod.address)
	if err != nil {
		return nil
	}
	_ = conn.SetDeadline(end.Add(kit.Patience))
	return conn
}

// hangsUp fails the test unless the plugin closes the connection.
func (a *abuse) hangsUp(conn net.Conn, who string) {
	var timeout net.Error
	if _, err := io.Copy(io.Discard, conn); errors.As(err, &timeout) && timeout.Timeout() {
		a.t.Errorf("the plugin does not hang up on %s", who)
	}
	_ = conn.Close()
}

// garbage sends random bytes.
func (a *abuse) garbage() {
	for time.Now().Before(a.end) {
		conn := a.dial()
		if conn == nil {
			return
		}
		noise := make([]byte, 512)
		_, _ = rand.Read(noise)
		_, _ = conn.Write(noise)
		a.hangsUp(conn, "garbage")
		a.garbled.Add(1)
	}
}

// halfHello begins a hello and says no more.
func (a *abuse) halfHello() {
	var all sync.WaitGroup
	defer all.Wait()
	for i := 0; time.Now().Before(a.end) && i < 200; i++ {
		conn := a.dial()
		if conn == nil {
			return
		}
		_, _ = io.WriteString(conn, `go-plugin/1 {"core":1,"cookie":{"key"`)
		all.Go(func() { a.hangsUp(conn, "half a hello") })
		a.halves.Add(1)
	}
}

// hugeHello sends a hello of 1 GiB, as far as the plugin takes it.
func (a *abuse) hugeHello() {
	piece := []byte(strings.Repeat("x", 1<<20))
	for time.Now().Before(a.end) {
		conn := a.dial()
		if conn == nil {
			return
		}
		n, err := io.WriteString(conn, `go-plugin/1 {"host":"`)
		taken := int64(n)
		for taken < 1<<30 && err == nil {
			n, err = conn.Write(piece)
			taken += int64(n)
		}
		if err == nil {
			a.t.Error("the plugin takes a hello of 1 GiB")
		}
		// What was written and not read is in the kernel's buffers.
		if most := a.taken.Load(); taken > most {
			a.taken.Store(taken)
		}
		_ = conn.Close()
		a.huge.Add(1)
	}
}

// slowDrip sends a hello byte by byte, one in a second, on several connections.
func (a *abuse) slowDrip() {
	var all sync.WaitGroup
	defer all.Wait()
	for range 20 {
		conn := a.dial()
		if conn == nil {
			return
		}
		a.drips.Add(1)
		hungUp := make(chan struct{})
		all.Go(func() {
			a.hangsUp(conn, "a slow drip")
			close(hungUp)
		})
		all.Go(func() {
			tick := time.NewTicker(time.Second)
			defer tick.Stop()
			for _, letter := range `go-plugin/1 {"core":1,"cookie":{"key":"x"}}` {
				select {
				case <-hungUp:
					return
				case <-tick.C:
					_, _ = conn.Write([]byte(string(letter)))
				}
			}
		})
	}
}

// abandon opens connections and leaves them.
func (a *abuse) abandon() {
	var conns []net.Conn
	defer func() {
		for _, conn := range conns {
			_ = conn.Close()
		}
	}()
	end := time.Now().Add(abandonTime)
	for range abandoned {
		conn := a.dialUntil(end)
		if conn == nil {
			break
		}
		conns = append(conns, conn)
		a.left.Add(1)
	}
	if got := a.left.Load(); got < abandoned {
		a.t.Errorf("only %d connections could be opened in %v, want %d", got, abandonTime, abandoned)
	}
	// The last of them are given up too.
	for _, conn := range conns[max(0, len(conns)-10):] {
		a.hangsUp(conn, "a connection that says nothing")
	}
}

// halfTLS begins TLS handshakes and reads nothing of what comes back.
func (a *abuse) halfTLS(cfg *tls.Config) {
	var conns []net.Conn
	defer func() {
		for _, conn := range conns {
			_ = conn.Close()
		}
	}()
	for range abandoned / 2 {
		conn := a.dial()
		if conn == nil {
			return
		}
		conns = append(conns, conn)
		// The first flight is written before anything is read.
		_ = conn.SetReadDeadline(time.Unix(1, 0))
		_ = tls.Client(conn, cfg).Handshake()
		a.left.Add(1)
	}
}

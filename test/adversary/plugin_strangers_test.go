// SPDX-License-Identifier: MPL-2.0

package adversary

import (
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"
)

// What strangers may cost a plugin: docs/bounds.md, "A plugin on the network".
const (
	// maxPending connections may be before the end of their handshake.
	maxPending = 1024
	// closing descriptors may be left of connections that were given up: each goes when
	// the goroutine that reads it has noticed, which is late on a busy machine.
	closing = maxPending
	// strangersMemory is what a plugin may occupy at most, of which some 20 MiB are its
	// own: maxPending connections, each with a 16 KiB line, a buffer and a stack.
	strangersMemory = 96 << 20
	// sparePlugin descriptors are a plugin's own, and those of newcomers.
	sparePlugin = 40
	// peerLines of each level are logged about hosts and strangers in a second, and one
	// about those that are not.
	peerLines = 20 + 1
	// logLine is what such a line has at most: the text of a hello is bounded by 1 KiB.
	logLine = 2 << 10
)

// logBound is what hosts and strangers may write into the log in some time, at the two
// levels that they cause lines of.
func logBound(lasted time.Duration) int64 {
	return int64(lasted/time.Second+2) * 2 * peerLines * logLine
}

// settles holds that a plugin has soon closed whatever strangers left behind.
func (v *victim) settles(f *figures) {
	v.t.Helper()
	eventually(v.t, func() error {
		if now := v.descriptors(); now > sparePlugin {
			return fmt.Errorf("%d descriptors are open", now)
		}
		return nil
	})
	f.count("descriptors after it", v.descriptors(), sparePlugin)
}

// TestSlowHellos sends hellos byte by byte. Each is given up in time.
func TestSlowHellos(t *testing.T) {
	t.Parallel()
	const handshake = 2 * time.Second // PLUGIN_HANDSHAKE_TIMEOUT
	v := startPlugin(t, "PLUGIN_HANDSHAKE_TIMEOUT="+handshake.String())
	f := measure(t, "200 hellos that come byte by byte")
	host := v.newcomers(v.clientConfig)
	longest := make([]time.Duration, 200)
	var all sync.WaitGroup
	for i := range longest {
		conn := dial(t, v.addr)
		began := time.Now()
		all.Go(func() {
			if _, err := hungUp(conn, 4<<10); err != nil {
				t.Error(err)
			}
			longest[i] = time.Since(began)
			_ = conn.Close()
		})
		go func() {
			for _, letter := range []byte(`go-plugin/1 {"core":1,"cookie":{"key":"BASIC_PLUGIN"` + strings.Repeat(" ", 1<<10)) {
				if _, err := conn.Write([]byte{letter}); err != nil {
					return
				}
				time.Sleep(50 * time.Millisecond)
			}
		}()
	}
	all.Wait()
	most := time.Duration(0)
	for _, d := range longest {
		most = max(most, d)
	}
	// What honest peers may wait for longer is what a busy machine may add. The sum is less than
	// the default, 10 s, so that the plugin has heeded what it was told; and a hello whose bytes
	// each gave it new time would last for a minute.
	f.within("the last was given up after", most, handshake+promptly)
	f.served("newcomers", host)
	f.bytes("memory", v.peakMemory(), strangersMemory)
	f.bytes("log", v.log.size(), logBound(most))
}

// firstBytes begin every protocol that a port may meet, and what is none.
func firstBytes() []string {
	all := []string{
		"", "\n", "\r\n\r\n", "go-plugin", "go-plugin/", "go-plugin/1", "go-plugin/1 \n", "go-plugin/1 {}\n", "go-plugin/1 []\n", "go-plugin/1 null\n",
		"go-plugin/2 {}\n", "go-plugin/-1 {}\n", "go-plugin/99999999999999999999 {}\n", "go-plugin/1 {\"core\":1e400}\n",
		"go-plugin/1 " + strings.Repeat("[", 16000) + "\n", "go-plugin/1 " + strings.Repeat(`{"a":`, 3000) + "\n",
		"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + strings.Repeat("\xff", 64), "PRI * HTTP/1.1\r\n\r\n",
		"\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00", "\x00\x03\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", "\x00\x04", "\x01\x00",
		"\x16\x03\x01\xff\xff" + strings.Repeat("\x01", 64), "\x16\x03", "\x15\x03\x01\x00\x02\x02\x28", "\x16\x04\x01\x00\x00",
		"GET / HTTP/1.1\r\nHost: x\r\n\r\n", "POST / HTTP/1.1\r\n", "SSH-2.0-x\r\n", "HELO x\r\n", "*1\r\n$4\r\nPING\r\n", "\x03\x00\x00\x13", "<html>",
	}
	for b := range 256 {
		all = append(all, strings.Repeat(string([]byte{byte(b)}), 64))
	}
	return all
}

// TestGarbage sends first bytes of every kind, again and again. All of them are hung
// up on.
func TestGarbage(t *testing.T) {
	t.Parallel()
	const rounds, atOnce = 10, 64
	v := startPlugin(t, "PLUGIN_HANDSHAKE_TIMEOUT=2s")
	sent := firstBytes()
	f := measure(t, "%d times garbage of %d kinds", rounds*len(sent), len(sent))
	host := v.newcomers(v.clientConfig)
	began := time.Now()
	turns := make(chan struct{}, atOnce)
	var all sync.WaitGroup
	for i := range rounds * len(sent) {
		turns <- struct{}{}
		all.Go(func() {
			defer func() { <-turns }()
			conn, err := net.DialTimeout("tcp", v.addr, patience)
			if err != nil {
				t.Error(err)
				return
			}
			defer conn.Close()
			_ = conn.SetDeadline(time.Now().Add(patience))
			_, _ = io.WriteString(conn, sent[i%len(sent)])
			_ = conn.(*net.TCPConn).CloseWrite()
			if _, err := hungUp(conn, 64<<10); err != nil {
				t.Errorf("%.40q: %v", sent[i%len(sent)], err)
			}
		})
	}
	all.Wait()
	lasted := time.Since(began)
	f.served("newcomers", host)
	f.bytes("memory", v.peakMemory(), strangersMemory)
	f.bytes("log", v.log.size(), logBound(lasted))
	v.settles(f)
}

// TestIdleConnections opens more connections than the plugin lets wait, and says
// nothing. The oldest go, and newcomers are served.
func TestIdleConnections(t *testing.T) {
	t.Parallel()
	const opened = 3 * maxPending
	v := startPlugin(t, "PLUGIN_HANDSHAKE_TIMEOUT=1m")
	f := measure(t, "%d connections that say nothing", opened)
	began := time.Now()
	most := 0
	for i := range opened {
		dial(t, v.addr)
		if i%64 == 0 {
			most = max(most, v.descriptors())
		}
	}
	host := v.newcomers(v.clientConfig)
	eventually(t, func() error {
		select {
		case <-host.ended:
			return nil // its error is told below
		default:
		}
		if now := v.descriptors(); now > maxPending+sparePlugin {
			return fmt.Errorf("%d descriptors", now)
		}
		return nil
	})
	f.count("descriptors", max(most, v.descriptors()), maxPending+closing+sparePlugin)
	f.served("newcomers", host)
	f.bytes("memory", v.peakMemory(), strangersMemory)
	f.bytes("log", v.log.size(), logBound(time.Since(began)))
}

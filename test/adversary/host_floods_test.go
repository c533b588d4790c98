// SPDX-License-Identifier: MPL-2.0

package adversary

import (
	"bufio"
	"encoding/binary"
	"io"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// hostFlood is what a hostile plugin sends to each host that comes.
type hostFlood struct {
	frames uint64
	each   func(to []byte, n uint64) []byte
	deaf   bool // what comes is not read
}

// hostFloods are those of both protocols. A plugin's streams have odd numbers.
func hostFloods() map[string]hostFlood {
	streamOf := func(to []byte, n uint64, header ...byte) []byte { return frame(to, frameStream, 2*n+1, header) }
	anotherID := func(to []byte, n uint64) []byte {
		return streamOf(to, n, binary.AppendUvarint([]byte{brokered}, firstStranger+n)...)
	}
	bad := malformed(1)
	return map[string]hostFlood{
		"streams, each of another id":         {frames: 1_000_000, each: anotherID},
		"streams whose refusals are not read": {frames: 1_000_000, each: anotherID, deaf: true},
		"streams of one id":                   {frames: 350_000, each: func(to []byte, n uint64) []byte { return streamOf(to, n, brokered, 0xff, 0xff, 0x7f) }},
		"streams that name no id":             {frames: 1_000_000, each: func(to []byte, n uint64) []byte { return streamOf(to, n, brokered) }},
		"streams of no purpose":               {frames: 1_000_000, each: func(to []byte, n uint64) []byte { return streamOf(to, n, 77) }},
		"streams with 16 KiB of data": {frames: 20_000, each: func(to []byte, n uint64) []byte {
			return frame(anotherID(to, n), frameData, 2*n+1, make([]byte, 16<<10))
		}},
		"answers to no call": {frames: 1_000_000, each: func(to []byte, n uint64) []byte {
			return frame(to, frameAnswer+byte(n%2), n, append(binary.AppendUvarint(nil, n), "\x03\x0c\x00\x00"...))
		}},
		"long answers to no call": {frames: 100_000, each: func(to []byte, n uint64) []byte {
			return frame(to, frameAnswer|more, 1, append(binary.AppendUvarint(nil, n), 0xff, 0xff, 0x7f))
		}},
		"refusals and grants of no call": {frames: 1_000_000, each: func(to []byte, n uint64) []byte {
			return frame(to, [...]byte{frameRefused, frameGrant}[n%2], n, append(binary.AppendUvarint(nil, n), 1))
		}},
		"long answers whose grants are not read": {frames: 5_000_000, deaf: true, each: func(to []byte, n uint64) []byte {
			call := binary.AppendUvarint(nil, n)
			return frame(frame(to, frameAnswer|more, 0, append(call, 1)), framePart, 0, append(call, 'x'))
		}},
		"answers that are too long": {frames: 5_000_000, deaf: true, each: func(to []byte, n uint64) []byte {
			return frame(to, frameAnswer|more, 0, append(binary.AppendUvarint(nil, n), "\xff\xff\xff\xff\x07"...))
		}},
		"probes":                            {frames: 1_000_000, each: func(to []byte, _ uint64) []byte { return bare(to, frameProbe, "") }},
		"probes whose answers are not read": {frames: 1_000_000, deaf: true, each: func(to []byte, _ uint64) []byte { return bare(to, frameProbe, "") }},
		"signs of life, and goodbyes to be": {frames: 1_000_000, each: func(to []byte, n uint64) []byte {
			return bare(to, [...]byte{frameAlive, frameDraining}[n%2], "")
		}},
		"a long goodbye": {frames: 1, each: func(to []byte, _ uint64) []byte { return bare(to, frameBye, strings.Repeat("\x1b]0;\a\n", 40<<10)) }},
		"malformed frames of every kind": {frames: 1_000_000, each: func(to []byte, n uint64) []byte {
			return append(to, bad[n%uint64(len(bad))]...)
		}},
	}
}

// by answers a host, and floods it from when begin is closed. Each session begins with
// another frame.
func (tc hostFlood) by(protocol string, total uint64, begin <-chan struct{}, sessions, sent *atomic.Uint64) func(net.Conn) {
	return func(c net.Conn) {
		if _, err := io.WriteString(c, answerOf(protocol, map[string]any{"features": []string{"mux"}})); err != nil {
			return
		}
		first := sessions.Add(1) - 1
		<-begin
		read := make(chan struct{})
		listen := func() { defer close(read); _, _ = io.Copy(io.Discard, c) }
		if !tc.deaf {
			go listen()
		}
		n, _ := flood(bufio.NewWriterSize(c, 64<<10), total, func(to []byte, n uint64) []byte { return tc.each(to, n+first) })
		sent.Add(n)
		if tc.deaf {
			listen()
		}
		<-read
	}
}

// TestFloodsOfPlugins has a plugin send frames of one sort without end, in a session of
// either protocol. Calls of the plugin beside it go on as if nothing was.
func TestFloodsOfPlugins(t *testing.T) {
	for name, tc := range hostFloods() {
		for protocol := range protocols {
			t.Run(name+", "+protocol, func(t *testing.T) {
				if !*all {
					t.Parallel()
				}
				a := startAttacker(t, order{Side: asPlugin, Name: name, Protocol: protocol, Total: numberOf(tc.frames), For: floodTime(), Spins: *all})
				underFlood(t, "a plugin that sends "+name+", over "+protocol, a)
			})
		}
	}
}

// underFlood runs a host that is attached to a hostile plugin and to a good one, and measures
// what the one costs and how the other fares.
func underFlood(t *testing.T, title string, evil *attacker) {
	t.Helper()
	p := startPlugin(t)
	d := serveHost(t, "NETWORK_PLUGIN=good="+p.addr+",evil="+evil.addr, "CALL_TIMEOUT=20s")
	d.awaitReady("good")
	f := measure(t, "%s", title)
	goroutines := d.metric("go_goroutines")
	began := time.Now()
	r := evil.beside(f, d.process, "calls of the good plugin", func() error { return d.greet("good", "Ada") })
	lasted := time.Since(began)
	f.note(r.Sessions > 0, "%d sessions", r.Sessions)
	f.bytes("memory", d.peakMemory(), floodMemory)
	f.bytes("log", d.log.size(), int64(lasted/time.Second+2)*hostLog)
	f.count("goroutines more", d.metric("go_goroutines")-goroutines, stormGoroutines)
	if code, took := d.end(15); code != 0 || took > patience {
		t.Errorf("the host ended with code %d after %v", code, took)
	}
}

// floodTime is how long a plugin floods a host.
func floodTime() time.Duration {
	if *all {
		return 4 * time.Second
	}
	return attackTime
}

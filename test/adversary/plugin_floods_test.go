// SPDX-License-Identifier: MPL-2.0

package adversary

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/reattach/reattach/commons"
)

// floodMemory bounds a plugin under one hostile host's frames.
const floodMemory = 150 << 20

// pluginFlood is what a hostile host sends.
type pluginFlood struct {
	frames uint64
	each   func(to []byte, n uint64) []byte
	deaf   bool   // what comes is not read
	answer int64  // bytes of one, at most; zero: 256
	ends   uint64 // after how many of them the plugin ends the session, and the host comes again
}

// pluginFloods are those of both protocols.
func pluginFloods() map[string]pluginFlood {
	streamOf := func(to []byte, n uint64, header ...byte) []byte { return frame(to, frameStream, 2*n+2, header) }
	anotherID := func(to []byte, n uint64) []byte { return streamOf(to, n, binary.AppendUvarint([]byte{brokered}, n)...) }
	kind, greeting, large := inGob("greeter"), inGob("Ada"), inGob("reply 60000")
	unary := func(to []byte, n uint64) []byte {
		to = streamOf(to, n, append([]byte{unaryCall}, callOf("/plugin.GRPCController/None")...)...)
		to = frame(to, frameData, 2*n+2, []byte{0, 0, 0, 0, 0})
		return frame(to, frameEnd, 2*n+2, nil)
	}
	return map[string]pluginFlood{
		"streams, each of another id":         {frames: 1_000_000, each: anotherID},
		"streams whose refusals are not read": {frames: 1_000_000, each: anotherID, deaf: true},
		"dials of one id":                     {frames: 350_000, each: func(to []byte, n uint64) []byte { return streamOf(to, n, brokered, 7) }},
		"streams of the output":               {frames: 350_000, each: func(to []byte, n uint64) []byte { return streamOf(to, n, output) }},
		"connections of HTTP/2":               {frames: 50_000, each: func(to []byte, n uint64) []byte { return streamOf(to, n, http2) }},
		"streams with 16 KiB of data": {frames: 20_000, each: func(to []byte, n uint64) []byte {
			return frame(anotherID(to, n), frameData, 2*n+2, make([]byte, 16<<10))
		}},
		"streams with a header of 32 KiB": {frames: 5_000, each: func(to []byte, n uint64) []byte {
			return streamOf(to, n, append([]byte{brokered}, make([]byte, 32<<10-1)...)...)
		}},
		"gRPC calls":                            {frames: 300_000, each: unary},
		"gRPC calls whose answers are not read": {frames: 300_000, each: unary, deaf: true},
		"gRPC calls that send nothing": {frames: 300_000, each: func(to []byte, n uint64) []byte {
			return streamOf(to, n, append([]byte{grpcCall}, callOf("/plugin.GRPCStdio/StreamStdio")...)...)
		}},
		"channels": {frames: 1_000_000, ends: 1100, each: func(to []byte, n uint64) []byte { return frame(to, frameOpen, 2*n+2, []byte("greeter")) }},
		"channels that are released": {frames: 1_000_000, each: func(to []byte, n uint64) []byte {
			return frame(frame(to, frameOpen, 2*n+2, []byte("greeter")), frameRelease, 2*n+2, nil)
		}},
		"channels of no kind":                  {frames: 1_000_000, ends: 1100, each: func(to []byte, n uint64) []byte { return frame(to, frameOpen, 2*n+2, []byte("none")) }},
		"dispenses":                            {frames: 300_000, each: func(to []byte, n uint64) []byte { return request(to, 0, n, "Dispenser.Dispense", kind) }},
		"dispenses whose answers are not read": {frames: 300_000, deaf: true, each: func(to []byte, n uint64) []byte { return request(to, 0, n, "Dispenser.Dispense", kind) }},
		"knocks":                               {frames: 350_000, each: func(to []byte, n uint64) []byte { return frame(to, frameAccepts, n, nil) }},
		"arguments that are too long, whose refusals are not read": {frames: 1_000_000, deaf: true, each: func(to []byte, n uint64) []byte {
			return frame(to, frameRequest|more, 0, append(binary.AppendUvarint(nil, n), "\x00\x00\x01x\xff\xff\xff\xff\x07"...))
		}},
		"arguments that are given up, whose refusals are not read": {frames: 500_000, deaf: true, each: func(to []byte, n uint64) []byte {
			call := binary.AppendUvarint(nil, n)
			return frame(frame(to, frameRequest|more, 0, append(call, "\x00\x00\x01x\x80\x80\x08"...)), frameCancel, 0, call)
		}},
		"calls of methods with long names": {frames: 100_000, answer: 2 << 10, each: func(to []byte, n uint64) []byte {
			channel := 2 * (1 + n%200)
			if n < 200 {
				to = frame(to, frameOpen, channel, []byte("greeter"))
			}
			method := fmt.Sprintf("Plugin.%0*d", 1<<10-len("Plugin."), n)
			return frame(to, frameRequest|fresh, channel, slices.Concat(binary.AppendUvarint(nil, n), []byte{0, 0, 0x80, 0x08}, []byte(method), greeting))
		}},
		"gRPC calls with much of nothing": {frames: 20_000, each: func(to []byte, n uint64) []byte {
			header := append([]byte{grpcCall}, callOf("/plugin.GRPCStdio/StreamStdio")...)
			header = append(header[:len(header)-1], binary.AppendUvarint(nil, 16000)...) // pairs of empty texts
			return streamOf(to, n, append(header, make([]byte, 32000)...)...)
		}},
		"gRPC calls with long headers": {frames: 20_000, each: func(to []byte, n uint64) []byte {
			header := append([]byte{grpcCall}, callOf("/plugin.GRPCStdio/StreamStdio")...)
			header = append(header[:len(header)-1], 1, 1, 'k', 0x80, 0x7c) // a value of 15,872 bytes
			return streamOf(to, n, append(header, make([]byte, 15872)...)...)
		}},
		"calls": {frames: 300_000, each: func(to []byte, n uint64) []byte {
			if n == 0 {
				to = frame(to, frameOpen, 2, []byte("greeter"))
			}
			return request(to, 2, n, "Plugin.Greet", greeting)
		}},
		"calls of large answers that are not read": {frames: 100_000, deaf: true, each: func(to []byte, n uint64) []byte {
			if n == 0 {
				to = frame(to, frameOpen, 2, []byte("greeter"))
			}
			return request(to, 2, n, "Plugin.Greet", large)
		}},
		"arguments that never end": {frames: 300_000, each: func(to []byte, n uint64) []byte {
			return frame(to, frameRequest|more, 0, append(binary.AppendUvarint(nil, n), "\x00\x00\x01x\x80\x80\x80\x08"...))
		}},
		"probes":                             {frames: 1_000_000, each: func(to []byte, _ uint64) []byte { return bare(to, frameProbe, "") }},
		"probes whose answers are not read":  {frames: 1_000_000, deaf: true, each: func(to []byte, _ uint64) []byte { return bare(to, frameProbe, "") }},
		"frames of kinds that there are not": {frames: 1_000_000, each: func(to []byte, n uint64) []byte { return bare(to, 21+byte(n%40), "what") }},
		"cancels, grants and releases of no call": {frames: 1_000_000, each: func(to []byte, n uint64) []byte {
			switch n % 3 {
			case 0:
				return frame(to, frameCancel, 0, binary.AppendUvarint(nil, n))
			case 1:
				return frame(to, frameGrant, 0, append(binary.AppendUvarint(nil, n), 1))
			}
			return frame(to, frameRelease, 2*n, nil)
		}},
	}
}

// sayAsHost attaches to a plugin as a host of messages, by hand.
func sayAsHost(addr, protocol string) (*net.TCPConn, *bufio.Reader, error) {
	version := map[string]int{"netrpc": commons.VersionNetRPC, "grpc": commons.VersionGRPC}[protocol]
	conn, err := net.DialTimeout("tcp", addr, patience)
	if err != nil {
		return nil, nil, err
	}
	_ = conn.SetDeadline(time.Now().Add(floodPatience))
	sent := requestLine(map[string]any{"protocols": []string{protocol}, "versions": []int{version}, "features": []string{"mux"}})
	r := bufio.NewReader(conn)
	line := ""
	if _, err = io.WriteString(conn, sent); err == nil {
		line, err = r.ReadString('\n')
	}
	if err != nil || !strings.Contains(line, `"mux"`) {
		_ = conn.Close()
		return nil, nil, fmt.Errorf("answer %q, %v", line, err)
	}
	return conn.(*net.TCPConn), r, nil
}

// floodPatience is how long one session of a flood may take.
const floodPatience = 3 * time.Minute

// run floods the plugin at addr, in as many sessions as it takes. A plugin that stops
// reading is left.
func (tc pluginFlood) run(addr, protocol string, total uint64) (r report, err error) {
	for r.Sent < total {
		conn, in, err := sayAsHost(addr, protocol)
		if err != nil {
			return r, err
		}
		r.Sessions++
		read := make(chan int64, 1)
		if tc.deaf {
			read <- 0
			_ = conn.SetWriteDeadline(time.Now().Add(2 * time.Second)) // the plugin stops reading
		} else {
			go func() {
				n, _ := io.Copy(io.Discard, in)
				read <- n
			}()
		}
		n := total - r.Sent
		if tc.ends > 0 {
			n = min(n, tc.ends) // What is sent after that nobody reads.
		}
		n, err = flood(bufio.NewWriterSize(conn, 64<<10), n, tc.each)
		r.Sent += n
		if tc.deaf {
			time.Sleep(attackTime) // lets the answers pile up
		}
		if err == nil {
			_ = conn.CloseWrite()
		}
		r.Came += <-read
		_ = conn.Close()
		if err != nil && tc.deaf {
			return r, nil
		}
		if err != nil && tc.ends == 0 {
			return r, fmt.Errorf("the session ends after %d frames: %w", n, err)
		}
	}
	return r, nil
}

// sendEach sends each frame in a session of its own, and waits for the end of that.
func sendEach(addr, protocol string, frames [][]byte) (r report, err error) {
	for _, frame := range frames {
		conn, in, err := sayAsHost(addr, protocol)
		if err != nil {
			return r, err
		}
		r.Sessions++
		_, _ = conn.Write(frame)
		_ = conn.CloseWrite()
		_ = conn.SetReadDeadline(time.Now().Add(patience))
		n, err := io.Copy(io.Discard, in)
		_ = conn.Close()
		if isTimeout(err) {
			return r, fmt.Errorf("the session does not end with %.40q", frame)
		}
		r.Sent++
		r.Came += n
	}
	return r, nil
}

// protocols are those of sessions, with the version that speaks them.
var protocols = map[string]int{"netrpc": commons.VersionNetRPC, "grpc": commons.VersionGRPC}

// TestFloodsOfHosts sends a plugin frames of one sort without end, in a session of either
// protocol. Another host's calls go on as if nothing was.
func TestFloodsOfHosts(t *testing.T) {
	for name, tc := range pluginFloods() {
		for protocol, version := range protocols {
			t.Run(name+", "+protocol, func(t *testing.T) {
				v := startPlugin(t)
				a := startAttacker(t, order{Side: asHost, Name: name, Protocol: protocol, Addr: v.addr, Total: numberOf(tc.frames), Spins: *all})
				f := measure(t, "%s, in sessions over %s", name, protocol)
				r := a.beside(f, v.process, "another host", v.greeted(version))
				f.bytes("answers", r.Came, int64(r.Sent)*max(tc.answer, 256)+1<<20)
				f.bytes("memory", v.peakMemory(), floodMemory)
				f.bytes("log", v.log.size(), logBound(patience))
			})
		}
	}
}

// greeted is a call of an honest host.
func (v *victim) greeted(version int) func() error {
	v.t.Helper()
	_, g := v.attach(version)
	return func() error { _, err := g.Greet("Ada"); return err }
}

// TestMalformedFramesOfHosts sends each frame that breaks a rule in sessions of its own, one
// after the other. None of them stays: then there would be room for no more soon.
func TestMalformedFramesOfHosts(t *testing.T) {
	for protocol, version := range protocols {
		t.Run(protocol, func(t *testing.T) {
			v := startPlugin(t, fmt.Sprintf("PLUGIN_MAX_SESSIONS=%d", malformedSessions))
			a := startAttacker(t, order{Side: asHost, Name: malformedOnes, Protocol: protocol, Addr: v.addr})
			f := measure(t, "malformed frames, each in a session over %s", protocol)
			a.beside(f, v.process, "another host", v.greeted(version))
			f.bytes("memory", v.peakMemory(), floodMemory)
			f.bytes("log", v.log.size(), logBound(patience))
		})
	}
}

const (
	malformedOnes     = "malformed frames"
	malformedSessions = 20
)

// malformedHosts are the frames that break a rule, and more of those that begin a call than
// there may be sessions.
func malformedHosts() [][]byte {
	made := malformed(2)
	for range malformedSessions {
		made = append(made, made[len(made)-malformedCalls:][:malformedCalls]...)
	}
	return made
}

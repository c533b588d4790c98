// SPDX-License-Identifier: MPL-2.0

package adversary

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"
	"net"
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

// hostSays attaches to the victim as a host of messages, by hand.
func (v *victim) hostSays(protocol string) (*net.TCPConn, *bufio.Reader) {
	v.t.Helper()
	version := map[string]int{"netrpc": commons.VersionNetRPC, "grpc": commons.VersionGRPC}[protocol]
	conn := dial(v.t, v.addr)
	sent := requestLine(map[string]any{"protocols": []string{protocol}, "versions": []int{version}, "features": []string{"mux"}})
	if _, err := io.WriteString(conn, sent); err != nil {
		v.t.Fatal(err)
	}
	r := bufio.NewReader(conn)
	if line, err := r.ReadString('\n'); err != nil || !strings.Contains(line, `"mux"`) {
		v.t.Fatalf("answer %q, %v", line, err)
	}
	return conn, r
}

// by floods the victim, in as many sessions as it takes, and gives what was sent, what came
// and how many sessions that took. A plugin that stops reading is left.
func (tc pluginFlood) by(v *victim, protocol string) (sent uint64, came int64, sessions int) {
	v.t.Helper()
	for total := numberOf(tc.frames); sent < total; {
		conn, r := v.hostSays(protocol)
		sessions++
		read := make(chan int64, 1)
		if tc.deaf {
			read <- 0
			_ = conn.SetWriteDeadline(time.Now().Add(2 * time.Second)) // the plugin stops reading
		} else {
			go func() {
				n, _ := io.Copy(io.Discard, r)
				read <- n
			}()
		}
		n := total - sent
		if tc.ends > 0 {
			n = min(n, tc.ends) // What is sent after that nobody reads.
		}
		n, err := flood(bufio.NewWriterSize(conn, 64<<10), n, tc.each)
		sent += n
		if tc.deaf {
			time.Sleep(attackTime) // lets the answers pile up
		}
		if err == nil {
			_ = conn.CloseWrite()
		}
		came += <-read
		_ = conn.Close()
		if err != nil && tc.deaf {
			break
		}
		if err != nil && tc.ends == 0 {
			v.t.Errorf("the session ends after %d frames: %v", n, err)
			break
		}
	}
	return sent, came, sessions
}

// TestFloodsOfHosts sends a plugin frames of one sort without end, in a session of either
// protocol. Another host's calls go on as if nothing was.
func TestFloodsOfHosts(t *testing.T) {
	for name, tc := range pluginFloods() {
		for protocol, version := range map[string]int{"netrpc": commons.VersionNetRPC, "grpc": commons.VersionGRPC} {
			t.Run(name+", "+protocol, func(t *testing.T) {
				v := startPlugin(t)
				_, g := v.attach(version)
				f := measure(t, "%s, in sessions over %s", name, protocol)
				var calls latencies
				other := keepAsking(t, calls.timed(func() error { _, err := g.Greet("Ada"); return err }))
				sent, came, sessions := tc.by(v, protocol)
				f.note(true, "%d frames in %d sessions", sent, sessions)
				f.bytes("answers", came, int64(sent)*256+1<<20)
				f.served("another host", other)
				calls.note(f)
				f.bytes("memory", v.peakMemory(), floodMemory)
				f.bytes("log", v.log.size(), logBound(patience))
			})
		}
	}
}

// TestMalformedFramesOfHosts sends each frame that breaks a rule in sessions of its own, one
// after the other. None of them stays: then there would be room for no more soon.
func TestMalformedFramesOfHosts(t *testing.T) {
	for protocol, version := range map[string]int{"netrpc": commons.VersionNetRPC, "grpc": commons.VersionGRPC} {
		t.Run(protocol, func(t *testing.T) {
			const most = 20
			v := startPlugin(t, fmt.Sprintf("PLUGIN_MAX_SESSIONS=%d", most))
			_, g := v.attach(version)
			made := malformed(2)
			for range most {
				made = append(made, made[len(made)-malformedCalls:][:malformedCalls]...)
			}
			f := measure(t, "%d malformed frames, each in a session over %s", len(made), protocol)
			var calls latencies
			other := keepAsking(t, calls.timed(func() error { _, err := g.Greet("Ada"); return err }))
			for _, frame := range made {
				conn, r := v.hostSays(protocol)
				_, _ = conn.Write(frame)
				_ = conn.CloseWrite()
				if _, err := io.Copy(io.Discard, r); isTimeout(err) {
					t.Fatalf("the session does not end with %.40q", frame)
				}
				_ = conn.Close()
			}
			f.served("another host", other)
			calls.note(f)
			f.bytes("memory", v.peakMemory(), floodMemory)
			f.bytes("log", v.log.size(), logBound(patience))
		})
	}
}

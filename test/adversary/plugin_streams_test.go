// SPDX-License-Identifier: MPL-2.0

package adversary

import (
	"bufio"
	"encoding/binary"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/reattach/reattach/commons"
)

// Kinds of frames and the purpose of a brokered stream: PROTOCOL.md, section 8.
const (
	frameStream = 10
	frameData   = 11
	brokered    = 1
)

// streamsMemory bounds a plugin under one session's streams.
const streamsMemory = 150 << 20

// frame makes one of a kind: a stream's number, and the rest.
func frame(to []byte, kind byte, stream uint64, rest []byte) []byte {
	number := binary.AppendUvarint(nil, stream)
	to = binary.BigEndian.AppendUint32(to, uint32(1+len(number)+len(rest)))
	to = append(to, kind)
	to = append(to, number...)
	return append(to, rest...)
}

// TestStreamsThatNobodyAccepts opens brokered streams without end, in both protocols.
// Another host's calls go on as if nothing was.
func TestStreamsThatNobodyAccepts(t *testing.T) {
	for name, tc := range map[string]struct {
		streams uint64
		open    func(to []byte, n uint64) []byte // what the n-th stream is
		deaf    bool                             // what comes is not read
	}{
		"1,000,000 streams, each of another id": {streams: 1_000_000, open: func(to []byte, n uint64) []byte {
			return frame(to, frameStream, n, binary.AppendUvarint([]byte{brokered}, n))
		}},
		"350,000 dials of one id": {streams: 350_000, open: func(to []byte, n uint64) []byte {
			return frame(to, frameStream, n, []byte{brokered, 7})
		}},
		"1,000,000 streams whose refusals are not read": {streams: 1_000_000, deaf: true, open: func(to []byte, n uint64) []byte {
			return frame(to, frameStream, n, binary.AppendUvarint([]byte{brokered}, n))
		}},
		"20,000 streams with 16 KiB of data": {streams: 20_000, open: func(to []byte, n uint64) []byte {
			return frame(frame(to, frameStream, n, binary.AppendUvarint([]byte{brokered}, n)), frameData, n, make([]byte, 16<<10))
		}},
		"5,000 streams with a header of 32 KiB": {streams: 5_000, open: func(to []byte, n uint64) []byte {
			return frame(to, frameStream, n, append([]byte{brokered}, make([]byte, 32<<10)...))
		}},
	} {
		for _, version := range []int{commons.VersionNetRPC, commons.VersionGRPC} {
			protocol := map[int]string{commons.VersionNetRPC: "netrpc", commons.VersionGRPC: "grpc"}[version]
			t.Run(name+", "+protocol, func(t *testing.T) {
				v := startPlugin(t)
				_, g := v.attach(version)
				f := measure(t, "%s, in a session over %s", name, protocol)
				var took []time.Duration
				other := keepAsking(t, func() error {
					began := time.Now()
					_, err := g.Greet("Ada")
					took = append(took, time.Since(began))
					return err
				})
				conn := dial(t, v.addr)
				sent := requestLine(map[string]any{"protocols": []string{protocol}, "versions": []int{version}, "features": []string{"mux"}})
				if _, err := io.WriteString(conn, sent); err != nil {
					t.Fatal(err)
				}
				r := bufio.NewReader(conn)
				if line, err := r.ReadString('\n'); err != nil || !strings.Contains(line, `"mux"`) {
					t.Fatalf("answer %q, %v", line, err)
				}
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
				w := bufio.NewWriterSize(conn, 64<<10)
				var all []byte
				for n := range tc.streams {
					all = tc.open(all[:0], 2*n+2)
					if _, err := w.Write(all); err != nil {
						if !tc.deaf {
							t.Errorf("the session ends after %d streams: %v", n, err)
						}
						break
					}
				}
				_ = w.Flush()
				_ = conn.CloseWrite()
				f.bytes("answers", <-read, int64(tc.streams)*256)
				f.served("another host", other)
				slices.Sort(took)
				f.note(true, "p50 %v, p99 %v", took[len(took)/2].Round(10*time.Microsecond), took[len(took)*99/100].Round(10*time.Microsecond))
				f.bytes("memory", v.peakMemory(), streamsMemory)
				f.bytes("log", v.log.size(), logBound(patience))
			})
		}
	}
}

// SPDX-License-Identifier: MPL-2.0

package grpcconn_test

import (
	"bytes"
	"errors"
	"io"
	"testing"

	"golang.org/x/net/http2"

	"github.com/hashicorp/go-plugin/internal/grpcconn"
)

// What a plugin sends, as HTTP/2 has it on the wire.
const (
	wireSettings = "\x00\x00\x00\x04\x00\x00\x00\x00\x00"
	wireLeave    = "\x00\x00\x08\x07\x00\x00\x00\x00\x00" + "\x7f\xff\xff\xff" + "\x00\x00\x00\x00"
	wireReject   = "\x00\x00\x08\x07\x00\x00\x00\x00\x00" + "\x00\x00\x00\x00" + "\x00\x00\x00\x0b"
	wireBroken   = "\x00\x00\x01\x00\x00\x00\x00\x00\x00" + "x" // data of no stream
)

// goAwaySeeds are what plugins send, and what HTTP/2 forbids.
func goAwaySeeds(f *testing.F) {
	for _, sent := range []string{
		wireSettings + wireLeave, wireSettings + wireReject, wireSettings + wireBroken + wireLeave, wireLeave, "\x00\x00\x03\x07", "HTTP/1.1 400",
		wireSettings + "\x00\x00\x07\x07\x00\x00\x00\x00\x00" + "1234567" + wireLeave,
	} {
		f.Add([]byte(sent), []byte{1, 8, 3})
	}
}

// leaves runs the pieces through a watch, and tells how often it saw the plugin leave.
func leaves(pieces ...[]byte) (times int) {
	w := &grpcconn.GoAwayWatch{Leaving: func() { times++ }}
	for _, p := range pieces {
		w.See(p)
	}
	return times
}

// FuzzGoAway is a gRPC connection's bytes. The pieces in which they come do not matter.
func FuzzGoAway(f *testing.F) {
	goAwaySeeds(f)
	f.Fuzz(func(t *testing.T, sent, at []byte) {
		whole, divided := leaves(sent), leaves(cuts(sent, at)...)
		if whole != divided || whole > 1 {
			t.Fatalf("seen %d times in one piece, %d in several", whole, divided)
		}
	})
}

// FuzzGoAwayFrames compares the watch with HTTP/2's own reader, as far as that reads.
func FuzzGoAwayFrames(f *testing.F) {
	goAwaySeeds(f)
	f.Fuzz(func(t *testing.T, sent, _ []byte) {
		frames := http2.NewFramer(io.Discard, bytes.NewReader(sent))
		want := 0
		for first := true; want == 0; first = false {
			frame, err := frames.ReadFrame()
			if err != nil {
				if errors.Is(err, io.EOF) && leaves(sent) != 0 {
					t.Fatal("the plugin is believed to leave, and did not say so")
				}
				return // the connection ends here
			}
			if _, ok := frame.(*http2.SettingsFrame); first && !ok {
				return // no HTTP/2
			}
			if g, ok := frame.(*http2.GoAwayFrame); ok && g.ErrCode == http2.ErrCodeNo {
				want++
			}
		}
		if leaves(sent) != want {
			t.Fatal("the plugin left, and nobody noticed")
		}
	})
}

// cuts divides data where the bytes of at say.
func cuts(data, at []byte) [][]byte {
	var pieces [][]byte
	for _, n := range at {
		n := min(int(n), len(data))
		pieces, data = append(pieces, data[:n]), data[n:]
	}
	return append(pieces, data)
}

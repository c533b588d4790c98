// SPDX-License-Identifier: MPL-2.0

package h2frames_test

import (
	"bytes"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/net/http2"

	"github.com/hashicorp/go-plugin/internal/h2frames"
)

type frame struct {
	Kind    byte
	Stream  uint32
	Payload string
}

// However a connection's bytes are cut, the frames are those that were written.
func TestWalk(t *testing.T) {
	long := bytes.Repeat([]byte("x"), 70_000)
	var sent bytes.Buffer
	framer := http2.NewFramer(&sent, nil)
	_ = framer.WriteSettings()
	_ = framer.WriteHeaders(http2.HeadersFrameParam{StreamID: 1<<31 - 1, BlockFragment: []byte("fields"), EndHeaders: true})
	_ = framer.WriteData(3, false, long)
	_ = framer.WriteData(3, true, nil)
	_ = framer.WriteGoAway(3, http2.ErrCodeNo, []byte("bye"))
	want := []frame{
		{0x4, 0, ""},
		{h2frames.Headers, 1<<31 - 1, "fields"},
		{h2frames.Data, 3, string(long)},
		{h2frames.Data, 3, ""},
		{h2frames.GoAway, 0, "\x00\x00\x00\x03\x00\x00\x00\x00bye"},
	}
	for _, size := range []int{1, 8, 9, 10, 4096, sent.Len()} {
		var walk h2frames.Walk
		var got []frame
		var payload []byte
		for rest := sent.Bytes(); len(rest) > 0; {
			n := min(size, len(rest))
			walk.Next(rest[:n], func(piece []byte) {
				payload = append(payload, piece...)
				if walk.Left() == 0 {
					got = append(got, frame{walk.Kind(), walk.Stream(), string(payload)})
					payload = payload[:0]
				}
			})
			rest = rest[n:]
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("in pieces of %d bytes (-want +got):\n%s", size, diff)
		}
	}
}

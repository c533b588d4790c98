// SPDX-License-Identifier: MPL-2.0

package grpcstdio

import (
	"bytes"
	"fmt"
	"testing"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// What is written of a stream counts once its headers had the mark, however the
// frames are cut.
func TestOutputWireCounts(t *testing.T) {
	const mark = "THEMARKOFTHESTREAM"
	var wire wire
	output := newCountedOutput()
	wire.expect(output, mark)

	var sent bytes.Buffer
	framer := http2.NewFramer(&sent, nil)
	headers := func(stream uint32, value string) {
		var block bytes.Buffer
		_ = hpack.NewEncoder(&block).WriteField(hpack.HeaderField{Name: headerOutput, Value: value})
		_ = framer.WriteHeaders(http2.HeadersFrameParam{StreamID: stream, BlockFragment: block.Bytes(), EndHeaders: true})
	}
	_ = framer.WriteSettings()
	headers(1, "another")
	_ = framer.WriteData(1, false, []byte("of another stream"))
	headers(3, mark)
	_ = framer.WriteData(3, false, []byte("01234"))
	_ = framer.WriteData(1, false, []byte("of another stream"))
	_ = framer.WriteSettingsAck()
	_ = framer.WriteData(3, false, []byte("56789"))

	output.addMessage(10 - messageHead)
	watch := watch{wire: &wire}
	for i, b := range sent.Bytes() {
		if output.Settled() {
			t.Fatalf("settled after %d of %d bytes", i, sent.Len())
		}
		watch.wrote([]byte{b})
	}
	if !output.Settled() || output.Sync(t.Context()) != nil || !isFound(output) || wire.isLooking() {
		t.Errorf("after all: %+v", output)
	}
}

// Hosts that ask for output and read no headers do not make those of all other hosts
// slow to look through: what cannot be looked for any more is not counted.
func TestOutputWireBoundsMarks(t *testing.T) {
	var wire wire
	var streams []*countedOutput
	for range maxMarks {
		s := newCountedOutput()
		if !wire.expect(s, "mark") {
			t.Fatalf("%d marks are too many, want %d", len(streams)+1, maxMarks+1)
		}
		streams = append(streams, s)
	}
	if wire.expect(newCountedOutput(), "mark") {
		t.Error("there is no bound")
	}
	wire.forget(streams[0])
	if !wire.expect(newCountedOutput(), "mark") {
		t.Error("a mark that was forgotten counts")
	}
}

// A host that asks for its output again and again on one connection leaves nothing of
// the streams that have ended.
func TestOutputWireForgetsEndedStreams(t *testing.T) {
	var wire wire
	watch := watch{wire: &wire}
	for i := range 1000 {
		mark := fmt.Sprintf("THEMARKOFSTREAM%d", i)
		output := newCountedOutput()
		wire.expect(output, mark)
		var sent, block bytes.Buffer
		_ = hpack.NewEncoder(&block).WriteField(hpack.HeaderField{Name: headerOutput, Value: mark})
		headers := http2.HeadersFrameParam{StreamID: uint32(2*i + 1), BlockFragment: block.Bytes(), EndHeaders: true}
		_ = http2.NewFramer(&sent, nil).WriteHeaders(headers)
		watch.wrote(sent.Bytes())
		if !isFound(output) {
			t.Fatalf("stream %d was not found", i)
		}
		output.End()
	}
	if n := len(watch.streams); n > 2*fewStreams {
		t.Errorf("%d streams are kept, all of which have ended", n)
	}
}

func isFound(s *countedOutput) bool {
	select {
	case <-s.found:
		return true
	default:
		return false
	}
}

// SPDX-License-Identifier: MPL-2.0

package grpcstdio

import (
	"bytes"
	"crypto/rand"
	"maps"
	"sync"
	"time"

	"golang.org/x/net/http2/hpack"
	"google.golang.org/grpc"
	"google.golang.org/grpc/encoding"
	"google.golang.org/grpc/metadata"

	"github.com/hashicorp/go-plugin/internal/h2frames"
	"github.com/hashicorp/go-plugin/internal/stdio"
)

// gRPC takes a message and sends it when the host makes room for its stream, an
// answer on another stream before it. It tells nobody, so that the plugin looks for
// itself what has left: its connections count the bytes of the streams that carry
// output. Which those are it knows by a mark in their headers.

const (
	// headerOutput has the mark. Hosts have no use for it.
	headerOutput = "reattach-output"
	// markWait is how long the mark may take to be sent. A plugin that brings TLS of
	// its own hides it, and has its output sent in whatever order.
	markWait = time.Second
	// maxMarks bounds for how many marks all headers are looked through.
	maxMarks = 64
	// messageHead is what gRPC puts before a message, in bytes.
	messageHead = 5
	// fewStreams of a connection are kept without a look at which of them have ended.
	fewStreams = 8
)

// wire finds the streams of a host that carry output, on the host's connections.
type wire struct {
	mu    sync.Mutex
	marks map[*countedOutput][]byte // of those that were not found yet, as in HPACK
}

// begin sends the headers of a stream that is to carry output, so that s counts it, and
// ends s if it cannot be counted.
func (w *wire) begin(stream grpc.ServerStream, s *countedOutput) {
	if !w.mark(stream, s) {
		s.End()
	}
}

func (w *wire) mark(stream grpc.ServerStream, s *countedOutput) (found bool) {
	mark := rand.Text()
	if grpc.SetSendCompressor(stream.Context(), encoding.Identity) != nil || !w.expect(s, mark) {
		return false
	}
	defer w.forget(s)
	if stream.SendHeader(metadata.Pairs(headerOutput, mark)) != nil {
		return false
	}
	timer := time.NewTimer(markWait)
	defer timer.Stop()
	select {
	case <-s.found:
		return true
	case <-stream.Context().Done():
	case <-timer.C:
	}
	return false
}

// expect looks for the mark of s from now on, unless it looks for too many.
func (w *wire) expect(s *countedOutput, mark string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.marks) >= maxMarks {
		return false
	}
	if w.marks == nil {
		w.marks = make(map[*countedOutput][]byte)
	}
	w.marks[s] = hpack.AppendHuffmanString(nil, mark)
	return true
}

func (w *wire) forget(s *countedOutput) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.marks, s)
}

// isLooking reports whether there is a mark that was not found yet.
func (w *wire) isLooking() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.marks) > 0
}

// find returns the stream whose headers these are, if it carries output.
func (w *wire) find(headers []byte) *countedOutput {
	w.mu.Lock()
	defer w.mu.Unlock()
	for s, mark := range w.marks {
		if bytes.Contains(headers, mark) {
			delete(w.marks, s)
			close(s.found)
			return s
		}
	}
	return nil
}

// countedOutput is how many bytes of an output stream have been given to its
// connection.
type countedOutput struct {
	stdio.InFlight
	found chan struct{}
}

func newCountedOutput() *countedOutput { return &countedOutput{found: make(chan struct{})} }

// addMessage says that a message of so many bytes is about to be sent.
func (s *countedOutput) addMessage(size int) { s.Add(messageHead + size) }

// watch looks through what is written to one connection.
type watch struct {
	wire    *wire
	frames  h2frames.Walk
	headers []byte // of one frame, while marks are looked for
	streams map[uint32]*countedOutput
	many    int // how many streams are too many to keep those that have ended
}

// wrote takes what was written next. It is used by one goroutine at a time.
func (w *watch) wrote(p []byte) { w.frames.Next(p, w.look) }

func (w *watch) look(piece []byte) {
	switch w.frames.Kind() {
	case h2frames.Data:
		if s := w.streams[w.frames.Stream()]; s != nil {
			s.Arrive(len(piece))
		}
	case h2frames.Headers:
		if len(w.headers) == 0 && !w.wire.isLooking() {
			return
		}
		w.headers = append(w.headers, piece...)
		if w.frames.Left() > 0 {
			return
		}
		if s := w.wire.find(w.headers); s != nil {
			w.count(s)
		}
		w.headers = nil
	}
}

// count counts what is written of the stream at hand. A host may ask for its output as
// often as it likes.
func (w *watch) count(s *countedOutput) {
	if w.streams == nil {
		w.streams = make(map[uint32]*countedOutput)
	}
	if len(w.streams) >= w.many {
		maps.DeleteFunc(w.streams, func(_ uint32, s *countedOutput) bool { return s.HasEnded() })
		w.many = max(fewStreams, 2*len(w.streams))
	}
	w.streams[w.frames.Stream()] = s
}

// SPDX-License-Identifier: MPL-2.0

package mux

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/hashicorp/go-plugin/internal/stdio"
)

// maxOutput is how many bytes one piece of output has at most.
const maxOutput = 64 << 10

// Output is the plugin's output for one session.
type Output interface {
	// Next returns what was written next. It is called until it fails, from one
	// goroutine.
	Next(ctx context.Context) (stdio.Chunk, error)
	// Finish makes Next fail after what was written by now. It may wait for that,
	// but no longer than ctx.
	Finish(ctx context.Context)
	// Close ends Next. It is called once.
	Close()
}

// outputFeed sends the plugin's output to the host.
type outputFeed struct {
	output Output
	*stdio.Pump
}

// giveOutput begins the feed on a stream that the host has opened for it.
func (p *Plugin) giveOutput(s *Stream) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case p.err != nil:
		return p.err
	case p.config.Subscribe == nil:
		return errors.New("the session has no output")
	case p.feed != nil:
		return errors.New("the session's output was asked for already")
	}
	s.Take()
	feed := &outputFeed{output: p.config.Subscribe()}
	feed.Pump = stdio.StartPump(func() { feed.run(s) })
	p.feed = feed
	return nil
}

// run sends pieces of output until there is no more: of each the length as uint32,
// big-endian, of what follows; 1 for stdout or 2 for stderr; bytes.
func (f *outputFeed) run(s *Stream) {
	defer s.Close()
	var piece []byte
	for {
		chunk, err := f.output.Next(context.Background())
		if err != nil {
			return
		}
		for data := chunk.Data; len(data) > 0; {
			n := min(len(data), maxOutput)
			piece = binary.BigEndian.AppendUint32(piece[:0], uint32(1+n))
			piece = append(piece, byte(chunk.Channel))
			piece = append(piece, data[:n]...)
			if _, err := s.Write(piece); err != nil {
				return
			}
			data = data[n:]
		}
	}
}

// end ends the feed and waits for it.
func (f *outputFeed) end() {
	f.output.Close()
	_ = f.Wait(context.Background())
}

// FinishOutput sends what the plugin has written by now to a host that takes
// output, and no more after that. It returns when the connection has taken it. What
// the host has not made room for when ctx ends is not sent.
func (p *Plugin) FinishOutput(ctx context.Context) {
	p.mu.Lock()
	feed := p.feed
	p.mu.Unlock()
	if feed == nil {
		return
	}
	feed.output.Finish(ctx)
	if feed.Wait(ctx) == nil {
		_ = p.out.awaitSent(ctx, true)
	}
}

// ReceiveOutput asks for what the plugin writes to its stdout and stderr, and
// returns what passes it on, until the session ends, in a goroutine of the
// caller's. to may block: the plugin then keeps the rest. Nothing is lost of what
// calls print that are made after ReceiveOutput has returned.
func (h *Host) ReceiveOutput(to func(stdio.Chunk)) (passOn func()) {
	s, err := h.OpenStream(context.Background(), output, nil)
	if err != nil {
		return func() {} // The session has ended.
	}
	return func() {
		defer s.Close()
		for {
			chunk, err := readOutput(s)
			if err != nil {
				return
			}
			to(chunk)
		}
	}
}

// readOutput reads a piece of output.
func readOutput(r io.Reader) (chunk stdio.Chunk, err error) {
	var head [5]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return chunk, err
	}
	n := binary.BigEndian.Uint32(head[:])
	if n < 1 || n > 1+maxOutput {
		return chunk, fmt.Errorf("%w: output of %d bytes", errMalformed, n)
	}
	chunk = stdio.Chunk{Channel: stdio.Channel(head[4]), Data: make([]byte, n-1)}
	_, err = io.ReadFull(r, chunk.Data)
	return chunk, err
}

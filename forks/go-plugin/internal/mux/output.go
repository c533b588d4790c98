// SPDX-License-Identifier: MPL-2.0

package mux

import (
	"context"
	"fmt"
	"io"

	"github.com/hashicorp/go-plugin/internal/stdio"
)

// maxOutput is how many bytes of output one message has at most.
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

// outputFeed sends the plugin's output to the host, a piece for each credit.
type outputFeed struct {
	credits chan struct{}
	output  Output
	*stdio.Pump
}

// giveOutput takes a credit of the host. The first begins the feed.
func (p *Plugin) giveOutput() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.err != nil || p.config.Subscribe == nil {
		return
	}
	if p.feed == nil {
		feed := &outputFeed{credits: make(chan struct{}, 1), output: p.config.Subscribe()}
		feed.Pump = stdio.StartPump(func() { feed.run(p) })
		p.feed = feed
	}
	select {
	case p.feed.credits <- struct{}{}:
	default: // One that is not used up is as good as two.
	}
}

func (f *outputFeed) run(p *Plugin) {
	for {
		chunk, err := f.output.Next(context.Background())
		if err != nil {
			return
		}
		for data := chunk.Data; len(data) > 0; {
			select {
			case <-f.credits:
			case <-p.done:
				return
			}
			n := min(len(data), maxOutput)
			b := newMessage(kindOutput, uint64(chunk.Channel)) // 1 for stdout, 2 for stderr
			b.data = append(b.data, data[:n]...)
			data = data[n:]
			if p.send(b) != nil {
				return
			}
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
// the host has not given credit for when ctx ends is not sent.
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

// takeOutput gives the message at hand to receiveOutput, which waits for it:
// the plugin sends one for each credit.
func (h *Host) takeOutput() error {
	if h.in.left > maxOutput {
		return fmt.Errorf("%w: output of %d bytes", errMalformed, h.in.left)
	}
	chunk := stdio.Chunk{Channel: stdio.Channel(h.message.channel), Data: make([]byte, h.in.left)}
	if _, err := io.ReadFull(&h.in, chunk.Data); err != nil {
		return err
	}
	select {
	case h.outputs <- chunk:
		return nil
	default:
		return fmt.Errorf("%w: output that nobody asked for", errMalformed)
	}
}

// ReceiveOutput asks for what the plugin writes to its stdout and stderr, and
// returns what passes it on, until the session ends, in a goroutine of the
// caller's. to may block: the plugin then keeps the rest. Nothing is lost of what
// calls print that are made after ReceiveOutput has returned.
func (h *Host) ReceiveOutput(to func(stdio.Chunk)) (passOn func()) {
	err := h.send(newMessage(kindOutputCredit))
	return func() {
		for ; err == nil; err = h.send(newMessage(kindOutputCredit)) {
			select {
			case chunk := <-h.outputs:
				to(chunk)
			case <-h.done:
				select {
				case chunk := <-h.outputs: // It had come before.
					to(chunk)
				default:
				}
				return
			}
		}
	}
}

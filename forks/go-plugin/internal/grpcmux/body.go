// SPDX-License-Identifier: MPL-2.0

package grpcmux

import (
	"context"
	"encoding/binary"
	"io"
	"sync"
	"time"

	"github.com/hashicorp/go-plugin/internal/mux"
)

// maxAhead is up to how many bytes of a request gRPC is given before the method has taken
// the messages in them. It would read on without end. What follows the first message is
// always given: of a unary call gRPC wants to see that nothing does.
const maxAhead = 64 << 10

// body is the body of a request. Read is called by one goroutine.
type body struct {
	stream *mux.Stream

	mu     sync.Mutex
	taken  sync.Cond // signalled when a message was taken, and by Close
	ahead  int       // bytes that were given and not taken
	sizes  []int     // of the messages in them that are complete
	now    int       // bytes of the message after those
	left   int       // bytes that it still has
	head   [itemHead]byte
	headed int // bytes of head that are known
	// expected is what is still to come of a message whose head has come just now. Read's.
	expected int
	closed   bool
}

// Read implements io.Reader.
func (b *body) Read(p []byte) (int, error) {
	if err := b.awaitTaken(); err != nil {
		return 0, err
	}
	n, err := b.stream.Read(p)
	if n > 0 {
		b.give(p[:n])
		if b.expected > maxAhead {
			b.stream.Expect(b.expected)
		}
		b.expected = 0
	}
	if err == nil && b.stream.AtEnd() {
		err = io.EOF // gRPC need not ask again.
	}
	return n, err
}

// awaitTaken waits while too much was given.
func (b *body) awaitTaken() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	for b.ahead >= maxAhead && len(b.sizes) > 1 && !b.closed {
		if b.taken.L == nil {
			b.taken.L = &b.mu
		}
		b.taken.Wait()
	}
	if b.closed {
		return io.ErrClosedPipe
	}
	return nil
}

// give notes which messages p completes.
func (b *body) give(p []byte) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.ahead += len(p)
	for len(p) > 0 {
		if b.left == 0 {
			n := copy(b.head[b.headed:], p)
			b.headed += n
			b.now += n
			p = p[n:]
			if b.headed < itemHead {
				return
			}
			b.headed = 0
			b.left = int(binary.BigEndian.Uint32(b.head[1:]))
			b.expected = b.left - len(p)
		}
		n := min(len(p), b.left)
		b.left -= n
		b.now += n
		if p = p[n:]; b.left == 0 {
			b.sizes = append(b.sizes, b.now)
			b.now = 0
		}
	}
}

// take notes that the method has taken a message.
func (b *body) take() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.sizes) == 0 {
		return
	}
	b.ahead -= b.sizes[0]
	if b.sizes = b.sizes[1:]; len(b.sizes) == 0 {
		b.sizes = nil
	}
	if b.taken.L != nil {
		b.taken.Signal()
	}
}

// Close implements io.Closer. It ends Read.
func (b *body) Close() error {
	b.mu.Lock()
	b.closed = true
	if b.taken.L != nil {
		b.taken.Signal()
	}
	b.mu.Unlock()
	_ = b.stream.SetReadDeadline(time.Unix(1, 0))
	return nil
}

// Received is called with the context of a streaming call whenever its method has taken a
// message, so that more can be read.
func Received(ctx context.Context) {
	if b, _ := ctx.Value(bodyKey{}).(*body); b != nil {
		b.take()
	}
}

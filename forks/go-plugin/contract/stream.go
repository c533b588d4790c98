// SPDX-License-Identifier: MPL-2.0

package contract

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"sync/atomic"

	"google.golang.org/protobuf/proto"
)

// Stream is one side of a call with a stream, over either protocol.
type Stream interface {
	// Context ends with the stream.
	Context() context.Context
	// Send sends a message, and waits while the other side takes none.
	Send(proto.Message) error
	// Recv receives a message. It is io.EOF when the other side has sent its last one.
	Recv(proto.Message) error
	// Open tells the caller, from the side that serves, that the method has begun.
	Open() error
	// Await waits, on the caller's side, until the method has begun. The error is the
	// method's if it has failed at once.
	Await() error
	// CloseSend says, on the caller's side, that nothing follows.
	CloseSend() error
	// Close gives the stream up, on the caller's side. It may be called more than once.
	Close()
}

// Open begins a call with a stream. The caller closes the stream. in sends items to the
// method, out receives them from it.
func (e *Errors) Open(ctx context.Context, caller Caller, method string, c *Conv, request proto.Message, in, out bool) (Stream, error) {
	if err := c.Err(); err != nil {
		return nil, fmt.Errorf("%s: arguments: %w", method, err)
	}
	s, err := caller.open(ctx, method, request, in, out)
	if err != nil {
		return nil, e.Decode(err)
	}
	return s, nil
}

// Begun waits until the method of a stream has begun; the stream is closed if it failed.
func (e *Errors) Begun(s Stream) error {
	if err := s.Await(); err != nil {
		s.Close()
		return e.Decode(err)
	}
	return nil
}

// Receive gives the items of a stream, once. What ends it early is the error of the last
// one. The stream is closed with the loop.
func Receive[M, T any, P message[M]](e *Errors, method string, s Stream, read func(*Conv, P) T) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		defer s.Close()
		Incoming(e, method, s, read)(yield)
	}
}

// message is a pointer to a message of type M.
type message[M any] interface {
	*M
	proto.Message
}

func receive[M, T any, P message[M]](e *Errors, method string, s Stream, read func(*Conv, P) T) (item T, err error) {
	m := P(new(M))
	if err := s.Recv(m); err != nil {
		return item, err
	}
	if number := unknown(m); number != 0 && !e.messages {
		return item, fmt.Errorf("%s: item: field %d is not known to this version", method, number)
	}
	var c Conv
	item = read(&c, m)
	if err := c.Err(); err != nil {
		return item, fmt.Errorf("%s: item: %w", method, err)
	}
	return item, nil
}

// Lazy is a stream that begins with the loop over it. An error of begin is its only item.
func Lazy[T any](begin func() (iter.Seq2[T, error], error)) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		items, err := begin()
		if err != nil {
			var none T
			yield(none, err)
			return
		}
		items(yield)
	}
}

// Incoming gives the items that a caller sends to a method, once.
func Incoming[M, T any, P message[M]](e *Errors, method string, s Stream, read func(*Conv, P) T) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		for {
			item, err := receive[M, T, P](e, method, s, read)
			if errors.Is(err, io.EOF) {
				return
			}
			if !yield(item, e.Decode(err)) || err != nil {
				return
			}
		}
	}
}

// Answer sends what a method gives, from the side that serves.
func Answer[M, T any, P message[M]](e *Errors, method string, s Stream, items iter.Seq2[T, error], write func(*Conv, T) P) error {
	if err := s.Open(); err != nil {
		return err
	}
	if items == nil {
		return nil
	}
	for item, err := range items {
		if err != nil {
			return e.EncodeStatus(err)
		}
		var c Conv
		m := write(&c, item)
		if err := c.Err(); err != nil {
			return fmt.Errorf("%s: item: %w", method, err)
		}
		if err := s.Send(m); err != nil {
			return err
		}
	}
	return nil
}

// Upload sends the items of a caller to a method, from a goroutine of its own, which ends
// with the stream. What it returns is the stream to receive from: its error is that of the
// items, if they ended the call.
func Upload[M, T any, P message[M]](method string, s Stream, items iter.Seq2[T, error], write func(*Conv, T) P) Stream {
	up := &uploading{Stream: s}
	go func() {
		if err := sendAll(method, s, items, write); err != nil {
			up.failed.Store(&err)
			s.Close()
		}
	}()
	return up
}

func sendAll[M, T any, P message[M]](method string, s Stream, items iter.Seq2[T, error], write func(*Conv, T) P) error {
	if items == nil {
		items = func(func(T, error) bool) {}
	}
	for item, err := range items {
		if err != nil {
			return err
		}
		var c Conv
		m := write(&c, item)
		if err := c.Err(); err != nil {
			return fmt.Errorf("%s: item: %w", method, err)
		}
		if s.Send(m) != nil {
			return nil // what is wrong with the stream, its answer says
		}
	}
	_ = s.CloseSend() // as of Send
	return nil
}

// uploading is a stream that a goroutine sends items to.
type uploading struct {
	Stream
	failed atomic.Pointer[error]
}

// Recv implements Stream.
func (u *uploading) Recv(m proto.Message) error { return u.prefer(u.Stream.Recv(m)) }

// Await implements Stream.
func (u *uploading) Await() error { return u.prefer(u.Stream.Await()) }

func (u *uploading) prefer(err error) error {
	if own := u.failed.Load(); own != nil {
		return *own
	}
	return err
}

// Finish receives the only answer of a call that sent a stream, and closes it.
func (e *Errors) Finish(method string, s Stream, answer proto.Message) error {
	defer s.Close()
	err := s.Recv(answer)
	if errors.Is(err, io.EOF) {
		return fmt.Errorf("%s: the plugin ended without an answer", method)
	}
	if err != nil {
		return e.Decode(err)
	}
	if missing := lacks(answer, "result"); missing != nil {
		return fmt.Errorf("%s: %w", method, missing)
	}
	return nil
}

// Last receives the only answer of a call whose messages travel as they are, and closes its
// stream.
func (e *Errors) Last(s Stream, answer proto.Message) error {
	defer s.Close()
	return e.Decode(s.Recv(answer))
}

// FromChan gives what comes from a channel, until it is closed or ctx ends.
func FromChan[T any](ctx context.Context, items <-chan T) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		for {
			select {
			case item, ok := <-items:
				if !ok || !yield(item, nil) {
					return
				}
			case <-ctx.Done():
				var none T
				yield(none, context.Cause(ctx))
				return
			}
		}
	}
}

// ToChan gives a channel of the items of a stream. It is closed after the last one, when the
// stream breaks off, or when ctx ends.
func ToChan[T any](ctx context.Context, items iter.Seq2[T, error]) <-chan T {
	to := make(chan T)
	go func() {
		defer close(to)
		for item, err := range items {
			if err != nil {
				return
			}
			select {
			case to <- item:
			case <-ctx.Done():
				return
			}
		}
	}()
	return to
}

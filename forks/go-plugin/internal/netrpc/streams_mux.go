// SPDX-License-Identifier: MPL-2.0

package netrpc

import (
	"context"
	"encoding/binary"
	"fmt"
	"math"
	"net"

	"github.com/hashicorp/go-plugin/internal/mux"
)

// muxStreams are the brokered streams of a session with the feature mux. The header of
// each is the id.
type muxStreams struct {
	session  muxSession
	arrivals *Arrivals
}

// muxSession is either side of a session.
type muxSession interface {
	OpenStream(ctx context.Context, purpose mux.Purpose, header []byte) (*mux.Stream, error)
	Done() <-chan struct{}
	Close() error
}

// Dial implements Streams.
func (m *muxStreams) Dial(id uint32) (net.Conn, error) {
	ctx, cancel := context.WithTimeoutCause(context.Background(), dialTime, fmt.Errorf("nobody accepted it within %v", dialTime))
	defer cancel()
	stream, err := m.session.OpenStream(ctx, mux.Brokered, binary.AppendUvarint(nil, uint64(id)))
	if err != nil {
		return nil, fmt.Errorf("open brokered stream %d: %w", id, err)
	}
	if err := stream.AwaitAccept(ctx); err != nil {
		_ = stream.Close()
		return nil, fmt.Errorf("brokered stream %d was not accepted: %w", id, err)
	}
	return stream, nil
}

// admit takes in a stream that the other side has opened.
func (m *muxStreams) admit(stream *mux.Stream) error {
	id, n := binary.Uvarint(stream.Header())
	if n != len(stream.Header()) || id > math.MaxUint32 {
		return fmt.Errorf("the header of a brokered stream is %q, want an id", stream.Header())
	}
	if !m.arrivals.byID.Put(uint32(id), (*muxArrival)(stream)) {
		return fmt.Errorf("another stream waits at broker id %d", id)
	}
	return nil
}

// Close implements Streams.
func (m *muxStreams) Close() error { return m.session.Close() }

// CloseChan implements Streams.
func (m *muxStreams) CloseChan() <-chan struct{} { return m.session.Done() }

// muxArrival is a stream that waits to be accepted.
type muxArrival mux.Stream

func (a *muxArrival) accept() (net.Conn, error) {
	stream := (*mux.Stream)(a)
	if err := stream.Accept(); err != nil {
		_ = stream.Close()
		return nil, err
	}
	return stream, nil
}

func (a *muxArrival) drop() { _ = (*mux.Stream)(a).Reset("nobody accepted it in time") }

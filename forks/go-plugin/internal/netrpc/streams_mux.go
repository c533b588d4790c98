// SPDX-License-Identifier: MPL-2.0

package netrpc

import (
	"context"
	"fmt"
	"net"

	"github.com/hashicorp/go-plugin/internal/mux"
)

// muxStreams are the brokered streams of a session with the feature mux.
type muxStreams struct {
	session  muxSession
	arrivals *Arrivals
}

// muxSession is either side of a session.
type muxSession interface {
	Dial(ctx context.Context, id uint32) (*mux.Stream, error)
	Done() <-chan struct{}
	Close() error
}

// Dial implements Streams.
func (m *muxStreams) Dial(id uint32) (net.Conn, error) {
	ctx, cancel := context.WithTimeoutCause(context.Background(), dialTime, fmt.Errorf("nobody accepted it within %v", dialTime))
	defer cancel()
	stream, err := m.session.Dial(ctx, id)
	if err != nil {
		return nil, fmt.Errorf("brokered stream %d was not accepted: %w", id, err)
	}
	return stream, nil
}

// admit takes in a stream that the other side has opened.
func (m *muxStreams) admit(stream *mux.Stream) error {
	id, err := stream.BrokerID()
	if err != nil {
		return err
	}
	if !m.arrivals.put(id, (*muxArrival)(stream)) {
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

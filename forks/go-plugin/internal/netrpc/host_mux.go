// SPDX-License-Identifier: MPL-2.0

package netrpc

import (
	"cmp"
	"errors"
	"net"
	"net/rpc"
	"reflect"

	"github.com/hashicorp/yamux"

	"github.com/hashicorp/go-plugin/internal/rpcmux"
	"github.com/hashicorp/go-plugin/internal/stdio"
)

// overMux is the transport of the feature rpc-mux, by which two peers of this library
// put their calls on the connection themselves. PROTOCOL.md.
type overMux struct {
	host   *Host
	mux    *rpcmux.Host
	listed func(kind string) bool
}

// NewMuxHost starts a session with the feature rpc-mux. It owns conn. listed reports
// whether the plugin has said that it serves a kind, so that a channel need not wait
// for it. draining is called when the plugin says that it is about to leave, and ended
// with the reason when the session can be used no more.
func NewMuxHost(conn net.Conn, config HostConfig, listed func(kind string) bool, draining func(), ended func(error)) *Host {
	streams := &onDemand{start: func(conn net.Conn) (*yamux.Session, error) {
		return yamux.Client(conn, cmp.Or(config.Yamux, YamuxConfig(nil)))
	}}
	mux := rpcmux.NewHost(conn, rpcmux.HostConfig{
		Draining: draining, Streams: streams.begin, Ended: ended,
		MaxSend: config.MaxSend, MaxReceive: config.MaxMessage,
	})
	h := &Host{config: config, broker: config.newBroker(streams)}
	h.transport = &overMux{h, mux, listed}
	streams.carrier, streams.broker = mux, h.broker
	// The last, because it begins to read.
	h.control = NewClient(&muxChannel{mux.Channel(0), config.Cause})
	return h
}

func (m *overMux) open(kind string) (Channel, error) {
	if err := m.mux.Err(); err != nil {
		return nil, lost(m.host.config.Cause, err)
	}
	if m.listed(kind) {
		return &muxChannel{m.mux.Open(kind), m.host.config.Cause}, nil
	}
	id, err := m.host.dispense(kind)
	if err != nil {
		return nil, err
	}
	return &muxChannel{m.mux.Channel(uint64(id)), m.host.config.Cause}, nil
}

func (m *overMux) client(kind string) (*rpc.Client, error) {
	channel, err := m.open(kind)
	if err != nil {
		return nil, err
	}
	return NewClient(channel), nil
}

func (m *overMux) receive(stdout, stderr *stdio.Sink) []*stdio.Pump {
	if stdout.Drops() && stderr.Drops() {
		return nil
	}
	return []*stdio.Pump{stdio.StartPump(m.mux.ReceiveOutput(func(isStderr bool, data []byte) {
		to := stdout
		if isStderr {
			to = stderr
		}
		_, _ = to.Write(data)
	}))}
}

func (*overMux) endsOutput() bool { return false }

func (m *overMux) moved() uint64 { return m.mux.Moved() }

// muxChannel is a Channel of a session with the feature rpc-mux.
type muxChannel struct {
	*rpcmux.Channel
	cause func() error
}

// lost gives an error of a channel the form that callers can recognize.
func (c *muxChannel) lost(err error) error {
	if err == nil || errors.Is(err, rpcmux.ErrFull) {
		return err
	}
	return lost(c.cause, err)
}

// Send implements Channel.
func (c *muxChannel) Send(method string, number uint64, args any) (uint64, error) {
	end, err := c.Channel.Send(method, number, args)
	if unfit := (*rpcmux.EncodeError)(nil); errors.As(err, &unfit) {
		return 0, err
	}
	return end, c.lost(err)
}

// ReadHeader implements Channel.
func (c *muxChannel) ReadHeader(r *rpc.Response) error { return c.lost(c.Channel.ReadHeader(r)) }

// ReadReply implements Channel.
func (c *muxChannel) ReadReply(target reflect.Value) error {
	err := c.Channel.ReadReply(target)
	if err != nil && c.Channel.Err() != nil {
		return c.lost(err)
	}
	return err
}

// SPDX-License-Identifier: MPL-2.0

package plugin

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/rpc"
	"reflect"
	"slices"

	"github.com/hashicorp/yamux"

	"github.com/hashicorp/go-plugin/internal/rpcmux"
	"github.com/hashicorp/go-plugin/internal/stdio"
)

// newRPCMuxClient completes client for a session with the feature rpc-mux, by which two
// peers of this library put their net/rpc calls on the connection themselves, without
// yamux. draining is called when the plugin says that it is about to leave, and ended
// when the session can be used no more.
func newRPCMuxClient(conn net.Conn, client *RPCClient, cfg *yamux.Config, draining func(), ended func(error)) *RPCClient {
	streams := &lazyStreams{}
	client.host = rpcmux.NewHost(conn, rpcmux.HostConfig{
		Draining: draining, Streams: streams.begin, Ended: ended,
		MaxSend: client.maxSend, MaxReceive: client.maxMessage,
	})
	client.broker = newMuxBroker(streams, client.shared.arrivals())
	client.broker.serving = rpcServing{panicked: client.panicked, maxMessage: client.maxMessage}
	streams.init(client.host, client.broker, func() (*yamux.Session, error) { return yamux.Client(client.host.StreamConn(), cfg) })
	// The last, because it begins to read.
	client.control = NewChannelClient(&muxChannel{client.host.Channel(0), client.why})
	return client
}

// openMux asks the plugin to serve a kind on a channel. It need not wait for one
// that the plugin has listed.
func (c *RPCClient) openMux(kind string) (*muxChannel, error) {
	if err := c.host.Err(); err != nil {
		return nil, lostBecause(c.why, err)
	}
	if slices.ContainsFunc(c.listed, func(k PeerKind) bool { return k.Name == kind }) {
		return &muxChannel{c.host.Open(kind), c.why}, nil
	}
	id, err := c.dispense(kind)
	if err != nil {
		return nil, err
	}
	return &muxChannel{c.host.Channel(uint64(id)), c.why}, nil
}

// muxChannel is an RPCChannel of a session with the feature rpc-mux.
type muxChannel struct {
	*rpcmux.Channel
	why func() error
}

// lost gives an error of a channel the form that callers can recognize.
func (c *muxChannel) lost(err error) error {
	if err == nil || errors.Is(err, ErrChannelFull) {
		return err
	}
	return lostBecause(c.why, err)
}

// Send implements RPCChannel.
func (c *muxChannel) Send(method string, number uint64, args any) (uint64, error) {
	end, err := c.Channel.Send(method, number, args)
	if unfit := (*RPCEncodeError)(nil); errors.As(err, &unfit) {
		return 0, err
	}
	return end, c.lost(err)
}

// ReadHeader implements RPCChannel.
func (c *muxChannel) ReadHeader(r *rpc.Response) error { return c.lost(c.Channel.ReadHeader(r)) }

// ReadReply implements RPCChannel.
func (c *muxChannel) ReadReply(target reflect.Value) error {
	err := c.Channel.ReadReply(target)
	if err != nil && c.Channel.Err() != nil {
		return c.lost(err)
	}
	return err
}

// receiveMuxOutput copies the plugin's output. A writer that fails stops
// receiving, not the plugin.
func (c *RPCClient) receiveMuxOutput(stdout, stderr io.Writer) {
	sinks := [2]*stdio.Sink{stdio.NewSink(stdout, nil), stdio.NewSink(stderr, nil)}
	if sinks[0].Drops() && sinks[1].Drops() {
		return
	}
	passOn := c.host.ReceiveOutput(func(isStderr bool, data []byte) {
		to := sinks[0]
		if isStderr {
			to = sinks[1]
		}
		_, _ = to.Write(data)
	})
	c.outputs = []*stdio.Pump{stdio.StartPump(passOn)}
}

func notNetRPC(kind string, p Protocol) error {
	return fmt.Errorf("open %s: the session speaks %s, not net/rpc", kind, p)
}

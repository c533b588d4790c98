// SPDX-License-Identifier: MPL-2.0

package plugin

import (
	"context"
	"net"
	"net/rpc"
	"reflect"

	"github.com/hashicorp/go-plugin/internal/mux"
	"github.com/hashicorp/go-plugin/internal/netrpc"
)

// RPCChannel carries the calls of one kind in a net/rpc session, for a stub that
// outlives sessions and sends each call through another one. Send, Taken and
// Await may be called from any goroutine. ReadHeader and ReadReply belong to
// one, which has to read on until ReadHeader fails: the whole session may wait
// for it.
type RPCChannel interface {
	// Send queues a request, and never waits for the connection. It returns where the
	// request ends in what Taken counts. It was not sent if there is an error:
	// [ErrChannelFull], an [*RPCEncodeError], or one that matches
	// [ErrConnectionLost]. Without mux, net/rpc has no place for what the request
	// says beside its method and its arguments.
	Send(r RPCRequest, args any) (end uint64, err error)
	// Cancel says that nobody waits for the answer to the request of that number
	// any more, which was sent: the context of the method that runs it ends, and a
	// failure takes the place of the answer. Cancel reports true if the plugin will
	// surely not run the call, because the request had not left. Without mux it does
	// nothing.
	Cancel(number uint64) (unsent bool)
	// Taken is how many of the bytes that were queued the connection was given.
	// What it was not given cannot have reached the plugin.
	Taken() uint64
	// Await waits until Send has something else to say than ErrChannelFull. It
	// returns the cause of ctx when that ends first.
	Await(ctx context.Context) error
	// ReadHeader waits for the next answer. An error means that there will be
	// none, because the session or the channel has ended.
	ReadHeader(*rpc.Response) error
	// ReadReply must follow each ReadHeader. It decodes the reply into what
	// target points to; the zero Value drops it. An error that matches
	// [ErrConnectionLost] means that the session has ended, an [*RPCRefusedError] that
	// the plugin has not run the call, a [*MessageTooLargeError] that the reply is larger
	// than this side allows, any other that it cannot be decoded. Without mux the latter
	// may be the last one of the channel, which ReadHeader says.
	ReadReply(target reflect.Value) error
	// DetachReply may be called in the place of ReadReply. If the reply is a long one that
	// can be decoded apart from others, it returns what does so: it is called once, from
	// any goroutine, while the reader goes on. Otherwise it returns nil, and ReadReply
	// must follow.
	DetachReply() (decode func(target reflect.Value) error)
	// Close ends the channel. It may be called more than once.
	Close() error
}

// RPCRequest is what a request says beside its arguments.
type RPCRequest = mux.Request

// ErrChannelFull is a request that was not sent, because the connection is
// slower than its callers.
var ErrChannelFull = mux.ErrFull

// RPCEncodeError is a request that was not sent, because its arguments cannot
// be encoded.
type RPCEncodeError = mux.EncodeError

// RPCRefusedError is a call that the plugin has surely not run: too many are under way, or
// it does not serve the kind after all. Another instance may.
type RPCRefusedError = mux.RefusedError

// MessageTooLargeError is a message of more bytes than MaxMessageBytes of either side
// allows. The session lives on.
type MessageTooLargeError = mux.TooLargeError

// NewRPCChannel returns a channel on a connection that speaks net/rpc with gob,
// as rpc.ServeConn does. The channel owns the connection.
func NewRPCChannel(conn net.Conn) RPCChannel { return netrpc.NewChannel(conn) }

// NewChannelClient returns a client on a channel. The client owns the channel.
func NewChannelClient(channel RPCChannel) *rpc.Client { return netrpc.NewClient(channel) }

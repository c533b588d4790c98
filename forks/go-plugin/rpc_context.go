// SPDX-License-Identifier: MPL-2.0

package plugin

import (
	"context"
	"net/rpc"

	"github.com/hashicorp/go-plugin/internal/netrpc"
)

// ContextReceiver makes a value for [Plugin.Server] to return, or for
// [MuxBroker.AcceptAndServe], of a receiver whose methods may take a context first:
//
//	func (s *server) Greet(ctx context.Context, args Args, reply *Reply) error
//
// They are called as "Plugin.Greet", like those without a context, and nothing else on
// the wire shows it: a host may be of any age. The context ends when the method has
// returned, and before that when the connection that carries the call has ended; its
// context.Cause then matches [ErrConnectionLost]. The receiver's methods of the form that
// net/rpc wants are served as without the wrapper.
func ContextReceiver(receiver any) any { return &netrpc.ContextReceiver{Receiver: receiver} }

// CallContext calls a method through a client as client.Call does, for as long as ctx
// lives: a stub whose interface has contexts uses it. When ctx ends first the call is
// given up, and the error matches what ctx.Err returns.
//
// With mux the deadline of ctx, its end and its outgoing metadata (package
// [google.golang.org/grpc/metadata]) reach the method, if that takes a context: see
// [ContextReceiver]. Any other plugin gets the call as ever, and its answer is dropped.
// The reply is set only if there is no error.
func CallContext(ctx context.Context, client *rpc.Client, method string, args, reply any) error {
	return netrpc.CallContext(ctx, client, method, args, reply)
}

// ContextCall is what [CallContext] gives a [ContextClientCodec] in the place of the
// arguments.
type ContextCall = netrpc.ContextCall

// ContextClientCodec is an rpc.ClientCodec whose WriteRequest takes a [*ContextCall] for
// arguments, and sets its Canceler if it returns no error. Cancel is called at most once,
// when the context has ended before the call was done. The codec then sees to it that the
// call is done soon, and that its reply is not set from then on.
type ContextClientCodec = netrpc.ContextClientCodec

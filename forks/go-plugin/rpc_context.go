// SPDX-License-Identifier: MPL-2.0

package plugin

import "github.com/hashicorp/go-plugin/internal/netrpc"

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

// SPDX-License-Identifier: MPL-2.0

package plugin

import (
	"context"
	"errors"
	"net/rpc"
	"reflect"
)

// NewChannelClient returns a client on a channel. The client owns the channel.
func NewChannelClient(channel RPCChannel) *rpc.Client {
	return rpc.NewClientWithCodec(&channelCodec{channel})
}

// channelCodec is the rpc.ClientCodec of a channel. Its client may wait for the
// connection.
type channelCodec struct{ RPCChannel }

// WriteRequest implements rpc.ClientCodec.
func (c *channelCodec) WriteRequest(r *rpc.Request, args any) error {
	for {
		_, err := c.Send(r.ServiceMethod, r.Seq, args)
		if !errors.Is(err, ErrChannelFull) {
			return err
		}
		if err := c.Await(context.Background()); err != nil {
			return err
		}
	}
}

// ReadResponseHeader implements rpc.ClientCodec.
func (c *channelCodec) ReadResponseHeader(r *rpc.Response) error { return c.ReadHeader(r) }

// ReadResponseBody implements rpc.ClientCodec. After an error an rpc.Client
// does not read on, but somebody must until the channel has ended.
func (c *channelCodec) ReadResponseBody(body any) error {
	var target reflect.Value
	if body != nil {
		target = reflect.ValueOf(body)
	}
	err := c.ReadReply(target)
	if err != nil {
		_ = c.Close()
		for c.ReadHeader(&rpc.Response{}) == nil {
			_ = c.ReadReply(reflect.Value{})
		}
	}
	return err
}

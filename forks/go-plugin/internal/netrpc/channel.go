// SPDX-License-Identifier: MPL-2.0

// Package netrpc runs the net/rpc sessions of this library, both sides of them, over
// yamux as every go-plugin peer does and over package mux with the feature mux.
//
// It speaks the gob encoding of net/rpc byte for byte, but with codecs and a server loop
// of its own, because those of the standard library cannot say what went wrong: a lost
// connection looks like any other error to the caller, calls in flight cannot be
// counted, a method that panics ends the process, and a value that cannot be encoded
// ends the connection.
package netrpc

import (
	"context"
	"errors"
	"net/rpc"
	"reflect"

	"github.com/hashicorp/go-plugin/internal/mux"
	"github.com/hashicorp/go-plugin/internal/peererr"
)

// Channel carries the calls of one kind in a session. The root package documents its
// methods, where it is public as RPCChannel.
type Channel interface {
	Send(r mux.Request, args any) (end uint64, err error)
	Cancel(number uint64) (unsent bool)
	Taken() uint64
	Await(ctx context.Context) error
	ReadHeader(*rpc.Response) error
	ReadReply(target reflect.Value) error
	DetachReply() (decode func(target reflect.Value) error)
	Close() error
}

// NewClient returns a client on a channel, which it owns. Its calls may wait for the
// connection.
func NewClient(channel Channel) *rpc.Client {
	return rpc.NewClientWithCodec(&clientCodec{channel})
}

// clientCodec is the rpc.ClientCodec of a channel.
type clientCodec struct{ Channel }

// WriteRequest implements rpc.ClientCodec. Nothing was sent if the arguments cannot be
// encoded, and the client can be used on.
func (c *clientCodec) WriteRequest(r *rpc.Request, args any) error {
	request := mux.Request{Method: r.ServiceMethod, Number: r.Seq}
	ctx := context.Background()
	call, ok := args.(*ContextCall)
	if ok {
		ctx, args = call.Context, call.Args
		request.Carry(ctx)
	}
	for {
		_, err := c.Send(request, args)
		if err == nil && ok {
			call.Canceler = &sentCall{c, r.Seq}
		}
		if !errors.Is(err, mux.ErrFull) {
			return err
		}
		if err := c.Await(ctx); err != nil {
			return err
		}
	}
}

// sentCall is the Canceler of a call of an rpc.Client, which keeps it until it is
// answered.
type sentCall struct {
	channel Channel
	number  uint64
}

// Cancel tells the plugin that nobody waits for the answer.
func (s *sentCall) Cancel() { s.channel.Cancel(s.number) }

// ReadResponseHeader implements rpc.ClientCodec. A client makes a text of an error of
// ReadResponseBody, in which nobody knows a lost connection: so the reply has come before,
// where that is known.
func (c *clientCodec) ReadResponseHeader(r *rpc.Response) error {
	err := c.ReadHeader(r)
	if whole, ok := c.Channel.(interface{ AwaitReply() error }); err == nil && ok {
		err = whole.AwaitReply()
	}
	return err
}

// ReadResponseBody implements rpc.ClientCodec. After an error an rpc.Client does not
// read on, but the channel has to be read until it has ended.
func (c *clientCodec) ReadResponseBody(body any) error {
	err := c.ReadReply(reflect.ValueOf(body)) // nil drops it, as the zero Value does
	if err == nil || body == nil && mux.HasNoReply(err) {
		return nil
	}
	_ = c.Close()
	for c.ReadHeader(&rpc.Response{}) == nil {
		_ = c.ReadReply(reflect.Value{})
	}
	return peererr.Lost(&unreadableReply{err})
}

// unreadableReply is why a client ends: it gives up at a reply that is of another type
// than the caller's, or holds one that the host has not registered with gob. The other
// calls of the client lose their answers.
type unreadableReply struct{ err error }

func (e *unreadableReply) Error() string {
	return "the stub ends with a reply that cannot be decoded: " + e.err.Error()
}

func (e *unreadableReply) Unwrap() error { return e.err }

// lost makes err match peererr.ErrConnectionLost. It prefers the session's own reason,
// which cause gives if it has one, to what the connection said: "no answer to a ping"
// says more than "EOF". cause may be nil.
func lost(cause func() error, err error) error {
	if unreadable := (*unreadableReply)(nil); cause != nil && !errors.As(err, &unreadable) {
		if reason := cause(); reason != nil {
			err = reason
		}
	}
	return peererr.Lost(err)
}

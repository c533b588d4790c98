// SPDX-License-Identifier: MPL-2.0

package netrpc

import (
	"context"
	"fmt"
	"net/rpc"
	"reflect"
	"time"
)

// ContextCall is a call that carries a context. An rpc.Client hands it to its codec in
// the place of the arguments. The root package documents it.
type ContextCall struct {
	Context context.Context
	Args    any
	// Canceler is the codec's. Nil has nothing to do.
	Canceler Canceler
}

// Canceler is told that the context of a call has ended.
type Canceler interface{ Cancel() }

// ContextClientCodec is a codec that takes a *ContextCall.
type ContextClientCodec interface {
	rpc.ClientCodec
	// TakesContextCalls does nothing. It tells the codec from others.
	TakesContextCalls()
}

// CallContext calls a method for as long as ctx lives.
func CallContext(ctx context.Context, client *rpc.Client, method string, args, reply any) error {
	codec := codecType(client)
	own := codec == reflect.TypeFor[*clientCodec]()
	ends := !own && codec != nil && codec.Implements(reflect.TypeFor[ContextClientCodec]())
	call := &ContextCall{Context: ctx, Args: args}
	if own || ends {
		args = call
	}
	to := reply
	if !ends {
		if ctx.Err() != nil {
			return givenUp(ctx, method)
		}
		to = copyOf(reply)
	}
	done := client.Go(method, args, to, make(chan *rpc.Call, 1))
	select {
	case <-done.Done:
	case <-ctx.Done():
		if call.Canceler != nil {
			call.Canceler.Cancel()
		}
		if !ends {
			return givenUp(ctx, method)
		}
		<-done.Done
	}
	if deadline, ok := ctx.Deadline(); ok && done.Error != nil && !ends && !time.Now().Before(deadline) {
		<-ctx.Done() // at once: the plugin may have been quicker to notice the deadline
		return givenUp(ctx, method)
	}
	if done.Error == nil && to != reply {
		reflect.ValueOf(reply).Elem().Set(reflect.ValueOf(to).Elem())
	}
	return done.Error
}

// codecType gives the type of a client's codec, or nil if this release of Go keeps it
// otherwise.
func codecType(client *rpc.Client) reflect.Type {
	codec := reflect.ValueOf(client).Elem().FieldByName("codec")
	if !codec.IsValid() || codec.Kind() != reflect.Interface || codec.IsNil() {
		return nil
	}
	return codec.Elem().Type()
}

// copyOf gives what a reply is decoded into where the client may do so after the caller
// has given up.
func copyOf(reply any) any {
	if v := reflect.ValueOf(reply); v.Kind() == reflect.Pointer && !v.IsNil() {
		return reflect.New(v.Type().Elem()).Interface()
	}
	return reply
}

func givenUp(ctx context.Context, method string) error {
	if cause := context.Cause(ctx); cause != ctx.Err() {
		return fmt.Errorf("%s: %w: %w", method, ctx.Err(), cause)
	}
	return fmt.Errorf("%s: %w", method, ctx.Err())
}

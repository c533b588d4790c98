// SPDX-License-Identifier: MPL-2.0

package stub

import (
	"context"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/mem"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"
)

// keptCall is an attempt of a call whose request its endpoint remembers. It goes on when its
// caller has given up, as nobody would know otherwise when the endpoint has run it. So it
// shares no memory with the caller: the request is encoded before, and the answer decoded by
// the caller, if that is still there. It is its own codec.
type keptCall struct {
	sentMessage
	state atomic.Uint32
	codec callCodec // the caller's

	// What came of it, which the caller may read once it has ended.
	answer          []byte
	header, trailer metadata.MD
	peer            peer.Peer

	wanted   []func()      // give the caller what its options ask for
	finished []func(error) // are to be told of the end
}

// What has become of the request of a keptCall.
const (
	keptWaits     uint32 = iota
	keptHanded           // to the connection: the endpoint may run it
	keptWithdrawn        // before that
)

// keep encodes the request of a call, and gives the options of its attempt. With an error
// there is still who is to be told of it.
func keep(req any, opts []grpc.CallOption) (*keptCall, []grpc.CallOption, error) {
	k := new(keptCall)
	own := make([]grpc.CallOption, 0, len(opts)+5)
	for _, o := range opts {
		switch o := o.(type) {
		case grpc.HeaderCallOption:
			k.wanted = append(k.wanted, func() { *o.HeaderAddr = k.header })
		case grpc.TrailerCallOption:
			k.wanted = append(k.wanted, func() { *o.TrailerAddr = k.trailer })
		case grpc.PeerCallOption:
			k.wanted = append(k.wanted, func() { *o.PeerAddr = k.peer })
		case grpc.OnFinishCallOption:
			k.finished = append(k.finished, o.OnFinish)
		default:
			own = append(own, o)
		}
	}
	codec, err := codecOf(opts)
	if err != nil {
		return k, nil, err
	}
	message, err := codec.encode(req)
	if err != nil {
		return k, nil, err
	}
	k.sentMessage, k.codec = sentMessage{message, codec.subtype}, codec
	return k, append(own, grpc.Header(&k.header), grpc.Trailer(&k.trailer), grpc.Peer(&k.peer),
		grpc.WaitForReady(false), grpc.ForceCodecV2(k)), nil
}

// Marshal implements encoding.CodecV2. gRPC asks for the request just before it is sent.
func (k *keptCall) Marshal(v any) (mem.BufferSlice, error) {
	if !k.state.CompareAndSwap(keptWaits, keptHanded) && k.state.Load() == keptWithdrawn {
		return nil, context.Canceled
	}
	return k.sentMessage.Marshal(v)
}

// Unmarshal implements encoding.CodecV2.
func (k *keptCall) Unmarshal(data mem.BufferSlice, _ any) error {
	k.answer = data.Materialize()
	return nil
}

// finish gives the caller what came of a call that ended with err.
func (k *keptCall) finish(reply any, err error) error {
	if err == nil {
		err = k.codec.decode(k.answer, reply)
	}
	for _, give := range k.wanted {
		give()
	}
	k.tell(err)
	return err
}

func (k *keptCall) tell(err error) {
	for _, told := range k.finished {
		told(err)
	}
}

// invokeKept makes an attempt of a call whose request the endpoint remembers. It returns when
// that has answered, or at once when the caller has given up. The turn of the session stays
// with the attempt until the endpoint has answered, or the session or the stub has ended.
func (c *grpcCall) invokeKept(ctx context.Context, turn *turnLease, conn *grpc.ClientConn, fullMethod string, req, reply any, opts []grpc.CallOption) (sent bool, err error) {
	k, own, err := keep(req, opts)
	if err != nil {
		k.tell(err)
		return false, err
	}
	deadline, _ := ctx.Deadline() // which each unary call has
	lasting, cancel := context.WithCancel(context.WithoutCancel(c.trace.attempt(ctx, turn.Endpoint())))
	awaitsAnswer(turn)
	answered := make(chan error, 1)
	go func() {
		defer cancel()
		err := conn.Invoke(toldDeadline{lasting, deadline}, fullMethod, k, k, own...)
		turn.close(turnOfEndpoint)
		answered <- err
	}()
	select {
	case err = <-answered:
	case <-ctx.Done():
		select {
		case err = <-answered:
		default:
			sent = k.leave(lasting, c.routes.ctx, cancel)
			err = status.FromContextError(ctx.Err()).Err()
			k.tell(err)
			return sent, err
		}
	}
	if err = k.finish(reply, err); err == nil {
		md, _ := metadata.FromOutgoingContext(ctx)
		c.routes.replays.accepted(turn, c.calledMethod, grpcRequest{&k.sentMessage, md.Copy()})
	}
	mark := sentMark{peer: k.peer, conn: conn, method: fullMethod}
	return err != nil && mark.sent(), err
}

// leave has the attempt go on without its caller until the stub ends, or not at all where the
// request has not left. It reports which.
func (k *keptCall) leave(lasting, stub context.Context, cancel context.CancelFunc) (handed bool) {
	if k.state.CompareAndSwap(keptWaits, keptWithdrawn) {
		cancel()
		return false
	}
	stop := context.AfterFunc(stub, cancel)
	context.AfterFunc(lasting, func() { stop() })
	return true
}

// toldDeadline is a context whose deadline the plugin is told, and which does not end then:
// whoever waits for an answer learns when the method has returned that passes it by.
type toldDeadline struct {
	context.Context
	at time.Time
}

// Deadline implements context.Context.
func (d toldDeadline) Deadline() (time.Time, bool) { return d.at, true }

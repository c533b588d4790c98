// SPDX-License-Identifier: MPL-2.0

package plugin

import (
	"context"
	"errors"
	"fmt"
	"github.com/hashicorp/go-plugin/internal/peererr"
	"net"
	"time"

	"github.com/hashicorp/go-plugin/internal/grpcmux"
	"github.com/hashicorp/go-plugin/internal/pluginpb"
	"github.com/hashicorp/go-plugin/internal/rendezvous"
)

// answerTime is what a knock that waits for somebody to accept its id leaves of
// the time that the other side waits for the answer: a stream that was promised
// and does not come would shift all later ones.
const answerTime = 500 * time.Millisecond

// muxTransport makes brokered connections inside the session's yamux session.
type muxTransport struct {
	core *brokerCore
	// session waits for the yamux session, which its owner closes.
	session func(context.Context) (*grpcmux.Mux, error)
	acks    *rendezvous.Table[uint32, *pluginpb.ConnInfo]
}

func newMuxTransport(core *brokerCore, session func(context.Context) (*grpcmux.Mux, error)) *muxTransport {
	return &muxTransport{core: core, session: session, acks: rendezvous.New[uint32](rendezvous.Options[*pluginpb.ConnInfo]{})}
}

func (t *muxTransport) accept(ctx context.Context, id uint32) (net.Listener, error) {
	mux, err := t.session(ctx)
	if err != nil {
		return nil, err
	}
	return mux.Listen(id), nil
}

func (t *muxTransport) dialer(_ context.Context, id uint32) (brokerDialer, error) {
	return brokerDialer{dial: func(ctx context.Context) (net.Conn, error) {
		mux, err := t.session(ctx)
		if err != nil {
			return nil, err
		}
		return mux.Dial(ctx, func(ctx context.Context) error { return t.knock(ctx, id) })
	}}, nil
}

// knock asks the other side to accept the next stream for id.
func (t *muxTransport) knock(ctx context.Context, id uint32) error {
	ctx, cancel := t.core.within(ctx, t.core.wait)
	defer cancel()
	ack := t.acks.Expect(id)
	defer ack.Cancel()
	if err := t.core.link.send(ctx, knockMessage(id, &pluginpb.ConnInfo_Knock{})); err != nil {
		return err
	}
	msg, err := ack.Take(ctx)
	if err != nil {
		return fmt.Errorf("no answer to the knock for broker id %d: %w", id, err)
	}
	if refused := msg.GetKnock().GetError(); refused != "" {
		return fmt.Errorf("the other side does not open broker id %d: %s", id, peererr.Text(refused))
	}
	return nil
}

func (t *muxTransport) receive(msg *pluginpb.ConnInfo) {
	switch {
	case isKnock(msg):
		t.core.answer(func() { t.admit(msg.GetServiceId()) })
	case !isAck(msg):
		t.core.logger.Warn("the other side's broker announces an address though multiplexing was agreed", "id", msg.GetServiceId())
	case !t.acks.Deliver(msg.GetServiceId(), msg) && msg.GetKnock().GetError() == "":
		t.redeem(msg.GetServiceId())
	}
}

// admit answers a knock.
func (t *muxTransport) admit(id uint32) {
	ctx, cancel := t.core.within(context.Background(), t.core.wait-answerTime)
	defer cancel()
	mux, err := t.session(ctx)
	if err == nil {
		err = mux.Admit(ctx, id, func(refused error) error { return t.ack(id, refused) })
	}
	if err != nil && t.core.ctx.Err() == nil {
		t.core.logger.Warn("a knock was not answered", "id", id, "error", err)
	}
}

func (t *muxTransport) ack(id uint32, refused error) error {
	knock := &pluginpb.ConnInfo_Knock{Ack: true}
	if refused != nil {
		knock.Error = refused.Error()
	}
	// Its own bound: the knock's may have just ended.
	ctx, cancel := t.core.within(context.Background(), time.Second)
	defer cancel()
	return t.core.link.send(ctx, knockMessage(id, knock))
}

// redeem keeps both sides in step when an answer came too late.
func (t *muxTransport) redeem(id uint32) {
	mux, err := t.session(t.core.ctx)
	if err == nil {
		err = mux.Redeem()
	}
	if err != nil && !errors.Is(err, net.ErrClosed) && t.core.ctx.Err() == nil {
		t.core.logger.Warn("a late answer to a knock was not taken up", "id", id, "error", err)
	}
}

func (t *muxTransport) close() {}

// SPDX-License-Identifier: MPL-2.0

package broker

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/hashicorp/go-plugin/internal/multiplex"
	"github.com/hashicorp/go-plugin/internal/peererr"
	"github.com/hashicorp/go-plugin/internal/pluginpb"
	"github.com/hashicorp/go-plugin/internal/rendezvous"
)

// answerTime is what a knock that waits for somebody to accept its id leaves of
// the time that the other side waits for the answer: a stream that was promised
// and does not come would shift all later ones.
const answerTime = 500 * time.Millisecond

// Multiplexed makes connections inside the session's yamux session, which its owner
// closes.
func Multiplexed(session *multiplex.Session) Transport {
	return func(b *Broker) transport {
		return &multiplexed{b, session, rendezvous.New[uint32](rendezvous.Options[message]{})}
	}
}

type multiplexed struct {
	b       *Broker
	session *multiplex.Session
	acks    *rendezvous.Table[uint32, message] // of knocks
}

func (t *multiplexed) accept(_ context.Context, id uint32) (net.Listener, error) {
	return t.session.Listen(id), nil
}

func (t *multiplexed) forward(wanted func(id uint32)) { t.session.Forward(wanted) }

func (t *multiplexed) dialer(_ context.Context, id uint32) (dialer, error) {
	return dialer{dial: func(ctx context.Context) (net.Conn, error) {
		return t.session.Dial(ctx, func(ctx context.Context) error { return t.knock(ctx, id) })
	}}, nil
}

// knock asks the other side to accept the next stream for id.
func (t *multiplexed) knock(ctx context.Context, id uint32) error {
	ctx, cancel := t.b.within(ctx, t.b.patience)
	defer cancel()
	ack := t.acks.Expect(id)
	defer ack.Cancel()
	if err := t.b.link.send(ctx, knockMessage(id, &pluginpb.ConnInfo_Knock{})); err != nil {
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

func (t *multiplexed) receive(msg message) {
	id := msg.GetServiceId()
	switch {
	case isKnock(msg):
		t.b.answer(func() { t.admit(id) })
	case !isAck(msg):
		t.b.logger.Warn("the other side's broker announces an address though multiplexing was agreed", "id", id)
	case !t.acks.Deliver(id, msg) && msg.GetKnock().GetError() == "":
		t.redeem(id)
	}
}

// admit answers a knock.
func (t *multiplexed) admit(id uint32) {
	ctx, cancel := t.b.within(context.Background(), t.b.patience-answerTime)
	defer cancel()
	err := t.session.Admit(ctx, id, func(refused error) error { return t.ack(id, refused) })
	if err != nil && t.b.ctx.Err() == nil {
		t.b.logger.Warn("a knock was not answered", "id", id, "error", err)
	}
}

func (t *multiplexed) ack(id uint32, refused error) error {
	knock := &pluginpb.ConnInfo_Knock{Ack: true}
	if refused != nil {
		knock.Error = refused.Error()
	}
	// Its own bound: the knock's may have just ended.
	ctx, cancel := t.b.within(context.Background(), time.Second)
	defer cancel()
	return t.b.link.send(ctx, knockMessage(id, knock))
}

// redeem keeps both sides in step when an answer came too late.
func (t *multiplexed) redeem(id uint32) {
	err := t.session.Redeem(t.b.ctx)
	if err != nil && !errors.Is(err, net.ErrClosed) && t.b.ctx.Err() == nil {
		t.b.logger.Warn("a late answer to a knock was not taken up", "id", id, "error", err)
	}
}

// SPDX-License-Identifier: MPL-2.0

package broker

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/hashicorp/go-plugin/internal/pluginpb"
	"github.com/hashicorp/go-plugin/internal/rendezvous"
	"github.com/hashicorp/go-plugin/internal/reopen"
)

// maxMessage is the largest message of the other side's broker that is acted on, in
// bytes. Honest ones hold a number and an address, or why a knock was refused; many may
// have to be kept.
const maxMessage = 16 << 10

// message is what the two brokers of a session send each other about an id: where it is
// accepted, or a knock, which asks for a connection, or the answer to one.
type message = *pluginpb.ConnInfo

// messageStream is either side of the method GRPCBroker/StartStream.
type messageStream interface {
	Send(message) error
	Recv() (message, error)
}

// link is the stream on which the two brokers of a session talk.
type link struct {
	sending sync.Mutex // one sender at a time: a stream allows no more
	// streams holds the stream there is. The last one wins: a child that was left by
	// one host and found by the next talks to that one.
	streams *rendezvous.Table[struct{}, messageStream]
}

// send waits for a stream until ctx ends.
func (l *link) send(ctx context.Context, msg message) error {
	stream, err := l.streams.Take(ctx, struct{}{})
	if err != nil {
		return fmt.Errorf("no broker on the other side: %w", err)
	}
	l.sending.Lock()
	defer l.sending.Unlock()
	if err := stream.Send(msg); err != nil {
		return fmt.Errorf("tell the other side's broker: %w", err)
	}
	return nil
}

// ServeLink acts on what the other side's broker sends until stream ends, and returns
// why it has, never nil. What this side has to say goes to the stream that came last.
func (b *Broker) ServeLink(stream messageStream) error {
	b.link.streams.Put(struct{}{}, stream)
	defer b.link.streams.Remove(struct{}{}, stream)
	for {
		msg, err := stream.Recv()
		if err != nil {
			return err
		}
		if size := proto.Size(msg); size > maxMessage {
			b.logger.Warn("the other side's broker sends a message that is too large",
				"id", msg.GetServiceId(), "bytes", size, "at_most", maxMessage)
			continue
		}
		b.transport.receive(msg)
		if msg.GetKnock() == nil {
			b.Accepted(msg.GetServiceId())
		}
	}
}

// runLink opens the link from the host's side, again when the connection was
// replaced under it, and ends the broker when the link has ended. Plugins of the
// original library have one link only: they end the second at once.
func (b *Broker) runLink() {
	ctx, cancel := context.WithCancel(b.ctx)
	defer cancel()
	defer context.AfterFunc(b.cfg.Host.Done, cancel)()
	err := reopen.Stream(ctx, func() error {
		stream, err := pluginpb.NewGRPCBrokerClient(b.cfg.Host.Conn).StartStream(ctx, grpc.WaitForReady(true))
		if err != nil {
			return err
		}
		return b.ServeLink(stream)
	})
	if status.Code(err) == codes.Unimplemented {
		// It is a gRPC server that was not made for go-plugin: nothing was lost.
		b.end(errors.New("the plugin has no broker"))
		return
	}
	err = fmt.Errorf("the plugin's broker has gone: %w", err)
	if b.cfg.Host.Done.Err() == nil {
		b.lose(err)
	}
	b.end(err)
}

// knockMessage asks for id, or answers that.
func knockMessage(id uint32, knock *pluginpb.ConnInfo_Knock) message {
	knock.Knock = true
	return &pluginpb.ConnInfo{ServiceId: id, Knock: knock}
}

// isKnock reports whether msg asks for a connection, and isAck whether it
// answers one that did.
func isKnock(msg message) bool { return msg.GetKnock().GetKnock() && !isAck(msg) }

func isAck(msg message) bool { return msg.GetKnock().GetAck() }

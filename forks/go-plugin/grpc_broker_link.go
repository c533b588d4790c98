// SPDX-License-Identifier: MPL-2.0

package plugin

import (
	"context"
	"fmt"
	"sync"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"

	"github.com/hashicorp/go-plugin/internal/pluginpb"
	"github.com/hashicorp/go-plugin/internal/reopen"
)

// maxConnInfo is the largest message of the other side's broker that is acted on, in
// bytes. Honest ones hold a number and an address, or why a knock was refused; many may
// have to be kept.
const maxConnInfo = 16 << 10

// connInfoStream is either side of GRPCBroker.StartStream.
type connInfoStream interface {
	Send(*pluginpb.ConnInfo) error
	Recv() (*pluginpb.ConnInfo, error)
}

// brokerLink is the stream on which the two brokers of a session talk. Its zero
// value has no stream yet.
type brokerLink struct {
	sending sync.Mutex // one sender at a time: a stream allows no more

	mu      sync.Mutex
	stream  connInfoStream
	changed chan struct{} // closed when stream is set; nil if nobody waits
}

// attach makes stream the one to send on. The last one wins: a child that was
// left by one host and found by the next talks to that one.
func (l *brokerLink) attach(stream connInfoStream) (detach func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.stream = stream
	if l.changed != nil {
		close(l.changed)
		l.changed = nil
	}
	return func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		if l.stream == stream {
			l.stream = nil
		}
	}
}

// await returns the stream, waiting for one until ctx ends.
func (l *brokerLink) await(ctx context.Context) (connInfoStream, error) {
	for {
		l.mu.Lock()
		if l.stream != nil {
			defer l.mu.Unlock()
			return l.stream, nil
		}
		if l.changed == nil {
			l.changed = make(chan struct{})
		}
		changed := l.changed
		l.mu.Unlock()
		select {
		case <-changed:
		case <-ctx.Done():
			return nil, fmt.Errorf("no broker on the other side: %w", context.Cause(ctx))
		}
	}
}

func (l *brokerLink) send(ctx context.Context, msg *pluginpb.ConnInfo) error {
	stream, err := l.await(ctx)
	if err != nil {
		return err
	}
	l.sending.Lock()
	defer l.sending.Unlock()
	if err := stream.Send(msg); err != nil {
		return fmt.Errorf("tell the other side's broker: %w", err)
	}
	return nil
}

// serveLink reads stream until it ends. It never returns nil.
func (b *GRPCBroker) serveLink(stream connInfoStream) error {
	detach := b.core.link.attach(stream)
	defer detach()
	for {
		msg, err := stream.Recv()
		if err != nil {
			return err
		}
		if size := proto.Size(msg); size > maxConnInfo {
			b.core.logger.Warn("the other side's broker sends a message that is too large",
				"id", msg.GetServiceId(), "bytes", size, "at_most", maxConnInfo)
			continue
		}
		b.transport.receive(msg)
	}
}

// runClient opens the link from the host's side, again when the connection was
// replaced under it, and closes the broker when the link has ended. Plugins of the
// original library have one link only: they end the second at once. It gives up
// when done ends.
func (b *GRPCBroker) runClient(conn grpc.ClientConnInterface, done context.Context) {
	ctx, cancel := context.WithCancel(b.core.ctx)
	defer cancel()
	defer context.AfterFunc(done, cancel)()
	err := reopen.Stream(ctx, func() error { return b.openLink(ctx, conn) })
	err = fmt.Errorf("the plugin's broker has gone: %w", err)
	if done.Err() == nil {
		b.core.lose(err)
	}
	b.core.end(err)
	b.transport.close()
}

// openLink opens the link and serves it until it ends. It never returns nil.
func (b *GRPCBroker) openLink(ctx context.Context, conn grpc.ClientConnInterface) error {
	stream, err := pluginpb.NewGRPCBrokerClient(conn).StartStream(ctx, grpc.WaitForReady(true))
	if err != nil {
		return err
	}
	return b.serveLink(stream)
}

// knock is the message that asks for id, or answers that.
func knockMessage(id uint32, knock *pluginpb.ConnInfo_Knock) *pluginpb.ConnInfo {
	knock.Knock = true
	return &pluginpb.ConnInfo{ServiceId: id, Knock: knock}
}

// isKnock reports whether msg asks for a connection, and isAck whether it
// answers one that did.
func isKnock(msg *pluginpb.ConnInfo) bool { return msg.GetKnock().GetKnock() && !isAck(msg) }

func isAck(msg *pluginpb.ConnInfo) bool { return msg.GetKnock().GetAck() }

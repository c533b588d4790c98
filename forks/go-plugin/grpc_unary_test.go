// SPDX-License-Identifier: MPL-2.0

package plugin_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/hashicorp/go-plugin"
)

// TestInvokeUnary has it make calls as the connection does, with the connection's own options
// and the caller's, and say which of them the plugin may have run.
func TestInvokeUnary(t *testing.T) {
	_, session, _, _ := attachedRelay(t, func(cfg *plugin.ClientConfig) { cfg.MaxMessageBytes = 1 << 20 })
	conn, _ := session.ClientConn()
	long := strings.Repeat("x", 2<<20)
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	for name, c := range map[string]struct {
		ctx    context.Context
		method string
		req    any
		opts   []grpc.CallOption
		sent   bool
		code   codes.Code
	}{
		"answered":           {t.Context(), "Name", wrapperspb.String("!"), nil, true, codes.OK},
		"failed":             {t.Context(), "Busy", wrapperspb.String("header"), nil, true, codes.Unavailable},
		"no such method":     {t.Context(), "Nothing", wrapperspb.String(""), nil, true, codes.Unimplemented},
		"too long":           {t.Context(), "Name", wrapperspb.String(long), nil, false, codes.ResourceExhausted},
		"an answer too long": {t.Context(), "Name", wrapperspb.String(long[:1<<20-4]), nil, true, codes.ResourceExhausted},
		"too long for its caller": {t.Context(), "Name", wrapperspb.String("!"),
			[]grpc.CallOption{grpc.MaxCallSendMsgSize(1)}, false, codes.ResourceExhausted},
		"not encoded": {t.Context(), "Name", "no message", nil, false, codes.Internal},
		"given up":    {ended, "Name", wrapperspb.String(""), nil, false, codes.Canceled},
	} {
		t.Run(name, func(t *testing.T) {
			var want, got wrapperspb.StringValue
			var header metadata.MD
			var from peer.Peer
			opts := append([]grpc.CallOption{grpc.Header(&header), grpc.Peer(&from)}, c.opts...)
			wantErr := conn.Invoke(c.ctx, "/test.Relay/"+c.method, c.req, &want, opts...)
			wantHeader := header
			header, from = nil, peer.Peer{}
			sent, err := session.InvokeUnary(c.ctx, conn, "/test.Relay/"+c.method, c.req, &got, opts)
			if sent != c.sent || status.Code(err) != c.code {
				t.Errorf("sent: %v, %v; want sent: %v, %v", sent, err, c.sent, c.code)
			}
			if got.GetValue() != want.GetValue() || status.Convert(err).Message() != status.Convert(wantErr).Message() {
				t.Errorf("got %q, %v; by the connection %q, %v", &got, err, &want, wantErr)
			}
			if len(header) != len(wantHeader) || (from.Addr != nil) != sent {
				t.Errorf("header %v and peer %v, by the connection %v", header, from.Addr, wantHeader)
			}
		})
	}
	_ = session.Close()
	sent, err := session.InvokeUnary(t.Context(), conn, "/test.Relay/Name", wrapperspb.String(""), new(wrapperspb.StringValue), nil)
	if sent || !errors.Is(err, plugin.ErrConnectionLost) {
		t.Errorf("after its end: sent: %v, %v", sent, err)
	}
}

// TestInvokeUnaryLeavesCalls has it do nothing of a call that only the connection can make.
func TestInvokeUnaryLeavesCalls(t *testing.T) {
	invoke := func(ctx context.Context, s *plugin.Session, conn *grpc.ClientConn, opts ...grpc.CallOption) {
		t.Helper()
		told := false
		opts = append(opts, grpc.OnFinish(func(error) { told = true }))
		sent, err := s.InvokeUnary(ctx, conn, "/test.Relay/Name", wrapperspb.String(""), new(wrapperspb.StringValue), opts)
		if sent || err != plugin.ErrNotInvoked || told {
			t.Errorf("sent: %v, %v, its end told: %v", sent, err, told)
		}
	}
	_, session, _, _ := attachedRelay(t, nil)
	conn, _ := session.ClientConn()
	invoke(t.Context(), session, conn, grpc.PerRPCCredentials(secret{}))
	invoke(metadata.AppendToOutgoingContext(t.Context(), "long", strings.Repeat("x", 100<<10)), session, conn)
	_, other, _, _ := attachedRelay(t, nil)
	invoke(t.Context(), other, conn) // of another session
	invoke(t.Context(), session, nil)
	_, session, _, _ = attachedRelay(t, func(cfg *plugin.ClientConfig) {
		cfg.GRPCDialOptions = []grpc.DialOption{grpc.WithUserAgent("own")}
	})
	conn, _ = session.ClientConn()
	invoke(t.Context(), session, conn)
	invoke(t.Context(), serveEcho(t, nil).attach(t), nil) // over net/rpc
}

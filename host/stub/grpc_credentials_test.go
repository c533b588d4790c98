// SPDX-License-Identifier: MPL-2.0

package stub

import (
	"context"
	"errors"
	"strings"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/reattach/reattach/host/balancer"
)

// brokenToken is a credentials.PerRPCCredentials without a token.
type brokenToken struct {
	err   error
	asked int
}

// GetRequestMetadata implements credentials.PerRPCCredentials.
func (b *brokenToken) GetRequestMetadata(context.Context, ...string) (map[string]string, error) {
	b.asked++
	return nil, b.err
}

// RequireTransportSecurity implements credentials.PerRPCCredentials.
func (*brokenToken) RequireTransportSecurity() bool { return false }

// TestCredentialsAreTheCallers has the credentials of a caller fail: the call ends at once
// with their code, whatever that is, and says nothing of the endpoint.
func TestCredentialsAreTheCallers(t *testing.T) {
	for way, lease := range attachBothWays(t) {
		seen := recorder{make(chan seenCall, 10)}
		routed, err := NewGRPC(Config{
			Router: lease, Observer: seen, State: NewState(), Methods: methodOptions{"Set": {Replay: true}},
		})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = routed.Close() })
		calls := map[string]func(grpc.CallOption) error{
			"stream": func(o grpc.CallOption) error {
				_, err := routed.Conn.NewStream(t.Context(), chatting, "/test.Shop/Chat", o)
				return err
			},
		}
		for _, method := range []string{"Get", "Set"} {
			calls[method] = func(o grpc.CallOption) error {
				return routed.Conn.Invoke(t.Context(), "/test.Shop/"+method, wrapperspb.String("a"), new(wrapperspb.StringValue), o)
			}
		}
		for name, call := range calls {
			for _, code := range []codes.Code{codes.Unavailable, codes.Unauthenticated, codes.Canceled, codes.DeadlineExceeded} {
				t.Run(way+", "+name+", "+code.String(), func(t *testing.T) {
					token := &brokenToken{err: status.Error(code, "no token")}
					err := call(grpc.PerRPCCredentials(token))
					f, ok := Cause(err)
					if !ok || f.MayHaveRun || SourceOf(err) != SourceHost || status.Code(err) != code || token.asked != 1 {
						t.Errorf("asked %d times, the caller is told %v (%+v), of code %v", token.asked, err, f, status.Code(err))
					}
					if text := err.Error(); !strings.Contains(text, "gRPC did not take") || !strings.Contains(text, "no token") {
						t.Errorf("it says %q", text)
					}
					if got := <-seen.calls; got.Source != SourceHost || got.Attempts != 0 || got.Endpoint != "" {
						t.Errorf("counted as %+v", got)
					}
					if got := <-lease.ends; got != balancer.NotSent || len(lease.ends) > 0 {
						t.Errorf("the lease ends as %v, and %d times more", got, len(lease.ends))
					}
				})
			}
		}
	}
}

// TestInterceptorIsTheHosts has an interceptor of a session's connection not make the call, for a
// reason that is no status of gRPC's.
func TestInterceptorIsTheHosts(t *testing.T) {
	errNotToday := errors.New("not today")
	o := startEndings(t, grpc.WithUnaryInterceptor(func(context.Context, string, any, any, *grpc.ClientConn, grpc.UnaryInvoker, ...grpc.CallOption) error {
		return errNotToday
	}))
	routed, err := NewGRPC(Config{Router: o})
	if err != nil {
		t.Fatal(err)
	}
	defer routed.Close()
	_, err = callText(t.Context(), routed.Conn, "/test.Memory/Look", "")
	if !errors.Is(err, errNotToday) || status.Code(err) != codes.Unknown || SourceOf(err) != SourceHost || !strings.Contains(err.Error(), "gRPC did not take") {
		t.Errorf("ended with %v, of code %v and the %s", err, status.Code(err), SourceOf(err))
	}
	if got := <-o.ends; got != balancer.NotSent {
		t.Errorf("the lease ends as %v", got)
	}
}

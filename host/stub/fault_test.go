// SPDX-License-Identifier: MPL-2.0

package stub

import (
	"context"
	"errors"
	"fmt"
	"net/rpc"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

func TestFaultText(t *testing.T) {
	cases := map[string]struct {
		fault Fault
		text  string
	}{
		"lost": {
			Fault{Reason: ReasonLost, Endpoint: "greeter@10.0.0.1:7000", Method: "Greet", MayHaveRun: true, Err: errors.New("EOF")},
			"reattach: connection to greeter@10.0.0.1:7000 lost during Greet; it may have run: EOF",
		},
		"lost, unsent, odd endpoint": {
			Fault{Reason: ReasonLost, Endpoint: "greeter@/a lost during b/x to y", Method: "Greet"},
			"reattach: connection to greeter@/a lost during b/x to y lost during Greet; it was not sent",
		},
		"timeout": {
			Fault{Reason: ReasonTimeout, Endpoint: "greeter@[::1]:7000", Method: "Hi", MayHaveRun: true},
			"reattach: no answer in time from greeter@[::1]:7000 to Hi; it may have run",
		},
		"unavailable, nested": {
			Fault{Reason: ReasonUnavailable, Method: "Hi", Err: errors.New("x; it may have run: y")},
			"reattach: no endpoint took Hi; it was not sent: x; it may have run: y",
		},
		"ran, nested": {
			Fault{Reason: ReasonLost, Endpoint: "e", Method: "Hi", MayHaveRun: true, Err: errors.New("x; it was not sent: y")},
			"reattach: connection to e lost during Hi; it may have run: x; it was not sent: y",
		},
		"arguments": {
			Fault{Reason: ReasonArguments, Method: "Hi", Err: errors.New("gob")},
			"reattach: arguments cannot be encoded for Hi; it was not sent: gob",
		},
		"not taken by gRPC": {
			Fault{Reason: ReasonArguments, Method: "Hi", Err: status.Error(codes.Unauthenticated, "no token")},
			"reattach: gRPC did not take what was given for Hi; it was not sent: rpc error: code = Unauthenticated desc = no token",
		},
		"caller": {
			Fault{Reason: ReasonCaller, Endpoint: "e", Method: "Hi", MayHaveRun: true, Err: context.Canceled},
			"reattach: the caller ended Hi on e; it may have run: context canceled",
		},
		"answer": {
			Fault{Reason: ReasonAnswer, Endpoint: "e", Method: "Hi", MayHaveRun: true, Err: errors.New("gob")},
			"reattach: unreadable answer from e to Hi; it may have run: gob",
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			if got := tc.fault.Error(); got != tc.text {
				t.Errorf("text is fixed:\n got %s\nwant %s", got, tc.text)
			}
			if got, ok := Cause(fmt.Errorf("greet: %w", &tc.fault)); !ok || got != &tc.fault {
				t.Errorf("Cause gives %v", got)
			}
			text := rpc.ServerError("")
			if !errors.As(fmt.Errorf("greet: %w", &tc.fault), &text) || string(text) != tc.text {
				t.Errorf("net/rpc's callers see %q", text)
			}
			// As a plugin might say it that hands on the words of a host of its own.
			for _, said := range []error{rpc.ServerError(tc.text), status.FromProto(status.Convert(&tc.fault).Proto()).Err()} {
				if got, ok := Cause(said); ok || SourceOf(said) != SourcePlugin {
					t.Errorf("%T becomes %v, of the %s", said, got, SourceOf(said))
				}
			}
		})
	}
}

func TestSourceOf(t *testing.T) {
	cases := map[string]struct {
		err  error
		want Source
	}{
		"none":                 {nil, SourceNone},
		"plugin's own":         {rpc.ServerError("no such name"), SourcePlugin},
		"plugin's own, status": {status.Error(codes.Unavailable, "backend"), SourcePlugin},
		"almost":               {rpc.ServerError("reattach: something else; it may have run"), SourcePlugin},
		"not ours":             {rpc.ServerError("reattach: no fate"), SourcePlugin},
		"no method":            {rpc.ServerError("reattach: connection to x; it may have run"), SourcePlugin},
		"network":              {&Fault{Reason: ReasonLost}, SourceNetwork},
		"timeout":              {&Fault{Reason: ReasonTimeout}, SourceNetwork},
		"host":                 {&Fault{Reason: ReasonArguments, Method: "M"}, SourceHost},
		"caller":               {&Fault{Reason: ReasonCaller, Method: "M"}, SourceCaller},
		"contract":             {&Fault{Reason: ReasonAnswer}, SourcePlugin},
		"closed":               {rpc.ErrShutdown, SourceCaller},
		"cancelled":            {context.Canceled, SourceCaller},
		"deadline":             {context.DeadlineExceeded, SourceCaller},
		"method's timeout":     {ErrTimeout, SourceNetwork},
		"plugin's cancelled":   {status.FromContextError(context.Canceled).Err(), SourcePlugin},
		"plugin's deadline":    {status.FromContextError(context.DeadlineExceeded).Err(), SourcePlugin},
	}
	for name, tc := range cases {
		if got := SourceOf(tc.err); got != tc.want {
			t.Errorf("%s: got %q, want %q", name, got, tc.want)
		}
	}
}

func TestFaultStatus(t *testing.T) {
	want := map[Reason]codes.Code{
		ReasonLost: codes.Unavailable, ReasonUnavailable: codes.Unavailable, ReasonTimeout: codes.DeadlineExceeded,
		ReasonArguments: codes.InvalidArgument, ReasonAnswer: codes.Internal, ReasonCaller: codes.Canceled,
	}
	got := map[Reason]codes.Code{}
	for reason := range want {
		got[reason] = status.Code(fmt.Errorf("greet: %w", &Fault{Reason: reason}))
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

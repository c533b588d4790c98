// SPDX-License-Identifier: MPL-2.0

package visit

import (
	"errors"
	"fmt"
	"net/rpc"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

func TestFailed(t *testing.T) {
	answered := func(err error) Report {
		return Report{Kinds: []KindReport{{Served: true, Answers: []Answer{{Method: "hi", Err: err}}}}}
	}
	cases := map[string]struct {
		reason string
		report Report
		want   bool
	}{
		"nothing asked":   {"a plugin that serves nothing of ours has not failed", Report{}, false},
		"answered":        {"all is well", answered(nil), false},
		"not reached":     {"it could not be visited", Report{Err: errors.New("refused")}, true},
		"not dispensed":   {"it has the kind and would not give it", Report{Kinds: []KindReport{{Served: true, Err: errors.New("x")}}}, true},
		"lacks a kind":    {"it is older than the host", Report{Kinds: []KindReport{{Served: false}}}, false},
		"lacks a method":  {"it is older than the host", answered(rpc.ServerError("rpc: can't find method Plugin.Hi")), false},
		"gRPC lacks it":   {"it is older than the host", answered(status.Error(codes.Unimplemented, "unknown method Hi")), false},
		"wrapped":         {"a wrapped status is one as well", answered(fmt.Errorf("x: %w", status.Error(codes.Unimplemented, ""))), false},
		"an error":        {"the plugin said no", answered(errors.New("boom")), true},
		"similar words":   {"an error about a method of somebody else's is a failure", answered(errors.New("backend: rpc: can't find method X")), true},
		"gRPC connection": {"the plugin went away", answered(status.Error(codes.Unavailable, "")), true},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			if got := tc.report.Failed(); got != tc.want {
				t.Errorf("%s: got %v", tc.reason, got)
			}
		})
	}
}

func TestLacksKind(t *testing.T) {
	cases := map[string]struct {
		err  error
		want bool
	}{
		"nil":              {nil, false},
		"net/rpc":          {rpc.ServerError("unknown plugin type: pingponger"), true},
		"gRPC service":     {status.Error(codes.Unimplemented, "unknown service reattach.commons.v1.PingPonger"), true},
		"gRPC method":      {status.Error(codes.Unimplemented, "unknown method Hi for service reattach.commons.v1.Greeter"), false},
		"any other":        {errors.New("boom"), false},
		"gRPC other codes": {status.Error(codes.Unknown, "unknown service x"), false},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			if got := lacksKind(tc.err); got != tc.want {
				t.Errorf("lacksKind(%v) = %v", tc.err, got)
			}
		})
	}
}

// SPDX-License-Identifier: MPL-2.0

// Package conform tests a network plugin, in whatever language it is written, against
// PROTOCOL.md: what must hold of its handshake, its sessions and its protocol, as far as
// a host can see it.
package conform

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"time"

	"github.com/hashicorp/go-plugin"
	"google.golang.org/grpc"
)

// Target is the plugin that is tested.
type Target struct {
	// Address is host:port, or unix:///path.
	Address string
	// TLS is what the plugin is spoken to with; nil: plain TCP.
	TLS *tls.Config
	// Handshake holds the cookie that the plugin expects, and Versions the kinds of
	// each app version that it may serve.
	Handshake plugin.HandshakeConfig
	Versions  map[int]plugin.PluginSet
	// Timeout bounds each answer that the plugin owes: 10 s if zero.
	Timeout time.Duration
}

// AnyKinds are the versions of a contract of which nothing else is known.
func AnyKinds(versions ...int) map[int]plugin.PluginSet {
	all := make(map[int]plugin.PluginSet, len(versions))
	for _, v := range versions {
		all[v] = plugin.PluginSet{plugin.AnyKind: anyKind{}}
	}
	return all
}

// anyKind is a kind that no case calls, over either protocol.
type anyKind struct{ plugin.NetRPCUnsupportedPlugin }

// GRPCServer implements plugin.GRPCPlugin. It is not used: this is a host.
func (anyKind) GRPCServer(*plugin.GRPCBroker, *grpc.Server) error { return errors.ErrUnsupported }

// GRPCClient implements plugin.GRPCPlugin.
func (anyKind) GRPCClient(context.Context, *plugin.GRPCBroker, *grpc.ClientConn) (any, error) {
	return nil, errors.ErrUnsupported
}

// Outcomes of a case.
const (
	OK      = "ok"
	Failed  = "fail"
	Skipped = "skip" // it does not apply to this plugin
)

// Result is what came of one case.
type Result struct {
	// Code names the case for good: H04.
	Code string `json:"code"`
	// Outcome is ok, fail or skip.
	Outcome string `json:"outcome"`
	// Requirement says what must hold, and Section which of PROTOCOL.md says so.
	Requirement string `json:"requirement"`
	Section     string `json:"section"`
	// Detail is what was seen instead, or why the case does not apply.
	Detail string `json:"detail,omitempty"`
}

// ErrUnreachable is matched by the error of Run if nothing could be tested.
var ErrUnreachable = errors.New("the plugin cannot be reached")

// testCase is one requirement.
type testCase struct {
	code, section, requirement string
	// test gives nil, an error that says what was seen, or one of notApplicable.
	test func(context.Context, *subject) error
}

// notApplicable is why a case does not concern a plugin.
type notApplicable string

func (n notApplicable) Error() string { return string(n) }

// Run tests the target, one case after the other, and calls report with each result.
// Its error, which is ctx's or matches ErrUnreachable, says why not all of them were
// tested. That cases failed is no error.
func Run(ctx context.Context, target Target, report func(Result)) error {
	s, err := newSubject(ctx, target)
	if err != nil {
		return err
	}
	for _, c := range cases() {
		seen := c.test(ctx, s)
		if err := ctx.Err(); err != nil {
			return err
		}
		result := Result{Code: c.code, Outcome: OK, Requirement: c.requirement, Section: c.section}
		var skipped notApplicable
		switch {
		case errors.As(seen, &skipped):
			result.Outcome, result.Detail = Skipped, string(skipped)
		case seen != nil:
			result.Outcome, result.Detail = Failed, seen.Error()
		}
		report(result)
	}
	return nil
}

func cases() []testCase {
	return concat(firstBytesCases(), handshakeCases(), sessionCases(), grpcCases())
}

func concat(all ...[]testCase) (joined []testCase) {
	for _, some := range all {
		joined = append(joined, some...)
	}
	return joined
}

// wantf is an error that says what was expected, and what came.
func wantf(want, format string, seen ...any) error {
	return fmt.Errorf("want %s, got %s", want, fmt.Sprintf(format, seen...))
}

// SPDX-License-Identifier: MPL-2.0

package dialertest

import (
	"testing"

	"github.com/hashicorp/go-plugin"
	"go.uber.org/goleak"

	"github.com/reattach/reattach/commons"
	"github.com/reattach/reattach/host/attach"
)

// Run tests a placement. It is called once for each, from a test of its own.
// After every part no goroutine may be left that was not there before.
func Run(t *testing.T, h Harness) {
	speaks := map[string]attach.Contract{
		"net_rpc": only(commons.VersionNetRPC, plugin.ProtocolNetRPC),
		"gRPC":    only(commons.VersionGRPC, plugin.ProtocolGRPC),
	}
	for name, c := range speaks {
		s := suite{Harness: h, contract: c}
		t.Run(name, func(t *testing.T) {
			s.part(t, "session", s.session)
			s.part(t, "concurrent calls", s.concurrent)
			s.part(t, "two sessions", s.twoSessions)
			s.part(t, "close", s.close)
			s.part(t, "killed", s.killed)
		})
	}
	s := suite{Harness: h, contract: contract()}
	s.part(t, "chooses the highest version", s.chooses)
	s.part(t, "other cookie", s.otherCookie)
	s.part(t, "other version", s.otherVersion)
	s.part(t, "not a plugin", s.notPlugin)
	s.part(t, "given up before", s.givenUpBefore)
	s.part(t, "given up during", s.givenUpDuring)
}

// suite runs the parts with one contract.
type suite struct {
	Harness
	contract attach.Contract
}

// part runs one part and looks for goroutines that it left.
func (s suite) part(t *testing.T, name string, run func(t *testing.T)) {
	t.Run(name, func(t *testing.T) {
		before := goleak.IgnoreCurrent()
		// Cleanups run last in first out: this one after the endpoint has ended.
		t.Cleanup(func() { goleak.VerifyNone(t, before) })
		run(t)
	})
}

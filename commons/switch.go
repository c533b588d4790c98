// SPDX-License-Identifier: MPL-2.0

package commons

import "context"

// SwitchGreeter gives a Greeter that asks pick, for each call, which one to use. A
// host uses it where the instances of a plugin speak different protocols.
func SwitchGreeter(pick func() Greeter) Greeter { return &greeterSwitch{pick} }

// greeterSwitch is used by its address: hosts compare what they dispense.
type greeterSwitch struct{ pick func() Greeter }

func (s *greeterSwitch) Greet(name string) (string, error) { return s.pick().Greet(name) }
func (s *greeterSwitch) Hi(times int) (string, error)      { return s.pick().Hi(times) }

// WithValues gives a Greeter whose calls carry the values of ctx.
func (s *greeterSwitch) WithValues(ctx context.Context) any {
	return &greeterSwitch{func() Greeter { return bound(ctx, s.pick()) }}
}

// SwitchPingPonger is SwitchGreeter for a PingPonger.
func SwitchPingPonger(pick func() PingPonger) PingPonger { return &pingPongerSwitch{pick} }

type pingPongerSwitch struct{ pick func() PingPonger }

func (s *pingPongerSwitch) Ping() (string, error) { return s.pick().Ping() }

// WithValues gives a PingPonger whose calls carry the values of ctx.
func (s *pingPongerSwitch) WithValues(ctx context.Context) any {
	return &pingPongerSwitch{func() PingPonger { return bound(ctx, s.pick()) }}
}

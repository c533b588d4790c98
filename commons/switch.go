// SPDX-License-Identifier: MPL-2.0

package commons

import "context"

// SwitchGreeter gives a Greeter that asks pick, for each call, which one to use. A
// host uses it where the instances of a plugin speak different protocols.
func SwitchGreeter(pick func() Greeter) Greeter { return greeterSwitch(pick) }

type greeterSwitch func() Greeter

func (pick greeterSwitch) Greet(name string) (string, error) { return pick().Greet(name) }
func (pick greeterSwitch) Hi(times int) (string, error)      { return pick().Hi(times) }

// WithValues gives a Greeter whose calls carry the values of ctx.
func (pick greeterSwitch) WithValues(ctx context.Context) any {
	return greeterSwitch(func() Greeter { return bound(ctx, pick()) })
}

// SwitchPingPonger is SwitchGreeter for a PingPonger.
func SwitchPingPonger(pick func() PingPonger) PingPonger { return pingPongerSwitch(pick) }

type pingPongerSwitch func() PingPonger

func (pick pingPongerSwitch) Ping() (string, error) { return pick().Ping() }

// WithValues gives a PingPonger whose calls carry the values of ctx.
func (pick pingPongerSwitch) WithValues(ctx context.Context) any {
	return pingPongerSwitch(func() PingPonger { return bound(ctx, pick()) })
}

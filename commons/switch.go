// SPDX-License-Identifier: MPL-2.0

package commons

// SwitchGreeter gives a Greeter that asks pick, for each call, which one to use. A
// host uses it where the instances of a plugin speak different protocols.
func SwitchGreeter(pick func() Greeter) Greeter { return greeterSwitch(pick) }

type greeterSwitch func() Greeter

func (pick greeterSwitch) Greet(name string) (string, error) { return pick().Greet(name) }
func (pick greeterSwitch) Hi(times int) (string, error)      { return pick().Hi(times) }

// SwitchPingPonger is SwitchGreeter for a PingPonger.
func SwitchPingPonger(pick func() PingPonger) PingPonger { return pingPongerSwitch(pick) }

type pingPongerSwitch func() PingPonger

func (pick pingPongerSwitch) Ping() (string, error) { return pick().Ping() }

// SPDX-License-Identifier: MPL-2.0

// Package greeting says what a host asks of the kinds in package commons.
package greeting

import (
	"github.com/reattach/reattach/commons"
	"github.com/reattach/reattach/host/visit"
)

// times is the mark that Hi is asked to carry.
const times = 2

// Greeter asks a commons.Greeter to greet name, and then everybody.
func Greeter(name string) visit.Kind {
	return visit.NewKind(commons.GreeterKind, &commons.GreeterPlugin{}, func(g commons.Greeter) []visit.Call {
		return []visit.Call{
			{Method: "greet", Do: func() (string, error) { return g.Greet(name) }},
			{Method: "hi", Do: func() (string, error) { return g.Hi(times) }},
		}
	})
}

// PingPonger asks a commons.PingPonger whether it is there.
func PingPonger() visit.Kind {
	return visit.NewKind(commons.PingPongerKind, &commons.PingPongerPlugin{}, func(p commons.PingPonger) []visit.Call {
		return []visit.Call{{Method: "ping", Do: p.Ping}}
	})
}

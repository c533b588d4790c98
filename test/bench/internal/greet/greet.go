// SPDX-License-Identifier: MPL-2.0

// Package greet is the one call that everything is measured with, and how net/rpc
// carries it. It is as small as can be, so that what is measured is what carries it.
// Calls of other shapes are beside it.
package greet

import "net/rpc"

// Greeter is the contract.
type Greeter interface {
	Greet(name string) (string, error)
}

// Kind is the name that plugins serve it by.
const Kind = "greeter"

// Answer is what every server answers.
func Answer(name string) string { return "Hello " + name }

// Receiver is what net/rpc serves.
type Receiver struct{ Impl Worker }

// Greet serves Plugin.Greet.
func (r *Receiver) Greet(name string, answer *string) (err error) {
	*answer, err = r.Impl.Greet(name)
	return err
}

// Caller is a Worker that calls by net/rpc.
type Caller struct{ Client *rpc.Client }

// Greet implements Greeter.
func (c *Caller) Greet(name string) (string, error) {
	var answer string
	err := c.Client.Call("Plugin.Greet", name, &answer)
	return answer, err
}

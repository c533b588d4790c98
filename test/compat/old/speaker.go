// SPDX-License-Identifier: MPL-2.0

package old

import "fmt"

// Speaker is an implementation of all contracts.
type Speaker struct{}

// Greet greets one.
func (Speaker) Greet(name string) (string, error) { return "Hello " + name, nil }

// Hi greets all.
func (Speaker) Hi(times int) (string, error) { return fmt.Sprintf("Hi all! =%d=", times), nil }

// Ping answers.
func (Speaker) Ping() (string, error) { return "pong!", nil }

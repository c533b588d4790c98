// SPDX-License-Identifier: MPL-2.0

package commons

import (
	"errors"
	"fmt"
)

// speaker implements both contracts for tests. An err is given instead of answers.
type speaker struct{ err error }

func (s speaker) Greet(name string) (string, error) { return "Hello " + name, s.err }
func (s speaker) Hi(times int) (string, error)      { return fmt.Sprintf("Hi =%d=", times), s.err }
func (s speaker) Ping() (string, error)             { return "pong!", s.err }

var errBoom = errors.New("boom: the implementation said no")

// text gives an error's text, and "" for none.
func text(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

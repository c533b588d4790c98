// SPDX-License-Identifier: MPL-2.0

package stub

import (
	"time"

	"github.com/hashicorp/go-plugin"

	"github.com/reattach/reattach/host/balancer"
)

// DefaultTimeout bounds a call whose method has no timeout of its own.
const DefaultTimeout = 30 * time.Second

// Config says where the calls of a stub go.
type Config struct {
	// Router picks the endpoint of each call. It is required. A stub gives it a
	// context that has ended where it does not want to wait.
	Router balancer.Router
	// Methods are the options of each method. Nil: every method has
	// DefaultTimeout and is not idempotent.
	Methods Methods
	// Observer is told of each call. It may be nil.
	Observer Observer
	// Broker is what all sessions of the plugin have joined (it is in their
	// plugin.ClientConfig). With nil the stub has no broker, and a plugin that
	// calls back cannot be called.
	Broker *plugin.SharedBroker
}

// options returns what holds for a method, with a timeout.
func (c *Config) options(method string) CallOptions {
	var o CallOptions
	if c.Methods != nil {
		o = c.Methods.Options(method)
	}
	if o.Timeout <= 0 {
		o.Timeout = DefaultTimeout
	}
	return o
}

// newState begins a call.
func (c *Config) newState(name string) callState {
	return callState{name: name, options: c.options(methodOf(name)), began: time.Now()}
}

// observe reports a call that has just ended.
func (c *Config) observe(s *callState, endpoint string, err error) {
	if c.Observer == nil {
		return
	}
	ended := Call{Method: methodOf(s.name), Endpoint: endpoint, Took: time.Since(s.began), Attempts: s.attempts, Err: err}
	if s.retry != nil {
		ended.Repeats = s.retry.repeats
	}
	c.Observer.Called(ended)
}

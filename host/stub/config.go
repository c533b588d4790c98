// SPDX-License-Identifier: MPL-2.0

package stub

import (
	"sync/atomic"
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
	// Tracing follows each call from endpoint to endpoint. Its zero value follows none.
	Tracing Tracing
	// State is shared by the stubs of one plugin that remembers what it was told. Nil, it
	// is taken for stateless: neither Affinity nor CallOptions.Replay has an effect.
	State *State
	// Affinity keeps all calls with one endpoint, as [State] says.
	Affinity bool
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

// callConfig is a Config, and what is known of the method that was called last.
type callConfig struct {
	Config
	start time.Time // when the stub was made
	last  atomic.Pointer[calledMethod]
}

// settle makes calls keep to one endpoint, if they are to.
func (c *callConfig) settle() {
	if c.State != nil && c.Affinity {
		c.Router = c.State.Keeping(c.Router)
	}
}

// calledMethod is what a call is of.
type calledMethod struct {
	name    string // "Plugin.Greet" or "/hello.Greeter/Greet"
	method  string // "Greet"
	options CallOptions
}

// newState begins a call.
func (c *callConfig) newState(name string) callState {
	m := c.last.Load()
	if m == nil || m.name != name {
		method := methodOf(name)
		m = &calledMethod{name, method, c.options(method)}
		c.last.Store(m)
	}
	return callState{calledMethod: m, began: c.now()}
}

// now is how old the stub is. It reads one clock, where time.Now reads two.
func (c *callConfig) now() time.Duration { return time.Since(c.start) }

// observe reports a call that has just ended.
func (c *callConfig) observe(s *callState, endpoint string, err error) {
	if c.Observer == nil && s.trace == nil {
		return
	}
	ended := Call{Method: s.method, Endpoint: endpoint, Took: c.now() - s.began, Attempts: s.attempts, Err: err}
	if s.retry != nil {
		ended.Repeats = s.retry.repeats
	}
	ended.TraceID = s.trace.ended(ended)
	if c.Observer != nil {
		c.Observer.Called(ended)
	}
}

// SPDX-License-Identifier: MPL-2.0

package panics

import (
	"runtime/debug"
	"sync/atomic"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/hashicorp/go-plugin/internal/logging"
)

// Func turns what a method has panicked with into the text of the error
// that its caller gets. It is called by the deferred function that has recovered
// the value, which is nil if the method has ended its goroutine instead. A nil
// Func lets a panic end the process.
type Func func(method string, value any) (text string)

const (
	// maxPanicStack bounds the stack in the log, in bytes.
	maxPanicStack = 16 << 10
	// panicsPerSecond is how many panics are logged in one second. The rest is
	// counted.
	panicsPerSecond = 5
)

// Guard counts and logs the panics of one plugin's methods. One process
// serves many hosts, and a call that makes a method panic must not end the calls
// of all others.
type Guard struct {
	count atomic.Uint64
	lines logging.Rate
}

// NewGuard returns a guard that has seen no panic.
func NewGuard() *Guard { return &Guard{lines: logging.Rate{Limit: panicsPerSecond}} }

// Count is how many methods have panicked.
func (g *Guard) Count() uint64 { return g.count.Load() }

// ReportTo returns a Func that logs to logger.
func (g *Guard) ReportTo(logger hclog.Logger) Func {
	return func(method string, value any) string {
		g.count.Add(1)
		text := text(method, value)
		suppressed, ok := g.lines.Allow(time.Now())
		if suppressed > 0 {
			logger.Error("more methods panicked", "count", suppressed)
		}
		if ok {
			stack := debug.Stack() // still that of the panic
			logger.Error("a method panicked, its caller gets an error", "panic", text,
				"stack", string(stack[:min(len(stack), maxPanicStack)]))
		}
		return text
	}
}

// text is what a caller is told: one line, without the stack.
func text(method string, value any) string {
	method = Line(method)
	if value == nil {
		return method + " ended its goroutine and returned nothing"
	}
	return method + " panicked: " + Of(value)
}

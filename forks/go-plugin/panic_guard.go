// SPDX-License-Identifier: MPL-2.0

package plugin

import (
	"runtime/debug"
	"sync/atomic"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/hashicorp/go-plugin/internal/panictext"
)

// panicFunc turns what a method has panicked with into the text of the error
// that its caller gets. It is called by the deferred function that has recovered
// the value, which is nil if the method has ended its goroutine instead. A nil
// panicFunc lets a panic end the process.
type panicFunc func(method string, value any) (text string)

const (
	// maxPanicStack bounds the stack in the log, in bytes.
	maxPanicStack = 16 << 10
	// panicsPerSecond is how many panics are logged in one second. The rest is
	// counted.
	panicsPerSecond = 5
)

// panicGuard counts and logs the panics of one plugin's methods. One process
// serves many hosts, and a call that makes a method panic must not end the calls
// of all others.
type panicGuard struct {
	count atomic.Uint64
	lines lineRate
}

func newPanicGuard() *panicGuard { return &panicGuard{lines: lineRate{limit: panicsPerSecond}} }

// reportTo returns a panicFunc that logs to logger.
func (g *panicGuard) reportTo(logger hclog.Logger) panicFunc {
	return func(method string, value any) string {
		g.count.Add(1)
		text := panicText(method, value)
		suppressed, ok := g.lines.allow(time.Now())
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

// panicText is what a caller is told: one line, without the stack.
func panicText(method string, value any) string {
	method = panictext.Line(method)
	if value == nil {
		return method + " ended its goroutine and returned nothing"
	}
	return method + " panicked: " + panictext.Of(value)
}

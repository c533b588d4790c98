// SPDX-License-Identifier: MPL-2.0

package conn

import (
	"runtime"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/reattach/reattach/host/balancer"
)

// stillSession is a session that never ends.
type stillSession struct{ Session }

func (stillSession) Info() Info                { return Info{} }
func (stillSession) Done() <-chan struct{}     { return nil }
func (stillSession) Draining() <-chan struct{} { return nil }

// TestLinkIsNotIdleUnderACall retires links while calls begin and end: idle
// must be closed exactly once, and after the last call. Every other link has calls
// by then, which yield in the middle, so that one processor shows it as well.
func TestLinkIsNotIdleUnderACall(t *testing.T) {
	const links, callers = 20_000, 4
	for i := range links {
		l := newLink("zh@h:1", stillSession{}, 5)
		var closed atomic.Bool
		var wg sync.WaitGroup
		begun := make(chan struct{}, callers)
		for range callers {
			wg.Go(func() {
				for l.Begin() {
					select {
					case begun <- struct{}{}:
					default:
					}
					runtime.Gosched()
					if closed.Load() {
						t.Error("the session was closed under a call, or a call began afterwards")
					}
					l.Done(balancer.Answered)
				}
			})
		}
		if i%2 == 0 {
			<-begun
		}
		l.retire()
		<-l.idle
		closed.Store(true)
		wg.Wait()
		if n := l.InFlight(); n != 0 {
			t.Fatalf("%d calls in flight after all ended", n)
		}
	}
}

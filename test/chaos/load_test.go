// SPDX-License-Identifier: MPL-2.0

package chaos

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/reattach/reattach/host/stub"
	"github.com/reattach/reattach/test/chaos/counter"
)

// callers is how many goroutines call at the same time.
const callers = 64

// answer is one call that ended.
type answer struct {
	id         string
	idempotent bool
	replica    string
	took       time.Duration
	at         time.Time
	err        error
}

// load is callers that call one stub, again and again.
type load struct {
	stop context.CancelFunc
	done sync.WaitGroup

	mu      sync.Mutex
	answers []answer
}

// startLoad lets each caller take turns between a call that may be repeated and one
// that must not be. It ends with finish.
func startLoad(c counter.Counter) *load {
	ctx, stop := context.WithCancel(context.Background())
	l := &load{stop: stop}
	for caller := range callers {
		l.done.Go(func() {
			for n := 0; ctx.Err() == nil; n++ {
				a := answer{id: fmt.Sprintf("%d-%d", caller, n), idempotent: (n+caller)%2 == 0}
				began := time.Now()
				if a.idempotent {
					a.replica, a.err = c.Get(a.id)
				} else {
					a.replica, a.err = c.Add(a.id)
				}
				a.at = time.Now()
				a.took = a.at.Sub(began)
				l.mu.Lock()
				l.answers = append(l.answers, a)
				l.mu.Unlock()
			}
		})
	}
	return l
}

// finish waits for the calls in flight and gives every answer in the order of time.
func (l *load) finish() []answer {
	l.stop()
	l.done.Wait()
	l.mu.Lock()
	defer l.mu.Unlock()
	slices.SortFunc(l.answers, func(a, b answer) int { return a.at.Compare(b.at) })
	return l.answers
}

// since counts the answers of each replica in a window of time.
func (l *load) since(began time.Time) map[string]int {
	l.mu.Lock()
	defer l.mu.Unlock()
	count := make(map[string]int)
	for _, a := range slices.Backward(l.answers) {
		if a.at.Before(began) {
			break // callers append in order, give or take a moment
		}
		if a.err == nil {
			count[a.replica]++
		}
	}
	return count
}

// verdict is what a load came to.
type verdict struct {
	idempotent, idempotentFailed int
	once, onceFailed, onceTwice  int
	p50, p99, gap                time.Duration
	wrong                        []string
}

// judge compares what callers were told with what the plugin has run.
func judge(answers []answer, ran map[string]int) verdict {
	var v verdict
	took := make([]time.Duration, 0, len(answers))
	var last time.Time
	for _, a := range answers {
		fault, isFault := stub.Cause(a.err)
		switch {
		case a.idempotent:
			v.idempotent++
			if a.err != nil {
				v.idempotentFailed++
				v.blame("idempotent call %s failed after %v: %v", a.id, a.took, a.err)
			}
		default:
			v.once++
			if ran[a.id] > 1 {
				v.onceTwice++
				v.blame("call %s ran %d times", a.id, ran[a.id])
			}
			switch {
			case a.err == nil && ran[a.id] == 0:
				v.blame("call %s was answered and never ran", a.id)
			case a.err != nil && !isFault:
				v.blame("call %s failed with an error that is nobody's: %v", a.id, a.err)
			case a.err != nil && !fault.MayHaveRun:
				v.blame("call %s was surely not sent, and not sent elsewhere either: %v", a.id, a.err)
			}
			if a.err != nil {
				v.onceFailed++
			}
		}
		if a.err == nil {
			took = append(took, a.took)
			if !last.IsZero() {
				v.gap = max(v.gap, a.at.Sub(last))
			}
			last = a.at
		}
	}
	slices.Sort(took)
	if n := len(took); n > 0 {
		v.p50, v.p99 = took[n/2], took[n*99/100]
	}
	return v
}

func (v *verdict) blame(format string, args ...any) {
	if len(v.wrong) < 10 {
		v.wrong = append(v.wrong, fmt.Sprintf(format, args...))
	}
}

// report prints the table, and fails the test for whatever must not be.
func (v *verdict) report(t *testing.T, rows ...string) {
	t.Helper()
	t.Logf("\n%s", strings.Join(append(rows,
		"| calls                              |   number |   failed | ran twice |",
		"|------------------------------------|---------:|---------:|----------:|",
		fmt.Sprintf("| idempotent                         | %8d | %8d |       any |", v.idempotent, v.idempotentFailed),
		fmt.Sprintf("| not idempotent                     | %8d | %8d | %9d |", v.once, v.onceFailed, v.onceTwice),
		fmt.Sprintf("latency p50 %v, p99 %v; longest time without an answer to anybody %v",
			v.p50.Round(10*time.Microsecond), v.p99.Round(10*time.Microsecond), v.gap.Round(time.Millisecond)),
	), "\n"))
	for _, w := range v.wrong {
		t.Error(w)
	}
}

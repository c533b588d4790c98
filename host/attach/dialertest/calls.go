// SPDX-License-Identifier: MPL-2.0

package dialertest

import (
	"testing"
	"time"

	"github.com/reattach/reattach/host/attach/dialertest/served"
	"github.com/reattach/reattach/host/conn"
	"github.com/reattach/reattach/host/target"
)

// patience bounds every wait of the suite.
const patience = 20 * time.Second

// dial makes a session that the test's end closes.
func (s suite) dial(t *testing.T, e target.Endpoint) conn.Session {
	t.Helper()
	return dialWith(t, s.Dialer(t, s.contract), e)
}

func dialWith(t *testing.T, dialer conn.Dialer, e target.Endpoint) conn.Session {
	t.Helper()
	session, err := dialer.Dial(t.Context(), e)
	if err != nil {
		t.Fatalf("dial %s: %v", e.Address, err)
	}
	t.Cleanup(func() { _ = session.Close() })
	return session
}

// greeter opens the kind "greeter" of a session until the test ends. The function may be
// used from many goroutines.
func greeter(t testing.TB, session conn.Session) (greet func(name string) (string, error)) {
	t.Helper()
	greet, end, err := served.Greeter(session)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = end() })
	return greet
}

// within fails the test unless done is closed in time.
func within(t *testing.T, what string, done <-chan struct{}) {
	t.Helper()
	select {
	case <-done:
	case <-time.After(patience):
		t.Fatalf("%s: not within %v", what, patience)
	}
}

// isOpen reports whether done has not been closed.
func isOpen(done <-chan struct{}) bool {
	select {
	case <-done:
		return false
	default:
		return true
	}
}

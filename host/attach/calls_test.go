// SPDX-License-Identifier: MPL-2.0

package attach_test

import (
	"strconv"
	"testing"
	"time"

	"github.com/reattach/reattach/host/attach/dialertest/served"
	"github.com/reattach/reattach/host/conn"
)

// patience bounds every wait.
const patience = 10 * time.Second

// greetOnce calls the plugin over whatever the session speaks.
func greetOnce(t *testing.T, session conn.Session, name string) string {
	t.Helper()
	greet, end, err := served.Greeter(session)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = end() }()
	greeting, err := greet(name)
	if err != nil {
		t.Fatal(err)
	}
	return greeting
}

// pidOf asks the plugin for its process.
func pidOf(t *testing.T, session conn.Session) int {
	t.Helper()
	pid, err := strconv.Atoi(greetOnce(t, session, served.PID))
	if err != nil {
		t.Fatal(err)
	}
	return pid
}

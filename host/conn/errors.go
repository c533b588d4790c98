// SPDX-License-Identifier: MPL-2.0

package conn

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"time"

	"github.com/hashicorp/go-plugin/printable"
)

// ErrPermanent is matched by errors that stay until the endpoint itself is
// replaced: a wrong version, a wrong cookie, a file that is no plugin.
var ErrPermanent = errors.New("permanent")

// ErrGraceful is matched by the causes of sessions that ended in order: the plugin
// leaves, or this host makes the session anew.
var ErrGraceful = errors.New("graceful")

var (
	errLeaving error = &reworded{"the plugin is leaving", []error{ErrGraceful}}
	errStale   error = &reworded{"the session is made anew, as it speaks what is not wanted", []error{ErrGraceful}}
	errEnded         = errors.New("the session ended without a reason")
	// errNoAnswer is matched by the outcome of a ping that had no answer in time.
	errNoAnswer = errors.New("no answer in time")
)

// Permanent marks err as permanent without changing its text. It returns nil
// for nil.
func Permanent(err error) error {
	if err == nil {
		return nil
	}
	return &reworded{err.Error(), []error{ErrPermanent, err}}
}

// reworded is an error with a text of its own, which matches others.
type reworded struct {
	text string
	errs []error
}

// Error implements error.
func (e *reworded) Error() string { return e.text }

// Unwrap gives what it matches.
func (e *reworded) Unwrap() []error { return e.errs }

// late says that err came at the end of an attempt that might take as long as limit, where
// it does not say so itself.
func late(err error, limit time.Duration) error {
	switch text := err.Error(); {
	case strings.Contains(text, "within "+limit.String()):
		return err
	case text == context.DeadlineExceeded.Error():
		return &reworded{fmt.Sprintf("no session within %s", limit), []error{err}}
	}
	return fmt.Errorf("no session within %s: %w", limit, err)
}

// unanswered says what err, the outcome of a ping, comes to. That its time was over says no
// more than that it had no answer.
func unanswered(what string, err error) error {
	if errors.Is(err, errNoAnswer) {
		return &reworded{what, []error{err}}
	}
	return fmt.Errorf("%s: %w", what, err)
}

// brief bounds the text of err to printable.MaxText and a note that it was cut, so that a
// status can hold it and a log show it: a peer may have made it as long as it liked.
func brief(err error) error {
	if err == nil {
		return nil
	}
	if text := err.Error(); len(text) > printable.MaxText+len("… (cut)") {
		return &reworded{printable.Clip(text, printable.MaxText), []error{err}}
	}
	return err
}

// changing is what differs each time that the same thing happens: the address of this
// side of a connection, with its port, and the time of day.
var changing = regexp.MustCompile(`(\[[^\]\s]+\]|[0-9a-f.:]+):[0-9]+->|current time [0-9TZ:.+-]+ `)

// SteadyCause leaves out of the text of an error what differs each time that the same
// thing happens, so that equal causes can be counted as one.
func SteadyCause(text string) string { return changing.ReplaceAllString(text, "") }

// place is what an error of an attempt begins with.
var place = regexp.MustCompile(`^attach to plugin at [^ ]+: `)

// BareCause leaves out of the text of an error which address was attached to, for where that
// is shown beside it.
func BareCause(text string) string { return place.ReplaceAllString(text, "") }

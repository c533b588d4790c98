// SPDX-License-Identifier: MPL-2.0

// Package doctor walks the way from a host to a plugin hop by hop, and names the first
// one that fails: with a stable code, what was seen, what to do, and a page of the
// documentation. A [Hop] is a value. Those to an address are [Address.Hops]; those inside
// of a cluster are in package kubernetes beneath.
package doctor

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/hashicorp/go-plugin/printable"
)

// Hop is one step of a way.
type Hop struct {
	// Name is a word, the same wherever the hop is part of a way.
	Name string
	// Check looks, and says what it saw. The errors that it returns are a *Finding, one
	// that matches ErrUnseen, and that of a context which has ended. It is called by one
	// goroutine, in the order of the hops, and may rely on those before it.
	Check func(ctx context.Context) (seen string, err error)
}

// ErrUnseen is matched by the error of a hop that cannot be seen from here. The way goes
// on behind it.
var ErrUnseen = errors.New("cannot be seen from here")

// ErrArguments is matched by the error of a walk elsewhere whose program did not take its
// arguments, which is what its exit code ExitArguments says.
var ErrArguments = errors.New("the doctor's pod")

// ExitArguments is the exit code of a program that does not take its arguments.
const ExitArguments = 2

// Unseen says why a hop cannot be seen from here.
func Unseen(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrUnseen, fmt.Sprintf(format, args...))
}

// Finding is what is wrong at a hop. It is an error.
type Finding struct {
	// Code is stable, such as RA0103, and that of one page of the documentation.
	Code Code `json:"code"`
	// Hop is the name of the hop.
	Hop string `json:"hop"`
	// Subject is what was looked at, such as an address. It may be empty.
	Subject string `json:"subject,omitempty"`
	// Seen is what was seen, with words of the other side, of at most printable.MaxText bytes.
	Seen string `json:"seen"`
	// Do is what to do about it.
	Do string `json:"do"`
	// Page is the address of the page of the documentation.
	Page string `json:"page"`
	// Warning is set if calls work all the same.
	Warning bool `json:"warning,omitempty"`
}

// Find makes the finding of a code.
func Find(code Code, format string, args ...any) *Finding {
	e := catalogue[code]
	return &Finding{Code: code, Hop: e.hop, Seen: printable.Clip(fmt.Sprintf(format, args...), printable.MaxText), Do: e.do, Page: code.Page()}
}

// Warn makes a finding that does not end the way.
func Warn(code Code, format string, args ...any) *Finding {
	f := Find(code, format, args...)
	f.Warning = true
	return f
}

// Error implements error.
func (f *Finding) Error() string { return fmt.Sprintf("%s %s: %s", f.Code, f.Hop, f.Seen) }

// The outcomes of a Step.
const (
	OK      = "ok"
	Warning = "warning" // calls work all the same
	Failed  = "failed"  // the way ends here
	NotSeen = "unseen"  // from here
)

// Step is what came of one hop.
type Step struct {
	Hop     string `json:"hop"`
	Outcome string `json:"outcome"`
	// Subject is what was looked at, such as an address. It may be empty.
	Subject string `json:"subject,omitempty"`
	// Seen is what was seen, or why nothing could be.
	Seen string `json:"seen"`
	// Took is how long it took, in nanoseconds.
	Took time.Duration `json:"took"`
	// Finding is what is wrong, if anything.
	Finding *Finding `json:"finding,omitempty"`
}

// Walk takes one hop after the other until one fails, and tells each step. It returns
// the finding of the hop that failed, which is nil if none did, or the error of a context
// that ended before. Timeout bounds each hop.
func Walk(ctx context.Context, subject string, timeout time.Duration, hops []Hop, tell func(Step)) (*Finding, error) {
	for _, hop := range hops {
		begun := time.Now()
		seen, err := check(ctx, hop, timeout)
		if err != nil && ctx.Err() != nil {
			return nil, context.Cause(ctx) // it was given up, and the hop may be good
		}
		step := Step{Hop: hop.Name, Outcome: OK, Subject: subject, Seen: printable.Clip(seen, printable.MaxText), Took: time.Since(begun)}
		found, isFinding := errors.AsType[*Finding](err)
		switch {
		case errors.Is(err, ErrUnseen):
			step.Outcome, step.Seen = NotSeen, err.Error()
		case err != nil && !isFinding:
			return nil, fmt.Errorf("hop %s: %w", hop.Name, err)
		case isFinding:
			if found.Subject == "" {
				found.Subject = subject
			}
			found.Hop = hop.Name // where it was seen
			step.Outcome, step.Seen, step.Finding = Failed, found.Seen, found
			if found.Warning {
				step.Outcome = Warning
			}
		}
		tell(step)
		if step.Outcome == Failed {
			return found, nil
		}
	}
	return nil, nil
}

func check(ctx context.Context, hop Hop, timeout time.Duration) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	return hop.Check(ctx)
}

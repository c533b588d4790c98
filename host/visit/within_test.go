// SPDX-License-Identifier: MPL-2.0

package visit

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

func TestWithin(t *testing.T) {
	boom := errors.New("boom")
	cases := map[string]struct {
		reason     string
		takes      time.Duration
		err        error
		cancel     time.Duration
		want       string
		unanswered bool
		after      time.Duration
	}{
		"answers": {
			reason: "what comes in time is given as it is",
			takes:  time.Second, after: time.Second,
		},
		"fails": {
			reason: "an error of the call is not one of waiting",
			takes:  time.Second, err: boom, want: "boom", after: time.Second,
		},
		"too late": {
			reason: "the wait is bounded",
			takes:  time.Hour, want: "no answer within 10s", unanswered: true, after: 10 * time.Second,
		},
		"interrupted": {
			reason: "the wait ends with its context",
			takes:  time.Hour, cancel: 3 * time.Second, want: "no answer: context canceled", unanswered: true, after: 3 * time.Second,
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				if tc.cancel > 0 {
					time.AfterFunc(tc.cancel, cancel)
				}
				left := make(chan struct{})
				defer close(left)
				start := time.Now()
				_, err := within(ctx, 10*time.Second, func() (string, error) {
					select {
					case <-time.After(tc.takes):
						return "answer", tc.err
					case <-left:
						return "", errors.New("the session was left")
					}
				})
				if got := errorText(err); got != tc.want || unanswered(err) != tc.unanswered {
					t.Errorf("%s: got %q, unanswered %v", tc.reason, got, unanswered(err))
				}
				if took := time.Since(start); took != tc.after {
					t.Errorf("%s: took %v, want %v", tc.reason, took, tc.after)
				}
			})
		})
	}
}

func errorText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

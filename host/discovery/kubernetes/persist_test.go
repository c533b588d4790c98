// SPDX-License-Identifier: MPL-2.0

package kubernetes

import (
	"context"
	"errors"
	"fmt"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// persisted makes an attempt as an informer makes its requests.
func persisted(ctx context.Context, attempt func() error) error {
	i := &informer{health: &watchHealth{changed: func() {}}}
	_, err := persist(ctx, i, "list", metav1.ListOptions{}, func(context.Context, metav1.ListOptions) (any, error) {
		return nil, attempt()
	})
	return err
}

func TestPersist(t *testing.T) {
	resource := schema.GroupResource{Resource: "services"}
	cases := map[string]struct {
		reason string
		err    error
		again  bool
	}{
		"nobody listens": {"the server is being restarted", fmt.Errorf("dial: %w", syscall.ECONNREFUSED), true},
		"cut off":        {"it has just been killed", errors.New("unexpected EOF"), true},
		"no answer":      {"an attempt that took too long is as good as any other", context.DeadlineExceeded, true},
		"unavailable":    {"somebody answers on behalf of it", apierrors.NewServiceUnavailable("out of order"), true},
		"inner trouble":  {"such as its storage being away", apierrors.NewInternalError(errors.New("no leader")), true},
		"forbidden":      {"a role is mended by people, who are slower", apierrors.NewForbidden(resource, "", nil), false},
		"expired":        {"an informer lists anew at once", apierrors.NewResourceExpired("too old"), false},
		"too many":       {"the server asks to be left alone", apierrors.NewTooManyRequests("busy", 1), false},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				attempts := 0
				err := persisted(t.Context(), func() error {
					if attempts++; attempts < 3 {
						return c.err
					}
					return nil
				})
				if again := attempts == 3 && err == nil; again != c.again {
					t.Errorf("%s: %d attempts and %v, want it repeated: %v", c.reason, attempts, err, c.again)
				}
				if !c.again && !errors.Is(err, c.err) {
					t.Errorf("%s: error %v, want %v", c.reason, err, c.err)
				}
			})
		})
	}
}

// TestPersistThroughOutage holds that a server which was away for long is soon found again.
func TestPersistThroughOutage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begun, last, attempts := time.Now(), time.Now(), 0
		longest := time.Duration(0)
		err := persisted(t.Context(), func() error {
			longest, last = max(longest, time.Since(last)), time.Now()
			if attempts++; time.Since(begun) < time.Hour {
				return syscall.ECONNREFUSED
			}
			return nil
		})
		if err != nil || longest > 5*time.Second {
			t.Errorf("error %v, and %s between two attempts, want at most 5 s", err, longest)
		}
		if attempts > 1000 {
			t.Errorf("%d attempts in an hour are too many", attempts)
		}
	})
}

// TestPersistEnds holds that nobody waits for a server once the source has ended.
func TestPersistEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		begun := time.Now()
		if err := persisted(ctx, func() error { return syscall.ECONNREFUSED }); !errors.Is(err, syscall.ECONNREFUSED) {
			t.Errorf("error %v, want that of the last attempt", err)
		}
		if took := time.Since(begun); took != time.Minute {
			t.Errorf("it ended after %s, want when its context did", took)
		}
	})
}

// SPDX-License-Identifier: MPL-2.0

package kubernetes

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/client-go/tools/cache"
)

// watchHealth knows which of the informers can see the cluster.
type watchHealth struct {
	changed   func() // called when that changes; it must not block
	mu        sync.Mutex
	informers []*informer
	lost      time.Time // when the API server was last found to be away
}

// informer is a shared informer that says how it fares.
type informer struct {
	cache.SharedIndexInformer
	resource, namespace string
	health              *watchHealth
	list, watch         error // of the last request each; health.mu guards them
}

// note takes how a request ended.
func (i *informer) note(ctx context.Context, verb string, err error) {
	if ctx.Err() != nil || handled(err) {
		return
	}
	h := i.health
	h.mu.Lock()
	if away(err) {
		h.lost = time.Now()
	}
	before := i.err()
	if verb == "list" {
		i.list = i.explain(verb, err)
	} else {
		i.watch = i.explain(verb, err)
		if err == nil {
			i.list = nil // a watch may begin with the whole list
		}
	}
	after := i.err()
	h.mu.Unlock()
	if fmt.Sprint(before) != fmt.Sprint(after) {
		h.changed()
	}
}

// handled reports whether err is one that an informer expects and mends at
// once: its version is too old for the server, or the server for its way to watch.
func handled(err error) bool {
	return apierrors.IsResourceExpired(err) || apierrors.IsGone(err) || apierrors.IsInvalid(err)
}

// err is what keeps the informer from seeing, or nil. health.mu is held.
func (i *informer) err() error { return cmp.Or(i.list, i.watch) }

// explain says what a refusal means for those who write roles.
func (i *informer) explain(verb string, err error) error {
	if err == nil {
		return nil
	}
	where := "in all namespaces"
	if i.namespace != "" {
		where = "in namespace " + i.namespace
	}
	if apierrors.IsForbidden(err) {
		return fmt.Errorf("%s %s %s: the role of this host lacks the verb %s on %s there: %w", verb, i.resource, where, verb, i.resource, err)
	}
	if apierrors.IsUnauthorized(err) {
		return fmt.Errorf("%s %s %s: the cluster does not accept this host's credentials: %w", verb, i.resource, where, err)
	}
	return fmt.Errorf("%s %s %s: %w", verb, i.resource, where, err)
}

// graceLeft gives what is left of a grace that began with the last outage.
func (h *watchHealth) graceLeft(grace time.Duration) time.Duration {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.lost.IsZero() {
		return 0
	}
	return time.Until(h.lost.Add(grace))
}

// refused reports whether the cluster forbids what the informer asks.
func (i *informer) refused() bool {
	i.health.mu.Lock()
	defer i.health.mu.Unlock()
	return apierrors.IsForbidden(i.err())
}

// err joins what keeps informers from seeing. It is nil if all see.
func (h *watchHealth) err() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	var errs []error
	for _, i := range h.informers {
		errs = append(errs, i.err())
	}
	return errors.Join(errs...)
}

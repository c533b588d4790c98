// SPDX-License-Identifier: MPL-2.0

package kubernetes

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/client-go/tools/cache"
)

// sight knows which of the informers can see the cluster.
type sight struct {
	changed   func()
	mu        sync.Mutex
	informers map[cache.SharedIndexInformer]*observed
	lost      time.Time // when the API server was last found to be away
}

// observed is how one informer fares.
type observed struct {
	resource, namespace string
	list, watch         error // of the last request each
}

func newSight(changed func()) *sight {
	return &sight{changed: changed, informers: make(map[cache.SharedIndexInformer]*observed)}
}

func (s *sight) add(informer cache.SharedIndexInformer, o *observed) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.informers[informer] = o
}

// note takes how a request ended.
func (s *sight) note(ctx context.Context, o *observed, verb string, err error) {
	if ctx.Err() != nil || handled(err) {
		return
	}
	s.mu.Lock()
	if away(err) {
		s.lost = time.Now()
	}
	before := o.err()
	if verb == "list" {
		o.list = o.explain(verb, err)
	} else {
		o.watch = o.explain(verb, err)
		if err == nil {
			o.list = nil // a watch may begin with the whole list
		}
	}
	after := o.err()
	s.mu.Unlock()
	if text(before) != text(after) {
		s.changed()
	}
}

// handled reports whether err is one that an informer expects and mends at
// once: its version is too old for the server, or the server for its way to watch.
func handled(err error) bool {
	return apierrors.IsResourceExpired(err) || apierrors.IsGone(err) || apierrors.IsInvalid(err)
}

func (o *observed) err() error { return cmp.Or(o.list, o.watch) }

// explain says what a refusal means for those who write roles.
func (o *observed) explain(verb string, err error) error {
	if err == nil {
		return nil
	}
	where := "in all namespaces"
	if o.namespace != "" {
		where = "in namespace " + o.namespace
	}
	if apierrors.IsForbidden(err) {
		return fmt.Errorf("%s %s %s: the role of this host lacks the verb %s on %s there: %w", verb, o.resource, where, verb, o.resource, err)
	}
	if apierrors.IsUnauthorized(err) {
		return fmt.Errorf("%s %s %s: the cluster does not accept this host's credentials: %w", verb, o.resource, where, err)
	}
	return fmt.Errorf("%s %s %s: %w", verb, o.resource, where, err)
}

// doubt gives what is left of the time after the last outage.
func (s *sight) doubt(aftermath time.Duration) time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.lost.IsZero() {
		return 0
	}
	return time.Until(s.lost.Add(aftermath))
}

// refused reports whether the cluster forbids what an informer asks.
func (s *sight) refused(informer cache.SharedIndexInformer) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	o := s.informers[informer]
	return o != nil && apierrors.IsForbidden(o.err())
}

// err joins what keeps informers from seeing, in a stable order. It is nil if all see.
func (s *sight) err() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	var errs []error
	for _, o := range s.informers {
		if err := o.err(); err != nil {
			errs = append(errs, err)
		}
	}
	slices.SortFunc(errs, func(a, b error) int { return cmp.Compare(a.Error(), b.Error()) })
	return errors.Join(errs...)
}

func text(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

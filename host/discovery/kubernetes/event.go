// SPDX-License-Identifier: MPL-2.0

package kubernetes

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"
)

const (
	// eventBurst and eventPause bound the Events about one Service.
	eventBurst = 10
	eventPause = 10 * time.Second
	// eventTimeout bounds one request.
	eventTimeout = 5 * time.Second
	// eventLife is after how long clusters forget an Event by default.
	eventLife = time.Hour
)

// eventWriter writes Events and counts those that repeat. One goroutine uses it.
type eventWriter struct {
	core     rest.Interface
	instance string
	seen     map[eventKey]*series
	budgets  map[budgetKey]*budget
}

type eventKey struct {
	service types.UID
	reason  Reason
	message string
}

// series is one Event that may happen again.
type series struct {
	name  string
	count int32
	last  time.Time
}

// budgetKey is what a budget is for: the warnings about a Service, or all else, which
// may come in hundreds and must not use up what warnings need.
type budgetKey struct {
	service types.UID
	warning bool
}

// budget is a bucket of Events that may be written.
type budget struct {
	left float64
	last time.Time
}

func newEventWriter(core rest.Interface, instance string) *eventWriter {
	return &eventWriter{core: core, instance: instance, seen: make(map[eventKey]*series), budgets: make(map[budgetKey]*budget)}
}

// write writes one Event, or counts it in the last one that says the same. It
// reports false if there have been too many.
func (w *eventWriter) write(ctx context.Context, svc *corev1.Service, r Report, now time.Time) (bool, error) {
	w.forget(now)
	key := eventKey{svc.UID, r.Reason, r.Message}
	s, known := w.seen[key]
	if known {
		s.count++
		s.last = now
	}
	if !w.spend(budgetKey{svc.UID, r.Reason.warns()}, now) {
		return false, nil
	}
	ctx, cancel := context.WithTimeout(ctx, eventTimeout)
	defer cancel()
	if known {
		err := w.repeat(ctx, svc.Namespace, s, now)
		if !apierrors.IsNotFound(err) {
			return err == nil, err
		}
	}
	s = &series{name: fmt.Sprintf("%s.%x", svc.Name, now.UnixNano()), count: 1, last: now}
	if err := w.create(ctx, svc, r, s, now); err != nil {
		delete(w.seen, key)
		return false, err
	}
	w.seen[key] = s
	return true, nil
}

func (w *eventWriter) create(ctx context.Context, svc *corev1.Service, r Report, s *series, now time.Time) error {
	kind := corev1.EventTypeNormal
	if r.Reason.warns() {
		kind = corev1.EventTypeWarning
	}
	event := &corev1.Event{
		TypeMeta:   metav1.TypeMeta{APIVersion: "v1", Kind: "Event"},
		ObjectMeta: metav1.ObjectMeta{Name: s.name, Namespace: svc.Namespace},
		InvolvedObject: corev1.ObjectReference{
			APIVersion: "v1", Kind: "Service", Namespace: svc.Namespace, Name: svc.Name, UID: svc.UID,
		},
		Reason: string(r.Reason), Message: r.Message, Type: kind,
		Source:         corev1.EventSource{Component: "reattach", Host: w.instance},
		FirstTimestamp: metav1.NewTime(now), LastTimestamp: metav1.NewTime(now), Count: s.count,
	}
	err := w.core.Post().Namespace(svc.Namespace).Resource("events").Body(event).Do(ctx).Error()
	return explainEvent(err, "create", svc.Namespace)
}

func (w *eventWriter) repeat(ctx context.Context, namespace string, s *series, now time.Time) error {
	patch, err := json.Marshal(map[string]any{"count": s.count, "lastTimestamp": metav1.NewTime(now)})
	if err != nil {
		return fmt.Errorf("encode patch of an Event: %w", err)
	}
	err = w.core.Patch(types.MergePatchType).Namespace(namespace).Resource("events").Name(s.name).Body(patch).Do(ctx).Error()
	return explainEvent(err, "patch", namespace)
}

func explainEvent(err error, verb, namespace string) error {
	if err == nil {
		return nil
	}
	if apierrors.IsForbidden(err) {
		return fmt.Errorf("%s an Event: the role of this host lacks the verb %s on events in namespace %s: %w", verb, verb, namespace, err)
	}
	return fmt.Errorf("%s an Event in namespace %s: %w", verb, namespace, err)
}

// warns reports whether Events of the reason are warnings.
func (r Reason) warns() bool { return r != Attached }

// spend takes one Event from a budget, if one is left.
func (w *eventWriter) spend(key budgetKey, now time.Time) bool {
	b, ok := w.budgets[key]
	if !ok {
		b = &budget{left: eventBurst, last: now}
		w.budgets[key] = b
	}
	b.left = min(eventBurst, b.left+float64(now.Sub(b.last))/float64(eventPause))
	b.last = now
	if b.left < 1 {
		return false
	}
	b.left--
	return true
}

// forget drops what the cluster has forgotten as well.
func (w *eventWriter) forget(now time.Time) {
	for key, s := range w.seen {
		if now.Sub(s.last) > eventLife {
			delete(w.seen, key)
		}
	}
	for key, b := range w.budgets {
		if now.Sub(b.last) > eventLife {
			delete(w.budgets, key)
		}
	}
}

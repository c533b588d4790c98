// SPDX-License-Identifier: MPL-2.0

package kubernetes

import (
	"context"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/record"
)

const (
	// eventBurst and eventPause bound the Events about one Service, warnings and all
	// others each for themselves: those may come in hundreds and must not use up what
	// warnings need.
	eventBurst = 10
	eventPause = 10 * time.Second
	// eventTimeout bounds one request.
	eventTimeout = 5 * time.Second
)

// eventWriter writes Events. One goroutine uses it.
type eventWriter struct {
	core     rest.Interface
	instance string
	// correlator counts what repeats, and says what is too much.
	correlator *record.EventCorrelator
}

func newEventWriter(core rest.Interface, instance string) *eventWriter {
	return &eventWriter{core, instance, record.NewEventCorrelatorWithOptions(record.CorrelatorOptions{
		BurstSize: eventBurst, QPS: float32(1 / eventPause.Seconds()),
		// Messages name endpoints: different ones are not combined.
		KeyFunc: func(e *corev1.Event) (aggregate, local string) {
			aggregate, local = record.EventAggregatorByReasonFunc(e)
			return aggregate + local, ""
		},
	})}
}

// write writes one Event, or counts it in the last one that says the same. It
// reports false if there have been too many.
func (w *eventWriter) write(ctx context.Context, svc *corev1.Service, r Report) (bool, error) {
	result, err := w.correlator.EventCorrelate(w.event(svc, r))
	if err != nil {
		return false, fmt.Errorf("count an Event: %w", err)
	}
	if result.Skip {
		return false, nil
	}
	ctx, cancel := context.WithTimeout(ctx, eventTimeout)
	defer cancel()
	event := result.Event
	if event.Count > 1 {
		err := w.core.Patch(types.StrategicMergePatchType).Namespace(event.Namespace).Resource("events").Name(event.Name).
			Body(result.Patch).Do(ctx).Error()
		if !apierrors.IsNotFound(err) { // the cluster may have forgotten it
			return err == nil, explainEvent(err, "patch", event.Namespace)
		}
	}
	err = w.core.Post().Namespace(event.Namespace).Resource("events").Body(event).Do(ctx).Error()
	return err == nil, explainEvent(err, "create", event.Namespace)
}

func (w *eventWriter) event(svc *corev1.Service, r Report) *corev1.Event {
	kind := corev1.EventTypeNormal
	if r.Reason.warns() {
		kind = corev1.EventTypeWarning
	}
	return &corev1.Event{
		ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprintf("%s.%x", svc.Name, r.at.UnixNano()), Namespace: svc.Namespace},
		InvolvedObject: corev1.ObjectReference{
			APIVersion: "v1", Kind: "Service", Namespace: svc.Namespace, Name: svc.Name, UID: svc.UID,
		},
		Reason: string(r.Reason), Message: r.Message, Type: kind,
		Source:         corev1.EventSource{Component: "reattach", Host: w.instance},
		FirstTimestamp: metav1.NewTime(r.at), LastTimestamp: metav1.NewTime(r.at), Count: 1,
	}
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

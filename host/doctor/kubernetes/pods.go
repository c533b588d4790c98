// SPDX-License-Identifier: MPL-2.0

package kubernetes

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/reattach/reattach/host/doctor"
)

// slowStart is how long a container may be in the making before that is what is wrong.
const slowStart = 30 * time.Second

func (w *walk) checkPods(ctx context.Context) (string, error) {
	selector := labels.Set(w.service.Spec.Selector)
	if len(selector) == 0 {
		return "the Service selects none: somebody else writes its EndpointSlices", nil
	}
	found, err := w.from.pods(ctx, w.namespace, selector)
	if err != nil {
		return "", w.failed(err)
	}
	w.podsSeen = true
	leaving := 0
	for _, p := range found {
		switch {
		case p.DeletionTimestamp != nil:
			leaving++
		case p.Status.Phase == corev1.PodSucceeded || p.Status.Phase == corev1.PodFailed:
		default:
			w.pods = append(w.pods, p)
		}
	}
	slices.SortFunc(w.pods, func(a, b corev1.Pod) int { return strings.Compare(a.Name, b.Name) })
	var first *doctor.Finding
	for i := range w.pods {
		bad := podFinding(&w.pods[i])
		if bad == nil {
			w.ready++
		} else if first == nil {
			first = bad
		}
	}
	said := fmt.Sprintf("%d of %d pods are ready", w.ready, len(w.pods))
	switch {
	case len(found) == 0:
		return "", doctor.Find(doctor.NoPods, "service %s selects %s: no pod has these labels%s", w.name, selector, w.unmade(ctx, selector))
	case len(w.pods) == 0 && leaving > 0:
		return "", doctor.Find(doctor.Leaving, "all %d pods are terminating", leaving)
	case len(w.pods) == 0:
		return "", doctor.Find(doctor.NoPods, "all %d pods that service %s selects have ended", len(found), w.name)
	case first == nil:
		return said, nil
	case w.ready > 0 || w.service.Spec.PublishNotReadyAddresses:
		return "", doctor.Warn(first.Code, "%s; %s", said, first.Seen)
	}
	return "", doctor.Find(first.Code, "%s; %s", said, first.Seen)
}

// unmade says why there is no pod with labels.
func (w *walk) unmade(ctx context.Context, selector labels.Set) string {
	for _, d := range w.from.makers(ctx, w.namespace) {
		if selector.AsSelector().Matches(labels.Set(d.Spec.Template.Labels)) {
			return fmt.Sprintf("; %s %s makes such pods, and %s", d.Kind, d.Metadata.Name, cmp.Or(d.makesNone(), d.notMade()))
		}
	}
	return w.nearly(ctx, selector)
}

// nearly names the pods that have some of the labels.
func (w *walk) nearly(ctx context.Context, selector labels.Set) string {
	all, err := w.from.pods(ctx, w.namespace, nil)
	if err != nil {
		return ""
	}
	var names []string
	for _, p := range all {
		for key := range selector {
			if _, has := p.Labels[key]; has && len(names) < shownNames {
				names = append(names, fmt.Sprintf("%s (%s=%s)", p.Name, key, p.Labels[key]))
				break
			}
		}
	}
	if len(names) == 0 {
		return ""
	}
	return "; other pods: " + strings.Join(names, ", ")
}

// podFinding says why a pod is not ready. It is nil for one that is.
func podFinding(p *corev1.Pod) *doctor.Finding {
	for _, c := range p.Status.Conditions {
		switch {
		case c.Type == corev1.PodReady && c.Status == corev1.ConditionTrue:
			return nil
		case c.Type == corev1.PodScheduled && c.Status == corev1.ConditionFalse:
			return doctor.Find(doctor.NotScheduled, "pod %s is not scheduled: %s", p.Name, c.Message)
		}
	}
	for _, all := range [][]corev1.ContainerStatus{p.Status.InitContainerStatuses, p.Status.ContainerStatuses} {
		for i := range all {
			if !all[i].Ready {
				return containerFinding(p, &all[i])
			}
		}
	}
	var unset []string
	for _, g := range p.Spec.ReadinessGates {
		is := func(c corev1.PodCondition) bool {
			return c.Type == g.ConditionType && c.Status == corev1.ConditionTrue
		}
		if !slices.ContainsFunc(p.Status.Conditions, is) {
			unset = append(unset, string(g.ConditionType))
		}
	}
	if len(unset) > 0 {
		return doctor.Find(doctor.NotReady, "pod %s waits for its readiness gates %s", p.Name, strings.Join(unset, ", "))
	}
	return doctor.Find(doctor.NotReady, "pod %s is %s and not ready", p.Name, p.Status.Phase)
}

// containerFinding says why a container is not ready.
func containerFinding(p *corev1.Pod, c *corev1.ContainerStatus) *doctor.Finding {
	where := fmt.Sprintf("pod %s, container %s", p.Name, c.Name)
	if waits := c.State.Waiting; waits != nil {
		told := fmt.Sprintf("%s: %s: %s", where, waits.Reason, waits.Message)
		switch waits.Reason {
		case "ErrImagePull", "ImagePullBackOff", "ErrImageNeverPull", "InvalidImageName", "ImageInspectError", "RegistryUnavailable":
			return doctor.Find(doctor.NoImage, "%s", told)
		case "CreateContainerConfigError", "CreateContainerError", "RunContainerError", "StartError", "PreCreateHookError":
			return doctor.Find(doctor.NotCreated, "%s", told)
		case "ContainerCreating", "PodInitializing":
			if began := p.Status.StartTime; began != nil && time.Since(began.Time) > slowStart {
				return doctor.Find(doctor.NotCreated, "%s has been in the making for %s", where, time.Since(began.Time).Round(time.Second))
			}
			return doctor.Find(doctor.NotReady, "%s is being made", where)
		}
	}
	for _, end := range []*corev1.ContainerStateTerminated{c.State.Terminated, c.LastTerminationState.Terminated} {
		if end == nil {
			continue
		}
		told := fmt.Sprintf("%s: %d restarts, the last ended with exit code %d (%s) after %s", where, c.RestartCount, end.ExitCode, end.Reason,
			end.FinishedAt.Sub(end.StartedAt.Time).Round(time.Second))
		if words := strings.TrimSpace(end.Message); words != "" {
			told += ": " + words
		}
		return doctor.Find(doctor.CrashLoop, "%s", told)
	}
	if runs := c.State.Running; runs != nil {
		return doctor.Find(doctor.NotReady, "%s: running for %s, not ready", where, time.Since(runs.StartedAt.Time).Round(time.Second))
	}
	if waits := c.State.Waiting; waits != nil && waits.Reason == "CrashLoopBackOff" {
		return doctor.Find(doctor.CrashLoop, "%s: %s", where, waits.Message) // how it ended is not known any more
	}
	return doctor.Find(doctor.NotReady, "%s has not begun", where)
}

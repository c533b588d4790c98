// SPDX-License-Identifier: MPL-2.0

package kubernetes

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/reattach/reattach/host/doctor"
)

// Host is the Deployment of the host that looks for plugins, as far as it matters to a
// way.
type Host struct {
	Namespace, Name string
	// ServiceAccount is the name of its pods' one.
	ServiceAccount string
	// Labels are those of its pods.
	Labels labels.Set
	// Env has the variables of its container that are given by value.
	Env map[string]string
	// template is that of its pods.
	template corev1.PodTemplateSpec
}

// deployment is what is read of one, or in manifests of whatever else makes pods.
type deployment struct {
	Kind     string `json:"kind"` // empty in a list of the API server
	Metadata struct {
		Name      string `json:"name"`
		Namespace string `json:"namespace"`

		OwnerReferences []metav1.OwnerReference `json:"ownerReferences"`
	} `json:"metadata"`
	Spec struct {
		Replicas    *int                   `json:"replicas"`
		Parallelism *int                   `json:"parallelism"` // of a Job
		Suspend     bool                   `json:"suspend"`     // of a Job
		Template    corev1.PodTemplateSpec `json:"template"`
	} `json:"spec"`
	Status struct {
		Desired    *int        `json:"desiredNumberScheduled"` // of a DaemonSet
		Conditions []condition `json:"conditions"`
	} `json:"status"`
}

// makesNone says why it shall not have any pod; empty if it shall.
func (d deployment) makesNone() string {
	is := func(n *int) bool { return n != nil && *n == 0 }
	switch {
	case is(d.Spec.Replicas):
		return "is scaled down to 0 replicas"
	case is(d.Spec.Parallelism):
		return "has a parallelism of 0"
	case d.Spec.Suspend:
		return "is suspended"
	case is(d.Status.Desired):
		return "no node is one that it wants"
	}
	return ""
}

// notMade says why pods that it shall have are not there, as far as its status tells.
func (d deployment) notMade() string {
	for _, c := range d.Status.Conditions {
		switch {
		case c.Status != "True":
		case c.Type == "ReplicaFailure":
			return "may not: " + c.Message
		case c.Type == "Failed":
			return "has failed: " + c.Message
		case c.Type == "Complete":
			return "has completed"
		}
	}
	return "has none: its events say why"
}

// condition is one of a Deployment.
type condition struct {
	Type    string `json:"type"`
	Status  string `json:"status"`
	Message string `json:"message"`
}

// host makes a Host of a Deployment.
func (d deployment) host() *Host {
	pod := d.Spec.Template.Spec
	h := &Host{
		Namespace: d.Metadata.Namespace, Name: d.Metadata.Name,
		ServiceAccount: cmp.Or(pod.ServiceAccountName, "default"),
		Labels:         d.Spec.Template.Labels, Env: make(map[string]string), template: d.Spec.Template,
	}
	if i := h.container(); i >= 0 {
		for _, e := range pod.Containers[i].Env {
			if e.ValueFrom == nil {
				h.Env[e.Name] = e.Value
			}
		}
	}
	return h
}

// container is the index of the one that is the host: the one that is told to serve,
// else the one that is named like the Deployment, else the first.
func (h *Host) container() int {
	all := h.template.Spec.Containers
	for _, is := range []func(corev1.Container) bool{
		func(c corev1.Container) bool { return slices.Contains(c.Args, "serve") },
		func(c corev1.Container) bool { return c.Name == h.Name },
		func(corev1.Container) bool { return true },
	} {
		if i := slices.IndexFunc(all, is); i >= 0 {
			return i
		}
	}
	return -1
}

// user is the host's service account as the API server calls it.
func (h *Host) user() string { return "system:serviceaccount:" + h.Namespace + ":" + h.ServiceAccount }

// String gives NAMESPACE/NAME.
func (h *Host) String() string { return h.Namespace + "/" + h.Name }

// scope is which Services a host looks for.
type scope struct {
	selector   string
	namespaces []string // empty: its own
	own        string   // empty: not known
}

// scope is what the host's environment says.
func (h *Host) scope() scope {
	s := scope{selector: h.Env["KUBE_SELECTOR"], own: h.Namespace}
	for _, n := range strings.Split(h.Env["KUBE_NAMESPACES"], ",") {
		if n = strings.TrimSpace(n); n != "" {
			s.namespaces = append(s.namespaces, n)
		}
	}
	return s
}

// looks reports whether its environment has it look for plugins in a cluster.
func (h *Host) looks() bool {
	_, selects := h.Env["KUBE_SELECTOR"]
	_, in := h.Env["KUBE_NAMESPACES"]
	return selects || in
}

// onlyHost finds the one Deployment of some namespaces that looks for plugins. It is nil
// where there are several, or none that can be seen.
func (c *Cluster) onlyHost(ctx context.Context, places []string) *Host {
	for _, place := range places {
		all, err := list[deployment](ctx, c, within("/apis/apps/v1", place, "deployments"), nil)
		if err != nil {
			continue
		}
		var found []*Host
		for _, d := range all {
			if h := d.host(); h.looks() {
				found = append(found, h)
			}
		}
		switch len(found) {
		case 0:
		case 1:
			return found[0]
		default:
			return nil
		}
	}
	return nil
}

// findHost finds the Deployment of a host: the one that is named, that is called like the
// program, or the only one that looks for plugins. It is nil where nobody has named one
// and there is none.
func (c *Cluster) findHost(ctx context.Context, q doctor.Question) (*Host, error) {
	namespace, name, ok := strings.Cut(cmp.Or(q.Host, q.Program), "/")
	if !ok {
		namespace, name = cmp.Or(q.Namespace, c.home), namespace
	}
	places := []string{namespace}
	if q.Host == "" && c.home != namespace {
		places = append(places, c.home)
	}
	var last error
	for _, place := range places {
		var found deployment
		last = c.get(ctx, &found, within("/apis/apps/v1", place, "deployments")+"/"+name, nil)
		if last == nil {
			return found.host(), nil
		}
	}
	if q.Host == "" && (apierrors.IsNotFound(last) || apierrors.IsForbidden(last)) {
		return c.onlyHost(ctx, places), nil
	}
	if status, ok := errors.AsType[*apierrors.StatusError](last); ok {
		return nil, fmt.Errorf("read Deployment %s/%s of the host: %s", namespace, name, status.ErrStatus.Message)
	}
	return nil, fmt.Errorf("read Deployment %s/%s of the host: %w", namespace, name, last)
}

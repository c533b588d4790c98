// SPDX-License-Identifier: MPL-2.0

// Package kubernetes has the hops to a plugin that lie inside of a cluster: what the host
// may read, the Service with its label and ports, its pods and EndpointSlices, and the
// NetworkPolicies between host and plugin. They are walked on a cluster, by a [Cluster],
// or on manifests before they are applied, by [Manifests].
package kubernetes

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	networkingv1 "k8s.io/api/networking/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/client-go/rest"

	"github.com/reattach/reattach/host/doctor"
)

// reader is what the hops ask, of a cluster or of manifests. An error that matches
// doctor.ErrUnseen says that it cannot be told.
type reader interface {
	// services gives those of a namespace, or the one of that name.
	services(ctx context.Context, namespace, name string) ([]corev1.Service, error)
	slices(ctx context.Context, namespace, service string) ([]discoveryv1.EndpointSlice, error)
	// pods gives those with labels. Without any labels it gives all.
	pods(ctx context.Context, namespace string, with labels.Set) ([]corev1.Pod, error)
	// makers gives what makes pods in a namespace, as far as it may be read.
	makers(ctx context.Context, namespace string) []deployment
	policies(ctx context.Context, namespace string) ([]networkingv1.NetworkPolicy, error)
	namespace(ctx context.Context, name string) (labels.Set, error)
	// may reports whether the host may do something; nil is whoever asks.
	may(ctx context.Context, host *Host, a access) (bool, error)
}

// access is something that a host must be allowed to do.
type access struct{ verb, group, resource, namespace string }

// Cluster is a reader of a real one.
type Cluster struct {
	client rest.Interface
	// in is set in a pod of the cluster, whose service account is the host's.
	in bool
	// home is the namespace that is meant where none is named.
	home string
}

// NewCluster makes a client, which reaches nothing yet. Home is the namespace that is
// meant where none is named, and in says that this process is in a pod of the cluster.
func NewCluster(config *rest.Config, home string, in bool) (*Cluster, error) {
	config = rest.CopyConfig(config)
	config.APIPath, config.GroupVersion = "/", &schema.GroupVersion{}
	config.NegotiatedSerializer = serializer.NewCodecFactory(runtime.NewScheme()).WithoutConversion()
	config.ContentType, config.AcceptContentTypes = "application/json", "application/json"
	config.WarningHandler = rest.NoWarnings{}
	config.QPS = -1 // a walk asks a few times, and ends
	if config.UserAgent == "" {
		config.UserAgent = "reattach-doctor"
	}
	transport, err := rest.HTTPClientFor(config)
	if err != nil {
		return nil, fmt.Errorf("make a client for %s: %w", config.Host, err)
	}
	c, err := rest.UnversionedRESTClientForConfigAndClient(config, transport)
	if err != nil {
		return nil, fmt.Errorf("make a client for %s: %w", config.Host, err)
	}
	return &Cluster{client: c, in: in, home: home}, nil
}

// get reads a list or an object.
func (c *Cluster) get(ctx context.Context, into any, path string, query url.Values) error {
	request := c.client.Get().AbsPath(path)
	for name, values := range query {
		request.Param(name, values[0])
	}
	raw, err := request.DoRaw(ctx)
	if err != nil {
		return refusal(raw, err)
	}
	if err := json.Unmarshal(raw, into); err != nil {
		return fmt.Errorf("read what the API server says of %s: %w", path, err)
	}
	return nil
}

// post creates an object, and reads what became of it.
func (c *Cluster) post(ctx context.Context, object, into any, path string) error {
	body, err := json.Marshal(object)
	if err != nil {
		return err
	}
	raw, err := c.client.Post().AbsPath(path).Body(body).DoRaw(ctx)
	if err != nil {
		return refusal(raw, err)
	}
	return json.Unmarshal(raw, into)
}

// refusal gives the API server's own words of an error, where it has some: this client
// decodes what it asks for by itself, and so what it gets instead.
func refusal(raw []byte, err error) error {
	var status metav1.Status
	if json.Unmarshal(raw, &status) == nil && status.Kind == "Status" {
		return &apierrors.StatusError{ErrStatus: status}
	}
	return err
}

// unseen turns a refusal by the API server into a hop that cannot be seen, where the
// asker need not be the host.
func unseen(err error, what string) error {
	if apierrors.IsForbidden(err) {
		return doctor.Unseen("whoever asks may not read %s", what)
	}
	return err
}

// named selects one object of a list, as hosts may list and not get.
func named(name string) url.Values {
	if name == "" {
		return nil
	}
	return url.Values{"fieldSelector": {"metadata.name=" + name}}
}

// list reads the objects of a list.
func list[T any](ctx context.Context, c *Cluster, path string, query url.Values) ([]T, error) {
	var all struct {
		Items []T `json:"items"`
	}
	err := c.get(ctx, &all, path, query)
	return all.Items, err
}

// within is the path of what a namespace has, or of what all have if it is empty.
func within(api, namespace, resource string) string {
	if namespace == "" {
		return api + "/" + resource
	}
	return api + "/namespaces/" + namespace + "/" + resource
}

func (c *Cluster) services(ctx context.Context, namespace, name string) ([]corev1.Service, error) {
	return list[corev1.Service](ctx, c, within("/api/v1", namespace, "services"), named(name))
}

func (c *Cluster) slices(ctx context.Context, namespace, service string) ([]discoveryv1.EndpointSlice, error) {
	query := url.Values{"labelSelector": {discoveryv1.LabelServiceName + "=" + service}}
	return list[discoveryv1.EndpointSlice](ctx, c, within("/apis/discovery.k8s.io/v1", namespace, "endpointslices"), query)
}

func (c *Cluster) pods(ctx context.Context, namespace string, with labels.Set) ([]corev1.Pod, error) {
	query := url.Values{"labelSelector": {with.AsSelector().String()}}
	found, err := list[corev1.Pod](ctx, c, within("/api/v1", namespace, "pods"), query)
	return found, unseen(err, "pods")
}

func (c *Cluster) makers(ctx context.Context, namespace string) []deployment {
	var all []deployment
	for _, of := range []struct{ api, resource, kind string }{
		{"/apis/apps/v1", "deployments", "Deployment"}, {"/apis/apps/v1", "statefulsets", "StatefulSet"},
		{"/apis/apps/v1", "daemonsets", "DaemonSet"}, {"/apis/apps/v1", "replicasets", "ReplicaSet"}, {"/apis/batch/v1", "jobs", "Job"},
	} {
		found, err := list[deployment](ctx, c, within(of.api, namespace, of.resource), nil)
		if err != nil {
			continue // who may read pods need not be allowed to read these
		}
		for _, d := range found {
			if d.Kind = of.kind; of.kind == "Job" || len(d.Metadata.OwnerReferences) == 0 { // a CronJob's say more than it
				all = append(all, d)
			}
		}
	}
	return all
}

func (c *Cluster) policies(ctx context.Context, namespace string) ([]networkingv1.NetworkPolicy, error) {
	found, err := list[networkingv1.NetworkPolicy](ctx, c, within("/apis/networking.k8s.io/v1", namespace, "networkpolicies"), nil)
	return found, unseen(err, "NetworkPolicies")
}

func (c *Cluster) namespace(ctx context.Context, name string) (labels.Set, error) {
	var found corev1.Namespace
	err := c.get(ctx, &found, "/api/v1/namespaces/"+name, nil)
	return found.Labels, unseen(err, "namespaces")
}

// review is a SubjectAccessReview, or one of whoever asks.
type review struct {
	APIVersion string `json:"apiVersion"`
	Kind       string `json:"kind"`
	Spec       struct {
		User       string   `json:"user,omitempty"`
		Groups     []string `json:"groups,omitempty"`
		Attributes struct {
			Namespace string `json:"namespace,omitempty"`
			Verb      string `json:"verb"`
			Group     string `json:"group"`
			Resource  string `json:"resource"`
		} `json:"resourceAttributes"`
	} `json:"spec"`
	Status struct {
		Allowed bool `json:"allowed"`
	} `json:"status"`
}

func (c *Cluster) may(ctx context.Context, host *Host, a access) (bool, error) {
	r, path := review{APIVersion: "authorization.k8s.io/v1", Kind: "SelfSubjectAccessReview"}, "selfsubjectaccessreviews"
	if host != nil {
		r.Kind, path = "SubjectAccessReview", "subjectaccessreviews"
		r.Spec.User = host.user()
		r.Spec.Groups = []string{"system:serviceaccounts", "system:serviceaccounts:" + host.Namespace, "system:authenticated"}
	}
	to := &r.Spec.Attributes
	to.Namespace, to.Verb, to.Group, to.Resource = a.namespace, a.verb, a.group, a.resource
	if err := c.post(ctx, r, &r, "/apis/authorization.k8s.io/v1/"+path); err != nil {
		return false, unseen(err, "what the host may do")
	}
	return r.Status.Allowed, nil
}

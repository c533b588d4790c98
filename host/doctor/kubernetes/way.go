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
	discoveryv1 "k8s.io/api/discovery/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/reattach/reattach/host/discovery/kubernetes"
	"github.com/reattach/reattach/host/doctor"
	"github.com/reattach/reattach/host/target"
)

// walk is the way to one plugin. What a hop has found, those behind it rely on.
type walk struct {
	from      reader
	host      *Host // nil: whoever asks, or nobody knows
	self      bool  // whoever asks is the host
	scope     scope
	namespace string
	name      string

	service   *corev1.Service
	pods      []corev1.Pod // that the Service selects
	podsSeen  bool
	ready     int // of pods
	slices    []*discoveryv1.EndpointSlice
	endpoints []target.Endpoint
}

// away is why endpoints are not walked to from outside of a cluster.
const away = "the addresses of pods are good inside of the cluster: --in-cluster walks them from a pod of the host"

// Ways gives those that a question is about. Selector and namespaces are what the
// environment says of the host; in a cluster the Deployment of a host says more.
func (c *Cluster) Ways(ctx context.Context, q doctor.Question, selector string, namespaces []string) ([]doctor.Way, error) {
	looks, host := scope{selector, namespaces, c.home}, (*Host)(nil)
	if !c.in {
		var err error
		if host, err = c.findHost(ctx, q); err != nil {
			return nil, err
		}
		switch {
		case host != nil:
			looks = host.scope()
		case len(namespaces) == 0:
			looks.own = "" // the host may be anywhere
		}
	}
	q.Namespace = cmp.Or(q.Namespace, c.home)
	begin := func(namespace, name string) *walk {
		return &walk{from: c, host: host, self: c.in, scope: looks, namespace: namespace, name: name}
	}
	var ways []doctor.Way
	if q.Service != "" {
		ways = append(ways, begin(q.Namespace, q.Service).way())
	} else {
		all, err := c.plugins(ctx, looks, q.Namespace)
		if err != nil {
			return nil, err
		}
		for _, s := range all {
			ways = append(ways, begin(s.Namespace, s.Name).way())
		}
	}
	for i := range ways {
		if !c.in {
			ways[i].Away = away
		}
	}
	return ways, nil
}

// plugins gives the Services that a host looks for, in the namespaces where it does.
func (c *Cluster) plugins(ctx context.Context, looks scope, namespace string) ([]corev1.Service, error) {
	places := looks.namespaces
	switch {
	case len(places) == 0:
		places = []string{cmp.Or(looks.own, namespace)}
	case places[0] == kubernetes.AllNamespaces:
		places = []string{""}
	}
	var all []corev1.Service
	for _, place := range places {
		found, err := c.services(ctx, place, "")
		if err != nil {
			return nil, fmt.Errorf("list Services: %w", err)
		}
		for _, s := range found {
			if matches, err := looks.matches(&s); err != nil {
				return nil, err
			} else if matches {
				all = append(all, s)
			}
		}
	}
	return all, nil
}

// matches reports whether a host looks for a Service.
func (s scope) matches(svc *corev1.Service) (bool, error) {
	selector, err := labels.Parse(cmp.Or(s.selector, kubernetes.DefaultSelector))
	if err != nil {
		return false, fmt.Errorf("KUBE_SELECTOR %q: %w", s.selector, err)
	}
	return selector.Matches(labels.Set(svc.Labels)) && !kubernetes.Declines(svc), nil
}

// way are the hops of the walk.
func (w *walk) way() doctor.Way {
	return doctor.Way{
		Target: fmt.Sprintf("service/%s -n %s", w.name, w.namespace),
		Plugin: w.plugin(),
		Hops: []doctor.Hop{
			{Name: doctor.HopRights, Check: w.checkRights},
			{Name: doctor.HopService, Check: w.checkService},
			{Name: doctor.HopLabel, Check: w.checkLabel},
			{Name: doctor.HopPorts, Check: w.checkPorts},
			{Name: doctor.HopPods, Check: w.checkPods},
			{Name: doctor.HopSlices, Check: w.checkSlices},
			{Name: doctor.HopPolicy, Check: w.checkPolicy},
		},
		Endpoints: func() []target.Endpoint { return w.endpoints },
	}
}

// plugin is the host's name for it.
func (w *walk) plugin() string {
	home := w.scope.own
	if len(w.scope.namespaces) > 0 && w.scope.namespaces[0] != kubernetes.AllNamespaces {
		home = w.scope.namespaces[0]
	}
	svc := &corev1.Service{}
	svc.Name, svc.Namespace = w.name, w.namespace
	return kubernetes.PluginName(cmp.Or(home, w.namespace), svc)
}

// failed tells what an error of the API server means: of a hop that cannot be seen, of
// rights, or of a server that does not answer.
func (w *walk) failed(err error) error {
	if status, ok := errors.AsType[*apierrors.StatusError](err); ok {
		if apierrors.IsForbidden(err) || apierrors.IsUnauthorized(err) {
			return doctor.Find(doctor.NoRights, "%s", status.ErrStatus.Message)
		}
		return doctor.Find(doctor.NoCluster, "%s", status.ErrStatus.Message)
	}
	if errors.Is(err, doctor.ErrUnseen) || errors.Is(err, context.Canceled) {
		return err
	}
	return doctor.Find(doctor.NoCluster, "%v", err)
}

// checkRights asks what the host may do: for itself in a pod of it, and of its service
// account from elsewhere.
func (w *walk) checkRights(ctx context.Context) (string, error) {
	who := "whoever asks"
	switch {
	case w.host != nil:
		who = w.host.user()
	case !w.self:
		return "", doctor.Unseen("no Deployment of the host is known: --host NAMESPACE/NAME says which it is")
	}
	lacks := func(group, resource string, verbs ...string) ([]string, error) {
		var all []string
		for _, verb := range verbs {
			ok, err := w.from.may(ctx, w.host, access{verb, group, resource, w.namespace})
			if err != nil {
				return nil, w.failed(err)
			}
			if !ok {
				all = append(all, verb+" "+resource)
			}
		}
		return all, nil
	}
	services, err := lacks("", "services", "list", "watch")
	if err != nil {
		return "", err
	}
	endpoints, err := lacks("discovery.k8s.io", "endpointslices", "list", "watch")
	if err != nil {
		return "", err
	}
	if all := append(services, endpoints...); len(all) > 0 {
		return "", doctor.Find(doctor.NoRights, "%s may not %s in namespace %s", who, strings.Join(all, ", "), w.namespace)
	}
	events, err := lacks("", "events", "create", "patch")
	if err != nil {
		return "", err
	}
	if len(events) > 0 {
		return "", doctor.Warn(doctor.NoEventRights, "%s may not %s in namespace %s", who, strings.Join(events, ", "), w.namespace)
	}
	return who + " may find plugins in namespace " + w.namespace, nil
}

func (w *walk) checkService(ctx context.Context) (string, error) {
	found, err := w.from.services(ctx, w.namespace, w.name)
	if err != nil {
		return "", w.failed(err)
	}
	if len(found) == 0 {
		if _, err := w.from.namespace(ctx, w.namespace); apierrors.IsNotFound(err) {
			return "", doctor.Find(doctor.NoService, "there is no namespace %s", w.namespace)
		}
		return "", doctor.Find(doctor.NoService, "namespace %s has no Service %s%s", w.namespace, w.name, w.others(ctx))
	}
	w.service = &found[0]
	if w.service.Spec.Type == corev1.ServiceTypeExternalName {
		return "", doctor.Find(doctor.ExternalName, "service %s is of type ExternalName, for %s", w.name, w.service.Spec.ExternalName)
	}
	return fmt.Sprintf("service %s is of type %s", w.name, cmp.Or(w.service.Spec.Type, corev1.ServiceTypeClusterIP)), nil
}

// shownNames is how many names a finding has that could have been meant.
const shownNames = 5

// others says which Services the namespace has instead.
func (w *walk) others(ctx context.Context) string {
	all, err := w.from.services(ctx, w.namespace, "")
	if err != nil || len(all) == 0 {
		return ""
	}
	names := make([]string, 0, len(all))
	for _, s := range all {
		names = append(names, s.Name)
	}
	slices.Sort(names)
	more := ""
	if len(names) > shownNames {
		names, more = names[:shownNames], " and others"
	}
	return "; it has " + strings.Join(names, ", ") + more
}

func (w *walk) checkLabel(context.Context) (string, error) {
	matches, err := w.scope.matches(w.service)
	selector := cmp.Or(w.scope.selector, kubernetes.DefaultSelector)
	switch {
	case err != nil:
		return "", doctor.Find(doctor.NoLabel, "%v", err)
	case kubernetes.Declines(w.service):
		return "", doctor.Find(doctor.NoLabel, "service %s says by its label that it is no plugin: %s=%s", w.name, kubernetes.DefaultSelector, w.service.Labels[kubernetes.DefaultSelector])
	case !matches:
		return "", doctor.Find(doctor.NoLabel, "service %s has no label that matches %s", w.name, selector)
	}
	looks := w.scope.namespaces
	if len(looks) == 0 && w.scope.own != "" {
		looks = []string{w.scope.own}
	}
	if len(looks) > 0 && looks[0] != kubernetes.AllNamespaces && !slices.Contains(looks, w.namespace) {
		return "", doctor.Find(doctor.OtherNamespace, "the host looks into %s, and not into %s", strings.Join(looks, ", "), w.namespace)
	}
	return "the host looks for it by " + selector, nil
}

// checkPorts looks at what the Service itself says, as if one pod had all its ports.
func (w *walk) checkPorts(context.Context) (string, error) {
	if _, problems := kubernetes.Explain(w.name, w.service, nil); len(problems) > 0 {
		return "", doctor.Find(doctor.BadAnnotation, "%s", problems[0].Reason)
	}
	ready := true
	slice := &discoveryv1.EndpointSlice{
		AddressType: discoveryv1.AddressTypeIPv4,
		Endpoints:   []discoveryv1.Endpoint{{Addresses: []string{"192.0.2.1"}, Conditions: discoveryv1.EndpointConditions{Ready: &ready}}},
	}
	for _, p := range w.service.Spec.Ports {
		slice.Ports = append(slice.Ports, discoveryv1.EndpointPort{Name: &p.Name, Port: &p.Port, Protocol: &p.Protocol})
		if p.Protocol == "" {
			slice.Ports[len(slice.Ports)-1].Protocol = nil // TCP, in manifests
		}
	}
	if _, problems := kubernetes.Explain(w.name, w.service, []*discoveryv1.EndpointSlice{slice}); len(problems) > 0 {
		return "", doctor.Find(doctor.NoPort, "%s", problems[0].Reason)
	}
	return fmt.Sprintf("%d ports, one of which is the plugin's", len(slice.Ports)), nil
}

// SPDX-License-Identifier: MPL-2.0

package kubernetes

import (
	"context"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	apiwatch "k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"
)

// byService is the index of EndpointSlices by the key of their Service.
const byService = "service"

// place is one namespace, or all of them.
type place struct {
	services, slices *informer
}

// newPlace makes the informers of one namespace, or of all where it is empty.
func (h *watchHealth) newPlace(c *client, namespace string, opts Options) *place {
	services, slices := metav1.ListOptions{LabelSelector: opts.Selector}, metav1.ListOptions{LabelSelector: discoveryv1.LabelServiceName}
	if opts.Service != "" {
		services = metav1.ListOptions{FieldSelector: "metadata.name=" + opts.Service}
		slices.LabelSelector += "=" + opts.Service
	}
	return &place{
		services: h.newInformer(c.core, "services", namespace, services, &corev1.Service{}, nil),
		slices: h.newInformer(c.discovery, "endpointslices", namespace, slices, &discoveryv1.EndpointSlice{},
			cache.Indexers{byService: func(obj any) ([]string, error) {
				if slice, ok := obj.(*discoveryv1.EndpointSlice); ok {
					return []string{serviceOf(slice)}, nil
				}
				return nil, nil
			}}),
	}
}

func (h *watchHealth) newInformer(c rest.Interface, resource, namespace string, selected metav1.ListOptions, example runtime.Object, by cache.Indexers) *informer {
	plain := cache.NewFilteredListWatchFromClient(c, resource, namespace, func(o *metav1.ListOptions) {
		o.LabelSelector, o.FieldSelector = selected.LabelSelector, selected.FieldSelector
	})
	i := &informer{resource: resource, namespace: namespace, health: h}
	watched := &cache.ListWatch{
		ListWithContextFunc: func(ctx context.Context, opts metav1.ListOptions) (runtime.Object, error) {
			return persist(ctx, i, "list", opts, plain.ListWithContext)
		},
		WatchFuncWithContext: func(ctx context.Context, opts metav1.ListOptions) (apiwatch.Interface, error) {
			return persist(ctx, i, "watch", opts, plain.WatchWithContext)
		},
	}
	i.SharedIndexInformer = cache.NewSharedIndexInformerWithOptions(watched, example,
		cache.SharedIndexInformerOptions{Indexers: by, ObjectDescription: resource})
	h.informers = append(h.informers, i)
	return i
}

// service finds a Service by its key. It must not be changed.
func (p *place) service(key string) (*corev1.Service, bool) {
	obj, found, err := p.services.GetStore().GetByKey(key)
	if err != nil || !found {
		return nil, false
	}
	svc, ok := obj.(*corev1.Service)
	return svc, ok
}

// slicesOf gives the slices of a Service, ordered by name. They must not be changed.
func (p *place) slicesOf(key string) []*discoveryv1.EndpointSlice {
	objs, err := p.slices.GetIndexer().ByIndex(byService, key)
	if err != nil {
		return nil
	}
	out := make([]*discoveryv1.EndpointSlice, 0, len(objs))
	for _, obj := range objs {
		if slice, ok := obj.(*discoveryv1.EndpointSlice); ok {
			out = append(out, slice)
		}
	}
	slices.SortFunc(out, func(a, b *discoveryv1.EndpointSlice) int { return strings.Compare(a.Name, b.Name) })
	return out
}

func serviceKey(namespace, name string) string { return namespace + "/" + name }

// serviceOf gives the key of the Service that a slice belongs to.
func serviceOf(slice *discoveryv1.EndpointSlice) string {
	return serviceKey(slice.Namespace, slice.Labels[discoveryv1.LabelServiceName])
}

// pluginName gives the name of the plugin that a Service is.
func (w *watch) pluginName(svc *corev1.Service) string { return PluginName(w.opts.Home, svc) }

// lookup finds the Service of a plugin.
func (w *watch) lookup(plugin string) (*corev1.Service, bool) {
	name, namespace, qualified := strings.Cut(plugin, ".")
	if !qualified {
		namespace = w.opts.Home
	}
	for _, p := range w.places {
		if svc, ok := p.service(serviceKey(namespace, name)); ok {
			return svc, true
		}
	}
	return nil, false
}

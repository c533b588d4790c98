// SPDX-License-Identifier: MPL-2.0

package kubernetes

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/client-go/rest"
)

// api is a small API server in the hands of a test: lists, watches and writes
// over real HTTP, as the conventions of the Kubernetes API say.
type api struct {
	url string

	mu       sync.Mutex
	changed  chan struct{} // closed and replaced by every change
	version  int
	oldest   int // versions before it are gone
	objects  map[string]map[string]metav1.Object
	history  []change
	streams  int             // grows to end all watches
	broken   bool            // nothing is answered but 503
	refused  map[string]bool // VERB RESOURCE NAMESPACE
	noStream bool            // refuses watches that begin with the list, as old servers do
	requests []string
}

// change is an object before and after.
type change struct {
	version       int
	resource      string
	before, after metav1.Object
}

func newAPI(t testing.TB) *api {
	a := &api{
		changed: make(chan struct{}), version: 1,
		objects: map[string]map[string]metav1.Object{"services": {}, "endpointslices": {}, "events": {}},
		refused: make(map[string]bool),
	}
	server := httptest.NewServer(a)
	t.Cleanup(func() {
		a.do(func() { a.streams++ })
		server.Close()
	})
	a.url = server.URL
	return a
}

// config never keeps a connection, so that tests can look for leaks.
func (a *api) config() *rest.Config {
	return &rest.Config{Host: a.url, Transport: &http.Transport{DisableKeepAlives: true}}
}

// do changes something and wakes all watches.
func (a *api) do(f func()) {
	a.mu.Lock()
	defer a.mu.Unlock()
	f()
	close(a.changed)
	a.changed = make(chan struct{})
}

func resourceOf(o metav1.Object) string {
	switch o.(type) {
	case *corev1.Service:
		return "services"
	case *discoveryv1.EndpointSlice:
		return "endpointslices"
	}
	return "events"
}

func keyOf(o metav1.Object) string { return o.GetNamespace() + "/" + o.GetName() }

// put stores objects, which belong to the api from now on.
func (a *api) put(objects ...metav1.Object) {
	a.do(func() {
		for _, o := range objects {
			a.store(resourceOf(o), keyOf(o), o)
		}
	})
}

// store needs the lock.
func (a *api) store(resource, key string, after metav1.Object) {
	before := a.objects[resource][key]
	a.version++
	if after == nil {
		delete(a.objects[resource], key)
	} else {
		after.SetResourceVersion(strconv.Itoa(a.version))
		a.objects[resource][key] = after
	}
	a.history = append(a.history, change{a.version, resource, before, after})
}

// forget makes every version so far too old to watch from, and ends all watches.
func (a *api) forget() {
	a.do(func() {
		a.version++
		a.oldest = a.version
		a.history = nil
		a.streams++
	})
}

// ServeHTTP implements http.Handler.
func (a *api) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	namespace, resource, name := split(r.URL.Path)
	query := r.URL.Query()
	verb := map[string]string{http.MethodGet: "list", http.MethodPost: "create", http.MethodPatch: "patch"}[r.Method]
	if query.Get("watch") != "" {
		verb = "watch"
	}
	a.mu.Lock()
	a.requests = append(a.requests, strings.TrimSpace(verb+" "+resource+" "+namespace))
	broken, refused := a.broken, a.refused[verb+" "+resource+" "+namespace]
	noStream := a.noStream && query.Get("sendInitialEvents") != ""
	a.mu.Unlock()
	// The one field that is asked for is matched as a label is.
	selector, err := labels.Parse(strings.Trim(query.Get("labelSelector")+","+query.Get("fieldSelector"), ","))
	switch {
	case err != nil:
		fail(w, http.StatusBadRequest, metav1.StatusReasonBadRequest, err.Error())
	case broken:
		fail(w, http.StatusServiceUnavailable, metav1.StatusReasonServiceUnavailable, "out of order")
	case refused:
		fail(w, http.StatusForbidden, metav1.StatusReasonForbidden, fmt.Sprintf("%s is forbidden: User \"host\" cannot %s it", resource, verb))
	case noStream:
		fail(w, http.StatusUnprocessableEntity, metav1.StatusReasonInvalid, "sendInitialEvents is forbidden")
	case verb == "list":
		a.list(w, resource, namespace, selector)
	case verb == "watch":
		a.watch(w, r, resource, namespace, selector)
	default:
		a.write(w, r, verb, namespace, name)
	}
}

func split(path string) (namespace, resource, name string) {
	parts := strings.Split(strings.Trim(path, "/"), "/")
	if i := slices.Index(parts, "namespaces"); i >= 0 {
		namespace, parts = parts[i+1], parts[i+2:]
	} else {
		parts = parts[slices.Index(parts, "v1")+1:]
	}
	if len(parts) > 1 {
		name = parts[1]
	}
	return namespace, parts[0], name
}

func fail(w http.ResponseWriter, code int, reason metav1.StatusReason, message string) {
	answer(w, code, metav1.Status{
		TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Status"},
		Status:   metav1.StatusFailure, Code: int32(code), Reason: reason, Message: message,
	})
}

func answer(w http.ResponseWriter, code int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	_ = json.NewEncoder(w).Encode(body)
}

func typeOf(resource string) (apiVersion, kind string) {
	switch resource {
	case "services":
		return "v1", "Service"
	case "endpointslices":
		return "discovery.k8s.io/v1", "EndpointSlice"
	}
	return "v1", "Event"
}

// seen reports whether a request for a namespace and labels has the object.
func seen(o metav1.Object, namespace string, selector labels.Selector) bool {
	if o == nil || namespace != "" && o.GetNamespace() != namespace {
		return false
	}
	fields := labels.Set{"metadata.name": o.GetName()}
	return selector.Matches(labels.Merge(fields, o.GetLabels()))
}

// matching needs the lock.
func (a *api) matching(resource, namespace string, selector labels.Selector) []metav1.Object {
	var out []metav1.Object
	for _, key := range slices.Sorted(maps.Keys(a.objects[resource])) {
		if o := a.objects[resource][key]; seen(o, namespace, selector) {
			out = append(out, o)
		}
	}
	return out
}

func (a *api) list(w http.ResponseWriter, resource, namespace string, selector labels.Selector) {
	apiVersion, kind := typeOf(resource)
	a.mu.Lock()
	body := map[string]any{
		"apiVersion": apiVersion, "kind": kind + "List",
		"metadata": map[string]any{"resourceVersion": strconv.Itoa(a.version)},
		"items":    append([]metav1.Object{}, a.matching(resource, namespace, selector)...),
	}
	a.mu.Unlock()
	answer(w, http.StatusOK, body)
}

// watch streams until its client leaves, or the api ends all watches.
func (a *api) watch(w http.ResponseWriter, r *http.Request, resource, namespace string, selector labels.Selector) {
	apiVersion, kind := typeOf(resource)
	encoder := json.NewEncoder(w)
	send := func(event string, o metav1.Object) {
		raw, _ := json.Marshal(o)
		fields := make(map[string]any)
		_ = json.Unmarshal(raw, &fields)
		fields["apiVersion"], fields["kind"] = apiVersion, kind
		_ = encoder.Encode(map[string]any{"type": event, "object": fields})
	}
	query := r.URL.Query()
	from, _ := strconv.Atoi(query.Get("resourceVersion"))
	a.mu.Lock()
	streams := a.streams
	initial := query.Get("sendInitialEvents") == "true"
	if from > 0 && from < a.oldest && !initial {
		a.mu.Unlock()
		fail(w, http.StatusGone, metav1.StatusReasonExpired, "too old resource version")
		return
	}
	w.Header().Set("Content-Type", "application/json")
	if initial || from == 0 {
		from = a.version
		for _, o := range a.matching(resource, namespace, selector) {
			send("ADDED", o)
		}
		if initial {
			send("BOOKMARK", &corev1.Service{ObjectMeta: metav1.ObjectMeta{
				ResourceVersion: strconv.Itoa(from), Annotations: map[string]string{metav1.InitialEventsAnnotationKey: "true"},
			}})
		}
	}
	for {
		for _, c := range a.history {
			if c.version <= from || c.resource != resource {
				continue
			}
			was, is := seen(c.before, namespace, selector), seen(c.after, namespace, selector)
			switch {
			case is && was:
				send("MODIFIED", c.after)
			case is:
				send("ADDED", c.after)
			case was:
				send("DELETED", c.before)
			}
		}
		from = a.version
		changed := a.changed
		a.mu.Unlock()
		_ = http.NewResponseController(w).Flush()
		select {
		case <-r.Context().Done():
			return
		case <-changed:
		}
		a.mu.Lock()
		if a.streams != streams || a.broken {
			a.mu.Unlock()
			return
		}
	}
}

// write creates an Event, or patches the count of one.
func (a *api) write(w http.ResponseWriter, r *http.Request, verb, namespace, name string) {
	body, err := io.ReadAll(r.Body)
	event := &corev1.Event{}
	if verb == "patch" {
		a.mu.Lock()
		stored, ok := a.objects["events"][namespace+"/"+name].(*corev1.Event)
		a.mu.Unlock()
		if !ok {
			fail(w, http.StatusNotFound, metav1.StatusReasonNotFound, "no such event")
			return
		}
		event = stored.DeepCopy()
	}
	if err == nil {
		err = json.Unmarshal(body, event)
	}
	if err != nil {
		fail(w, http.StatusBadRequest, metav1.StatusReasonBadRequest, err.Error())
		return
	}
	a.put(event)
	answer(w, http.StatusCreated, event)
}

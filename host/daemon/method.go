// SPDX-License-Identifier: MPL-2.0

package daemon

import (
	"context"
	"encoding"
	"fmt"
	"reflect"
	"regexp"
	"strings"
)

// Method describes one method of a kind's interface.
type Method struct {
	// Name is the method's name in Go.
	Name string `json:"name"`
	// Signature is the method as Go writes it.
	Signature string `json:"signature"`
	// Params are the arguments that a caller gives, without the context.
	Params []Param `json:"params"`
	// Results are the types of what it answers, without the error.
	Results []string `json:"results"`
	// NotCallable says why JSON cannot carry the method; empty if it can.
	NotCallable string `json:"notCallable,omitempty"`
	// Idempotent says that the host may repeat a call whose fate is unknown.
	Idempotent bool `json:"idempotent"`
	// Repeats is how often a call may be sent again after an attempt was lost that
	// may have run. It is zero for a method that is not idempotent.
	Repeats int `json:"repeats"`
	// Stream says that the method opens a stream, which has no timeout.
	Stream bool `json:"stream,omitempty"`
	// Timeout bounds one call, written as "30s". It is empty for a stream.
	Timeout string `json:"timeout,omitempty"`
}

// Param is one parameter of a Method.
type Param struct {
	// Name is empty unless the host named the parameters.
	Name string `json:"name,omitempty"`
	// Type is written as in Go.
	Type string `json:"type"`
}

// method is what reflection finds out about one method.
type method struct {
	name      string
	hasCtx    bool
	hasErr    bool
	variadic  bool
	params    []reflect.Type
	results   []reflect.Type
	names     []string
	uncarried string
	described *Method // of a kind without an interface of its own: an Invoker calls it
}

func newMethod(m reflect.Method) *method {
	found := &method{name: m.Name, variadic: m.Type.IsVariadic()}
	for t := range m.Type.Ins() {
		if len(found.params) == 0 && !found.hasCtx && t == reflect.TypeFor[context.Context]() {
			found.hasCtx = true
			continue
		}
		found.params = append(found.params, t)
	}
	for t := range m.Type.Outs() {
		found.results = append(found.results, t)
	}
	if n := len(found.results); n > 0 && found.results[n-1] == reflect.TypeFor[error]() {
		found.results, found.hasErr = found.results[:n-1], true
	}
	seen := make(map[reflect.Type]bool)
	for _, t := range append(found.params[:len(found.params):len(found.params)], found.results...) {
		if why := whyNotJSON(t, seen); why != "" {
			found.uncarried = why
			break
		}
	}
	return found
}

// whyNotJSON says why values of t cannot be written as JSON and read back; empty
// if they can. seen ends the search in types that refer to themselves.
func whyNotJSON(t reflect.Type, seen map[reflect.Type]bool) string {
	if seen[t] || marshals(t) || isMessage(t) {
		return ""
	}
	seen[t] = true
	switch t.Kind() {
	case reflect.Func:
		if strings.HasPrefix(t.String(), "iter.Seq2[") {
			return "it is a stream, which JSON cannot carry"
		}
		return "JSON cannot carry " + named(t)
	case reflect.Chan, reflect.UnsafePointer, reflect.Uintptr, reflect.Complex64, reflect.Complex128:
		return "JSON cannot carry " + named(t)
	case reflect.Interface:
		if t.NumMethod() > 0 {
			return fmt.Sprintf("JSON cannot carry %s, which is an interface", named(t))
		}
	case reflect.Map:
		if !namesMember(t.Key()) {
			return fmt.Sprintf("JSON cannot carry %s, as its keys are no strings", named(t))
		}
		return whyNotJSON(t.Elem(), seen)
	case reflect.Pointer, reflect.Slice, reflect.Array:
		return whyNotJSON(t.Elem(), seen)
	case reflect.Struct:
		for f := range t.Fields() {
			if f.IsExported() && f.Tag.Get("json") != "-" {
				if why := whyNotJSON(f.Type, seen); why != "" {
					return why
				}
			}
		}
	}
	return ""
}

// namesMember reports whether encoding/json makes names of members of keys like t.
func namesMember(t reflect.Type) bool {
	switch k := t.Kind(); {
	case k == reflect.String, k >= reflect.Int && k <= reflect.Uint64:
		return true
	}
	return t.Implements(reflect.TypeFor[encoding.TextMarshaler]()) &&
		reflect.PointerTo(t).Implements(reflect.TypeFor[encoding.TextUnmarshaler]())
}

// marshals reports whether t, or a pointer to it, says itself how it is written.
func marshals(t reflect.Type) bool {
	for _, own := range []reflect.Type{
		reflect.TypeFor[interface{ UnmarshalJSON([]byte) error }](),
		reflect.TypeFor[interface{ UnmarshalText([]byte) error }](),
	} {
		if t.Kind() != reflect.Interface && (t.Implements(own) || reflect.PointerTo(t).Implements(own)) {
			return true
		}
	}
	return false
}

func (m *method) describe() Method {
	if m.described != nil {
		return *m.described
	}
	d := Method{Name: m.name, Params: []Param{}, Results: []string{}, NotCallable: m.uncarried}
	for i, t := range m.params {
		d.Params = append(d.Params, Param{Name: m.paramName(i), Type: spelled(t)})
	}
	for _, t := range m.results {
		d.Results = append(d.Results, spelled(t))
	}
	d.Signature = m.signature()
	return d
}

// spelled writes a type as people do: reflection has []uint8 for bytes, and the path of a
// package in the arguments of a generic type.
func spelled(t reflect.Type) string {
	return typeArguments.ReplaceAllString(strings.ReplaceAll(t.String(), "[]uint8", "[]byte"), "$1")
}

// typeArguments finds what stands before the name of a package in a type's arguments.
var typeArguments = regexp.MustCompile(`([\[,*\]])[\w.~-]+(?:/[\w.~-]+)*/`)

func (m *method) paramName(i int) string {
	if m.names == nil {
		return ""
	}
	return m.names[i]
}

// signature writes the method as its interface does, as far as names are known.
func (m *method) signature() string {
	if m.described != nil {
		return m.described.Signature
	}
	in := make([]string, 0, len(m.params)+1)
	if m.hasCtx {
		in = append(in, "context.Context")
	}
	for i, t := range m.params {
		written := spelled(t)
		if m.variadic && i == len(m.params)-1 {
			written = "..." + spelled(t.Elem())
		}
		in = append(in, strings.TrimSpace(m.paramName(i)+" "+written))
	}
	out := make([]string, 0, len(m.results)+1)
	for _, t := range m.results {
		out = append(out, spelled(t))
	}
	if m.hasErr {
		out = append(out, "error")
	}
	s := m.name + "(" + strings.Join(in, ", ") + ")"
	switch len(out) {
	case 0:
		return s
	case 1:
		return s + " " + out[0]
	}
	return s + " (" + strings.Join(out, ", ") + ")"
}

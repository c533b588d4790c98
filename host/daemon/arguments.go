// SPDX-License-Identifier: MPL-2.0

package daemon

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"reflect"
	"slices"
)

// ErrArguments is matched by the error of a call whose arguments do not fit the
// method's Go signature. Nothing was sent.
var ErrArguments = errors.New("arguments do not fit")

// arguments reads what a JSON caller gave for the method: an array with one element
// for each parameter, or an object if the parameters have names. Nothing, or null,
// means no arguments. Numbers arrive as they were given, or not at all.
func (m *method) arguments(raw json.RawMessage) ([]reflect.Value, error) {
	elements, err := m.elements(bytes.TrimSpace(raw))
	if err == nil {
		err = unambiguous(raw)
	}
	if err != nil {
		return nil, fmt.Errorf("%w %s: %w", ErrArguments, m.signature(), err)
	}
	values := make([]reflect.Value, 0, len(m.params))
	for i, t := range m.params {
		v := reflect.New(t)
		err := decode(elements[i], v.Interface())
		if err == nil {
			err = settle(v.Elem())
		}
		if err != nil {
			return nil, fmt.Errorf("%w %s: %s: %w", ErrArguments, m.signature(), m.place(i), err)
		}
		values = append(values, v.Elem())
	}
	return values, nil
}

// place names a parameter to whoever gave it.
func (m *method) place(i int) string {
	if m.names != nil {
		return fmt.Sprintf("argument %q", m.names[i])
	}
	return fmt.Sprintf("argument %d", i+1)
}

func (m *method) elements(raw []byte) ([]json.RawMessage, error) {
	var list []json.RawMessage
	switch {
	case len(raw) == 0 || string(raw) == "null":
	case raw[0] == '{' && m.names != nil:
		return m.named(raw)
	case raw[0] == '[':
		if err := decode(raw, &list); err != nil {
			return nil, err
		}
	default:
		return nil, errors.New("want a JSON array with one element for each parameter")
	}
	if len(list) != len(m.params) {
		return nil, fmt.Errorf("want %d in an array, got %d", len(m.params), len(list))
	}
	return list, nil
}

// named puts the members of an object in the order of the parameters.
func (m *method) named(raw []byte) ([]json.RawMessage, error) {
	var members map[string]json.RawMessage
	if err := decode(raw, &members); err != nil {
		return nil, err
	}
	list := make([]json.RawMessage, 0, len(m.names))
	for _, name := range m.names {
		value, ok := members[name]
		if !ok {
			return nil, fmt.Errorf("argument %q is missing", name)
		}
		list = append(list, value)
		delete(members, name)
	}
	if len(members) > 0 {
		return nil, fmt.Errorf("there is no argument %q", slices.Sorted(maps.Keys(members))[0])
	}
	return list, nil
}

// decode reads exactly one JSON value, and takes no field that the type lacks. A
// null stands for a value only where Go has nil for it.
func decode(raw []byte, into any) error {
	kind := reflect.TypeOf(into).Elem().Kind()
	nilable := kind == reflect.Pointer || kind == reflect.Slice || kind == reflect.Map || kind == reflect.Interface
	if string(bytes.TrimSpace(raw)) == "null" && !nilable && !marshals(reflect.TypeOf(into).Elem()) {
		return fmt.Errorf("null is not a %s", reflect.TypeOf(into).Elem())
	}
	d := json.NewDecoder(bytes.NewReader(raw))
	d.DisallowUnknownFields()
	d.UseNumber() // settle makes numbers of Go of them, where no type says what they are
	if err := d.Decode(into); err != nil {
		return explain(err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return errors.New("more follows after the JSON value")
	}
	return nil
}

// explain says in the caller's words what encoding/json says in its own.
func explain(err error) error {
	if t, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		at := ""
		if t.Field != "" {
			at = " at " + t.Field
		}
		return fmt.Errorf("%s is not a %s%s", t.Value, t.Type, at)
	}
	if errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF) {
		return errors.New("the JSON ends early")
	}
	return err
}

// invoke calls the method on impl. A result of several values becomes an array, one
// of none becomes null. The error is the method's own. One that has no error to return
// may panic instead, as the glue of many interfaces does when a call fails: that is an
// error as well, and must not end the daemon.
func (m *method) invoke(ctx context.Context, impl any, args []reflect.Value) (result json.RawMessage, err error) {
	defer func() {
		switch p := recover().(type) {
		case nil:
		case error:
			err = fmt.Errorf("%s panicked: %w", m.name, p)
		default:
			err = fmt.Errorf("%s panicked: %v", m.name, p)
		}
	}()
	in := args
	if m.hasCtx {
		in = append([]reflect.Value{reflect.ValueOf(ctx)}, args...)
	}
	bound := reflect.ValueOf(impl).MethodByName(m.name)
	var out []reflect.Value
	if m.variadic {
		out = bound.CallSlice(in)
	} else {
		out = bound.Call(in)
	}
	if m.hasErr {
		if err, failed := out[len(out)-1].Interface().(error); failed {
			return nil, err
		}
		out = out[:len(out)-1]
	}
	results := make([]any, 0, len(out))
	for _, v := range out {
		results = append(results, v.Interface())
	}
	switch len(results) {
	case 0:
		return json.RawMessage("null"), nil
	case 1:
		return encode(m, results[0])
	}
	return encode(m, results)
}

func encode(m *method, v any) (json.RawMessage, error) {
	raw, err := json.Marshal(v)
	if err != nil {
		return nil, fmt.Errorf("write the result of %s as JSON: %w", m.name, err)
	}
	return raw, nil
}

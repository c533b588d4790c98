// SPDX-License-Identifier: MPL-2.0

package daemon

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"reflect"
	"slices"
	"strings"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/structpb"

	"github.com/reattach/reattach/host/messages"
)

// ErrArguments is matched by the error of a call whose arguments do not fit the
// method's Go signature. Nothing was sent.
var ErrArguments = errors.New("arguments do not fit")

// arguments reads what a JSON caller gave for the method: an array with one element
// for each parameter, or an object if the parameters have names. Nothing, or null,
// means no arguments. Numbers arrive as they were given, or not at all.
func (m *method) arguments(raw json.RawMessage) ([]reflect.Value, error) {
	if m.described != nil {
		return []reflect.Value{reflect.ValueOf(raw)}, nil // the Invoker looks at them
	}
	raw = bytes.TrimSpace(raw)
	values, err := m.read(raw)
	if err == nil && len(raw) > 0 {
		err = unambiguous(raw)
	}
	if err != nil {
		return nil, fmt.Errorf("%w %s: %w", ErrArguments, m.signature(), err)
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

// read decodes raw in one pass, and no further than what the method takes: of whatever
// a caller sends beyond that, nothing is kept.
func (m *method) read(raw []byte) ([]reflect.Value, error) {
	if len(raw) == 0 || string(raw) == "null" {
		return m.complete(nil)
	}
	values := m.listed
	switch {
	case raw[0] == '{' && m.names != nil:
		values = m.byName
	case raw[0] != '[':
		want := "want a JSON array with one element for each parameter"
		if m.names != nil {
			want += ", or an object with their names"
		}
		return nil, errors.New(want)
	}
	in := input{raw: raw, decoder: json.NewDecoder(bytes.NewReader(raw))}
	in.decoder.DisallowUnknownFields()
	in.decoder.UseNumber()                        // settle makes numbers of Go of them, where no type says what they are
	if _, err := in.decoder.Token(); err != nil { // the beginning of the array or object
		return nil, explain(err)
	}
	got, err := values(in)
	if err != nil {
		return nil, err
	}
	if _, err := in.decoder.Token(); err != nil { // its end
		return nil, explain(err)
	}
	if _, err := in.decoder.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("more follows after the JSON value")
	}
	return m.complete(got)
}

// complete holds that there is a value for each parameter.
func (m *method) complete(values []reflect.Value) ([]reflect.Value, error) {
	for i := range m.params {
		switch {
		case i == len(values):
			return nil, fmt.Errorf("%s is missing: it takes %s, got %d", m.place(i), messages.Arguments(len(m.params)), i)
		case !values[i].IsValid():
			return nil, fmt.Errorf("%s is missing", m.place(i))
		}
	}
	return values, nil
}

// listed reads the elements of an array.
func (m *method) listed(in input) ([]reflect.Value, error) {
	values := make([]reflect.Value, 0, len(m.params))
	for in.decoder.More() {
		i := len(values)
		if i == len(m.params) {
			return nil, fmt.Errorf("it takes %s, got %d or more", messages.Arguments(len(m.params)), i+1)
		}
		v, err := in.value(m.params[i])
		if err != nil {
			return nil, fmt.Errorf("%s: %w", m.place(i), err)
		}
		values = append(values, v)
	}
	return values, nil
}

// byName reads the members of an object, and puts them in the order of the parameters.
// One that is not there is left invalid.
func (m *method) byName(in input) ([]reflect.Value, error) {
	values := make([]reflect.Value, len(m.params))
	for in.decoder.More() {
		token, err := in.decoder.Token()
		if err != nil {
			return nil, explain(err)
		}
		name, _ := token.(string)
		i := slices.Index(m.names, name)
		switch {
		case i < 0:
			return nil, fmt.Errorf("there is no argument %q", clipped(name))
		case values[i].IsValid():
			return nil, fmt.Errorf("%q is given twice", name)
		}
		if values[i], err = in.value(m.params[i]); err != nil {
			return nil, fmt.Errorf("%s: %w", m.place(i), err)
		}
	}
	return values, nil
}

// input is JSON that is decoded value by value.
type input struct {
	raw     []byte
	decoder *json.Decoder // of raw
}

// value decodes the next value, and takes no field that the type lacks. A null stands
// for a value only where Go has nil for it.
func (in input) value(t reflect.Type) (reflect.Value, error) {
	if isMessage(t) {
		return in.message(t)
	}
	v := reflect.New(t)
	begin := in.decoder.InputOffset()
	if err := in.decoder.Decode(v.Interface()); err != nil {
		return v, explain(err)
	}
	kind := t.Kind()
	nilable := kind == reflect.Pointer || kind == reflect.Slice || kind == reflect.Map || kind == reflect.Interface
	if !nilable && !marshals(t) && bytes.HasSuffix(in.raw[begin:in.decoder.InputOffset()], []byte("null")) {
		return v, fmt.Errorf("null is not %s", named(t))
	}
	return v.Elem(), settle(v.Elem())
}

// isMessage reports whether values of t are messages of protocol buffers.
func isMessage(t reflect.Type) bool {
	return t.Kind() == reflect.Pointer && t.Implements(reflect.TypeFor[proto.Message]())
}

// message decodes the next value as a message of protocol buffers, which JSON has in a way of
// its own.
func (in input) message(t reflect.Type) (reflect.Value, error) {
	var raw json.RawMessage
	if err := in.decoder.Decode(&raw); err != nil {
		return reflect.Value{}, explain(err)
	}
	if string(raw) == "null" && t != reflect.TypeFor[*structpb.Value]() {
		return reflect.Zero(t), nil
	}
	v := reflect.New(t.Elem())
	return v, messages.Read(raw, v.Interface().(proto.Message))
}

// named gives a type with its article.
func named(t reflect.Type) string {
	name := spelled(t)
	if strings.ContainsRune("aeio", rune(name[0])) { // a uint begins with a consonant
		return "an " + name
	}
	return "a " + name
}

// explain says in the caller's words what encoding/json says in its own.
func explain(err error) error {
	if t, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		at := ""
		if t.Field != "" {
			at = " at " + t.Field
		}
		return fmt.Errorf("%s is not %s%s", t.Value, named(t.Type), at)
	}
	if name, ok := strings.CutPrefix(err.Error(), "json: unknown field "); ok {
		return fmt.Errorf("there is no field %s", clipped(name))
	}
	if _, ok := errors.AsType[base64.CorruptInputError](err); ok {
		return errors.New("want base64, which is how JSON has bytes")
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
	if m.described != nil {
		return impl.(Invoker).Invoke(ctx, m.name, args[0].Interface().(json.RawMessage))
	}
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
	var raw json.RawMessage
	var err error
	if message, ok := v.(proto.Message); ok && !reflect.ValueOf(v).IsNil() {
		raw, err = messages.JSON(message.ProtoReflect())
	} else {
		raw, err = json.Marshal(v)
	}
	if err != nil {
		return nil, fmt.Errorf("write the result of %s as JSON: %w", m.name, err)
	}
	return raw, nil
}

// SPDX-License-Identifier: MPL-2.0

package dynamic

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/hashicorp/go-plugin/printable"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/dynamicpb"

	"github.com/reattach/reattach/host/daemon"
	"github.com/reattach/reattach/host/messages"
)

// fields gives those of a message as the arguments of a call, in order: the contract's
// parameters, or else all fields by number, or else the message as a whole.
func fields(message protoreflect.MessageDescriptor, told []Field) []Field {
	if told != nil {
		return told
	}
	return Fields(message)
}

// Fields gives those of a message as arguments or results, by number: of a message of protocol
// buffers' own that JSON has as one value it is a field without a number, which is the message.
func Fields(message protoreflect.MessageDescriptor) []Field {
	if messages.Whole(message) {
		return []Field{{Name: "value", Type: string(message.FullName())}}
	}
	all := make([]Field, 0, message.Fields().Len())
	for i := range message.Fields().Len() {
		f := message.Fields().Get(i)
		all = append(all, Field{Name: f.JSONName(), Type: typeOf(f), Number: int(f.Number())})
	}
	slices.SortFunc(all, func(a, b Field) int { return a.Number - b.Number })
	return all
}

// request reads arguments: an array with one element for each parameter, or an object with
// their names.
func (m *Method) request(raw json.RawMessage) (*dynamicpb.Message, error) {
	in := dynamicpb.NewMessage(m.Request)
	params := fields(m.Request, m.Params)
	err := func() error {
		raw = bytes.TrimSpace(raw)
		if len(raw) == 0 || string(raw) == "null" {
			raw = []byte("[]")
		}
		given := make(map[string]json.RawMessage)
		switch raw[0] {
		case '{':
			if err := json.Unmarshal(raw, &given); err != nil {
				return err
			}
		case '[':
			var list []json.RawMessage
			if err := json.Unmarshal(raw, &list); err != nil {
				return err
			}
			if len(list) > len(params) {
				return fmt.Errorf("it takes %s, got %d", messages.Arguments(len(params)), len(list))
			}
			if i := len(list); i < len(params) && m.Params != nil {
				return fmt.Errorf("argument %q is missing: it takes %s, got %d", params[i].Name, messages.Arguments(len(params)), i)
			}
			for i, v := range list {
				given[params[i].Name] = v
			}
		default:
			return fmt.Errorf("want a JSON array with one element for each parameter, or an object with their names")
		}
		return fill(in, params, given, m.Params != nil)
	}()
	if err != nil {
		d := m.describe()
		if m.Params == nil {
			d.Signature = signature(m.Name, paramsOf(params), []string{string(m.Answer.Name())})
		}
		return nil, fmt.Errorf("%w %s: %w", daemon.ErrArguments, d.Signature, err)
	}
	return in, nil
}

// fill sets the fields of a message, each by itself, so that an error can name it.
func fill(in *dynamicpb.Message, params []Field, given map[string]json.RawMessage, all bool) error {
	for _, p := range params {
		v, ok := given[p.Name]
		if !ok {
			if all {
				return fmt.Errorf("argument %q is missing", p.Name)
			}
			continue
		}
		delete(given, p.Name)
		if p.Number == 0 {
			if err := protojson.Unmarshal(v, in); err != nil {
				return fmt.Errorf("argument %q: %s is not %s, as JSON has it", p.Name, clipped(v), p.Type)
			}
			continue
		}
		field := in.Descriptor().Fields().ByNumber(protoreflect.FieldNumber(p.Number))
		if field == nil {
			return fmt.Errorf("argument %q has no field in %s", p.Name, in.Descriptor().FullName())
		}
		one, err := json.Marshal(map[string]json.RawMessage{field.JSONName(): v})
		if err != nil {
			return err
		}
		part := dynamicpb.NewMessage(in.Descriptor())
		if err := protojson.Unmarshal(one, part); err != nil {
			return fmt.Errorf("argument %q: %s is not %s", p.Name, clipped(v), typeOf(field))
		}
		if part.Has(field) {
			in.Set(field, part.Get(field))
		}
	}
	for name := range given {
		return fmt.Errorf("there is no argument %q", clipped([]byte(name)))
	}
	return nil
}

// maxShown is how many bytes of a value an error has.
const maxShown = 60

// clipped is a value in an error.
func clipped(raw []byte) string { return printable.Clip(printable.Line(string(raw)), maxShown) }

// result writes an answer: the contract's results as a Go method's, or else the message.
func (m *Method) result(out *dynamicpb.Message) (json.RawMessage, error) {
	if m.Results == nil {
		return messages.JSON(out)
	}
	results := make([]any, 0, len(m.Results))
	for _, r := range m.Results {
		if r.Number == 0 {
			return messages.JSON(out)
		}
		field := out.Descriptor().Fields().ByNumber(protoreflect.FieldNumber(r.Number))
		if field == nil {
			return nil, fmt.Errorf("result %q has no field in %s", r.Name, out.Descriptor().FullName())
		}
		v, err := messages.Field(field, out)
		if err != nil {
			return nil, err
		}
		results = append(results, v)
	}
	switch len(results) {
	case 0:
		return json.RawMessage("null"), nil
	case 1:
		return json.Marshal(results[0])
	}
	return json.Marshal(results)
}

// describe gives a method of gRPC as people read it.
func describe(m protoreflect.MethodDescriptor) daemon.Method {
	d := daemon.Method{Name: string(m.Name()), Params: paramsOf(fields(m.Input(), nil)), Results: []string{string(m.Output().FullName())}}
	d.Signature = signature(d.Name, d.Params, []string{string(m.Output().Name())})
	if m.IsStreamingClient() || m.IsStreamingServer() {
		d.Stream, d.NotCallable = true, "it is a stream"
	}
	return d
}

func paramsOf(all []Field) []daemon.Param {
	params := make([]daemon.Param, 0, len(all))
	for _, f := range all {
		params = append(params, daemon.Param{Name: f.Name, Type: f.Type})
	}
	return params
}

// signature writes a method as Go does.
func signature(name string, params []daemon.Param, results []string) string {
	in := make([]string, 0, len(params))
	for _, p := range params {
		in = append(in, strings.TrimSpace(p.Name+" "+p.Type))
	}
	out := strings.Join(results, ", ")
	if len(results) > 1 {
		out = "(" + out + ")"
	}
	return strings.TrimSpace(name + "(" + strings.Join(in, ", ") + ") " + out)
}

// typeOf names the type of a field, in the words of protocol buffers.
func typeOf(f protoreflect.FieldDescriptor) string {
	name := f.Kind().String()
	switch {
	case f.IsMap():
		return fmt.Sprintf("map<%s, %s>", typeOf(f.MapKey()), typeOf(f.MapValue()))
	case f.Message() != nil:
		name = string(f.Message().FullName())
	case f.Enum() != nil:
		name = string(f.Enum().FullName())
	}
	if f.IsList() {
		return "repeated " + name
	}
	return name
}

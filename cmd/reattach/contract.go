// SPDX-License-Identifier: MPL-2.0

package main

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/descriptorpb"

	"github.com/reattach/reattach/gen/evolve"
	"github.com/reattach/reattach/host/daemon"
	"github.com/reattach/reattach/host/dynamic"
	"github.com/reattach/reattach/host/messages"
	"github.com/reattach/reattach/host/stub"
)

// kindsOf gives the kinds of a contract, as it is recorded: messages are told by the numbers
// of their fields, whatever they are called.
func kindsOf(r *evolve.Record) ([]daemon.Kind, error) {
	m := &contractMessages{file: &descriptorpb.FileDescriptorProto{
		Name: proto.String("contract"), Package: proto.String("contract"), Syntax: proto.String("proto3"),
	}, types: make(map[string]bool)}
	for _, own := range messages.Files() {
		m.file.Dependency = append(m.file.Dependency, own.Path())
	}
	m.addTypes(r.Types)
	why := make(map[string]error) // by the name of a method's messages
	for _, s := range r.Services {
		for _, method := range s.Methods {
			name := s.Name + method.Name
			why[name] = notStreamed(method)
			for _, part := range []struct {
				name, carries string
				values        []evolve.Value
				present       bool
			}{{"P" + name, method.Request, method.Params, true}, {"R" + name, method.Answer, method.Results, false}} {
				if !isKnown(part.carries) {
					why[name] = errors.Join(why[name], m.add(part.name, part.values, part.present))
				}
			}
		}
	}
	file, err := protodesc.NewFile(m.file, protoregistry.GlobalFiles)
	if err != nil {
		return nil, err
	}
	var kinds []daemon.Kind
	for _, s := range r.Services {
		if s.Kind == "" {
			continue // it is called back
		}
		var methods []dynamic.Method
		var options []daemon.KindOption
		for _, method := range s.Methods {
			one := dynamic.Method{Name: method.Name, Service: r.Contract + "." + s.Name, Params: fieldsOf(method.Params), Results: fieldsOf(method.Results)}
			if err := why[s.Name+method.Name]; err != nil {
				one.NotCallable = strings.ReplaceAll(err.Error(), "\n", "; ")
			} else {
				one.Request, one.Params = carried(file, "P"+s.Name+method.Name, method.Request, one.Params)
				one.Answer, one.Results = carried(file, "R"+s.Name+method.Name, method.Answer, one.Results)
				if one.Request == nil || one.Answer == nil {
					one.NotCallable = fmt.Sprintf("%s or %s is not known here", method.Request, method.Answer)
				}
			}
			methods = append(methods, one)
			called, err := callOptions(method)
			if err != nil {
				return nil, fmt.Errorf("%s.%s: %w", s.Name, method.Name, err)
			}
			if errors.Is(why[s.Name+method.Name], errStream) {
				called.Stream = true
			}
			options = append(options, daemon.WithMethod(method.Name, called))
		}
		kinds = append(kinds, dynamic.Kind(s.Kind, methods, "", options...))
	}
	return kinds, nil
}

// errStream says why a method cannot be called here.
var errStream = errors.New("it is a stream")

// notStreamed tells of a method of a .proto file whether it is a stream, of which the values
// do not tell.
func notStreamed(m evolve.Method) error {
	if strings.HasPrefix(m.Request, "stream ") || strings.HasPrefix(m.Answer, "stream ") {
		return errStream
	}
	return nil
}

// isKnown reports whether a method carries a message of protocol buffers' own.
func isKnown(carries string) bool { return strings.HasPrefix(carries, "google.protobuf.") }

// carried gives the message of a method, and the arguments or results that it has: the one of
// that name in file, or a message of protocol buffers' own, if that is what the method carries;
// nil if this program does not have it.
func carried(file protoreflect.FileDescriptor, name, carries string, values []dynamic.Field) (protoreflect.MessageDescriptor, []dynamic.Field) {
	if !isKnown(carries) {
		return file.Messages().ByName(protoreflect.Name(name)), values
	}
	found, err := protoregistry.GlobalFiles.FindDescriptorByName(protoreflect.FullName(carries))
	own, ok := found.(protoreflect.MessageDescriptor)
	if err != nil || !ok {
		return nil, values
	}
	return own, dynamic.Fields(own)
}

func fieldsOf(values []evolve.Value) []dynamic.Field {
	all := []dynamic.Field{}
	for _, v := range values {
		if !v.Removed {
			all = append(all, dynamic.Field{Name: v.Name, Type: v.Type, Number: v.Number})
		}
	}
	return all
}

func callOptions(m evolve.Method) (o stub.CallOptions, err error) {
	o.Idempotent = m.Idempotent
	if m.Timeout != "" {
		if o.Timeout, err = time.ParseDuration(m.Timeout); err != nil {
			return o, err
		}
	}
	if m.Repeats != nil {
		if o.Repeats = *m.Repeats; o.Repeats == 0 {
			o.Repeats = stub.NoRepeats
		}
	}
	return o, nil
}

// contractMessages makes descriptors of what a record says.
type contractMessages struct {
	file  *descriptorpb.FileDescriptorProto
	types map[string]bool
}

// scalars are the types of protocol buffers that a record names.
var scalars = map[string]descriptorpb.FieldDescriptorProto_Type{
	"double": descriptorpb.FieldDescriptorProto_TYPE_DOUBLE, "float": descriptorpb.FieldDescriptorProto_TYPE_FLOAT,
	"int32": descriptorpb.FieldDescriptorProto_TYPE_INT32, "int64": descriptorpb.FieldDescriptorProto_TYPE_INT64,
	"uint32": descriptorpb.FieldDescriptorProto_TYPE_UINT32, "uint64": descriptorpb.FieldDescriptorProto_TYPE_UINT64,
	"sint32": descriptorpb.FieldDescriptorProto_TYPE_SINT32, "sint64": descriptorpb.FieldDescriptorProto_TYPE_SINT64,
	"fixed32": descriptorpb.FieldDescriptorProto_TYPE_FIXED32, "fixed64": descriptorpb.FieldDescriptorProto_TYPE_FIXED64,
	"sfixed32": descriptorpb.FieldDescriptorProto_TYPE_SFIXED32, "sfixed64": descriptorpb.FieldDescriptorProto_TYPE_SFIXED64,
	"bool": descriptorpb.FieldDescriptorProto_TYPE_BOOL, "string": descriptorpb.FieldDescriptorProto_TYPE_STRING,
	"bytes": descriptorpb.FieldDescriptorProto_TYPE_BYTES,
}

// addTypes makes messages of those types that have nothing but what has a message: what has
// another one is not callable.
func (m *contractMessages) addTypes(all []evolve.Type) {
	for _, t := range all {
		m.types[t.Name] = true
	}
	for known := -1; known != len(m.types); { // one that goes may take those that have it along
		known = len(m.types)
		m.file.MessageType = nil
		for _, t := range all {
			if m.types[t.Name] && m.add("T"+t.Name, t.Fields, false) != nil {
				delete(m.types, t.Name)
			}
		}
	}
}

// add makes a message of values. Parameters are sent although they are zero: a plugin tells
// one that is missing.
func (m *contractMessages) add(name string, values []evolve.Value, present bool) error {
	d := &descriptorpb.DescriptorProto{Name: &name}
	var optional []*descriptorpb.FieldDescriptorProto
	for _, v := range values {
		if v.Removed {
			continue
		}
		wire, maybe := strings.CutPrefix(v.Wire, "optional ")
		field := &descriptorpb.FieldDescriptorProto{
			Name: proto.String(fmt.Sprintf("f%d", v.Number)), JsonName: proto.String(v.Name), Number: proto.Int32(int32(v.Number)),
			Label: descriptorpb.FieldDescriptorProto_LABEL_OPTIONAL.Enum(),
		}
		if err := m.setType(d, field, name, wire); err != nil {
			return fmt.Errorf("%s: %w", v.Name, err)
		}
		if (maybe || present) && scalars[wire] != 0 {
			field.Proto3Optional = proto.Bool(true)
			optional = append(optional, field)
		}
		d.Field = append(d.Field, field)
	}
	for _, field := range optional { // each is alone in a group that the language asks for
		field.OneofIndex = proto.Int32(int32(len(d.OneofDecl)))
		d.OneofDecl = append(d.OneofDecl, &descriptorpb.OneofDescriptorProto{Name: proto.String("_" + field.GetName())})
	}
	m.file.MessageType = append(m.file.MessageType, d)
	return nil
}

// setType reads how a value travels.
func (m *contractMessages) setType(of *descriptorpb.DescriptorProto, field *descriptorpb.FieldDescriptorProto, message, wire string) error {
	if elem, ok := strings.CutPrefix(wire, "repeated "); ok {
		field.Label = descriptorpb.FieldDescriptorProto_LABEL_REPEATED.Enum()
		elem, _, _ = strings.Cut(elem, "[")
		return m.setElem(field, elem)
	}
	if entry, ok := strings.CutPrefix(wire, "map<"); ok {
		key, value, _ := strings.Cut(strings.TrimSuffix(entry, ">"), ", ")
		name := fmt.Sprintf("F%dEntry", field.GetNumber()) // as the language wants it
		made := &descriptorpb.DescriptorProto{Name: &name, Options: &descriptorpb.MessageOptions{MapEntry: proto.Bool(true)}}
		for i, one := range []string{key, value} {
			part := &descriptorpb.FieldDescriptorProto{
				Name: proto.String([]string{"key", "value"}[i]), Number: proto.Int32(int32(i + 1)), Label: descriptorpb.FieldDescriptorProto_LABEL_OPTIONAL.Enum(),
			}
			if err := m.setElem(part, one); err != nil {
				return err
			}
			made.Field = append(made.Field, part)
		}
		of.NestedType = append(of.NestedType, made)
		field.Label = descriptorpb.FieldDescriptorProto_LABEL_REPEATED.Enum()
		field.Type, field.TypeName = descriptorpb.FieldDescriptorProto_TYPE_MESSAGE.Enum(), proto.String(".contract."+message+"."+name)
		return nil
	}
	elem, _, _ := strings.Cut(wire, "[")
	return m.setElem(field, elem)
}

// setElem reads how a single value travels.
func (m *contractMessages) setElem(field *descriptorpb.FieldDescriptorProto, wire string) error {
	switch scalar, ok := scalars[wire]; {
	case ok:
		field.Type = scalar.Enum()
		return nil
	case strings.HasPrefix(wire, "google.protobuf."):
		field.TypeName = proto.String("." + wire)
	case m.types[wire]:
		field.TypeName = proto.String(".contract.T" + wire)
	case strings.HasPrefix(wire, "stream "):
		return errStream
	case strings.HasPrefix(wire, "callback "):
		return errors.New("the plugin calls it back")
	default:
		return fmt.Errorf("its message %s is not in the contract", wire)
	}
	field.Type = descriptorpb.FieldDescriptorProto_TYPE_MESSAGE.Enum()
	return nil
}

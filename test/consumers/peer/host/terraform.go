// SPDX-License-Identifier: MPL-2.0

package main

import (
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/hashicorp/go-plugin"
	"github.com/hashicorp/terraform-plugin-go/tfprotov6"
	// The messages of the protocol are internal to the SDK, but it registers them.
	_ "github.com/hashicorp/terraform-plugin-go/tfprotov6/tf6server"
	"github.com/hashicorp/terraform-plugin-go/tftypes"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/known/emptypb"
)

const service = "/tfplugin6.Provider/"

// terraform is Terraform, plugin protocol 6.
func terraform() system {
	return system{
		handshake: plugin.HandshakeConfig{
			MagicCookieKey:   "TF_PLUGIN_MAGIC_COOKIE",
			MagicCookieValue: "d602bf8f470bc67ca7faa0386276bbdd4330efaf76d1a219cb4d6991ca9872b2",
		},
		version:  6,
		protocol: plugin.ProtocolGRPC,
		plugins:  plugin.PluginSet{"provider": connPlugin{}},
		autoMTLS: true,
		converse: createNotes,
	}
}

// connPlugin dispenses the connection itself, because the SDK has no public client.
type connPlugin struct{ plugin.NetRPCUnsupportedPlugin }

func (connPlugin) GRPCServer(*plugin.GRPCBroker, *grpc.Server) error {
	return fmt.Errorf("this is a host")
}

func (connPlugin) GRPCClient(_ context.Context, _ *plugin.GRPCBroker, conn *grpc.ClientConn) (any, error) {
	return conn, nil
}

// values are the fields of a request that hold a value of Terraform's type system.
type values map[string]tftypes.Value

// noteType is the type of the resource sample_note.
func noteType() tftypes.Object {
	return tftypes.Object{AttributeTypes: map[string]tftypes.Type{"text": tftypes.String, "said": tftypes.String}}
}

// createNotes does what terraform does to create resources: it reads the schema,
// configures the provider with a prefix of its own, plans and applies.
func createNotes(ctx context.Context, client plugin.ClientProtocol, out io.Writer, prefix string) error {
	conn, err := dispense[*grpc.ClientConn](client, "provider")
	if err != nil {
		return err
	}
	schema, err := call(ctx, conn, "GetProviderSchema", nil)
	if err != nil {
		return err
	}
	text, err := proto.MarshalOptions{Deterministic: true}.Marshal(schema.Interface())
	if err != nil {
		return fmt.Errorf("encode the schema: %w", err)
	}
	fmt.Fprintf(out, "schema %x\n", text)
	config := tftypes.NewValue(tftypes.Object{AttributeTypes: map[string]tftypes.Type{"prefix": tftypes.String}},
		map[string]tftypes.Value{"prefix": tftypes.NewValue(tftypes.String, prefix)})
	if _, err := call(ctx, conn, "ConfigureProvider", values{"config": config}); err != nil {
		return err
	}
	for i := range 20 {
		said, err := create(ctx, conn, fmt.Sprint("note ", i))
		if err != nil {
			return err
		}
		fmt.Fprintln(out, strings.ReplaceAll(said, prefix, "MINE"))
	}
	said, err := create(ctx, conn, "bad")
	fmt.Fprintf(out, "%s, %v\n", said, err)
	empty, answer := &emptypb.Empty{}, &emptypb.Empty{}
	fmt.Fprintln(out, conn.Invoke(ctx, service+"NoSuchMethod", empty, answer))
	return nil
}

// create plans and applies a note, and returns its state, or what the provider
// has against it.
func create(ctx context.Context, conn *grpc.ClientConn, text string) (string, error) {
	none := tftypes.NewValue(noteType(), nil)
	note := func(said any) tftypes.Value {
		return tftypes.NewValue(noteType(), map[string]tftypes.Value{
			"text": tftypes.NewValue(tftypes.String, text), "said": tftypes.NewValue(tftypes.String, said),
		})
	}
	proposed, planned := note(nil), note(tftypes.UnknownValue)
	plan, err := call(ctx, conn, "PlanResourceChange", values{"prior_state": none, "proposed_new_state": proposed, "config": proposed})
	if err != nil {
		return "", err
	}
	if got, err := state(plan, "planned_state"); err != nil || !got.Equal(planned) {
		return "", fmt.Errorf("the plan is %v (%v), want %v", got, err, planned)
	}
	applied, err := call(ctx, conn, "ApplyResourceChange", values{"prior_state": none, "planned_state": planned, "config": proposed})
	if err != nil {
		return "", err
	}
	got, err := state(applied, "new_state")
	return got.String(), err
}

// call calls a method with values in the fields of its request. Diagnostics in
// the answer are its error.
func call(ctx context.Context, conn *grpc.ClientConn, method string, fields values) (protoreflect.Message, error) {
	in, err := newMessage(method + ".Request")
	if err != nil {
		return nil, err
	}
	out, err := newMessage(method + ".Response")
	if err != nil {
		return nil, err
	}
	for name, v := range fields {
		encoded, err := tfprotov6.NewDynamicValue(v.Type(), v)
		if err != nil {
			return nil, fmt.Errorf("encode %s of %s: %w", name, method, err)
		}
		field := in.Mutable(in.Descriptor().Fields().ByName(protoreflect.Name(name))).Message()
		field.Set(field.Descriptor().Fields().ByName("msgpack"), protoreflect.ValueOfBytes(encoded.MsgPack))
	}
	if f := in.Descriptor().Fields().ByName("type_name"); f != nil {
		in.Set(f, protoreflect.ValueOfString("sample_note"))
	}
	if err := conn.Invoke(ctx, service+method, in.Interface(), out.Interface()); err != nil {
		return nil, fmt.Errorf("call %s: %w", method, err)
	}
	if d := out.Get(out.Descriptor().Fields().ByName("diagnostics")).List(); d.Len() > 0 {
		first := d.Get(0).Message()
		return nil, fmt.Errorf("%s: %s", method, first.Get(first.Descriptor().Fields().ByName("detail")))
	}
	return out, nil
}

func newMessage(name string) (protoreflect.Message, error) {
	kind, err := protoregistry.GlobalTypes.FindMessageByName(protoreflect.FullName("tfplugin6." + name))
	if err != nil {
		return nil, fmt.Errorf("find the message %s: %w", name, err)
	}
	return kind.New(), nil
}

// state decodes a note in a field of an answer.
func state(m protoreflect.Message, name protoreflect.Name) (tftypes.Value, error) {
	field := m.Get(m.Descriptor().Fields().ByName(name)).Message()
	packed := field.Get(field.Descriptor().Fields().ByName("msgpack")).Bytes()
	return tfprotov6.DynamicValue{MsgPack: packed}.Unmarshal(noteType())
}
